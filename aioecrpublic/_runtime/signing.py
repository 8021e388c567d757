"""Signature Version 4 for JSON requests.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html. The payload's hash
is given, so that a body of any size is signed without being held; botocore's signer is the tests' oracle.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from aioecrpublic._runtime.credentials import Credentials

_ALGORITHM = "AWS4-HMAC-SHA256"


class Signer:
    """Signs requests to one service in one region.

    Args:
        region: The region in the credential scope.
        service: The service's signing name.
    """

    def __init__(self, region: str, service: str) -> None:
        self.region = region
        self.service = service
        self._key: tuple[str, str, bytes] = ("", "", b"")

    def sign(
        self,
        headers: Mapping[str, str],
        *,
        path: str,
        payload_hash: str,
        credentials: Credentials,
        now: dt.datetime,
    ) -> dict[str, str]:
        """The headers that make the request a signed one.

        They are ``X-Amz-Date``, ``Authorization`` and, with temporary credentials, ``X-Amz-Security-Token``.

        Args:
            headers: The headers to sign, ``Host`` among them.
            path: The canonical path: normalised and percent-encoded.
            payload_hash: The SHA-256 of the body in hexadecimal.
            credentials: What to sign with.
            now: The time by the service's clock, in UTC.
        """
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        added = {"X-Amz-Date": stamp}
        if credentials.session_token:
            added["X-Amz-Security-Token"] = credentials.session_token
        signed = sorted(
            (name.lower(), " ".join(value.split())) for name, value in (*headers.items(), *added.items())
        )
        names = ";".join(name for name, _ in signed)
        lines = "".join(f"{name}:{value}\n" for name, value in signed)
        canonical = f"POST\n{path}\n\n{lines}\n{names}\n{payload_hash}"
        scope = f"{stamp[:8]}/{self.region}/{self.service}/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        to_sign = f"{_ALGORITHM}\n{stamp}\n{scope}\n{digest}"
        key = self._signing_key(credentials.secret_access_key, stamp[:8])
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        added["Authorization"] = (
            f"{_ALGORITHM} Credential={credentials.access_key_id}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        )
        return added

    def _signing_key(self, secret: str, day: str) -> bytes:
        """The key for a day, kept until the day or the secret changes."""
        if self._key[:2] != (secret, day):
            key = f"AWS4{secret}".encode()
            for part in (day, self.region, self.service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = (secret, day, key)
        return self._key[2]
