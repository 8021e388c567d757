"""The credential helper, as docker and skopeo use it."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import io
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import attrs
import pytest
from aiohttp import web

from aioecrpublic._common.addresses import REGISTRY_URL
from aioecrpublic._version import __version__
from aioecrpublic.local import LocalECRPublic
from aioecrpublic.manage import use_credential_helper
from aioecrpublic.manage.credential_helper import main
from tests.push.helpers import REPOSITORY, connect, tags_of
from tests.support.oci import write_image
from tests.support.processes import environment
from tests.support.tools import require
from tests.support.web import serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HELPER = f"#!{sys.executable}\nfrom aioecrpublic.manage.credential_helper import main\nmain()\n"


def helper(tmp_path: Path, server: LocalECRPublic | None = None) -> dict[str, str]:
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


NOT_FOUND = "credentials not found in native keychain\n"
ENDPOINT_URL = "AWS_ENDPOINT_URL_ECR_PUBLIC"


@attrs.frozen
class Said:
    """What the helper has done when it was run in this process."""

    status: int
    output: str
    errors: str


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run the helper here, for what needs neither credentials nor a service."""
    for name in (ENDPOINT_URL, REGISTRY_URL):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str, text: str | bytes = b"") -> Said:
        raw = text.encode() if isinstance(text, str) else text
        monkeypatch.setattr(sys, "argv", ["docker-credential-aioecrpublic", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8"))
        status = 0
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
        output, errors = capsys.readouterr()
        return Said(status, output, errors)

    return run


async def test_get_gives_the_password_of_every_host_of_the_service(
    server: LocalECRPublic, tmp_path: Path
) -> None:
    env = helper(tmp_path, server)
    asked = ("public.ecr.aws", "https://ecr-public.aws.com", f"{server.registry_url}/v2/")
    answers = await asyncio.gather(*(ask(env, "get", f"{url}\n") for url in asked))
    for url, answer in zip(asked, answers, strict=True):
        credentials = json.loads(answer.stdout)
        assert credentials.keys() == {"ServerURL", "Username", "Secret"}
        assert (credentials["ServerURL"], credentials["Username"]) == (url, "AWS")
        assert not answer.stderr


@pytest.mark.parametrize(
    "asked",
    ["ghcr.io", "xpublic.ecr.aws", "public.ecr.aws.x", "public.ecr.aws:443", "https://", "\x1b[2J", b"\xff"],
)  # fmt: skip
def test_get_has_nothing_for_other_hosts(asked: str | bytes, say: Callable[..., Said]) -> None:
    assert say("get", text=asked) == Said(1, NOT_FOUND, "")


def test_list_names_what_get_gives(say: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    def listed() -> list[str]:
        # Docker's client says "unused" on standard input.
        said = say("list", text="unused")
        assert (said.status, said.errors) == (0, "")
        users = json.loads(said.output)
        assert set(users.values()) == {"AWS"}
        return list(users)

    service = ["public.ecr.aws", "ecr-public.aws.com"]
    assert listed() == service
    monkeypatch.setenv(ENDPOINT_URL, "http://127.0.0.1:5000")
    assert listed() == [*service, "127.0.0.1:5000"]
    monkeypatch.setenv(REGISTRY_URL, "https://other.example/")
    assert listed() == [*service, "127.0.0.1:5000", "other.example"]
    monkeypatch.setenv(REGISTRY_URL, "http://127.0.0.1:5000/")
    assert listed() == [*service, "127.0.0.1:5000"]
    monkeypatch.setenv(ENDPOINT_URL, "")
    monkeypatch.setenv(REGISTRY_URL, "https://public.ecr.aws")
    assert listed() == service


async def test_what_login_enters_is_what_the_helper_answers_for(
    say: Callable[..., Said], tmp_path: Path
) -> None:
    await use_credential_helper(tmp_path / "config.json")
    entered = json.loads((tmp_path / "config.json").read_text())["credHelpers"]
    assert entered == dict.fromkeys(json.loads(say("list").output), "aioecrpublic")


def test_store_and_erase_do_nothing_and_succeed(say: Callable[..., Said]) -> None:
    stored = say("store", text='{"ServerURL": "public.ecr.aws", "Username": "AWS", "Secret": "hidden"}')
    note = "docker-credential-aioecrpublic: nothing was stored: AWS credentials give the password\n"
    assert stored == Said(0, "", note)
    assert say("erase", text="public.ecr.aws") == Said(0, "", "")


USAGE = "usage: docker-credential-aioecrpublic get|store|erase|list|version"


@pytest.mark.parametrize(
    ("arguments", "text", "says"),
    [
        (["forget"], "", USAGE),
        ([], "", USAGE),
        (["get", "public.ecr.aws"], "", USAGE),
        (["get"], "", "no credentials server URL"),
        (["get"], " \n", "no credentials server URL"),
        (["get"], "x" * 100_000, "standard input has more than 65536 bytes"),
        (["store"], "x" * 100_000, "standard input has more than 65536 bytes"),
    ],
)
def test_what_is_not_in_the_protocol(
    arguments: list[str], text: str, says: str, say: Callable[..., Said]
) -> None:
    assert say(*arguments, text=text) == Said(1, f"{says}\n", "")


def test_version(say: Callable[..., Said]) -> None:
    assert say("version") == Said(0, f"docker-credential-aioecrpublic (aioecrpublic) {__version__}\n", "")


async def test_it_asks_the_region_that_gives_passwords(server: LocalECRPublic, tmp_path: Path) -> None:
    answer = await ask(helper(tmp_path, server) | {"AWS_REGION": "us-west-2"}, "get", "public.ecr.aws")
    assert answer.returncode == 0, answer.stdout
    assert json.loads(answer.stdout)["Username"] == "AWS"


async def test_someone_without_aws_credentials_goes_on_without(tmp_path: Path) -> None:
    """The sentence by which docker, skopeo and this package's own reader pull public images anonymously."""
    answer = await ask(helper(tmp_path), "get", "public.ecr.aws")
    assert (answer.returncode, answer.stdout, answer.stderr) == (1, NOT_FOUND, "")


# A profile of someone who has not logged in by ``aws sso login``.
SSO = """sso_session = s
sso_account_id = 1
sso_role_name = r
[sso-session s]
sso_region = us-east-1
sso_start_url = https://example.test"""


@pytest.mark.parametrize(
    ("variables", "config", "says"),
    [
        ({"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "wrong"}, "", "UnrecognizedClientException"),
        ({"AWS_ACCESS_KEY_ID": "key"}, "", "AWS_SECRET_ACCESS_KEY"),
        ({"AWS_PROFILE": "nobody"}, "", "nobody"),
        ({}, "credential_process = sh -c 'exit 1'", "credential"),
        (
            {},
            SSO,
            "SSO",
        ),
    ],
)
async def test_credentials_that_do_not_work_are_told_in_one_line(
    variables: dict[str, str], config: str, says: str, tmp_path: Path, server: LocalECRPublic
) -> None:
    env = helper(tmp_path, server)
    del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    (tmp_path / "aws").write_text(f"[default]\n{config}\n")
    failed = await ask(env | variables | {"AWS_CONFIG_FILE": str(tmp_path / "aws")}, "get", "public.ecr.aws")
    assert (failed.returncode, failed.stderr) == (1, "")
    assert len(failed.stdout.splitlines()) == 1
    assert failed.stdout != NOT_FOUND
    assert says in failed.stdout


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
        env = helper(tmp_path, server) | {"REGISTRY_AUTH_FILE": str(tmp_path / "config.json")}
        env[REGISTRY_URL] = f"http://{host}"
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


@pytest.mark.interop
@pytest.mark.parametrize("tool", ["docker", "skopeo"])
async def test_a_login_and_a_logout_by_others_succeed(
    tool: str, server: LocalECRPublic, tmp_path: Path
) -> None:
    """They store and erase a password, and find out afterwards whether that has worked."""
    host = server.registry_url.removeprefix("http://")
    config = tmp_path / "config.json"
    env = helper(tmp_path, server) | {"DOCKER_CONFIG": str(tmp_path), "REGISTRY_AUTH_FILE": str(config)}
    # No engine: docker then logs in by itself.
    env["DOCKER_HOST"] = f"unix://{tmp_path}/no-engine"
    await use_credential_helper(config, registry=host)
    password = json.loads((await ask(env, "get", host)).stdout)["Secret"]

    async def run(*arguments: str, text: str = "") -> None:
        done = await asyncio.to_thread(
            subprocess.run,
            [require(tool), *arguments],
            input=text,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "credentials" not in done.stderr.replace("AWS credentials", "")
        assert password not in done.stdout + done.stderr + config.read_text()

    plain = ["--tls-verify=false"] if tool == "skopeo" else []
    await run("login", *plain, "--username", "AWS", "--password-stdin", host, text=password)
    assert json.loads(config.read_text())["credHelpers"] == {host: "aioecrpublic"}
    await run("logout", host)
    assert json.loads(config.read_text())["credHelpers"] == {host: "aioecrpublic"}
    assert json.loads((await ask(env, "get", host)).stdout)["Username"] == "AWS"
