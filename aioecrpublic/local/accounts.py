"""Who may sign, and for which account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from aioecrpublic._runtime.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

REGISTRY_ID: Final = "123456789012"
ALIAS: Final = "local"
REGISTRY_HOST: Final = "public.ecr.aws"
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
        """The registry's own credentials, and those of other accounts by account id."""
        own = Identity(credentials)
        pairs = [own, *(Identity(pair, account) for account, pair in others.items())]
        return cls({identity.credentials.access_key_id: identity for identity in pairs})

    def find(self, access_key_id: str) -> Identity | None:
        """The identity of an access key."""
        return self.identities.get(access_key_id)
