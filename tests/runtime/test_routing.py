"""Where calls go: the client's endpoint, or one that an operation has for itself."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from aioecrpublic import ConfigurationError, ValidationError
from aioecrpublic._runtime.config import Settings
from aioecrpublic._runtime.routing import Router
from aioecrpublic._runtime.shapes import (
    Endpoints,
    Operation,
    OperationEndpoint,
    Request,
    Response,
    Traits,
)
from tests.support.made_up import service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aioecrpublic._runtime.routing import Route
    from aioecrpublic._runtime.shapes import Service

KEY = ("eu-west-1", False, False)
FIPS = ("eu-west-1", True, False)


@attrs.define(kw_only=True)
class Asked(Request[Response]):
    name: Any = None
    other: Any = None


def operation(endpoint: OperationEndpoint | None = None) -> Operation[Asked, Response]:
    return Operation(
        name="DoIt",
        method="do_it",
        request=Asked,
        response=Response,
        request_shape="Asked",
        response_shape="Response",
        traits=Traits(endpoint=endpoint) if endpoint else None,
    )


SETTINGS = Settings(
    region="eu-west-1",
    signing_region="eu-central-1",
    endpoint_url="https://made-up.example.com",
    endpoint_key=KEY,
    host_prefix=True,
    compressed_from=None,
    max_attempts=1,
    retry_mode="standard",
    ca_bundle=None,
    app_id=None,
)
OWN = {
    "Kind=control": Endpoints(
        urls={KEY: "https://control.example.com", FIPS: "https://control-fips.example.com"},
        signing_regions={KEY: "us-east-1"},
    )
}


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def router(executor: ThreadPoolExecutor, known: Service | None = None, **settings: Any) -> Router:
    return Router(known or service(own_endpoints=OWN), attrs.evolve(SETTINGS, **settings), executor)


async def routed(made: Router, endpoint: OperationEndpoint, **members: Any) -> Route:
    return await made.own_route(operation(endpoint), endpoint, Asked(**members))


def where(route: Route) -> tuple[str, str]:
    """The URL, and the region that is signed for."""
    return str(route.endpoint.url), route.signer._scope[0]


def test_a_plain_operation_goes_where_the_client_goes(executor: ThreadPoolExecutor) -> None:
    made = router(executor)
    route = made.route(operation())
    assert where(route) == ("https://made-up.example.com/", "eu-central-1")
    assert route.sent == {
        "Host": "made-up.example.com",
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "MadeUp.DoIt",
    }
    assert route.signed.names == "content-type;host;x-amz-date;x-amz-target"
    assert route.signer._scope[1] == "made-up"
    assert made.route(operation()) is route


def test_a_service_that_spoke_query_is_asked_for_its_codes(executor: ThreadPoolExecutor) -> None:
    route = router(executor, service(query_compatible=True)).route(operation())
    assert route.sent["x-amzn-query-mode"] == "true"
    assert "x-amzn-query-mode" in route.signed.names


def test_a_route_with_one_more_header_signs_it(executor: ThreadPoolExecutor) -> None:
    route = router(executor).route(operation())
    more = route.with_header("Content-Encoding", "gzip")
    assert more.sent == {**route.sent, "Content-Encoding": "gzip"}
    assert more.signed.names == f"content-encoding;{route.signed.names}"
    assert (more.endpoint, more.signer) == (route.endpoint, route.signer)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ("https://control.example.com/", "us-east-1")),
        ({"endpoint_key": FIPS}, ("https://control-fips.example.com/", "eu-west-1")),
        ({"endpoint_key": None}, ("https://made-up.example.com/", "eu-central-1")),
    ],
)
async def test_an_operation_may_have_endpoints_to_itself(
    executor: ThreadPoolExecutor, settings: dict[str, Any], expected: tuple[str, str]
) -> None:
    route = await routed(router(executor, **settings), OperationEndpoint(own="Kind=control"))
    assert where(route) == expected


async def test_an_operation_without_an_endpoint_in_a_region_is_refused(executor: ThreadPoolExecutor) -> None:
    made = router(executor, endpoint_key=("eu-west-1", False, True))
    with pytest.raises(ConfigurationError, match=r"^do_it has no endpoint in region 'eu-west-1'$"):
        await routed(made, OperationEndpoint(own="Kind=control"))


async def test_an_endpoint_that_has_to_be_discovered_is_refused_unless_it_is_given(
    executor: ThreadPoolExecutor,
) -> None:
    discovered = OperationEndpoint(discovered=True)
    with pytest.raises(ConfigurationError, match=r"^do_it needs an endpoint that the service assigns: call "):
        await routed(router(executor), discovered)
    given = await routed(router(executor, endpoint_key=None), discovered)
    assert where(given) == ("https://made-up.example.com/", "eu-central-1")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://predict.example.com/a", "https://predict.example.com/a/"),
        ("predict.example.com", "https://predict.example.com/"),
        (None, "https://made-up.example.com/"),
        (7, "https://made-up.example.com/"),
    ],
)
async def test_a_member_may_be_the_endpoint(executor: ThreadPoolExecutor, url: object, expected: str) -> None:
    for settings in ({}, {"endpoint_key": None}):
        route = await routed(router(executor, **settings), OperationEndpoint(url_member="name"), name=url)
        assert where(route) == (expected, "eu-central-1")


async def test_a_member_that_is_no_endpoint_is_refused(executor: ThreadPoolExecutor) -> None:
    with pytest.raises(
        ValidationError, match=r"^do_it: name: endpoint_url 'ftp://a' is not an http or https URL$"
    ):
        await routed(router(executor), OperationEndpoint(url_member="name"), name="ftp://a")


@pytest.mark.parametrize(
    ("endpoint_url", "host"),
    [
        ("https://made-up.example.com", "pre-made-up.example.com"),
        ("https://made-up.example.com:8443/a", "pre-made-up.example.com:8443"),
        ("https://192.0.2.1", "192.0.2.1"),
        ("https://[2001:db8::1]:1", "[2001:db8::1]:1"),
        ("http://localhost:1", "localhost:1"),
    ],
)
async def test_a_prefix_is_put_before_a_name(
    executor: ThreadPoolExecutor, endpoint_url: str, host: str
) -> None:
    made = router(executor, endpoint_url=endpoint_url, endpoint_key=None)
    route = await routed(made, OperationEndpoint(host_prefix="pre-"))
    assert (route.endpoint.host, route.sent["Host"]) == (host, host)
    assert str(route.endpoint.url).split("/")[2] == host
    assert route.endpoint.path == made.endpoint.path
    assert f"host:{host}\n" in route.signed.before
    off = router(executor, endpoint_url=endpoint_url, endpoint_key=None, host_prefix=False)
    assert (await routed(off, OperationEndpoint(host_prefix="pre-"))).endpoint == made.endpoint


async def test_a_prefix_is_put_before_an_endpoint_that_an_operation_has_to_itself(
    executor: ThreadPoolExecutor,
) -> None:
    endpoint = OperationEndpoint(own="Kind=control", host_prefix="{other}.{name}.x-{name}-")
    route = await routed(router(executor), endpoint, name="a", other="b-1.c")
    assert where(route) == ("https://b-1.c.a.x-a-control.example.com/", "us-east-1")


async def test_members_that_no_host_can_be_made_of_are_refused_together(executor: ThreadPoolExecutor) -> None:
    endpoint = OperationEndpoint(host_prefix="{other}.{name}.")
    with pytest.raises(ValidationError) as caught:
        await routed(router(executor), endpoint, name="a/b", other=7)
    assert caught.value.problems == (
        "other must be a valid label of a host name (got 7)",
        "name must be a valid label of a host name (got 'a/b')",
    )


async def test_members_may_choose_the_endpoint_by_botocores_rules(executor: ThreadPoolExecutor) -> None:
    made = router(executor, service(name="kinesis"))
    endpoint = OperationEndpoint(members={"StreamARN": "name"}, parameters={"OperationType": "data"})
    arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/a"
    assert where(await routed(made, endpoint, name=arn)) == (
        "https://123456789012.data-kinesis.eu-west-1.amazonaws.com/",
        "eu-west-1",
    )
    assert where(await routed(made, endpoint)) == ("https://made-up.example.com/", "eu-central-1")
    with pytest.raises(ValidationError, match=r"^do_it: .*Invalid ARN"):
        await routed(made, endpoint, name="arn:aws:s3:::a")
    # What the model forbids chooses nothing; without validation, the service says so.
    odds: tuple[object, ...] = (7, ["a"], {})
    for odd in odds:
        assert where(await routed(made, endpoint, name=odd))[0] == "https://made-up.example.com/"
    custom = router(executor, service(name="kinesis"), endpoint_key=None)
    assert where(await routed(custom, endpoint, name=arn)) == ("https://made-up.example.com/", "eu-central-1")
    fips = router(executor, service(name="kinesis"), endpoint_key=FIPS)
    assert where(await routed(fips, endpoint, name=arn)) == (
        "https://123456789012.data-kinesis-fips.eu-west-1.amazonaws.com/",
        "eu-west-1",
    )


async def test_an_endpoint_that_wants_another_signature_is_refused(executor: ThreadPoolExecutor) -> None:
    endpoint = OperationEndpoint(members={"EndpointId": "name"})
    with pytest.raises(ValidationError, match=r"^do_it: https://a\.b\.endpoint\.events\..* does not take"):
        await routed(router(executor, service(name="events")), endpoint, name="a.b")


async def test_a_service_without_rules_in_botocore_is_told(executor: ThreadPoolExecutor) -> None:
    endpoint = OperationEndpoint(members={"A": "name"})
    with pytest.raises(ConfigurationError, match=r"^botocore has no endpoint rules of 'made-up'$"):
        await routed(router(executor), endpoint, name="a")
