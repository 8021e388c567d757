"""Tokens, and docker's configuration file."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import logging
import pwd
import stat
import sys
import traceback
from typing import TYPE_CHECKING

import pytest

from aioecrpublic.errors import ConfigurationError, ServiceError
from aioecrpublic.images.docker_config import find_credentials
from aioecrpublic.manage import login, registry_token, use_credential_helper
from aioecrpublic.manage import token as token_module
from aioecrpublic.manage.registry_hosts import PUBLIC_HOSTS
from tests.push.helpers import Wire, connect

if TYPE_CHECKING:
    from pathlib import Path

    from aioecrpublic import ECRPublicClient
    from aioecrpublic.local import LocalECRPublic


def pass_time(patch: pytest.MonkeyPatch, hours: float) -> None:
    now = dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours)
    patch.setattr(token_module, "_now", lambda: now)


async def test_a_token_is_fetched_once_and_renewed_ahead_of_its_end(
    server: LocalECRPublic, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire()
    async with connect(server, hooks=[wire]) as client:
        tokens = await asyncio.gather(*(registry_token(client) for _ in range(20)))
        assert wire.count("GetAuthorizationToken") == 1
        assert len(set(tokens)) == 1
        assert tokens[0].username == "AWS"
        assert tokens[0].password not in repr(tokens[0])
        pass_time(monkeypatch, 10.9)
        assert await registry_token(client) is tokens[0]
        pass_time(monkeypatch, 11.1)
        await asyncio.gather(*(registry_token(client) for _ in range(20)))
        assert wire.count("GetAuthorizationToken") == 2


async def test_a_token_is_renewed_in_time_by_a_slow_clock(
    server: LocalECRPublic, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire()
    async with connect(server, hooks=[wire]) as client:
        pass_time(monkeypatch, -24)
        first = await registry_token(client)
        assert await registry_token(client) is first
        later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=13)
        monkeypatch.setattr(client, "service_time", lambda: later)
        await registry_token(client)
        assert wire.count("GetAuthorizationToken") == 2


async def test_a_good_token_outlives_a_service_that_does_not_answer(
    server: LocalECRPublic, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect(server, max_attempts=1) as client:
        token = await registry_token(client)

        async def refuse() -> None:
            await asyncio.sleep(0)
            raise ServiceError("no", code="ServerException")

        monkeypatch.setattr(client, "get_authorization_token", refuse)
        pass_time(monkeypatch, 11.5)
        assert await registry_token(client) is token
        pass_time(monkeypatch, 12.1)
        with pytest.raises(ServiceError):
            await registry_token(client)


async def test_login_writes_its_entry_and_nothing_else(client: ECRPublicClient, tmp_path: Path) -> None:
    real = tmp_path / "elsewhere" / "config.json"
    real.parent.mkdir()
    others = {
        "auths": {"ghcr.io": {"auth": "eDp5"}},
        "psFormat": "{{.ID}}",
        "credHelpers": {"gcr.io": "gcloud"},
    }
    real.write_text(json.dumps(others))
    real.chmod(0o640)
    link = tmp_path / "config.json"
    link.symlink_to(real)
    token = await login(client, link)
    config = json.loads(real.read_text())
    entry = config["auths"].pop("public.ecr.aws")
    assert base64.b64decode(entry["auth"]).decode() == f"AWS:{token.password}"
    assert config == others
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert [path.name for path in real.parent.iterdir()] == ["config.json"]
    found = find_credentials("public.ecr.aws", link)
    assert found is not None
    assert (found.username, found.password) == ("AWS", token.password)


async def test_a_new_configuration_is_private(
    client: ECRPublicClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    await login(client)
    assert stat.S_IMODE((tmp_path / "docker" / "config.json").stat().st_mode) == 0o600


async def test_every_other_character_of_the_file_stays(client: ECRPublicClient, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    before = b'{\n  "z": 1.50, "a": 1e999,\n  "auths": {\n    "x": {"auth": "eDp5"}\n  },\n  "b": "\xff"\n}'
    path.write_bytes(b"\xef\xbb\xbf" + before)
    token = await login(client, path)
    entry = f',\n    "public.ecr.aws": {{\n      "auth": "{token.basic()}"\n    }}'.encode()
    assert path.read_bytes() == before.replace(b'"}\n  }', b'"}' + entry + b"\n  }")
    await use_credential_helper(path)
    assert json.loads(path.read_bytes().decode("utf-8", "replace"))["credHelpers"].keys() == set(PUBLIC_HOSTS)
    assert path.read_bytes().startswith(before[:20])


@pytest.mark.parametrize("content", ["", " \n", "null", "{}"])
async def test_a_configuration_that_says_nothing_is_made_one(
    content: str, client: ECRPublicClient, tmp_path: Path
) -> None:
    path = tmp_path / "config.json"
    path.write_text(content)
    token = await login(client, path)
    assert json.loads(path.read_text()) == {"auths": {"public.ecr.aws": {"auth": token.basic()}}}
    assert path.read_text().startswith('{\n\t"auths": {\n\t\t"public.ecr.aws": {\n')


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not valid JSON"),
        ("[]", "the document must be an object"),
        ('{"auths": []}', "auths must be an object"),
        ('{"auths": {}}}', "not valid JSON: extra data"),
        ("[" * 100_000, "nested too deeply"),
        ('{"credsStore": "desktop"}', "docker-credential-desktop"),
        ('{"CredsStore": "desktop"}', "docker-credential-desktop"),
        ('{"credHelpers": {"public.ecr.aws": "other"}}', "docker-credential-other"),
        ('{"credHelpers": {"public.ecr.aws": "aioecrpublic"}}', "docker-credential-aioecrpublic"),
    ],
)
async def test_a_configuration_that_cannot_be_used_is_left_alone(
    content: str, says: str, client: ECRPublicClient, tmp_path: Path
) -> None:
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=says) as caught:
        await login(client, path)
    assert str(caught.value).startswith(f"{path}: ")
    assert path.read_text() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.json"]


async def test_a_registry_without_a_helper_in_spite_of_a_store_is_logged_in_to(
    client: ECRPublicClient, tmp_path: Path
) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"credsStore": "desktop", "credHelpers": {"public.ecr.aws": ""}}')
    token = await login(client, path)
    assert json.loads(path.read_text())["auths"] == {"public.ecr.aws": {"auth": token.basic()}}


@pytest.mark.parametrize(
    "registry", ["", "a\nb", "\x1b[2J", "https://public.ecr.aws", "public.ecr.aws/alias", "a b", "é", "a\0"]
)
async def test_a_registry_that_is_not_a_host_is_refused(
    registry: str, client: ECRPublicClient, tmp_path: Path
) -> None:
    path = tmp_path / "config.json"
    for work in (
        lambda: login(client, path, registry=registry),
        lambda: use_credential_helper(path, registry=registry),
    ):
        with pytest.raises(ConfigurationError) as caught:
            await work()
        assert str(caught.value) == f"registry must be a host, with a port or without (got {registry!r})"
    assert not path.exists()


async def test_someone_without_a_home_has_to_name_the_file(
    client: ECRPublicClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    monkeypatch.delenv("HOME")
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(ConfigurationError, match="name the file, or set HOME or DOCKER_CONFIG"):
        await login(client)
    with pytest.raises(ConfigurationError, match="name the file, or set HOME or DOCKER_CONFIG"):
        await use_credential_helper()
    await login(client, tmp_path / "config.json")


async def test_logins_at_once_all_have_their_effect(client: ECRPublicClient, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"psFormat": "x"}')
    program = (
        "import asyncio, sys\nfrom aioecrpublic.manage import use_credential_helper\n"
        "for number in range(10):\n"
        "    asyncio.run(use_credential_helper(sys.argv[1], registry=f'{sys.argv[2]}{number}.example'))\n"
    )
    running = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(path), name) for name in "ab"
    ]
    await asyncio.gather(*(login(client, path, registry=f"r{number}.example") for number in range(20)))
    for process in running:
        assert await asyncio.wait_for(process.wait(), 120) == 0
    config = json.loads(path.read_text())
    assert config["auths"].keys() == {f"r{number}.example" for number in range(20)}
    assert config["credHelpers"].keys() == {
        f"{name}{number}.example" for name in "ab" for number in range(10)
    }
    assert config["psFormat"] == "x"
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.json"]


async def test_the_password_is_shown_nowhere(
    client: ECRPublicClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = await login(client, tmp_path / "config.json")
    assert caplog.records
    for secret in (token.password, token.basic()):
        assert secret not in caplog.text
        assert secret not in repr(token)
    (tmp_path / "config.json").write_text((tmp_path / "config.json").read_text() + "}")
    with pytest.raises(ConfigurationError) as caught:
        await login(client, tmp_path / "config.json")
    assert token.basic() not in "".join(traceback.format_exception(caught.value)) + repr(
        caught.value.__context__
    )
