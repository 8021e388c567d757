"""Who may sign, and for which account."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from aioecrpublic._runtime.credentials import Credentials
from aioecrpublic._runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

REGISTRY_ID: Final = "123456789012"
ALIAS: Final = "local"
REGISTRY_HOST: Final = "public.ecr.aws"
_ACCOUNT: Final = re.compile(r"[0-9]{12}")
DEFAULT_CREDENTIALS: Final = Credentials("AKIALOCALECRPUBLIC00", "local-ecr-public-secret-access-key")


@attrs.frozen
class Identity:
    """A pair of keys and the account that it acts for."""

    credentials: Credentials
    account: str = REGISTRY_ID


@attrs.frozen
class Accounts:
    """The pairs of keys that the registry knows, by access key id."""

    identities: Mapping[str, Identity]

    @classmethod
    def of(cls, credentials: Credentials, others: Mapping[str, Credentials]) -> Accounts:
        """The registry's own credentials, and those of other accounts by account id.

        Raises:
            ConfigurationError: An account id is none, or two accounts have the same access key id.
        """
        own = Identity(credentials)
        found: dict[str, Identity] = {}
        for identity in [own, *(Identity(pair, account) for account, pair in others.items())]:
            if not _ACCOUNT.fullmatch(identity.account):
                raise ConfigurationError(f"accounts: {identity.account!r} is not an account id of 12 digits")
            if found.setdefault(identity.credentials.access_key_id, identity) is not identity:
                raise ConfigurationError(
                    f"accounts: two have the access key id {identity.credentials.access_key_id}"
                )
        return cls(found)

    def find(self, access_key_id: str) -> Identity | None:
        """The identity of an access key."""
        return self.identities.get(access_key_id)
