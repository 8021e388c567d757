"""Every command in a real terminal: help, what it is for, bad input, Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from aioecrpublic import push_image
from aioecrpublic.local import LocalECRPublic
from aioecrpublic.push.budget import MIB
from aioecrpublic.types import RepositoryCatalogDataInput
from tests.push.helpers import connect, tags_of
from tests.support.docker_registry import docker_registry
from tests.support.oci import write_image, write_index
from tests.support.processes import environment, run
from tests.support.terminal import CTRL_C, in_terminal, terminal
from tests.support.tools import skopeo
from tests.support.wire import Wire, answer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from tests.support.terminal import Terminal
    from tests.support.wire import Received

pytestmark = pytest.mark.interop

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


def write_page(directory: Path, *, logo: bytes = b"\x89PNG\r\n\x1a\n" + bytes(100)) -> None:
    """Write a page of the gallery."""
    directory.mkdir()
    (directory / "about.md").write_text("# App\n\nNew.\n")
    (directory / "catalog.toml").write_text('architectures = ["arm64"]')
    (directory / "logo.png").write_bytes(logo)


@pytest.mark.parametrize("command", ["catalog", "copy", "demo", "local", "login", "prune", "push"])
async def test_help(command: str, tmp_path: Path) -> None:
    seen = await in_terminal(*COMMAND, command, "--help", cwd=tmp_path, env=environment(tmp_path))
    assert seen.status == 0
    assert f"Usage: aioecrpublic {command}" in seen.screen


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        ("copy oci:image team/app", 2, "is not docker://HOST/REPOSITORY:TAG"),
        ("copy docker://127.0.0.1:1/team/app:1.0 team/app:", 2, "is not REPOSITORY or REPOSITORY:TAG"),
        ("catalog missing team/app", 1, "missing: cannot be read: No such file or directory"),
        ("catalog page team/app", 1, "page/logo.png: neither a PNG nor a JPEG image"),
        ("catalog", 2, "Missing argument 'DIRECTORY'"),
        (
            "login --registry ghcr.io --helper",
            1,
            "gives no password for 'ghcr.io'; --registry must be one of",
        ),
        (
            "login --registry https://x",
            1,
            "registry must be a host, with a port or without (got 'https://x')",
        ),
        ("login --config bad.json", 1, "bad.json: not valid JSON"),
        ("prune team/app", 1, "rules that remove everything"),
        ("prune team/app --older-than 3x", 2, "is not a number of hours"),
        ("prune team/app --keep-newest 1", 1, "registry_url is needed"),
        ("prune team/missing --keep-newest 1 --registry-url http://127.0.0.1:1", 1, "does not exist"),
        ("push nowhere team/app", 2, "no such file or directory"),
        ("push oci:image team/app --profile nobody", 1, "nobody"),
        ("push oci:image team/app --endpoint-url nowhere", 1, "nowhere"),
        ("local --port 99999", 2, "99999 is not in the range"),
        ("local --latency -1", 2, "-1.0 is not in the range"),
        ("local --port {port}", 1, "address already in use"),
        ("local --data-dir bad.json", 1, "bad.json: "),
        ("local --data-dir damaged", 1, "not a database"),
        ("demo --image nowhere", 2, "no such file or directory"),
    ],
)
async def test_bad_input_is_a_line(arguments: str, status: int, says: str, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    write_page(tmp_path / "page", logo=b"<svg/>")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "registry.sqlite").write_bytes(b"not SQLite" * 1000)
    async with LocalECRPublic() as server, connect(server) as client:
        await client.create_repository(repository_name="team/app")
        env = environment(tmp_path, server)
        words = arguments.format(port=server.endpoint_url.rpartition(":")[2]).split()
        seen = await in_terminal(*COMMAND, *words, cwd=tmp_path, env=env)
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
        ("catalog page team/app --apply", "the page is either as it was or complete"),
        ("login --config config.json", "docker's configuration file is either as it was or complete"),
        ("prune team/app --keep-newest 1 --registry-url http://{silent}", "it plans anew"),
    ],
)
async def test_ctrl_c(arguments: str, says: str, tmp_path: Path) -> None:
    write_image(tmp_path / "image")
    write_page(tmp_path / "page")
    async with LocalECRPublic() as server, silence() as (silent, asked):
        env = environment(tmp_path, server) | {"AWS_ENDPOINT_URL_ECR_PUBLIC": f"http://{silent}"}
        words = arguments.format(silent=silent).split()
        seen = await in_terminal(*COMMAND, *words, cwd=tmp_path, env=env, interrupt_after=asked.wait())
    assert seen.status == 130, seen.screen
    assert "aioecrpublic: interrupted: " in seen.screen
    assert says in seen.screen
    assert "Traceback" not in seen.screen


async def test_push(tmp_path: Path) -> None:
    image = write_image(tmp_path / "image", layers=2, layer_size=30 * MIB)
    async with LocalECRPublic(latency=0.3) as server, connect(server) as client:
        env = environment(tmp_path, server)
        words = ("push", "oci:image:1.0", "team/app:1.0", "--create", "--journal", "journal")
        async with terminal(*COMMAND, *words, cwd=tmp_path, env=env) as opened:
            await opened.shows(f"image {image.digest[:19]}: 3 layers, 62.9 MB")
            await until_confirmed(opened, image.layers[0][:19])
            await opened.press(CTRL_C)
            seen = await opened.end()
        assert seen.status == 130, seen.screen
        again = "run the same command again with --journal journal; it goes on in the middle of the layers"
        assert seen.screen.splitlines()[-1] == f"aioecrpublic: interrupted: {again}"
        assert (tmp_path / "journal").exists()
        seen = await in_terminal(*COMMAND, *words, cwd=tmp_path, env=env)
        assert seen.status == 0, seen.screen
        assert seen.screen.splitlines()[-1].startswith("pushed public.ecr.aws/local/team/app:1.0: ")
        # The bars are gone; what was done has become lines.
        assert "━" not in seen.screen
        assert not (tmp_path / "journal").exists()
        assert await tags_of(client, "team/app") == {image.digest: ["1.0"]}


async def until_confirmed(opened: Terminal, name: str) -> None:
    """Wait for the bar of a layer, and for that of the whole to show that something has arrived."""
    bar = re.compile(rf"^{name} +[━╸╺]+ +[0-9.]+/", re.MULTILINE)
    total = re.compile(r"^total +[━╸╺]+ +[1-9][0-9.]*/", re.MULTILINE)
    async with asyncio.timeout(60):
        while not (bar.search(screen := await opened.screen()) and total.search(screen)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_demo(tmp_path: Path) -> None:
    image = write_index(tmp_path / "image")
    env = environment(tmp_path)
    seen = await in_terminal(*COMMAND, "demo", "--image", "oci:image", cwd=tmp_path, env=env)
    assert seen.status == 0, seen.screen
    assert image.digest[:19] in seen.screen
    assert f"All {len(image.layers) + len(image.configs)} layers were skipped, 0 bytes sent." in seen.screen


async def test_demo_can_be_interrupted_while_it_makes_its_image(tmp_path: Path) -> None:
    env = environment(tmp_path) | {"TMPDIR": str(tmp_path)}
    async with terminal(*COMMAND, "demo", cwd=tmp_path, env=env) as opened:
        await opened.shows("Making an image out of Python's standard library")
        await opened.press(CTRL_C)
        seen = await opened.end()
    assert seen.status == 130, seen.screen
    assert seen.screen.splitlines()[-1].endswith("aioecrpublic: interrupted")
    assert not list(tmp_path.iterdir())


async def test_local(tmp_path: Path) -> None:
    image = write_image(tmp_path / "image")
    words = ("local", "--data-dir", "data")
    async with terminal(*COMMAND, *words, cwd=tmp_path, env=environment(tmp_path)) as opened:
        screen = await opened.shows("export AIOECRPUBLIC_REGISTRY_URL=")
        exports = dict(re.findall(r"^export (\w+)=(\S*)$", screen, re.MULTILINE))
        # Of a terminal in which somebody has worked with AWS before.
        env = environment(tmp_path) | {"AWS_SESSION_TOKEN": "another account's"} | exports
        pushed = await run(
            *COMMAND, "push", "oci:image:1.0", "team/app:1.0", "--create", cwd=tmp_path, env=env
        )
        assert pushed.status == 0, pushed.errors
        await opened.press(CTRL_C)
        seen = await opened.end()
    assert seen.status == 0, seen.screen
    assert "Traceback" not in seen.screen
    async with LocalECRPublic(data_dir=tmp_path / "data") as server, connect(server) as client:
        assert await tags_of(client, "team/app") == {image.digest: ["1.0"]}


async def test_catalog(tmp_path: Path) -> None:
    write_page(tmp_path / "page")
    async with LocalECRPublic() as server, connect(server) as client:
        env = environment(tmp_path, server)
        await client.create_repository(
            repository_name="team/app",
            catalog_data=RepositoryCatalogDataInput(about_text="# App\n\nOld.", architectures=["x86"]),
        )
        words = ("catalog", "page", "team/app")
        shown = await in_terminal(*COMMAND, *words, cwd=tmp_path, env=env)
        assert shown.status == 0, shown.screen
        lines = shown.screen.splitlines()
        assert lines[:2] == ["--- about_text", "+++ about.md"]
        assert {"-Old.", "+New.", " # App", "-x86", "+arm64", "+++ logo.png"} < set(lines)
        assert "note: architectures has 'arm64', which the gallery neither shows nor searches" in shown.screen
        assert lines[-1] == "team/app: would be sent: about_text, architectures, logo"
        sent = await in_terminal(*COMMAND, *words, "--apply", cwd=tmp_path, env=env)
        assert sent.status == 0, sent.screen
        assert sent.screen.splitlines()[-1] == "team/app: sent: about_text, architectures, logo"
        data = (await client.get_repository_catalog_data(repository_name="team/app")).catalog_data
        assert data is not None
        assert (data.about_text, data.architectures) == ("# App\n\nNew.", ["arm64"])
        again = await in_terminal(*COMMAND, *words, "--apply", cwd=tmp_path, env=env)
        assert again.screen.splitlines()[-1] == "team/app: nothing differs, nothing was sent"
        (tmp_path / "page" / "about.md").unlink()
        document = json.loads(
            (await run(*COMMAND, *words, "--apply", "--json", cwd=tmp_path, env=env)).output
        )
    assert document["changes"] == [
        {"member": "about_text", "file": "about.md", "before": "# App\n\nNew.", "after": None}
    ]
    assert (document["sent"], document["applied"], document["unconfirmed"]) == (True, True, [])


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
    assert config["credHelpers"] == dict.fromkeys(("public.ecr.aws", "ecr-public.aws.com"), "aioecrpublic")


async def test_a_login_to_a_local_registry_leaves_that_to_aws_alone(tmp_path: Path) -> None:
    async with LocalECRPublic() as server:
        env = environment(tmp_path) | server.environment
        for words in (("login", "--config", "a.json"), ("login", "--config", "b.json", "--helper")):
            seen = await in_terminal(*COMMAND, *words, cwd=tmp_path, env=env)
            assert seen.status == 0, seen.screen
        host = server.registry_url.removeprefix("http://")
    assert json.loads((tmp_path / "a.json").read_text())["auths"].keys() == {host}
    assert json.loads((tmp_path / "b.json").read_text()) == {"credHelpers": {host: "aioecrpublic"}}


async def test_prune(tmp_path: Path) -> None:
    async with LocalECRPublic() as server, connect(server) as client:
        env = environment(tmp_path, server)
        old = write_image(tmp_path / "old", tag="old", seed=1)
        new = write_image(tmp_path / "new", tag="new", seed=2)
        for image, tag in ((old, "old"), (new, "new")):
            source = f"oci:{image.directory}:{tag}"
            await push_image(client, source, "team/app", [tag], create_repository=True)
        words = ("prune", "team/app", "--keep-newest", "1", "--registry-url", server.registry_url)
        shown = await in_terminal(*COMMAND, *words, cwd=tmp_path, env=env)
        assert shown.status == 0, shown.screen
        assert old.digest[:19] in shown.screen
        assert "images would be deleted: 1 (" in shown.screen
        lines = (await run(*COMMAND, *words, cwd=tmp_path, env=env)).output.splitlines()
        assert len(lines) == 2
        assert re.fullmatch(
            rf"image {old.digest[:19]} \(old\), [0-9.]+ kB: is not one of the newest 1", lines[0]
        )
        assert len(await tags_of(client, "team/app")) == 2
        seen = await in_terminal(*COMMAND, *words, "--apply", cwd=tmp_path, env=env)
        assert seen.status == 0, seen.screen
        assert "images deleted: 1 (" in seen.screen
        assert await tags_of(client, "team/app") == {new.digest: ["new"]}
        again = await run(*COMMAND, *words, "--apply", "--json", cwd=tmp_path, env=env)
    document = json.loads(again.output)
    assert (document["remove"], document["deleted"], document["failures"]) == ([], [], [])
    assert [image["digest"] for image in document["keep"]] == [new.digest]


HOSTILE = "a\x1b[2J\x9b1m\r\n[red]b[/red]\u202e:boom:"
HARMLESS = r"a\x1b[2J\x9b1m  [red]b[/red]\u202e:boom:"


def with_hostile_text(asked: Received) -> bytes:
    """What a service answers that wants to do something to the terminal."""
    image = {
        "imageDigest": f"sha256:{'a' * 64}",
        "imageTags": [HOSTILE],
        "imageManifestMediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "imagePushedAt": 1_767_225_600,
    }
    failure = {
        "imageId": {"imageDigest": image["imageDigest"]},
        "failureCode": "No",
        "failureReason": HOSTILE,
    }
    page = {"aboutText": HOSTILE, "architectures": [HOSTILE], "description": f"old {HOSTILE}"}
    return answer({
        "DescribeRepositories": {"repositories": [{"repositoryUri": "public.ecr.aws/local/team/app"}]},
        "DescribeImages": {"imageDetails": [image]},
        "BatchDeleteImage": {"failures": [failure]},
        "GetRepositoryCatalogData": {"catalogData": page},
    }[asked.operation])  # fmt: skip


@pytest.mark.parametrize("apply", [(), ("--apply",)])
async def test_prune_shows_text_from_outside_harmlessly(apply: tuple[str, ...], tmp_path: Path) -> None:
    async with LocalECRPublic() as server, Wire() as wire:
        wire.default = with_hostile_text
        env = environment(tmp_path, server) | {"AWS_ENDPOINT_URL_ECR_PUBLIC": wire.url}
        words = ("prune", "team/app", "--keep-newest", "0", "--registry-url", wire.url, *apply)
        seen = await in_terminal(*COMMAND, *words, cwd=tmp_path, env=env)
        lines = await run(*COMMAND, *words, cwd=tmp_path, env=env)
        document = json.loads((await run(*COMMAND, *words, "--json", cwd=tmp_path, env=env)).output)
    assert HARMLESS in seen.screen
    assert seen.status == lines.status == len(apply)
    first, *others = lines.output.splitlines()
    assert first.startswith(f"image sha256:aaaaaaaaaaaa ({HARMLESS}), 0 bytes: ")
    assert not apply or first.endswith(f": not deleted: No: {HARMLESS}")
    assert all(line.isprintable() for line in (first, *others))
    assert document["remove"][0]["tags"] == [HOSTILE]


async def test_catalog_shows_text_from_outside_harmlessly(tmp_path: Path) -> None:
    write_page(tmp_path / "page")
    (tmp_path / "page" / "about.md").write_bytes(HOSTILE.encode())
    (tmp_path / "page" / "catalog.toml").write_text(f"architectures = [{json.dumps('b' + HOSTILE)}]")
    async with LocalECRPublic() as server, Wire() as wire:
        wire.default = with_hostile_text
        env = environment(tmp_path, server) | {"AWS_ENDPOINT_URL_ECR_PUBLIC": wire.url}
        words = ("catalog", "page", "team/app")
        seen = await in_terminal(*COMMAND, *words, cwd=tmp_path, env=env)
        lines = await run(*COMMAND, *words, cwd=tmp_path, env=env)
        document = json.loads((await run(*COMMAND, *words, "--json", cwd=tmp_path, env=env)).output)
    assert seen.status == lines.status == 0, seen.screen
    for shown in (seen.screen, lines.output):
        assert f"-{HARMLESS}" in shown
        assert f"+b{HARMLESS}" in shown
        assert r"[red]b[/red]\u202e:boom:" in shown
    assert all(line.isprintable() for line in lines.output.splitlines())
    changes = {change["member"]: change for change in document["changes"]}
    assert changes["architectures"]["before"] == [HOSTILE]
