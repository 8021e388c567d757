"""Signature Version 4 for JSON requests.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html. The payload's hash
is given, so that a body of any size is signed without being held; botocore's signer is the tests' oracle.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aioecrpublic._runtime.credentials import Credentials

_ALGORITHM = "AWS4-HMAC-SHA256"
_DATE, _TOKEN = "x-amz-date", "x-amz-security-token"


class CanonicalHeaders(NamedTuple):
    """The headers that do not change, around those that signing adds, and the list of all their names."""

    before: str
    between: str
    after: str
    names: str
    names_with_token: str

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> CanonicalHeaders:
        """Put ``headers`` into their canonical form; ``Host`` is among them, and each is there once."""
        fixed = sorted((name.lower(), _trimmed(value)) for name, value in headers.items())
        names = [name for name, _ in fixed]
        return cls(
            "".join(f"{name}:{value}\n" for name, value in fixed if name < _DATE),
            "".join(f"{name}:{value}\n" for name, value in fixed if _DATE < name < _TOKEN),
            "".join(f"{name}:{value}\n" for name, value in fixed if name > _TOKEN),
            ";".join(sorted([*names, _DATE])),
            ";".join(sorted([*names, _DATE, _TOKEN])),
        )


class _Key(NamedTuple):
    """The signing key of one day and secret, as an HMAC that is copied for each message."""

    secret: str
    day: str
    scope: str
    keyed: hmac.HMAC

    def __repr__(self) -> str:
        return f"_Key({self.scope})"


class Signer:
    """Signs requests to one service in one region.

    Args:
        region: The region in the credential scope.
        service: The service's signing name.
    """

    def __init__(self, region: str, service: str) -> None:
        self._scope = (region, service, "aws4_request")
        self._key = self._new_key("", "")

    def sign(
        self,
        headers: CanonicalHeaders,
        *,
        path: str,
        payload_hash: str,
        credentials: Credentials,
        stamp: str,
    ) -> dict[str, str]:
        """The headers that make the request a signed one.

        They are ``X-Amz-Date``, ``Authorization`` and, with temporary credentials, ``X-Amz-Security-Token``.

        Args:
            headers: The headers to sign.
            path: The canonical path: normalised and percent-encoded.
            payload_hash: The SHA-256 of the body in hexadecimal.
            credentials: What to sign with.
            stamp: The time by the service's clock, in UTC, such as ``20150830T123600Z``.
        """
        token = credentials.session_token
        names = headers.names_with_token if token else headers.names
        token_line = f"{_TOKEN}:{_trimmed(token)}\n" if token else ""
        lines = f"{headers.before}{_DATE}:{stamp}\n{headers.between}{token_line}{headers.after}"
        canonical = f"POST\n{path}\n\n{lines}\n{names}\n{payload_hash}"
        key = self._key
        if key.secret != credentials.secret_access_key or key.day != stamp[:8]:
            key = self._key = self._new_key(credentials.secret_access_key, stamp[:8])
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        keyed = key.keyed.copy()
        keyed.update(f"{_ALGORITHM}\n{stamp}\n{key.scope}\n{digest}".encode())
        authorization = (
            f"{_ALGORITHM} Credential={credentials.access_key_id}/{key.scope}, "
            f"SignedHeaders={names}, Signature={keyed.hexdigest()}"
        )
        if token:
            return {"X-Amz-Date": stamp, "X-Amz-Security-Token": token, "Authorization": authorization}
        return {"X-Amz-Date": stamp, "Authorization": authorization}

    def _new_key(self, secret: str, day: str) -> _Key:
        key = f"AWS4{secret}".encode()
        for part in (day, *self._scope):
            key = hmac.digest(key, part.encode(), "sha256")
        return _Key(secret, day, "/".join((day, *self._scope)), hmac.new(key, digestmod="sha256"))


def _trimmed(value: str) -> str:
    """White space folded, as the canonical form of a header's value has it."""
    return " ".join(value.split())


def amz_date(moment: float) -> str:
    """The Unix time ``moment`` as the signature has it: ``20150830T123600Z``."""
    return _second(int(moment))


@functools.lru_cache(maxsize=8)
def _second(moment: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))
