"""Homes, shared files and variables: what nobody asked for stops no client, what is empty is not there."""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from aioecrpublic import ConfigurationError, Credentials, CredentialsError, ECRPublicClient
from tests.support import oracle
from tests.support.secrets import assert_hidden

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.support.wire import Wire

# What botocore reads for its settings, and what its credential providers ask for.
SETTINGS = sorted(
    name
    for _, names, _, _ in oracle.session.Session.SESSION_VARIABLES.values()
    for name in ([names] if isinstance(names, str) else names or [])
)
PROVIDERS = [
    "AWS_ACCOUNT_ID",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_CREDENTIAL_FILE",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_ECR_PUBLIC",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_SECURITY_TOKEN",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "BOTO_CONFIG",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, whose shared files are where they are by default."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AWS_CONFIG_FILE")
    monkeypatch.delenv("AWS_SHARED_CREDENTIALS_FILE")
    (tmp_path / ".aws").mkdir()
    return tmp_path


@pytest.fixture
def configured(home: Path) -> Path:
    """The same with a default profile that has everything."""
    (home / ".aws" / "config").write_text(
        "[default]\nregion = us-west-2\nmax_attempts = 5\nretry_mode = adaptive\nsdk_ua_app_id = file-app\n"
    )
    (home / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = AKIDFILE\naws_secret_access_key = file-secret\n"
    )
    return home


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env-secret")


async def opened(**options: Any) -> tuple[object, ...]:
    """What a client makes of its surroundings, the credentials too."""
    async with ECRPublicClient(**options) as client:
        chosen = client._resolve_options()
        settings = client._core.opened_settings()
        found = await chosen.credentials.get(10) if chosen.credentials else None
        return (settings, chosen.max_attempts, chosen.adaptive, chosen.user_agent, found)


# Empty variables


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("name", SETTINGS + PROVIDERS)
async def test_an_empty_variable_is_as_good_as_none_with_files(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(name, raising=False)
    expected = await opened()
    monkeypatch.setenv(name, "")
    assert await opened() == expected


@pytest.mark.usefixtures("home", "keys")
@pytest.mark.parametrize("name", SETTINGS + PROVIDERS)
async def test_an_empty_variable_is_as_good_as_none_without_files(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(name, raising=False)
    expected = await opened()
    monkeypatch.setenv(name, "")
    assert await opened() == expected


@pytest.mark.usefixtures("configured")
async def test_all_variables_may_be_empty_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS + PROVIDERS:
        monkeypatch.delenv(name, raising=False)
    expected = await opened()
    before = dict.fromkeys((*SETTINGS, *PROVIDERS, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "")
    for name in before:
        monkeypatch.setenv(name, "")
    assert await opened() == expected
    assert {name: os.environ[name] for name in before} == before


async def test_empty_settings_of_a_profile_are_none(configured: Path) -> None:
    (configured / ".aws" / "config").write_text("[default]\nregion =\nretry_mode =\nca_bundle =\n")
    settings, _, adaptive, *_ = await opened()
    assert (getattr(settings, "region", None), adaptive) == ("us-east-1", False)


# Homes


@contextmanager
def without_entry(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """A user whom the system does not know, as OpenShift makes them."""

    def unknown(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    with monkeypatch.context() as patch:
        patch.setattr(pwd, "getpwuid", unknown)
        patch.delenv("HOME")
        yield


@contextmanager
def anothers(home: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """A home that may not be entered."""
    uid = os.geteuid()
    home.chmod(0)
    if uid == 0:
        # Root may enter everything.
        for parent in home.parents:
            parent.chmod(parent.stat().st_mode | 0o055)
        os.seteuid(12345)
    try:
        yield
    finally:
        if uid == 0:
            os.seteuid(0)
        home.chmod(0o700)


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("kind", ["without entry", "another's"])
@pytest.mark.parametrize("given", [True, False])
async def test_a_home_that_is_of_no_use_stops_no_client(
    kind: str,
    given: bool,  # noqa: FBT001 - cases
    home: Path,
    wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (home / ".aws" / "config").write_text("[default]\nregion = nowhere-1\n")
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECR_PUBLIC", wire.url)
    options: dict[str, Any] = {}
    if given:
        options = {
            "region": "us-east-1",
            "endpoint_url": wire.url,
            "credentials": Credentials("AKIDGIVEN", "given-secret"),
        }
    with without_entry(monkeypatch) if kind == "without entry" else anothers(home, monkeypatch):
        async with ECRPublicClient(**options) as client:
            await client.describe_registries()
    expected = "AKIDGIVEN" if given else "AKIDENV"
    assert f"Credential={expected}/" in wire.requests[0].headers["Authorization"]


@pytest.mark.usefixtures("configured")
async def test_an_empty_home_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = await opened()
    entry = pwd.getpwuid(os.getuid())
    found = pwd.struct_passwd((*entry[:5], str(tmp_path), *entry[6:]))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: found)
    monkeypatch.setenv("HOME", "")
    assert await opened() == expected
    with without_entry(monkeypatch):
        monkeypatch.setenv("HOME", "")
        async with ECRPublicClient(anonymous=True) as client:
            assert client.region == "us-east-1"


# Shared files


def make(path: Path, kind: str) -> None:
    match kind:
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(path)
        case "large":
            path.touch()
            os.truncate(path, 2**40)
        case "malformed":
            path.write_text("[default\nregion = x", encoding="utf-8")
        case "binary":
            path.write_bytes(b"\xff\xfe[default]")


@pytest.mark.parametrize("kind", ["directory", "fifo", "loop", "large", "malformed", "binary"])
@pytest.mark.parametrize("name", ["config", "credentials"])
async def test_a_default_file_that_cannot_be_read_stops_no_client_that_needs_nothing_of_it(
    name: str, kind: str, home: Path, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    make(home / ".aws" / name, kind)
    given = Credentials("AKIDGIVEN", "given-secret")
    with caplog.at_level(logging.WARNING):
        async with ECRPublicClient("us-east-1", wire.url, given) as client:
            await client.describe_registries()
        async with ECRPublicClient("us-east-1", wire.url, anonymous=True) as client:
            await client.describe_registries()
    assert len(wire.requests) == 2
    told = [record.getMessage() for record in caplog.records if record.name == "aioecrpublic.config"]
    parsed = kind in {"malformed", "binary"}
    assert all(str(home / ".aws" / name) in message for message in told)
    assert len(told) == (2 if parsed else 0)


async def test_a_malformed_default_file_is_named_where_it_is_needed(home: Path) -> None:
    make(home / ".aws" / "config", "malformed")
    with pytest.raises(ConfigurationError, match=str(home / ".aws" / "config")):
        await ECRPublicClient(anonymous=True).open()
    with pytest.raises(ConfigurationError, match=str(home / ".aws" / "config")):
        await ECRPublicClient(credentials=Credentials("AKID", "secret")).open()


@pytest.mark.parametrize("kind", ["directory", "fifo", "loop", "large"])
@pytest.mark.parametrize("variable", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
async def test_a_file_that_a_variable_names_is_named_where_it_cannot_be_read(
    variable: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    make(path, kind)
    monkeypatch.setenv(variable, str(path))
    with pytest.raises(ConfigurationError, match=rf"^{variable}: '{path}' cannot be read: "):
        await ECRPublicClient(anonymous=True).open()


@pytest.mark.parametrize("kind", ["malformed", "binary"])
async def test_a_config_file_that_a_variable_names_is_named_where_it_is_malformed(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    make(path, kind)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    with pytest.raises(ConfigurationError, match=f"AWS_CONFIG_FILE: .*{path}"):
        await ECRPublicClient("us-east-1", "http://localhost:1", anonymous=True).open()


@pytest.mark.usefixtures("home", "keys")
async def test_the_null_device_is_an_empty_file(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(variable, os.devnull)
    async with ECRPublicClient(endpoint_url=wire.url) as client:
        await client.describe_registries()
    assert len(wire.requests) == 1


async def test_a_missing_file_that_a_variable_names_is_told_where_it_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = rf"AWS_SHARED_CREDENTIALS_FILE names '{tmp_path}/none', which does not exist"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(
        ConfigurationError, match=rf"profile 'dev' \(profile\) is in no shared file.*{missing}"
    ):
        await ECRPublicClient(profile="dev").open()
    async with ECRPublicClient("us-east-1", "http://localhost:1") as client:
        with pytest.raises(CredentialsError, match=f"no credentials found.*{missing}"):
            await client.describe_registries()


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("variable", ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"])
async def test_a_profile_that_is_nowhere_is_named_with_its_variable(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "nobody")
    with pytest.raises(ConfigurationError, match=rf"profile 'nobody' \({variable}\)"):
        await ECRPublicClient("us-east-1", "http://localhost:1", anonymous=True).open()


# Secrets that cannot be right

KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


@pytest.mark.parametrize(
    "value", [f"{KEY}\n", f" {KEY}", f"{KEY} ", f"{KEY}\t", f"{KEY[:9]}\n{KEY[9:]}", f"{KEY}\0", ""]
)
def test_a_secret_that_cannot_be_right_is_refused_by_name(value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^secret_access_key ") as caught:
        Credentials("AKID", value)
    assert_hidden(caught.value, [KEY])


@pytest.mark.parametrize("value", [b"secret", 5, None])
def test_what_is_no_text_is_refused_by_name(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^access_key_id must be a str \(got "):
        Credentials(value, "secret")
    with pytest.raises(ConfigurationError, match=r"^secret_access_key must be a str \(got ") as caught:
        Credentials("AKID", value)
    assert "'secret'" not in str(caught.value)


def test_an_empty_session_token_is_none() -> None:
    assert Credentials("AKID", "secret", "") == Credentials("AKID", "secret")


@pytest.mark.parametrize(
    ("variable", "field"),
    [
        ("AWS_ACCESS_KEY_ID", "access_key_id"),
        ("AWS_SECRET_ACCESS_KEY", "secret_access_key"),
        ("AWS_SESSION_TOKEN", "session_token"),
    ],
)
@pytest.mark.usefixtures("keys")
async def test_the_variable_of_a_secret_that_cannot_be_right_is_named(
    variable: str, field: str, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, f"{KEY}\n")
    async with ECRPublicClient(endpoint_url=wire.url) as client:
        with pytest.raises(CredentialsError, match=rf"{field} has .* \({variable}\)") as caught:
            await client.describe_registries()
    assert_hidden(caught.value, [KEY])
    assert wire.requests == []


async def test_the_source_of_a_secret_that_cannot_be_right_is_named(configured: Path, wire: Wire) -> None:
    (configured / ".aws" / "credentials").write_text(
        f"[default]\naws_access_key_id = AKID\naws_secret_access_key = {KEY}\x01\n"
    )
    async with ECRPublicClient(endpoint_url=wire.url) as client:
        with pytest.raises(CredentialsError, match=r"\(found by shared-credentials-file\)") as caught:
            await client.describe_registries()
    assert_hidden(caught.value, [KEY])
    assert wire.requests == []


# Providers that do not answer


async def test_a_helper_that_hangs_is_an_error_within_the_timeouts(configured: Path, wire: Wire) -> None:
    (configured / ".aws" / "credentials").unlink()
    (configured / ".aws" / "config").write_text("[default]\ncredential_process = sleep 60\n")
    async with ECRPublicClient(
        endpoint_url=wire.url, connect_timeout=0.2, read_timeout=0.2, max_attempts=3
    ) as client:
        for _ in range(2):
            async with asyncio.timeout(20):
                with pytest.raises(CredentialsError, match=r"not obtained within 0\.4 s"):
                    await client.describe_registries()
    assert wire.requests == []


def test_a_helper_that_hangs_does_not_keep_the_process(configured: Path) -> None:
    (configured / ".aws" / "credentials").unlink()
    (configured / ".aws" / "config").write_text("[default]\ncredential_process = sleep 60\n")
    code = """
import asyncio
from aioecrpublic import ECRPublicClient
async def main():
    url = "http://127.0.0.1:1"
    async with ECRPublicClient(endpoint_url=url, read_timeout=0.5, connect_timeout=0.5) as client:
        try:
            await client.describe_registries()
        except Exception as error:
            print(type(error).__name__)
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=40
    )
    assert (done.stdout, done.stderr, done.returncode) == ("CredentialsError\n", "", 0)


async def test_configuration_that_does_not_come_is_an_error(
    configured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a file server that has gone away.
    ready = threading.Event()
    monkeypatch.setattr("aioecrpublic._runtime.core.find_settings", lambda *_: ready.wait(60))
    monkeypatch.setattr("aioecrpublic._runtime.client._OPENING_TIMEOUT", 0.2)
    client = ECRPublicClient()
    with pytest.raises(ConfigurationError, match=r"not read within 0\.2 s"):
        await client.open()
    ready.set()
    await client.close()
