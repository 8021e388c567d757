"""No call without a signature, and no comparison of secrets but in constant time."""

from __future__ import annotations

import base64
import hmac
import json
from typing import TYPE_CHECKING

import pytest

from aioecrpublic import Credentials
from aioecrpublic._generated.service import SERVICE
from tests.local.rules.helpers import OTHER, Boto, signed
from tests.local.v2.helpers import Registry
from tests.support.exchange import exchange

if TYPE_CHECKING:
    from collections.abc import Callable

    from aioecrpublic.local import LocalECRPublic

CALL = "DescribeRegistries"


def spoilt(value: str) -> str:
    """The same with another last character."""
    return value[:-1] + ("0" if value[-1] != "0" else "1")


@pytest.mark.parametrize("operation", sorted(SERVICE.operations))
def test_no_operation_is_done_unsigned(
    server: LocalECRPublic, client: Boto, repository: str, operation: str
) -> None:
    body = json.dumps({"repositoryName": repository, "force": True}).encode()
    headers = signed(server, operation, body)
    unsigned = {name: value for name, value in headers.items() if name != "Authorization"}
    wrong = headers | {"Authorization": spoilt(headers["Authorization"])}
    payload = signed(server, operation, body, headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
    for given, code in (
        (unsigned, "MissingAuthenticationTokenException"),
        (wrong, "InvalidSignatureException"),
        (payload, "InvalidSignatureException"),
    ):
        reply = exchange(server.endpoint_url, "POST", "/", given, body)
        assert (reply.status, reply.code) == (400, code)
    (found,) = client.describe_repositories()["repositories"]
    assert found["repositoryName"] == repository


def status_of(server: LocalECRPublic, headers: dict[str, str]) -> int:
    return exchange(server.endpoint_url, "POST", "/", headers, b"{}").status


def try_signature(server: LocalECRPublic) -> int:
    headers = signed(server, CALL)
    return status_of(server, headers | {"Authorization": spoilt(headers["Authorization"])})


def try_session_token(server: LocalECRPublic) -> int:
    other = Credentials(OTHER.access_key_id, OTHER.secret_access_key, "another-token")
    return status_of(server, signed(server, CALL, credentials=other))


def try_payload_hash(server: LocalECRPublic) -> int:
    return status_of(server, signed(server, CALL, headers={"X-Amz-Content-SHA256": "0" * 64}))


def try_bearer(server: LocalECRPublic) -> int:
    anybody = Registry(server.registry_url, "local/team/app").as_anybody()
    plain = base64.urlsafe_b64decode(str(anybody.authorization).removeprefix("Bearer ")).decode()
    forged = base64.urlsafe_b64encode(spoilt(plain).encode()).decode()
    return Registry(server.registry_url, "local/team/app", f"Bearer {forged}").call("GET", "/v2/").status


@pytest.mark.parametrize(
    ("attempt", "refused"),
    [(try_signature, 400), (try_session_token, 400), (try_payload_hash, 400), (try_bearer, 401)],
)
def test_secrets_are_compared_in_constant_time_and_in_no_other_way(
    server: LocalECRPublic,
    monkeypatch: pytest.MonkeyPatch,
    attempt: Callable[[LocalECRPublic], int],
    refused: int,
) -> None:
    assert attempt(server) == refused
    # If everything is equal to hmac, the wrong secret is let in: nothing else compares it.
    monkeypatch.setattr(hmac, "compare_digest", lambda *_: True)
    assert attempt(server) == 200
