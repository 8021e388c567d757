"""Who may call: requests signed by botocore, then spoilt."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials

from aioecrpublic import Credentials
from aioecrpublic.local import DEFAULT_CREDENTIALS, LocalECRPublic
from tests.local.rules.helpers import OTHER, OTHER_ACCOUNT, Boto, Clock, boto, refused, signed
from tests.support import oracle
from tests.support.exchange import exchange

CALL = "DescribeRegistries"


def test_signed(server: LocalECRPublic) -> None:
    assert exchange(server.endpoint_url, "POST", "/", signed(server, CALL), b"{}").status == 200


@pytest.mark.parametrize(
    "more",
    [
        {"User-Agent": "somebody   with  spaces/1.0"},
        {"X-Amz-Content-SHA256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
        {"X-Amz-User-Agent": "aws-sdk-js/3", "amz-sdk-invocation-id": "1", "amz-sdk-request": "attempt=1"},
    ],
)
def test_whatever_else_is_signed(server: LocalECRPublic, more: dict[str, str]) -> None:
    headers = signed(server, CALL, headers=more)
    assert exchange(server.endpoint_url, "POST", "/", headers, b"{}").status == 200


def test_a_signed_header_that_was_changed(server: LocalECRPublic) -> None:
    headers = signed(server, CALL, headers={"X-Amz-Meta": "mine"})
    assert "x-amz-meta" in headers["Authorization"]
    reply = exchange(server.endpoint_url, "POST", "/", headers | {"X-Amz-Meta": "yours"}, b"{}")
    assert (reply.status, reply.code) == (400, "InvalidSignatureException")


def test_unsigned(server: LocalECRPublic) -> None:
    headers = signed(server, CALL)
    del headers["Authorization"]
    reply = exchange(server.endpoint_url, "POST", "/", headers, b"{}")
    assert reply.code == "MissingAuthenticationTokenException"
    assert reply.message == "Missing Authentication Token"


@pytest.mark.parametrize(
    "value", ["Basic QVdTOng=", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=a/b, Signature=1", "é"]
)
def test_an_authorization_that_is_no_signature(server: LocalECRPublic, value: str) -> None:
    headers = signed(server, CALL) | {"Authorization": value.encode().decode("latin-1")}
    assert exchange(server.endpoint_url, "POST", "/", headers, b"{}").code == "IncompleteSignatureException"


def test_a_body_that_was_changed(server: LocalECRPublic) -> None:
    reply = exchange(server.endpoint_url, "POST", "/", signed(server, CALL), b"{ }")
    assert reply.code == "InvalidSignatureException"
    assert "does not match the signature you provided" in reply.message


def test_a_declared_hash_that_is_of_another_body(server: LocalECRPublic) -> None:
    headers = signed(server, CALL, b"{}", headers={"X-Amz-Content-SHA256": "0" * 64})
    assert exchange(server.endpoint_url, "POST", "/", headers, b"{}").code == "InvalidSignatureException"


def test_a_target_that_was_changed(server: LocalECRPublic) -> None:
    headers = signed(server, CALL) | {"X-Amz-Target": "SpencerFrontendService.DescribeRepositories"}
    assert exchange(server.endpoint_url, "POST", "/", headers, b"{}").code == "InvalidSignatureException"


@pytest.mark.parametrize("name", ["host", "x-amz-target"])
def test_what_has_to_be_signed(server: LocalECRPublic, name: str) -> None:
    headers = signed(server, CALL)
    headers["Authorization"] = headers["Authorization"].replace(f";{name}", "")
    reply = exchange(server.endpoint_url, "POST", "/", headers, b"{}")
    assert reply.code == "InvalidSignatureException"
    assert "SignedHeader" in reply.message


def test_a_query_string_is_signed_too(server: LocalECRPublic) -> None:
    reply = exchange(server.endpoint_url, "POST", "/?a=1", signed(server, CALL), b"{}")
    assert reply.code == "InvalidSignatureException"


def test_the_wrong_secret(server: LocalECRPublic) -> None:
    wrong = Credentials(DEFAULT_CREDENTIALS.access_key_id, "not the secret")
    with refused("InvalidSignatureException"):
        boto(server, credentials=wrong).describe_registries()


def test_an_unknown_key(server: LocalECRPublic) -> None:
    with refused("UnrecognizedClientException", "The security token included in the request is invalid"):
        boto(server, credentials=Credentials("AKIANOBODY", "x")).describe_registries()


def test_the_wrong_service(server: LocalECRPublic) -> None:
    headers = signed(server, CALL, service="ecr")
    reply = exchange(server.endpoint_url, "POST", "/", headers, b"{}")
    assert reply.code == "InvalidSignatureException"
    assert "correct service: 'ecr-public'" in reply.message


@pytest.mark.parametrize("token", [None, "another-token"])
def test_a_session_token_belongs_to_its_key(server: LocalECRPublic, token: str | None) -> None:
    wrong = Credentials(OTHER.access_key_id, OTHER.secret_access_key, token)
    with refused("UnrecognizedClientException"):
        boto(server, credentials=wrong).describe_registries()


def test_a_session_token_where_there_is_none(server: LocalECRPublic) -> None:
    own = DEFAULT_CREDENTIALS
    with refused("UnrecognizedClientException"):
        boto(
            server, credentials=Credentials(own.access_key_id, own.secret_access_key, "token")
        ).describe_registries()


def test_the_right_session_token(server: LocalECRPublic) -> None:
    registries = boto(server, credentials=OTHER).describe_registries()["registries"]
    assert [registry["registryId"] for registry in registries] == [OTHER_ACCOUNT]


@pytest.mark.parametrize(
    ("minutes", "words"), [(20, "Signature expired"), (-20, "Signature not yet current")]
)
def test_clocks_that_differ(
    server: LocalECRPublic, client: Boto, clock: Clock, minutes: int, words: str
) -> None:
    clock.ahead = dt.timedelta(minutes=minutes)
    with refused("InvalidSignatureException", words):
        client.describe_registries()
    clock.ahead = dt.timedelta(minutes=minutes / 5)
    client.describe_registries()


def test_presigned(server: LocalECRPublic) -> None:
    request = AWSRequest(method="POST", url=f"{server.endpoint_url}/", data=b"{}")
    pair = BotocoreCredentials(DEFAULT_CREDENTIALS.access_key_id, DEFAULT_CREDENTIALS.secret_access_key)
    oracle.auth.SigV4QueryAuth(pair, "ecr-public", "us-east-1").add_auth(request)
    path = (request.url or "").removeprefix(server.endpoint_url)
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"SpencerFrontendService.{CALL}"}
    reply = exchange(server.endpoint_url, "POST", path, headers, b"{}")
    assert reply.code == "MissingAuthenticationTokenException"


def test_no_secret_is_told(server: LocalECRPublic) -> None:
    headers = signed(server, CALL)
    headers["Authorization"] = headers["Authorization"][:-1] + "x"
    reply = exchange(server.endpoint_url, "POST", "/", headers, b"{}")
    assert json.loads(reply.body).keys() == {"__type", "message"}
    assert DEFAULT_CREDENTIALS.secret_access_key.encode() not in reply.body
