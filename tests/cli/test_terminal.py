"""Every command in a real terminal: help, what it is for, bad input, Ctrl-C."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from aioecrpublic import push_image
from aioecrpublic.local import LocalECRPublic
from tests.push.helpers import connect, tags_of
from tests.support.docker_registry import docker_registry
from tests.support.oci import write_image, write_index
from tests.support.processes import environment, run
from tests.support.terminal import in_terminal
from tests.support.tools import skopeo

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

COMMAND = ("-m", "aioecrpublic")


@asynccontextmanager
async def silence() -> AsyncGenerator[tuple[str, asyncio.Event]]:
    """A host that takes connections and says nothing, and what is set once somebody has asked it."""
    asked = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


@pytest.mark.parametrize("command", ["copy", "demo", "local", "login", "prune", "push"])
async def test_help(command: str, tmp_path: Path) -> None:
    seen = await in_terminal(*COMMAND, command, "--help", cwd=tmp_path, env=environment(tmp_path))
    assert seen.status == 0
    assert f"Usage: aioecrpublic {command}" in seen.screen


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        ("copy oci:image team/app", 1, "is not docker://HOST/REPOSITORY:TAG"),
        ("copy docker://127.0.0.1:1/team/app:1.0 team/app:", 1, "is not REPOSITORY or REPOSITORY:TAG"),
        ("login --config bad.json", 1, "bad.json: not JSON"),
        ("prune team/app", 1, "rules that remove everything"),
        ("prune team/app --older-than 3x", 2, "is not a number of hours"),
        ("prune team/app --keep-newest 1", 1, "registry_url is needed"),
        ("prune team/missing --keep-newest 1 --registry-url http://127.0.0.1:1", 1, "does not exist"),
        ("push nowhere team/app", 1, "no such file or directory"),
        ("local --port 99999", 2, "99999 is not in the range"),
        ("local --latency -1", 2, "-1.0 is not in the range"),
        ("local --data-dir bad.json", 1, "bad.json: "),
        ("demo --image nowhere", 1, "no such file or directory"),
    ],
)
async def test_bad_input_is_a_line(arguments: str, status: int, says: str, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    async with LocalECRPublic() as server, connect(server) as client:
        await client.create_repository(repository_name="team/app")
        env = environment(tmp_path, server)
        seen = await in_terminal(*COMMAND, *arguments.split(), cwd=tmp_path, env=env)
    assert seen.status == status, seen.screen
    assert says in seen.screen.splitlines()[-1]
    assert "Traceback" not in seen.screen


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            "copy docker://{silent}/team/app:1.0 team/app --journal j",
            "the same command again with --journal j",
        ),
        ("push oci:image:1.0 team/app", "run the same command again; finished layers are not sent again"),
        ("login --config config.json", "docker's configuration file is either as it was or complete"),
        ("prune team/app --keep-newest 1 --registry-url http://{silent}", "it plans anew"),
    ],
)
async def test_ctrl_c(arguments: str, says: str, tmp_path: Path) -> None:
    write_image(tmp_path / "image")
    async with LocalECRPublic() as server, silence() as (silent, asked):
        env = environment(tmp_path, server) | {"AWS_ENDPOINT_URL_ECR_PUBLIC": f"http://{silent}"}
        words = arguments.format(silent=silent).split()
        seen = await in_terminal(*COMMAND, *words, cwd=tmp_path, env=env, interrupt_after=asked.wait())
    assert seen.status == 130, seen.screen
    assert "aioecrpublic: interrupted: " in seen.screen
    assert says in seen.screen
    assert "Traceback" not in seen.screen


@pytest.mark.interop
async def test_copy(tmp_path: Path) -> None:
    image = write_index(tmp_path / "image", real_layers=True)
    with docker_registry(tmp_path / "registry") as host:
        skopeo(
            "copy", "--all", "--preserve-digests", "--dest-tls-verify=false",
            f"oci:{image.directory}:1.0", f"docker://{host}/team/app:1.0",
        )  # fmt: skip
        async with LocalECRPublic() as server, connect(server) as client:
            env = environment(tmp_path, server)
            words = ("copy", f"docker://{host}/team/app:1.0", "mirror/app", "--create")
            seen = await in_terminal(*COMMAND, *words, cwd=tmp_path, env=env)
            assert seen.status == 0, seen.screen
            assert f"manifest {image.digest[:19]}: put as 1.0" in seen.screen
            assert (await tags_of(client, "mirror/app"))[image.digest] == ["1.0"]
            again = await run(*COMMAND, *words, "--json", cwd=tmp_path, env=env)
    assert json.loads(again.output)["layers_uploaded"] == 0


async def test_login(tmp_path: Path) -> None:
    async with LocalECRPublic() as server:
        env = environment(tmp_path, server) | {"AWS_REGION": "us-west-2"}
        words = ("login", "--config", "config.json")
        seen = await in_terminal(*COMMAND, *words, cwd=tmp_path, env=env)
        assert seen.status == 0, seen.screen
        assert "logged in to public.ecr.aws until " in seen.screen
        assert "auth" in json.loads((tmp_path / "config.json").read_text())["auths"]["public.ecr.aws"]
        helped = await run(*COMMAND, *words, "--helper", "--json", cwd=tmp_path, env=env)
    assert json.loads(helped.output) == {"registry": "public.ecr.aws", "helper": True, "expires_at": None}
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["credHelpers"] == {"public.ecr.aws": "aioecrpublic"}


async def test_prune(tmp_path: Path) -> None:
    async with LocalECRPublic() as server, connect(server) as client:
        env = environment(tmp_path, server)
        old = write_image(tmp_path / "old", tag="old", seed=1)
        new = write_image(tmp_path / "new", tag="new", seed=2)
        for image, tag in ((old, "old"), (new, "new")):
            source = f"oci:{image.directory}:{tag}"
            await push_image(client, source, "team/app", [tag], create_repository=True)
        # Images with tags that are no indexes need not be read.
        words = ("prune", "team/app", "--keep-newest", "1", "--registry-url", "http://127.0.0.1:1")
        shown = await in_terminal(*COMMAND, *words, cwd=tmp_path, env=env)
        assert shown.status == 0, shown.screen
        assert old.digest[:19] in shown.screen
        assert "images would be deleted: 1 (" in shown.screen
        assert len(await tags_of(client, "team/app")) == 2
        seen = await in_terminal(*COMMAND, *words, "--delete", cwd=tmp_path, env=env)
        assert seen.status == 0, seen.screen
        assert "images deleted: 1 (" in seen.screen
        assert await tags_of(client, "team/app") == {new.digest: ["new"]}
        again = await run(*COMMAND, *words, "--delete", "--json", cwd=tmp_path, env=env)
    document = json.loads(again.output)
    assert (document["remove"], document["deleted"], document["failures"]) == ([], [], [])
    assert [image["digest"] for image in document["keep"]] == [new.digest]
