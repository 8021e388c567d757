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
# Headers that are signed differ by operation only; a hook that makes up new ones must not fill the memory.
_MOST_TEMPLATES = 256


class _Template(NamedTuple):
    """The canonical headers that do not change, around those that do, and the list of all their names."""

    before: str
    between: str
    after: str
    names: str
    names_with_token: str


class _KeyedHash:
    """HMAC-SHA-256 (RFC 2104) with a key of at most 64 bytes that is hashed once and used often.

    ``hmac`` looks the algorithm up in OpenSSL each time, which takes longer than the hashing.
    """

    def __init__(self, key: bytes) -> None:
        padded = key.ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))

    def hexdigest(self, message: bytes) -> str:
        """The HMAC of ``message`` in hexadecimal."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.hexdigest()


class Signer:
    """Signs requests to one service in one region.

    Args:
        region: The region in the credential scope.
        service: The service's signing name.
    """

    def __init__(self, region: str, service: str) -> None:
        self.region = region
        self.service = service
        self._key: tuple[str, str, _KeyedHash] = ("", "", _KeyedHash(b""))
        self._templates: dict[tuple[tuple[str, str], ...], _Template] = {}

    def sign(
        self,
        headers: Mapping[str, str],
        *,
        path: str,
        payload_hash: str,
        credentials: Credentials,
        stamp: str,
    ) -> dict[str, str]:
        """The headers that make the request a signed one.

        They are ``X-Amz-Date``, ``Authorization`` and, with temporary credentials, ``X-Amz-Security-Token``.

        Args:
            headers: The headers to sign, ``Host`` among them, each once.
            path: The canonical path: normalised and percent-encoded.
            payload_hash: The SHA-256 of the body in hexadecimal.
            credentials: What to sign with.
            stamp: The time by the service's clock, in UTC, such as ``20150830T123600Z``.
        """
        template = self._template(headers)
        token = credentials.session_token
        names = template.names_with_token if token else template.names
        token_line = f"{_TOKEN}:{_trimmed(token)}\n" if token else ""
        lines = f"{template.before}{_DATE}:{stamp}\n{template.between}{token_line}{template.after}"
        canonical = f"POST\n{path}\n\n{lines}\n{names}\n{payload_hash}"
        scope = f"{stamp[:8]}/{self.region}/{self.service}/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        to_sign = f"{_ALGORITHM}\n{stamp}\n{scope}\n{digest}"
        signature = self._keyed(credentials.secret_access_key, stamp[:8]).hexdigest(to_sign.encode())
        authorization = (
            f"{_ALGORITHM} Credential={credentials.access_key_id}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        )
        if token:
            return {"X-Amz-Date": stamp, "X-Amz-Security-Token": token, "Authorization": authorization}
        return {"X-Amz-Date": stamp, "Authorization": authorization}

    def _template(self, headers: Mapping[str, str]) -> _Template:
        fixed = tuple(headers.items())
        template = self._templates.get(fixed)
        if template is None:
            if len(self._templates) >= _MOST_TEMPLATES:
                self._templates.clear()
            template = self._templates[fixed] = _make_template(fixed)
        return template

    def _keyed(self, secret: str, day: str) -> _KeyedHash:
        """The hash with the key for a day, kept until the day or the secret changes."""
        if self._key[:2] != (secret, day):
            key = f"AWS4{secret}".encode()
            for part in (day, self.region, self.service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = (secret, day, _KeyedHash(key))
        return self._key[2]


def _make_template(headers: tuple[tuple[str, str], ...]) -> _Template:
    fixed = sorted((name.lower(), _trimmed(value)) for name, value in headers)
    names = [name for name, _ in fixed]
    return _Template(
        "".join(f"{name}:{value}\n" for name, value in fixed if name < _DATE),
        "".join(f"{name}:{value}\n" for name, value in fixed if _DATE < name < _TOKEN),
        "".join(f"{name}:{value}\n" for name, value in fixed if name > _TOKEN),
        ";".join(sorted([*names, _DATE])),
        ";".join(sorted([*names, _DATE, _TOKEN])),
    )


def _trimmed(value: str) -> str:
    """White space folded, as the canonical form of a header's value has it."""
    return " ".join(value.split())


def amz_date(moment: float) -> str:
    """The Unix time ``moment`` as the signature has it: ``20150830T123600Z``."""
    return _second(int(moment))


@functools.lru_cache(maxsize=8)
def _second(moment: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))
