"""Tokens, docker's configuration file, and the credential helper as docker and skopeo use it."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from aioecrpublic.errors import ConfigurationError, ServiceError
from aioecrpublic.images.docker_config import find_credentials
from aioecrpublic.local import LocalECRPublic
from aioecrpublic.manage import login, registry_token, use_credential_helper
from aioecrpublic.manage import token as token_module
from tests.push.helpers import REPOSITORY, Wire, connect, tags_of
from tests.support.oci import write_image
from tests.support.processes import environment
from tests.support.tools import require
from tests.support.web import serving

if TYPE_CHECKING:
    from pathlib import Path

    from aioecrpublic import ECRPublicClient

HELPER = f"#!{sys.executable}\nfrom aioecrpublic.manage.credential_helper import main\nmain()\n"


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


async def test_whose_file_it_is_it_stays(
    client: ECRPublicClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.json"
    path.write_text("{}")
    there, owners = path.stat(), []
    monkeypatch.setattr(os, "fchown", lambda _, *owner: owners.append(owner))
    await login(client, path)
    assert not owners
    monkeypatch.setattr(os, "geteuid", lambda: there.st_uid + 1)
    await login(client, path)
    assert owners == [(there.st_uid, there.st_gid)]


async def test_a_new_configuration_is_private(
    client: ECRPublicClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    await login(client)
    assert stat.S_IMODE((tmp_path / "docker" / "config.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"auths": []}', "auths is not a JSON object"),
        ('{"credsStore": "desktop"}', "docker-credential-desktop"),
        ('{"credHelpers": {"public.ecr.aws": "other"}}', "docker-credential-other"),
    ],
)
async def test_a_configuration_that_cannot_be_used_is_left_alone(
    content: str, says: str, client: ECRPublicClient, tmp_path: Path
) -> None:
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=says):
        await login(client, path)
    assert path.read_text() == content


def helper(tmp_path: Path, server: LocalECRPublic) -> dict[str, str]:
    """An environment whose ``PATH`` has the helper, as installing the package puts it there."""
    program = tmp_path / "bin" / "docker-credential-aioecrpublic"
    program.parent.mkdir()
    program.write_text(HELPER)
    program.chmod(0o755)
    found = environment(tmp_path, server)
    return found | {"PATH": f"{program.parent}{os.pathsep}{found['PATH']}"}


async def ask(env: dict[str, str], verb: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = ["docker-credential-aioecrpublic", verb]
    return await asyncio.to_thread(
        subprocess.run, command, input=text, env=env, capture_output=True, text=True, check=False
    )


async def test_the_helper_speaks_the_protocol(server: LocalECRPublic, tmp_path: Path) -> None:
    env = helper(tmp_path, server)
    for asked in ("public.ecr.aws", "https://public.ecr.aws"):
        answer = json.loads((await ask(env, "get", f"{asked}\n")).stdout)
        assert answer.keys() == {"ServerURL", "Username", "Secret"}
        assert (answer["ServerURL"], answer["Username"]) == (asked, "AWS")
    unknown = await ask(env, "get", "ghcr.io")
    assert (unknown.returncode, unknown.stdout) == (1, "credentials not found in native keychain\n")
    assert (await ask(env, "erase", "public.ecr.aws")).returncode == 0
    assert (await ask(env, "store", "{}")).returncode == 1
    assert json.loads((await ask(env, "list")).stdout)["public.ecr.aws"] == "AWS"
    wrong = await ask(env, "forget")
    assert (wrong.returncode, wrong.stderr) == (1, "")
    assert wrong.stdout.startswith("usage: ")


async def test_the_helper_asks_the_region_that_gives_passwords(
    server: LocalECRPublic, tmp_path: Path
) -> None:
    answer = await ask(helper(tmp_path, server) | {"AWS_REGION": "us-west-2"}, "get", "public.ecr.aws")
    assert answer.returncode == 0, answer.stdout
    assert json.loads(answer.stdout)["Username"] == "AWS"


async def test_the_helper_says_in_one_line_what_is_wrong(tmp_path: Path, server: LocalECRPublic) -> None:
    env = helper(tmp_path, server) | {"AWS_SECRET_ACCESS_KEY": "wrong"}
    failed = await ask(env, "get", "public.ecr.aws")
    assert (failed.returncode, failed.stderr) == (1, "")
    assert len(failed.stdout.splitlines()) == 1


@pytest.mark.interop
async def test_skopeo_copies_with_what_the_helper_says_whatever_has_expired(tmp_path: Path) -> None:
    image = write_image(tmp_path / "in", layers=2)
    late = dt.timedelta()
    async with LocalECRPublic(clock=lambda: dt.datetime.now(dt.UTC) + late) as server:
        async with connect(server) as client:
            await client.create_repository(repository_name=REPOSITORY)
        host = server.registry_url.removeprefix("http://")
        env = helper(tmp_path, server) | {"REGISTRY_AUTH_FILE": str(tmp_path / "config.json")}
        await use_credential_helper(tmp_path / "config.json", registry=host)

        async def copy(source: str, target: str) -> None:
            command = [require("skopeo"), "--insecure-policy", "copy", "--preserve-digests", source, target]
            plain = ["--dest-tls-verify=false", "--src-tls-verify=false"]
            done = await asyncio.to_thread(
                subprocess.run, [*command, *plain], env=env, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr

        for tag in ("1.0", "2.0"):
            await copy(f"oci:{tmp_path}/in:1.0", f"docker://{host}/local/{REPOSITORY}:{tag}")
            await copy(f"docker://{host}/local/{REPOSITORY}:{tag}", f"oci:{tmp_path}/out:{tag}")
            # The next time every password that was given so far has expired.
            late += dt.timedelta(hours=13)
        async with connect(server) as client:
            assert await tags_of(client) == {image.digest: ["1.0", "2.0"]}
    for digest in (image.digest, image.config, *image.layers):
        name = digest.removeprefix("sha256:")
        assert (tmp_path / "out" / "blobs" / "sha256" / name).read_bytes() == image.read(digest)


@pytest.mark.interop
async def test_skopeo_identifies_with_what_the_helper_says(server: LocalECRPublic, tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        given = request.headers.get("Authorization", "")
        if not given.startswith("Basic "):
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="test"'})
        username, _, password = base64.b64decode(given.removeprefix("Basic ")).decode().partition(":")
        seen.append((username, password))
        return web.json_response({"name": "team/app", "tags": ["1.0"]})

    async with serving(answer) as host:
        # The helper takes the registry that the environment leads to for its own; here it is another.
        env = helper(tmp_path, server) | {"REGISTRY_AUTH_FILE": str(tmp_path / "config.json")}
        shim = tmp_path / "bin" / "docker-credential-aioecrpublic"
        lines = HELPER.splitlines()
        lines.insert(1, f"import aioecrpublic.manage.credential_helper as h; h.REGISTRY = {host!r}")
        shim.write_text("\n".join(lines) + "\n")
        await use_credential_helper(tmp_path / "config.json", registry=host)
        listed = await asyncio.to_thread(
            subprocess.run,
            [require("skopeo"), "list-tags", "--tls-verify=false", f"docker://{host}/team/app"],
            env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert listed.returncode == 0, listed.stderr
        assert json.loads(listed.stdout)["Tags"] == ["1.0"]
        assert {username for username, _ in seen} == {"AWS"}
        assert all(password for _, password in seen)
