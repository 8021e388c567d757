"""Where generated clients send what, by the cases of botocore's own tests of the endpoint rules."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from aioecrpublic import ECRPublicError, ValidationError
from aioecrpublic.codegen.model import load_service
from tests.codegen.services import json_services
from tests.support.botocore_source import cases
from tests.support.generated import install
from tests.support.recording import CREDENTIALS
from tests.support.soak import SOAK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.support.generated import Generated

# Services of a whole partition, in few regions, with control planes and resources that have endpoints.
PLAIN = (
    "arc-region-switch",
    "ecr-public",
    "events",
    "health",
    "kinesis",
    "mturk",
    "organizations",
    "stepfunctions",
)
WITH_INPUTS = ("events", "kinesis")
COMMON = {"Region", "UseFIPS", "UseDualStack"}
# What this package never gives: the region's endpoint serves the same.
OF_ACCOUNTS = {
    "AccountId",
    "AccountIdEndpointMode",
    "AWS::Auth::AccountId",
    "AWS::Auth::AccountIdEndpointMode",
}


def rule_cases(service: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cases("functional", "endpoint-rules", service, "endpoint-tests-1.json")[
        "testCases"
    ]
    return found


@pytest.mark.timeout(600)
@pytest.mark.parametrize("service", json_services() if SOAK else PLAIN)
def test_the_endpoints_in_the_tables_are_botocores(service: str) -> None:
    model = load_service(service)
    tables = {"": model.endpoints, **model.own_endpoints}
    found, expected = {}, {}
    for case in rule_cases(service):
        given = case.get("params", {})
        region = given.get("Region")
        parameters = ", ".join(f"{name}={given[name]}" for name in sorted(given.keys() - COMMON))
        if region is None or parameters not in tables:
            continue
        if model.overlay.regions and region not in model.overlay.regions:
            continue
        table = tables[parameters]
        key = (region, given.get("UseFIPS", False), given.get("UseDualStack", False))
        url = table.urls.get(key)
        found[parameters, key] = (url, url and table.signing_regions.get(key, region))
        expected[parameters, key] = (case["expect"].get("endpoint", {}).get("url"), signing_region(case))
    assert found == expected


def signing_region(case: Mapping[str, Any]) -> str | None:
    """The region that is signed for, if the case has an endpoint."""
    if "endpoint" not in case["expect"]:
        return None
    regions = [scheme.get("signingRegion") for scheme in schemes_of(case) if scheme["name"] == "sigv4"]
    found: str | None = next(iter(regions), None)
    return found or str(case["params"]["Region"])


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Generated:
    return install(tmp_path, monkeypatch, load_service(request.param))


@pytest.mark.parametrize("package", WITH_INPUTS, indirect=True)
async def test_operations_go_where_botocores_go(package: Generated) -> None:
    tried = 0
    for case, given in inputs(package.service.name):
        tried += 1
        built_in = given.get("builtInParams", {})
        expected = case["expect"].get("endpoint", {}).get("url", "an error")
        url = await sent_to(package, given, built_in)
        wants = [scheme["name"] for scheme in schemes_of(case)]
        if wants and "sigv4" not in wants:
            assert url == "an error", case["documentation"]
        else:
            # A host is the same in any case.
            assert url.rstrip("/") == expected.rstrip("/").lower(), case["documentation"]
    assert tried


def inputs(service: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each case with what an operation is called with, those that know the account left out."""
    for case in rule_cases(service):
        for given in case.get("operationInputs", ()):
            if not OF_ACCOUNTS & {*case.get("params", ()), *given.get("builtInParams", ())}:
                yield case, given


def schemes_of(case: Mapping[str, Any]) -> list[dict[str, Any]]:
    schemes: list[dict[str, Any]] = (
        case["expect"].get("endpoint", {}).get("properties", {}).get("authSchemes", [])
    )
    return schemes


async def sent_to(package: Generated, given: dict[str, Any], built_in: dict[str, Any]) -> str:
    """The URL that a call is sent to, or that it is an error."""
    operation = package.service.operations[given["operationName"]]
    request = package.instance(
        operation.request_shape, given.get("operationParams", {}), lambda _, value: value
    )
    with contextlib.suppress(ECRPublicError):
        client, wire = await package.client(
            built_in.get("SDK::Endpoint"),
            built_in.get("AWS::Region"),
            use_fips=built_in.get("AWS::UseFIPS"),
            use_dualstack=built_in.get("AWS::UseDualStack"),
            credentials=CREDENTIALS,
            validate=False,
        )
        async with client:
            await client.send(request)
        return wire.sent[0].url
    return "an error"


@pytest.mark.parametrize("package", ["arc-region-switch"], indirect=True)
async def test_an_operation_may_have_an_endpoint_and_a_region_for_itself(package: Generated) -> None:
    client, wire = await package.client(None, "eu-west-1", credentials=CREDENTIALS)
    async with client:
        await client.list_plans()
        await client.list_plan_executions(plan_arn=f"arn:aws:arc-region-switch::1{'0' * 11}:plan/a:000000")
    hosts = [sent.headers["Host"] for sent in wire.sent]
    assert hosts == [
        "arc-region-switch-control-plane.us-east-1.api.aws",
        "arc-region-switch.eu-west-1.api.aws",
    ]
    regions = [sent.headers["Authorization"].split("/")[2] for sent in wire.sent]
    assert regions == ["us-east-1", "eu-west-1"]
    assert client.region == "eu-west-1"
    custom, wire = await package.client("https://example.com", "eu-west-1", credentials=CREDENTIALS)
    async with custom:
        await custom.list_plans()
    assert wire.sent[0].headers["Host"] == "example.com"


@pytest.mark.parametrize("package", ["organizations"], indirect=True)
async def test_a_service_of_a_whole_partition_is_signed_for_in_its_region(package: Generated) -> None:
    client, wire = await package.client(None, "eu-west-1", credentials=CREDENTIALS)
    async with client:
        await client.list_roots()
    assert wire.sent[0].url == "https://organizations.us-east-1.amazonaws.com/"
    assert "/us-east-1/organizations/aws4_request" in wire.sent[0].headers["Authorization"]


@pytest.mark.parametrize("package", ["kinesis"], indirect=True)
async def test_a_member_that_leads_to_no_endpoint_is_an_error(package: Generated) -> None:
    client, wire = await package.client(None, "eu-west-1", credentials=CREDENTIALS, validate=False)
    async with client:
        with pytest.raises(ValidationError, match=r"describe_stream: .*Invalid ARN"):
            await client.describe_stream(
                stream_arn="arn:aws:s3:eu-west-1:123456789012:stream/a", stream_name="a"
            )
    assert wire.sent == []
