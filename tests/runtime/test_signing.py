from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aioecrpublic import Credentials
from aioecrpublic._runtime.endpoints import Endpoint
from aioecrpublic._runtime.signing import CanonicalHeaders, Signer, amz_date
from tests.support import oracle

SUITE_TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTfl"
    "fKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvl"
    "Rd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rv"
    "x3iSIlTJabIQwj2ICCR/oLxBA=="
)
FORM = "application/x-www-form-urlencoded"
PLAIN = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"


@pytest.mark.parametrize(
    ("headers", "token", "body", "names", "signature"),
    [
        pytest.param({}, None, b"", "host;x-amz-date", PLAIN, id="post-vanilla"),
        pytest.param(
            {"My-Header1": "value1"},
            None,
            b"",
            "host;my-header1;x-amz-date",
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
            id="post-header-key-sort",
        ),
        pytest.param(
            {"My-Header1": "VALUE1"},
            None,
            b"",
            "host;my-header1;x-amz-date",
            "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
            id="post-header-value-case",
        ),
        pytest.param(
            {},
            SUITE_TOKEN,
            b"",
            "host;x-amz-date;x-amz-security-token",
            "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
            id="post-sts-header-before",
        ),
        pytest.param(
            {"Content-Type": FORM},
            None,
            b"Param1=value1",
            "content-type;host;x-amz-date",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            id="post-x-www-form-urlencoded",
        ),
        pytest.param(
            {"Content-Type": f"{FORM}; charset=utf8"},
            None,
            b"Param1=value1",
            "content-type;host;x-amz-date",
            "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe",
            id="post-x-www-form-urlencoded-parameters",
        ),
    ],
)
def test_the_public_signing_suite(
    headers: dict[str, str], token: str | None, body: bytes, names: str, signature: str
) -> None:
    """The POST cases of AWS's Signature Version 4 test suite."""
    credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)
    added = Signer("us-east-1", "service").sign(
        CanonicalHeaders.of({"Host": "example.amazonaws.com", **headers}),
        path="/",
        payload_hash=hashlib.sha256(body).hexdigest(),
        credentials=credentials,
        stamp="20150830T123600Z",
    )
    assert added["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )


hosts = st.sampled_from(["example.com", "EXAMPLE.com", "localhost", "127.0.0.1", "[::1]", "[2001:db8::A]"])
ports = st.sampled_from(["", ":80", ":443", ":8080", ":1"])
paths = st.lists(
    st.sampled_from(["a", "prefix", "..", ".", "", "a b", "ü", "%20", "~x", "a:b", "a+b", "(c)", "x=y"]),
    max_size=5,
).map(lambda parts: "".join(f"/{part}" for part in parts))
header_names = st.sampled_from(
    ["Content-Type", "X-Amz-Target", "X-Zulu", "a-header", "X-Amz-E", "X-Amz-Tail"]
)
header_values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@example(
    scheme="https",
    host="example.com",
    port="",
    path="",
    # Two before the date, two between it and the token, two after the token.
    headers={"X-Zulu": "f", "X-Amz-Target": "e", "X-Amz-F": "d", "X-Amz-E": "c", "A-Header": "a"},
    body=b"{}",
    secret="secret",
    token="token",
    moment=dt.datetime(2026, 1, 1),  # noqa: DTZ001 - naive UTC
)
@given(
    scheme=st.sampled_from(["http", "https"]),
    host=hosts,
    port=ports,
    path=paths,
    headers=st.dictionaries(header_names, header_values, max_size=4),
    body=st.binary(max_size=50),
    secret=st.text(min_size=1, max_size=50).filter(lambda text: text.isprintable() and text == text.strip()),
    token=st.none() | st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=80),
    moment=st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2200, 1, 1)),  # noqa: DTZ001 - naive UTC
)
def test_every_signature_is_botocores(
    scheme: str,
    host: str,
    port: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    secret: str,
    token: str | None,
    moment: dt.datetime,
) -> None:
    endpoint = Endpoint.parse(f"{scheme}://{host}{port}{path}")
    stamp = amz_date(moment.replace(tzinfo=dt.UTC).timestamp())
    added = Signer("us-west-2", "ecr-public").sign(
        CanonicalHeaders.of({"Host": endpoint.host, **headers}),
        path=endpoint.path,
        payload_hash=hashlib.sha256(body).hexdigest(),
        credentials=Credentials("AKID", secret, token),
        stamp=stamp,
    )
    request = oracle.awsrequest.AWSRequest("POST", str(endpoint.url), dict(headers), body)
    signer = oracle.auth.SigV4Auth(
        oracle.credentials.Credentials("AKID", secret, token), "ecr-public", "us-west-2"
    )
    with mock.patch("botocore.auth.get_current_datetime", return_value=moment):
        signer.add_auth(request)
    assert added["X-Amz-Date"] == request.headers["X-Amz-Date"]
    assert added.get("X-Amz-Security-Token") == request.headers.get("X-Amz-Security-Token")
    assert added["Authorization"] == request.headers["Authorization"]


def test_a_changed_secret_or_day_changes_the_key() -> None:
    signer, seen = Signer("us-east-1", "ecr-public"), set()
    for secret in ("one", "two"):
        for stamp in ("20150830T123600Z", "20150831T123600Z"):
            added = signer.sign(
                CanonicalHeaders.of({"Host": "h"}),
                path="/",
                payload_hash="0",
                credentials=Credentials("id", secret),
                stamp=stamp,
            )
            seen.add(added["Authorization"].rpartition("=")[2])
    assert len(seen) == 4


def test_the_key_is_derived_once_a_day() -> None:
    signer = Signer("us-east-1", "ecr-public")
    with mock.patch("aioecrpublic._runtime.signing.hmac.digest", wraps=hmac.digest) as derive:
        for payload in ("0", "1"):
            signer.sign(
                CanonicalHeaders.of({"Host": "h"}),
                path="/",
                payload_hash=payload,
                credentials=Credentials("id", "secret"),
                stamp="20150830T123600Z",
            )
    # For the day, the region, the service and the end.
    assert derive.call_count == 4
