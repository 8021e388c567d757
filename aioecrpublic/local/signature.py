"""Whether a request was signed by somebody who is known, lately, and as it arrived.

botocore computes the signature that should be there, over the headers that the request itself lists.
"""

from __future__ import annotations

import datetime as dt
import hmac
import re
from typing import TYPE_CHECKING, Final

import attrs
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials

from aioecrpublic._runtime.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from http.client import HTTPMessage

    from aioecrpublic.local.accounts import Accounts, Identity

_ALLOWED_SKEW: Final = dt.timedelta(minutes=5)
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html: Host and every
# X-Amz header has to be signed. Of those only the target says what is to be done; clients leave out others.
_MUST_BE_SIGNED: Final = {"host": "'Host' or ':authority'", "x-amz-target": "'X-Amz-Target'"}
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_FORMAT: Final = "%Y%m%dT%H%M%SZ"
_HEADER: Final = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=(?P<key>[^/,\s]+)/(?P<day>[0-9]{8})/(?P<region>[^/,\s]+)/(?P<service>[^/,\s]+)"
    r"/aws4_request\s*,\s*SignedHeaders=(?P<headers>[^,\s]+)\s*,\s*Signature=(?P<signature>[0-9a-f]{64})\s*"
)


@attrs.frozen
class Claim:
    """What a request says of its signature: by whom, when, for which region, over which headers."""

    identity: Identity
    stamp: str
    region: str
    signed: tuple[str, ...]
    signature: str


@attrs.frozen
class Caller:
    """Who made a request, and the region that it was signed for."""

    identity: Identity
    region: str


class _Verifier(SigV4Auth):
    """botocore's signer over exactly the headers that it is given."""

    def headers_to_sign(self, request: AWSRequest) -> HTTPMessage:
        return request.headers


class SignatureCheck:
    """Verifies requests.

    Args:
        accounts: Who is known.
        service: The signing name of the service.
        clock: The time, in UTC.
    """

    def __init__(self, accounts: Accounts, service: str, clock: Callable[[], dt.datetime]) -> None:
        self._accounts = accounts
        self._service = service
        self._clock = clock

    def claim(self, headers: Mapping[str, str]) -> Claim:
        """What the headers of a request say about its signature: all that can be refused without its body.

        Args:
            headers: The request's headers, by their names in lower case.

        Raises:
            ServiceError: It is not signed, or not as it should be; the code is the one that AWS answers.
        """
        authorization = headers.get("authorization")
        if not authorization:
            raise ServiceError("Missing Authentication Token", code="MissingAuthenticationTokenException")
        match = _HEADER.fullmatch(authorization)
        if match is None:
            raise ServiceError(
                "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters",
                code="IncompleteSignatureException",
            )
        identity = self._identity(match["key"], headers)
        stamp = self._check_time(headers, match["day"])
        if match["service"] != self._service:
            raise _refused(f"Credential should be scoped to correct service: '{self._service}'. ")
        signed = tuple(match["headers"].split(";"))
        for name, shown in _MUST_BE_SIGNED.items():
            if name not in signed:
                raise _refused(f"{shown} must be a 'SignedHeader' in the AWS Authorization.")
        return Claim(identity, stamp, match["region"], signed, match["signature"])

    @staticmethod
    def declared_hash(headers: Mapping[str, str]) -> str | None:
        """Return the hash that a request says its body has, if it says so."""
        declared = headers.get("x-amz-content-sha256", "")
        return declared if _HASH.fullmatch(declared) else None

    def verify(self, claim: Claim, path: str, headers: Mapping[str, str], payload_hash: str) -> Caller:
        """Who signed the request.

        Args:
            claim: What its headers say.
            path: The path of its URL.
            headers: Its headers, by their names in lower case.
            payload_hash: The SHA-256 of its body, in hexadecimal digits.

        Raises:
            ServiceError: The signature is not the one that this request has to have.
        """
        try:
            expected = self._expected(claim, path, headers, payload_hash)
        except UnicodeEncodeError:
            expected = ""
        if not hmac.compare_digest(expected, claim.signature):
            raise _refused(
                "The request signature we calculated does not match the signature you provided. Check your "
                "AWS Secret Access Key and signing method. Consult the service documentation for details."
            )
        return Caller(claim.identity, claim.region)

    def _expected(self, claim: Claim, path: str, headers: Mapping[str, str], payload_hash: str) -> str:
        """The signature that the request should have."""
        request = AWSRequest(method="POST", url=f"http://unused{path}")
        for name in claim.signed:
            value = headers.get(name, "")
            # Bytes that are no text are nothing that botocore could put in order.
            value.encode()
            request.headers[name] = value
        declared = headers.get("x-amz-content-sha256")
        if declared is not None and not hmac.compare_digest(declared.encode(), payload_hash.encode()):
            raise _refused("The provided 'x-amz-content-sha256' header does not match what was computed.")
        pair = claim.identity.credentials
        verifier = _Verifier(
            BotocoreCredentials(pair.access_key_id, pair.secret_access_key), self._service, claim.region
        )
        request.context["timestamp"] = claim.stamp
        canonical = verifier.canonical_request(request)
        # botocore would hash the body of the request that it was given, and a body is not held twice here.
        canonical = f"{canonical.rpartition(chr(10))[0]}\n{payload_hash}"
        return verifier.signature(verifier.string_to_sign(request, canonical), request)

    def _identity(self, key: str, headers: Mapping[str, str]) -> Identity:
        identity = self._accounts.find(key)
        given = headers.get("x-amz-security-token", "")
        if identity is None or not hmac.compare_digest(
            given.encode(errors="replace"), (identity.credentials.session_token or "").encode()
        ):
            raise ServiceError(
                "The security token included in the request is invalid.", code="UnrecognizedClientException"
            )
        return identity

    def _check_time(self, headers: Mapping[str, str], day: str) -> str:
        stamp = headers.get("x-amz-date", "")
        try:
            signed = dt.datetime.strptime(stamp, _FORMAT).replace(tzinfo=dt.UTC)
        except ValueError:
            raise ServiceError(
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
                code="IncompleteSignatureException",
            ) from None
        now = self._clock()
        if signed < now - _ALLOWED_SKEW:
            limit = (now - _ALLOWED_SKEW).strftime(_FORMAT)
            raise _refused(
                f"Signature expired: {stamp} is now earlier than {limit} ({now.strftime(_FORMAT)} - 5 min.)"
            )
        if signed > now + _ALLOWED_SKEW:
            limit = (now + _ALLOWED_SKEW).strftime(_FORMAT)
            raise _refused(
                f"Signature not yet current: {stamp} is still later than {limit} "
                f"({now.strftime(_FORMAT)} + 5 min.)"
            )
        if not stamp.startswith(day):
            raise _refused("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date")
        return stamp


def _refused(message: str) -> ServiceError:
    return ServiceError(message, code="InvalidSignatureException")
