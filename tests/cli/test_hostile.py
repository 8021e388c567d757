"""Commands among hostile registries, services, files and arguments: nothing of it works on the terminal."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.hostile import EVERYTHING, assert_harmless
from tests.support.oci import LayoutBuilder, random_layer, write_image
from tests.support.processes import environment
from tests.support.terminal import terminal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

COMMAND = ("-m", "aioecrpublic")
# What may stand in a header: no line break, and bytes alone.
IN_HEADER = EVERYTHING.replace("\n", "").replace("\r", "").replace("\0", "").encode("utf-8", "surrogatepass")


def reply(status: int, body: bytes, *headers: bytes, reason: bytes = b"OK") -> bytes:
    head = [b"HTTP/1.1 %d %s" % (status, reason), b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([*head, b"Connection: close", b"", body])


@asynccontextmanager
async def server(answer: Callable[[str, dict[str, str], bytes], bytes]) -> AsyncGenerator[str]:
    """A host that answers each request with what ``answer`` makes of its path, headers and body."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            writer.write(answer(head[0].split()[1], headers, body))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"


async def write(*words: str | bytes, cwd: Path, env: dict[str, str]) -> tuple[int | None, bytes, bytes]:
    """Run a command; its status and what it has written to both outputs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, cwd=cwd, env=env, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, output, errors


async def run(*words: str | bytes, cwd: Path, env: dict[str, str]) -> tuple[int | None, str, str]:
    """Run a command and hold that all that it writes is harmless."""
    status, output, errors = await write(*COMMAND, *words, cwd=cwd, env=env)
    assert_harmless(output.decode())
    assert_harmless(errors.decode())
    assert b"Traceback" not in errors
    return status, output.decode(), errors.decode()


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path) | {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


def hostile_errors(path: str, headers: dict[str, str], body: bytes) -> bytes:
    """A registry that refuses everything, with its own words wherever there is room for them."""
    errors = {"errors": [{"code": EVERYTHING, "message": EVERYTHING, "detail": {EVERYTHING: EVERYTHING}}]}
    return reply(403, json.dumps(errors).encode(), b"X-Words: " + IN_HEADER, reason=IN_HEADER)


def hostile_challenge(path: str, headers: dict[str, str], body: bytes) -> bytes:
    return reply(401, b"", b'WWW-Authenticate: Bearer realm="' + IN_HEADER + b'"', reason=IN_HEADER)


def hostile_redirect(path: str, headers: dict[str, str], body: bytes) -> bytes:
    return reply(302, b"", b"Location: http://127.0.0.1:1/" + IN_HEADER, reason=IN_HEADER)


def hostile_manifest(path: str, headers: dict[str, str], body: bytes) -> bytes:
    manifest = {
        "schemaVersion": 2,
        "mediaType": EVERYTHING,
        "config": {"mediaType": EVERYTHING},
        EVERYTHING: 1,
    }
    return reply(200, json.dumps(manifest).encode(), b"Content-Type: " + IN_HEADER)


def nonsense(path: str, headers: dict[str, str], body: bytes) -> bytes:
    return b"HTTP/1.1 " + IN_HEADER + b"\r\n" + IN_HEADER + b"\r\n\r\n"


@pytest.mark.parametrize(
    "answer", [hostile_errors, hostile_challenge, hostile_redirect, hostile_manifest, nonsense]
)
async def test_a_hostile_registry(
    answer: Callable[[str, dict[str, str], bytes], bytes], tmp_path: Path, env: dict[str, str]
) -> None:
    async with server(answer) as host:
        words = ("copy", f"docker://{host}/a/b:1", "team/app", "--endpoint-url", "http://127.0.0.1:1")
        status, output, errors = await run(*words, cwd=tmp_path, env=env)
    assert (status, output) == (1, "")
    (line,) = errors.splitlines()
    assert line.startswith("aioecrpublic: ")
    assert host in line


def refusing_service(path: str, headers: dict[str, str], body: bytes) -> bytes:
    error = {"__type": EVERYTHING, "message": EVERYTHING, "Message": EVERYTHING}
    return reply(400, json.dumps(error).encode(), b"x-amzn-requestid: " + IN_HEADER, reason=IN_HEADER)


def lying_service(path: str, headers: dict[str, str], body: bytes) -> bytes:
    """A service that says yes to everything, in its own words."""
    request = json.loads(body)
    operation = headers["x-amz-target"].rpartition(".")[2]
    asked = request.get("layerDigests", ())
    layers = [{"layerDigest": digest, "layerAvailability": "AVAILABLE"} for digest in asked]
    image = {
        "imageDigest": f"sha256:{'0' * 64}", "imageTags": [EVERYTHING], "imageManifestMediaType": EVERYTHING,
        "imageSizeInBytes": 5, "imagePushedAt": 1e9, "repositoryName": EVERYTHING, "registryId": EVERYTHING,
    }  # fmt: skip
    answers: dict[str, Any] = {
        "BatchCheckLayerAvailability": {"layers": layers},
        "DescribeRepositories": {"repositories": [{"repositoryUri": EVERYTHING}]},
        "DescribeImages": {"imageDetails": [image]},
        "GetRepositoryCatalogData": {
            "catalogData": {"aboutText": EVERYTHING, "description": EVERYTHING, "architectures": [EVERYTHING]}
        },
        "GetAuthorizationToken": {"authorizationData": {"authorizationToken": EVERYTHING, "expiresAt": 4e9}},
    }
    return reply(200, json.dumps(answers.get(operation, {})).encode(), b"x-amzn-requestid: " + IN_HEADER)


WORDS = {
    "push": "push oci:image:1.0 team/app:1.0 --create",
    "push as JSON": "push oci:image:1.0 team/app:1.0 --json",
    "prune": "prune team/app --keep-newest 0 --registry-url http://127.0.0.1:1",
    "prune as JSON": "prune team/app --keep-newest 0 --registry-url http://127.0.0.1:1 --json",
    "catalog": "catalog page team/app",
    "catalog as JSON": "catalog page team/app --json",
    "login": "login --config config.json",
}


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
@pytest.mark.parametrize("answer", [refusing_service, lying_service])
async def test_a_hostile_service(
    answer: Callable[[str, dict[str, str], bytes], bytes], words: str, tmp_path: Path, env: dict[str, str]
) -> None:
    write_image(tmp_path / "image")
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "about.md").write_text("New.")
    async with server(answer) as host:
        status, output, errors = await run(
            *words.split(), "--endpoint-url", f"http://{host}", cwd=tmp_path, env=env
        )
    assert status == 0 or errors.splitlines()[-1].startswith("aioecrpublic: ")
    if "--json" in words and output:
        json.loads(output)


ARGUMENTS = """
{}
push --{}
push {} team/app
push oci:{} team/app
push docker://{} team/app
push oci:image {}
push oci:image team/app --tag {}
push oci:image team/app --platform {}
push oci:image team/app --jobs {}
push oci:image team/app --journal nowhere/{}
push oci:image team/app --endpoint-url {}
push oci:image team/app --profile {}
copy {} team/app
copy docker://{} team/app
catalog {} team/app
catalog page {}
login --config nowhere/{}
demo --image {}
prune {} --untagged
prune team/app --older-than {}
local --port {}
local --host {}
local --data-dir file/{}
""".strip().splitlines()


@pytest.mark.parametrize("words", ARGUMENTS)
async def test_hostile_arguments(words: str, tmp_path: Path, env: dict[str, str]) -> None:
    write_image(tmp_path / "image")
    (tmp_path / "page").mkdir()
    (tmp_path / "file").touch()
    # What the system can hand over: surrogates that stand for bytes that are no text.
    text = EVERYTHING.replace("\0", "").encode("utf-8", "surrogatepass")
    arguments = [word.encode().replace(b"{}", text) for word in words.split()]
    env["AWS_ENDPOINT_URL_ECR_PUBLIC"] = "http://127.0.0.1:1"
    status, output, errors = await run(*arguments, cwd=tmp_path, env=env)
    assert status in {1, 2}, errors
    assert not output or words.startswith("demo")
    assert errors.splitlines()[-1].startswith("aioecrpublic: ")


ENCODINGS = {
    "C": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "ASCII": {"PYTHONIOENCODING": "ascii:strict"},
    "Latin-1": {"PYTHONIOENCODING": "latin-1:strict"},
}


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
async def test_a_terminal_that_cannot_show_it(
    encoding: dict[str, str], tmp_path: Path, env: dict[str, str]
) -> None:
    # A name of many scripts with bytes in it that are nothing.
    name = os.fsdecode("bücher-中文-🙂".encode() + b"\xff\xfe\x1b[2J")
    write_image(tmp_path / name / "image")
    (tmp_path / name / "about.md").write_text("# Ünïcode 中文 🙂\u202e\x1b[2J")
    directory = os.fsencode(tmp_path / name)
    shown = "latin-1" if encoding is ENCODINGS["Latin-1"] else "utf-8"
    async with server(lying_service) as host:
        for words, expected in (
            ((b"push", b"oci:" + directory + b"/image", "team/app", "--json"), 0),
            ((b"push", b"oci:" + directory + b"/nothing", "team/app"), 2),
            ((b"catalog", directory, "team/app"), 0),
            ((b"catalog", directory + b"/nothing", "team/app"), 1),
        ):
            status, output, errors = await write(
                *COMMAND, *words, "--endpoint-url", f"http://{host}", cwd=tmp_path, env=env | encoding
            )
            assert status == expected, errors
            assert b"Traceback" not in errors
            assert_harmless(output.decode(shown))
            assert_harmless(errors.decode(shown))


@pytest.mark.interop
async def test_a_hostile_registry_and_service_in_a_terminal(tmp_path: Path, env: dict[str, str]) -> None:
    write_image(tmp_path / "image")
    async with server(hostile_errors) as registry, server(lying_service) as service:
        for words, status in (
            (("copy", f"docker://{registry}/a/b:1", "team/app"), 1),
            (("push", "oci:image:1.0", "team/app:bomb"), 0),
        ):
            here = ("--endpoint-url", f"http://{service}")
            async with terminal(*COMMAND, *words, *here, cwd=tmp_path, env=env) as opened:
                seen = await opened.end()
                title = await opened.tmux("display-message", "-p", "#{pane_title}")
                buffers = await opened.tmux("list-buffers")
            assert seen.status == status, seen.screen
            # Its words are there to be read, and have done nothing.
            assert r"\x1b]0;owned\x07\x1b]52;c;ZXZpbA==\x07" in seen.screen.replace("\n", "")
            assert "owned" not in title
            assert not buffers
            assert_harmless(seen.screen)


async def test_an_error_that_nobody_has_foreseen_is_shown_harmlessly(
    tmp_path: Path, env: dict[str, str]
) -> None:
    program = (
        "import sys, aioecrpublic.cli.pushing as module\n"
        f"def fail(*arguments): raise LookupError({EVERYTHING!r})\n"
        "module.display = fail\n"
        "sys.argv = ['aioecrpublic', 'push', 'oci:image', 'team/app']\n"
        "from aioecrpublic.cli.main import main; main()\n"
    )
    status, output, errors = await write("-c", program, cwd=tmp_path, env=env)
    assert (status, output) == (1, b"")
    assert b"Traceback" in errors
    assert b"LookupError: \\x1b]0;owned" in errors
    assert_harmless(errors.decode())


async def test_what_other_packages_log_and_warn_of_is_shown_harmlessly(
    tmp_path: Path, env: dict[str, str]
) -> None:
    program = (
        "import logging, warnings\n"
        "from aioecrpublic.cli.output import prepare_streams\n"
        "prepare_streams()\n"
        f"text = {EVERYTHING!r}\n"
        "logging.getLogger('somebody').warning(text)\n"
        "try: raise LookupError(text)\n"
        "except LookupError: logging.getLogger('asyncio').exception('never retrieved')\n"
        "warnings.warn(text)\n"
    )
    status, _, errors = await write("-c", program, cwd=tmp_path, env=env)
    assert status == 0
    assert errors.count(b"\\x1b]0;owned") == 3
    assert b"LookupError" in errors
    assert_harmless(errors.decode())


async def test_what_is_attached_and_odd_is_told_harmlessly(tmp_path: Path, env: dict[str, str]) -> None:
    builder = LayoutBuilder(tmp_path / "image")
    image = builder.tag(builder.image([random_layer(100, 1)]), "1.0")
    artifact = builder.artifact(image, b"odd", EVERYTHING.replace("\udc9b\ud800\udfff", ""))
    builder.tag(artifact, None)
    artifact.path(artifact.layers[0]).unlink()
    async with server(lying_service) as host:
        words = ("push", "oci:image:1.0", "team/app", "--referrers", "--endpoint-url", f"http://{host}")
        status, _, errors = await run(*words, cwd=tmp_path, env=env)
    assert status == 3, errors
