"""What every operation of the registry works on."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import secrets
from typing import TYPE_CHECKING, Final

import attrs

from aioecrpublic._generated.errors import (
    InvalidParameterException,
    RegistryNotFoundException,
    RepositoryNotFoundException,
)
from aioecrpublic.local.accounts import ALIAS, REGISTRY_HOST, REGISTRY_ID
from aioecrpublic.local.holds import Holds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aioecrpublic.local.blobs import BlobStore
    from aioecrpublic.local.database import Cursor, Database
    from aioecrpublic.local.disk import Disk
    from aioecrpublic.local.signature import Caller


class TokenExpiredError(Exception):
    """An authorization token was used after its time."""


TOKEN_LIFETIME: Final = dt.timedelta(hours=12)


@attrs.frozen(kw_only=True)
class Settings:
    """How the registry behaves where the service may change its mind.

    Attributes:
        part_size: Bytes of a part that InitiateLayerUpload asks for.
        smallest_part: Bytes that every part but the last must have.
        upload_lifetime: How long an upload, or a layer that no image has, may rest before it is forgotten.
        idle_timeout: Seconds that a connection may be silent, or a request be in coming.
        most_connections: Connections at most; one that rests is given up for a new one.
        sweep_interval: Seconds between two collections of garbage.
        largest_layer: Bytes of a layer at most.
        most_parts: Parts of a layer at most.
        most_repositories: Repositories of the registry at most.
        most_images: Images of a repository at most.
    """

    part_size: int = 10 * 1024 * 1024
    smallest_part: int = 5 * 1024 * 1024
    upload_lifetime: dt.timedelta = dt.timedelta(hours=24)
    idle_timeout: float = 60.0
    most_connections: int = 500
    sweep_interval: float = 60.0
    # https://docs.aws.amazon.com/AmazonECR/latest/public/public-service-quotas.html
    largest_layer: int = 10_000 * 1024 * 1024
    most_parts: int = 1000
    most_repositories: int = 10_000
    most_images: int = 10_000


@attrs.frozen(kw_only=True)
class State:
    """The registry: where it keeps things, what time it is, how it behaves.

    Attributes:
        database: What is known.
        blobs: The bytes.
        disk: What they are on.
        settings: How it behaves.
        clock: The time, in UTC.
        token_key: What authorization tokens are sealed with.
        base_url: Where the registry itself answers, for the URLs in its replies.
        uploads: Which of the API's uploads are being worked on.
    """

    database: Database
    blobs: BlobStore
    disk: Disk
    settings: Settings
    clock: Callable[[], dt.datetime]
    token_key: bytes
    base_url: Callable[[], str]
    uploads: Holds = attrs.field(factory=Holds)

    def now(self) -> float:
        """The time as the database keeps it."""
        return self.clock().timestamp()

    def forgotten_before(self) -> float:
        """The time before which an upload, or a layer of no image, must have been touched to be forgotten."""
        return self.now() - self.settings.upload_lifetime.total_seconds()

    def new_token(self, account: str) -> tuple[str, dt.datetime]:
        """An authorization token, and when it expires."""
        expires = (self.clock() + TOKEN_LIFETIME).replace(microsecond=0)
        content = f"{account}.{int(expires.timestamp())}.{secrets.token_hex(8)}"
        token = base64.urlsafe_b64encode(f"{content}.{self._seal(content)}".encode()).decode()
        return token, expires

    def account_of_token(self, token: str) -> str | None:
        """Whose an authorization token is, by itself or as ``AWS:token`` in base64; ``None`` if it is none.

        Raises:
            TokenExpiredError: It was one.
        """
        try:
            plain = base64.b64decode(token, altchars=b"-_", validate=True).decode()
            if plain.startswith("AWS:"):
                plain = base64.urlsafe_b64decode(plain.removeprefix("AWS:")).decode()
            content, _, seal = plain.rpartition(".")
            account, expires, _ = content.split(".")
        except ValueError:
            return None
        if not hmac.compare_digest(seal.encode(), self._seal(content).encode()):
            return None
        if int(expires) <= self.now():
            raise TokenExpiredError
        return account

    def _seal(self, content: str) -> str:
        return hmac.digest(self.token_key, content.encode(), "sha256").hex()


@attrs.frozen
class Context:
    """One call: the registry, who calls."""

    state: State
    caller: Caller

    @property
    def account(self) -> str:
        """The caller's account."""
        return self.caller.identity.account


def check_registry(registry_id: str | None) -> None:
    """Refuse a registry that is not this one.

    Raises:
        RegistryNotFoundException: It is another.
    """
    if registry_id not in {None, REGISTRY_ID, ALIAS}:
        raise RegistryNotFoundException(f"The registry with name '{registry_id}' does not exist.")


def find_repository(cursor: Cursor, name: str, registry_id: str | None = None) -> None:
    """Refuse a repository that is not there.

    Raises:
        RepositoryNotFoundException: It is not.
    """
    here = registry_id in {None, REGISTRY_ID, ALIAS}
    if not here or cursor.row("SELECT 1 FROM repository WHERE name = ?", name) is None:
        raise RepositoryNotFoundException(
            f"The repository with name '{name}' does not exist in the registry with id "
            f"'{registry_id or REGISTRY_ID}'"
        )


def arn_of(name: str) -> str:
    """The ARN of a repository."""
    return f"arn:aws:ecr-public::{REGISTRY_ID}:repository/{name}"


def repository_of(arn: str) -> str | None:
    """The name of the repository that an ARN is of, if it is of one here."""
    start = arn_of("")
    return arn.removeprefix(start) if arn.startswith(start) and arn != start else None


def uri_of(name: str) -> str:
    """The URI of a repository."""
    return f"{REGISTRY_HOST}/{ALIAS}/{name}"


def moment(seconds: float) -> dt.datetime:
    """A time as replies have it."""
    return dt.datetime.fromtimestamp(round(seconds, 3), dt.UTC)


def page(
    keys: Sequence[str], *, operation: str, scope: str, token: str | None, limit: int | None
) -> tuple[Sequence[str], str | None]:
    """One page of sorted keys, and the token of the next.

    Args:
        keys: All of them, sorted.
        operation: Which operation pages; a token of another is refused.
        scope: What else the token belongs to, such as the repository.
        token: Where to go on.
        limit: Keys in a page; ``None`` is 100.

    Raises:
        InvalidParameterException: The token is not one of this operation and scope.
    """
    seal = hashlib.sha256(f"{operation}\0{scope}".encode()).hexdigest()[:16]
    start = 0
    if token is not None:
        after = _read_token(token, seal)
        start = sum(key <= after for key in keys)
    end = start + (limit or 100)
    following = None
    if end < len(keys):
        following = base64.urlsafe_b64encode(json.dumps([seal, keys[end - 1]]).encode()).decode()
    return keys[start:end], following


def _read_token(token: str, seal: str) -> str:
    try:
        found, after = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError, RecursionError):
        found, after = None, None
    if found != seal or not isinstance(after, str):
        raise InvalidParameterException(
            "Invalid parameter at 'nextToken' failed to satisfy constraint: 'must be a token of this request'"
        )
    return after
