"""What tests of clients ask of the registry: quotas, latency, faults."""

from __future__ import annotations

import datetime as dt
import http.client
import itertools
import json
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from aioecrpublic import ConfigurationError, ECRPublicClient
from aioecrpublic._runtime.errors import ServiceError
from aioecrpublic.errors import ServerException
from aioecrpublic.local import BackgroundECRPublic, Fault, FaultKind, LocalECRPublic
from aioecrpublic.local.faults import FaultSchedule
from aioecrpublic.local.quotas import Quotas
from tests.local.rules.helpers import signed
from tests.local.scenario import refusal
from tests.local.sdks import Boto3
from tests.support.exchange import exchange

if TYPE_CHECKING:
    from collections.abc import Generator

NAME = {"repositoryName": "team/app"}


@contextmanager
def calling(**options: Any) -> Generator[tuple[Boto3, LocalECRPublic], None, None]:
    """boto3 without retries at a registry with ``options``."""
    with (
        BackgroundECRPublic(LocalECRPublic(**options)) as background,
        closing(Boto3(background.registry)) as call,
    ):
        yield call, background.registry


def names(call: Boto3) -> list[str]:
    return [each["repositoryName"] for each in call("DescribeRepositories")["repositories"]]


def test_the_services_quotas() -> None:
    now = dt.datetime.now(dt.UTC)
    with calling(quotas=True, clock=lambda: now) as (call, _):
        codes = [refusal(call, "InitiateLayerUpload", repositoryName="nobody").code for _number in range(11)]
        assert codes == [*["RepositoryNotFoundException"] * 10, "ThrottlingException"]
        # Others have their own.
        assert refusal(call, "DescribeImages", repositoryName="nobody").code == "RepositoryNotFoundException"


def test_quotas_of_ones_own() -> None:
    with calling(quotas={"DescribeRegistries": 0.001}) as (call, _):
        call("DescribeRegistries")
        refused = refusal(call, "DescribeRegistries")
        assert (refused.code, refused.message) == ("ThrottlingException", "Rate exceeded")
        for _number in range(30):
            call("DescribeRepositories")


def test_a_quota_is_each_accounts_and_refills() -> None:
    seconds = 0.0
    quotas = Quotas({"PutImage": 2}, lambda: seconds)

    def taken(account: str) -> int:
        for count in itertools.count():
            try:
                quotas.take(account, "PutImage")
            except ServiceError:
                return count
        raise AssertionError

    assert [taken("1"), taken("1"), taken("2")] == [2, 0, 2]
    seconds = 0.5
    assert taken("1") == 1
    seconds = 3600.0
    assert taken("1") == 2


@pytest.mark.parametrize(
    "options",
    [
        {"quotas": {"PutImages": 1}},
        {"quotas": {"PutImage": 0}},
        {"latency": -1},
        {"faults": [Fault(kind="error", operation="PutImages")]},
        {"faults": [Fault(kind="cut", operation="v2.blob")]},
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        LocalECRPublic(**options)


def test_latency() -> None:
    with calling(latency=0.05) as (call, _):
        begun = time.monotonic()
        call("DescribeRegistries")
        assert time.monotonic() - begun >= 0.05


def test_an_error_is_answered_and_nothing_done() -> None:
    fault = Fault(kind=FaultKind.ERROR, operation="CreateRepository", code="ThrottlingException", status=400)
    with calling(faults=[fault]) as (call, _):
        assert refusal(call, "CreateRepository", **NAME).code == "ThrottlingException"
        assert names(call) == []
        call("CreateRepository", **NAME)
        assert names(call) == ["team/app"]


@pytest.mark.parametrize(
    ("kind", "seen", "done"),
    [
        ("lost", ConnectionError, True),
        ("cut", http.client.IncompleteRead, True),
        ("reset", ConnectionError, False),
    ],
)
def test_a_reply_is_lost(kind: str, seen: type[Exception], *, done: bool) -> None:
    body = json.dumps(NAME).encode()
    with calling(faults=[Fault(kind=kind, operation="CreateRepository")]) as (call, server):
        # Not by boto3: it takes half a reply for an empty one.
        headers = signed(server, "CreateRepository", body)
        with pytest.raises(seen):
            exchange(server.endpoint_url, "POST", "/", headers, body)
        assert names(call) == (["team/app"] if done else [])


def test_a_delay_is_waited_for() -> None:
    with calling(faults=[Fault(kind="delay", operation="DescribeRegistries", delay=0.05)]) as (call, _):
        begun = time.monotonic()
        call("DescribeRegistries")
        assert time.monotonic() - begun >= 0.05


def test_skip_times_and_order() -> None:
    schedule = FaultSchedule([
        Fault(kind="error", operation="PutImage", skip=1, times=2, code="First"),
        Fault(kind="error", skip=2, code="Second"),
    ])  # fmt: skip
    struck = [schedule.strike("PutImage") for _ in range(6)]
    assert [fault and fault.code for fault in struck] == [None, "First", "First", None, "Second", None]


def test_faults_are_injected_while_it_runs() -> None:
    with calling() as (call, server):
        call("DescribeRegistries")
        server.inject(Fault(kind="error", operation="DescribeRegistries"), Fault(kind="error"))
        assert refusal(call, "DescribeRegistries").code == "ServerException"
        assert refusal(call, "DescribeRepositories").code == "ServerException"
        call("DescribeRegistries")


@pytest.mark.parametrize("name", ["v2.base", "v2.token", "v2.manifest", "v2.blob", "v2.tags", "v2.uploads"])
def test_faults_of_the_registry_api(name: str) -> None:
    digest = f"sha256:{'0' * 64}"
    method, path = {
        "v2.base": ("GET", "/v2/"),
        "v2.token": ("GET", "/token/"),
        "v2.manifest": ("GET", "/v2/local/team/app/manifests/1.0"),
        "v2.blob": ("GET", f"/v2/local/team/app/blobs/{digest}"),
        "v2.tags": ("GET", "/v2/local/team/app/tags/list"),
        "v2.uploads": ("POST", "/v2/local/team/app/blobs/uploads/"),
    }[name]
    fault = Fault(kind="error", operation=name, code="TOOMANYREQUESTS", status=429)
    with calling(faults=[fault, Fault(kind="reset", operation=name)]) as (_, server):
        address = urlsplit(server.registry_url)
        statuses = []
        for turn in range(3):
            with closing(http.client.HTTPConnection(address.hostname or "", address.port)) as connection:
                connection.request(method, path)
                if turn == 1:
                    with pytest.raises(ConnectionError):
                        connection.getresponse()
                else:
                    statuses.append(connection.getresponse().status)
        assert statuses[0] == 429
        assert statuses[1] in {200, 401}


async def test_our_client_retries_through_them() -> None:
    faults = [
        Fault(kind="error", operation="CreateRepository", times=2),
        Fault(kind="cut", operation="DescribeRegistries"),
        Fault(kind="error", operation="DescribeImages", times=3),
    ]
    async with (
        LocalECRPublic(faults=faults) as server,
        ECRPublicClient(endpoint_url=server.endpoint_url, credentials=server.credentials) as client,
    ):
        made = await client.create_repository(repository_name="team/app")
        assert made.metadata.attempts == 3
        assert (await client.describe_registries()).metadata.attempts == 2
        with pytest.raises(ServerException) as raised:
            await client.describe_images(repository_name="team/app")
        assert raised.value.attempts == 3
