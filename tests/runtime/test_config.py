"""Where settings come from: a matrix of environment, files and arguments beside a botocore client."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import aioecrpublic._runtime.transport as transport_module
from aioecrpublic import ConfigurationError, Credentials, ECRPublicClient
from aioecrpublic._generated.service import SERVICE
from tests.support import oracle

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.wire import Wire

SERVED = SERVICE.regions
FLAGS = st.sampled_from([None, None, "true", "false"])

environments = st.fixed_dictionaries(
    {
        "AWS_DEFAULT_REGION": st.sampled_from([None, "us-east-1", "us-west-2", "eu-west-1"]),
        "AWS_PROFILE": st.sampled_from([None, "dev"]),
        "AWS_ENDPOINT_URL": st.sampled_from([None, None, "http://env-all:1"]),
        "AWS_ENDPOINT_URL_ECR_PUBLIC": st.sampled_from([None, None, "http://env-ecr:2"]),
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": FLAGS,
        "AWS_RETRY_MODE": st.sampled_from([None, "standard", "adaptive", "legacy"]),
        "AWS_MAX_ATTEMPTS": st.sampled_from([None, "1", "7"]),
        "AWS_USE_FIPS_ENDPOINT": FLAGS,
        "AWS_USE_DUALSTACK_ENDPOINT": FLAGS,
        "AWS_CA_BUNDLE": st.sampled_from([None, "/env/bundle.pem"]),
        "REQUESTS_CA_BUNDLE": st.sampled_from([None, "/requests/bundle.pem"]),
        "AWS_SDK_UA_APP_ID": st.sampled_from([None, "env-app"]),
    }
)
sections = st.fixed_dictionaries(
    {
        "region": st.sampled_from([None, "us-west-2", "ap-south-1"]),
        "endpoint_url": st.sampled_from([None, None, "http://file-all:3"]),
        "services": st.sampled_from([None, None, "mine"]),
        "ignore_configured_endpoint_urls": FLAGS,
        "retry_mode": st.sampled_from([None, "standard", "adaptive"]),
        "max_attempts": st.sampled_from([None, "2"]),
        "use_fips_endpoint": FLAGS,
        "use_dualstack_endpoint": FLAGS,
        "ca_bundle": st.sampled_from([None, "/file/bundle.pem"]),
        "sdk_ua_app_id": st.sampled_from([None, "file-app"]),
    }
)
arguments = st.fixed_dictionaries(
    {
        "region": st.sampled_from([None, None, "us-east-1", "us-west-2"]),
        "endpoint_url": st.sampled_from([None, None, "http://argument:5"]),
        "profile": st.sampled_from([None, None, "dev", "default"]),
        "use_fips": st.sampled_from([None, None, True, False]),
        "use_dualstack": st.sampled_from([None, None, True, False]),
        "max_attempts": st.sampled_from([None, 5]),
        "retry_mode": st.sampled_from([None, "standard", "adaptive"]),
    }
)


def present(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def written(profiles: dict[str, dict[str, Any]]) -> str:
    lines = ["[services mine]", "ecr_public =", "  endpoint_url = http://file-ecr:4"]
    for name, values in profiles.items():
        lines.append("[default]" if name == "default" else f"[profile {name}]")
        lines += [f"{key} = {value}" for key, value in present(values).items()]
    return "\n".join(lines) + "\n"


def theirs(chosen: dict[str, Any]) -> dict[str, Any] | None:
    """What a botocore client makes of it, or ``None`` if it refuses."""
    retries = present({"mode": chosen["retry_mode"], "total_max_attempts": chosen["max_attempts"]})
    config = oracle.config.Config(
        **present(
            {
                "use_fips_endpoint": chosen["use_fips"],
                "use_dualstack_endpoint": chosen["use_dualstack"],
                "retries": retries or None,
            }
        )
    )
    session = oracle.session.Session(profile=chosen["profile"])
    region = chosen["region"] or session.get_config_variable("region")
    try:
        client = session.create_client(
            "ecr-public",
            # Regions that do not serve ECR Public give way to the default one: our rule, not botocore's.
            region if chosen["region"] or region in SERVED else "us-east-1",
            endpoint_url=chosen["endpoint_url"],
            aws_access_key_id="a",
            aws_secret_access_key="b",
            config=config,
        )
        request = oracle.sent_request(client, "describe_registries")
    except oracle.exceptions.BotoCoreError:
        return None
    made = client.meta.config.retries or {}
    agent = request.headers["User-Agent"].decode()
    return {
        "endpoint": request.url,
        "region": client.meta.region_name,
        "mode": "adaptive" if made.get("mode") == "adaptive" else "standard",
        "attempts": made.get("total_max_attempts") or 3,
        "verify": client._endpoint.http_session._verify,
        "app": agent.partition("app/")[2].partition(" ")[0],
    }


def ours(chosen: dict[str, Any]) -> dict[str, Any] | None:
    def trust(_: object) -> ssl.SSLContext:
        return ssl.create_default_context()

    async def opened() -> dict[str, Any] | None:
        client = ECRPublicClient(credentials=Credentials("a", "b"), **chosen)
        try:
            await client.open()
        except ConfigurationError:
            return None
        async with client:
            options = client._resolve_options()
            bundle = client._core.opened_settings().ca_bundle
            return {
                "endpoint": f"{client.endpoint_url}/",
                "region": client.region,
                "mode": "adaptive" if options.adaptive else "standard",
                "attempts": options.max_attempts,
                "verify": True if bundle is None else bundle.path,
                "app": options.user_agent.partition("app/")[2].partition(" ")[0],
            }

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport_module, "client_context", trust)
        return asyncio.run(opened())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(environment=environments, default=sections, dev=sections, chosen=arguments, files=st.booleans())
@pytest.mark.slow
def test_settings_are_found_where_botocore_finds_them(
    environment: dict[str, str | None],
    default: dict[str, Any],
    dev: dict[str, Any],
    chosen: dict[str, Any],
    files: bool,  # noqa: FBT001 - hypothesis gives it by name
    tmp_path: Path,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in present(environment).items():
            patch.setenv(name, value)
        if files:
            config = tmp_path / "config"
            config.write_text(written({"default": default, "dev": dev}))
            patch.setenv("AWS_CONFIG_FILE", str(config))
        else:
            patch.delenv("AWS_PROFILE", raising=False)
            chosen |= {"profile": None}
        if chosen["endpoint_url"] and (chosen["use_fips"] or chosen["use_dualstack"]):
            # botocore lets the endpoint win; who asks for both in one breath is told so here.
            assert ours(chosen) is None
        else:
            assert ours(chosen) == theirs(chosen)


@pytest.mark.parametrize(
    ("environment", "region"),
    [
        ({}, "us-east-1"),
        ({"AWS_REGION": "us-west-2"}, "us-west-2"),
        ({"AWS_REGION": "eu-west-1"}, "us-east-1"),
        ({"AWS_REGION": "us-west-2", "AWS_DEFAULT_REGION": "us-east-1"}, "us-west-2"),
        ({"AWS_DEFAULT_REGION": "us-west-2"}, "us-west-2"),
    ],
)
async def test_users_in_any_region_just_work(
    environment: dict[str, str], region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    async with ECRPublicClient(anonymous=True) as client:
        assert client.region == region


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"api_version": "1999-01-01"}, "'1999-01-01' is not known; known: 2020-10-30"),
        ({"max_attempts": 0}, r"max_attempts must be a whole number of at least 1 \(got 0\)"),
        ({"retry_mode": "eager"}, r"retry_mode must be one of standard, adaptive \(got 'eager'\)"),
        ({"connect_timeout": 0}, r"connect_timeout must be a number above 0 \(got 0"),
        ({"read_timeout": float("nan")}, r"read_timeout must be a number above 0 \(got nan"),
        ({"connect_timeout": True}, r"connect_timeout must be a number above 0 \(got True"),
        ({"connect_timeout": "5"}, r"connect_timeout must be a number above 0 \(got '5'"),
        ({"read_timeout": 10**400}, r"read_timeout must be a number above 0 \(got 1000"),
        ({"read_timeout": 10**5000}, r"read_timeout must be a number above 0 \(got a very long number"),
        ({"max_attempts": "3"}, r"max_attempts must be a whole number of at least 1 \(got '3'"),
        ({"max_attempts": 2.5}, r"max_attempts must be a whole number of at least 1 \(got 2\.5"),
        ({"retry_mode": 5}, r"retry_mode must be a str \(got int\)"),
        ({"user_agent_extra": b"x"}, r"user_agent_extra must be a str \(got bytes\)"),
        ({"max_connections": -1}, r"max_connections must be a whole number of at least 1 \(got -1"),
        ({"max_connections": 0.5}, r"max_connections must be a whole number of at least 1 \(got 0\.5"),
        ({"max_connections": True}, r"max_connections must be a whole number of at least 1 \(got True"),
        ({"rate_limits": {"Nothing": 1.0}}, "'Nothing' is not an operation"),
        ({"rate_limits": {"PutImage": float("inf")}}, "rate_limits"),
        ({"anonymous": True, "credentials": Credentials("a", "b")}, "exclude each other"),
        ({"credentials": "secret"}, "credentials is builtins.str"),
        ({"hooks": [object()]}, "hooks: object has none of before_send"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ECRPublicClient(**options)
    if not {"api_version", "max_connections", "rate_limits"} & set(options):
        with pytest.raises(ConfigurationError, match=message):
            ECRPublicClient().with_options(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"region": 5}, r"region must be a str \(got int\)"),
        ({"profile": ["a"]}, r"profile must be a str \(got list\)"),
        ({"endpoint_url": b"http://a"}, r"endpoint_url must be a str \(got bytes\)"),
        ({"session": "session"}, r"session must be an aiohttp\.ClientSession \(got str\)"),
        ({"use_fips": "true"}, r"use_fips must be True or False \(got 'true'\)"),
        ({"use_dualstack": []}, r"use_dualstack must be True or False \(got \[\]\)"),
        ({"rate_limits": "none"}, r"rate_limits must be True or False \(got 'none'\)"),
    ],
)
def test_arguments_of_the_wrong_type_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ECRPublicClient(**options)


@pytest.mark.parametrize("region", ["us east 1", "us-east-1\n", "-", "12", "a" * 64, "é", "a/b"])
async def test_a_region_that_cannot_be_is_refused(region: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a valid region"):
        await ECRPublicClient(region, "http://localhost:1", anonymous=True).open()


@pytest.mark.parametrize("connections", [1, 10**30])
async def test_any_number_of_connections_is_taken(connections: int) -> None:
    async with ECRPublicClient(anonymous=True, max_connections=connections) as client:
        assert client.region == "us-east-1"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("X-A", "a\r\nb: the-secret", "the value of X-A"),
        ("X-A", "the-secret\udcff", "the value of X-A"),
        ("X-A", 5, "the value of X-A"),
        ("X A", "a", "'X A' is not a valid name"),
        ("", "a", "'' is not a valid name"),
        ("Content-Length", "5", "Content-Length must be left to the client"),
        ("Transfer-Encoding", "chunked", "Transfer-Encoding must be left to the client"),
    ],
)
async def test_a_header_of_a_hook_that_cannot_be_sent_is_named(
    name: str, value: Any, message: str, wire: Wire
) -> None:
    class Adding:
        async def before_send(self, event: Any) -> None:
            event.headers[name] = value

    async with ECRPublicClient("us-east-1", wire.url, anonymous=True, hooks=[Adding()]) as client:
        with pytest.raises(ConfigurationError, match=message) as caught:
            await client.describe_registries()
    assert "the-secret" not in str(caught.value)
    assert wire.requests == []


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"AWS_MAX_ATTEMPTS": "many"}, "max_attempts"),
        ({"AWS_MAX_ATTEMPTS": "0"}, r"max_attempts must be a whole number of at least 1 \(got 0\)"),
        ({"AWS_RETRY_MODE": "eager"}, r"retry_mode must be one of .* \(got 'eager'\)"),
        ({"AWS_PROFILE": "nobody"}, "nobody"),
        ({"AWS_CA_BUNDLE": "/nowhere/bundle.pem"}, "CA bundle '/nowhere/bundle.pem'"),
        ({"AWS_ENDPOINT_URL": "nonsense"}, "endpoint_url 'nonsense'"),
    ],
)
async def test_configuration_that_cannot_be_used_is_named(
    environment: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=message):
        await ECRPublicClient(anonymous=True).open()


async def test_a_broken_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text("[default\nregion = x")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    with pytest.raises(ConfigurationError, match=str(config)):
        await ECRPublicClient(anonymous=True).open()


async def test_a_services_section_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\nservices = missing\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    with pytest.raises(ConfigurationError, match="missing"):
        await ECRPublicClient(anonymous=True).open()
