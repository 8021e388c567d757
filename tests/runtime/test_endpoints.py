from __future__ import annotations

import itertools

import pytest

from aioecrpublic import ConfigurationError, ECRPublicClient
from aioecrpublic._generated.service import SERVICE
from aioecrpublic._runtime.endpoints import Endpoint
from tests.support import oracle

CASES = list(itertools.product(SERVICE.regions, [False, True], [False, True]))


@pytest.mark.parametrize(("region", "fips", "dualstack"), CASES)
async def test_every_endpoint_is_botocores(region: str, fips: bool, dualstack: bool) -> None:  # noqa: FBT001 - cases
    config = oracle.config.Config(use_fips_endpoint=fips, use_dualstack_endpoint=dualstack)
    theirs = oracle.session.Session().create_client(
        "ecr-public", region, config=config, aws_access_key_id="a", aws_secret_access_key="b"
    )
    async with ECRPublicClient(region, use_fips=fips, use_dualstack=dualstack, anonymous=True) as client:
        # What it sends to: its ``meta.endpoint_url`` still comes from the tables before the rule sets.
        assert f"{client.endpoint_url}/" == oracle.sent_request(theirs, "describe_registries").url
        assert client.region == theirs.meta.region_name == region


@pytest.mark.parametrize("region", [*SERVICE.regions, "eu-west-1"])
@pytest.mark.parametrize("fips", ["false", "true"])
@pytest.mark.parametrize("dualstack", ["false", "true"])
@pytest.mark.parametrize("custom", ["http://localhost:1", "https://example.com/prefix/"])
@pytest.mark.parametrize("configured", [False, True])
async def test_every_custom_endpoint_is_botocores(
    region: str,
    fips: str,
    dualstack: str,
    custom: str,
    configured: bool,  # noqa: FBT001 - cases
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", fips)
    monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", dualstack)
    if configured:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ECR_PUBLIC", custom)
    argument = None if configured else custom
    theirs = oracle.session.Session().create_client(
        "ecr-public", region, endpoint_url=argument, aws_access_key_id="a", aws_secret_access_key="b"
    )
    sent = oracle.sent_request(theirs, "describe_registries").url
    async with ECRPublicClient(region, argument, anonymous=True) as client:
        assert str(client._core.opened().router.endpoint.url) == sent
        assert client.region == theirs.meta.region_name == region


@pytest.mark.parametrize("option", ["use_fips", "use_dualstack"])
async def test_an_endpoint_and_a_variant_exclude_each_other(option: str) -> None:
    client = ECRPublicClient(endpoint_url="http://localhost:1", **{option: True})  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=f"{option}=True and endpoint_url"):
        await client.open()


@pytest.mark.parametrize("variable", ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"])
async def test_a_custom_endpoint_is_used_as_it_is(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "true")
    async with ECRPublicClient(endpoint_url="http://localhost:1", anonymous=True) as client:
        assert client.endpoint_url == "http://localhost:1"


async def test_a_region_without_the_service_is_an_error_that_lists_the_others() -> None:
    with pytest.raises(
        ConfigurationError, match="'eu-west-1': ECR PUBLIC is served in us-east-1 and us-west-2"
    ):
        await ECRPublicClient("eu-west-1").open()


async def test_a_custom_endpoint_takes_any_region() -> None:
    async with ECRPublicClient("eu-west-1", "http://localhost:1", anonymous=True) as client:
        assert (client.region, client.endpoint_url) == ("eu-west-1", "http://localhost:1")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("localhost:5000", "not an http or https URL"),
        ("ftp://host", "not an http or https URL"),
        ("http://", "not an http or https URL"),
        ("http://host:port", "not a URL"),
        ("http://user:secret@host", "user name or password"),
        ("http://host/?a=b", "query"),
        ("http://[::1", "not a URL"),
        ("http://host:0", "not a URL"),
        ("http://ho\nst", "not a URL"),
        ("http://ho st", "no host that can be connected to"),
        ("http://[fe80::1%25eth0]:8080", "no host that can be connected to"),
    ],
)
async def test_what_is_not_an_endpoint_is_refused_without_showing_secrets(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        await ECRPublicClient(endpoint_url=url).open()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "host", "sent"),
    [
        ("https://example.com", "example.com", "https://example.com/"),
        ("https://example.com:443", "example.com", "https://example.com/"),
        ("http://example.com:443/", "example.com:443", "http://example.com:443/"),
        ("http://[::1]:8080/a", "[::1]:8080", "http://[::1]:8080/a/"),
        ("http://EXAMPLE.com/a/../b//c/.", "example.com", "http://example.com/b/c/"),
        ("http://example.com/ü b", "example.com", "http://example.com/%C3%BC%20b/"),
    ],
)
def test_an_endpoint_is_taken_apart_for_sending(url: str, host: str, sent: str) -> None:
    endpoint = Endpoint.parse(url)
    assert (endpoint.host, str(endpoint.url)) == (host, sent)
