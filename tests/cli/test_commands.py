"""The commands as a user types them, in processes of their own."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE
from typing import TYPE_CHECKING

import pytest

from aioecrpublic import ECRPublicClient
from aioecrpublic.local import Fault, FaultKind, LocalECRPublic
from tests.support.oci import LayoutBuilder, random_layer, write_image, write_index
from tests.support.processes import environment, run

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = ("-m", "aioecrpublic")


async def test_push_reports_as_lines_and_as_json(tmp_path: Path) -> None:
    image = write_index(tmp_path / "image")
    async with LocalECRPublic() as server:
        finished = await run(
            *COMMAND, "push", "oci:image:1.0", "team/app:2.0", "--tag", "latest", "--create", "--json",
            cwd=tmp_path, env=environment(tmp_path, server),
        )  # fmt: skip
        assert finished.status == 0, finished.errors
        result = json.loads(finished.output)
        assert result["digest"] == image.digest
        assert result["tags"] == ["2.0", "latest"]
        assert result["layers_skipped"] == 0
        assert f"manifest {image.digest[:19]}: put as latest" in finished.errors
        async with ECRPublicClient(
            endpoint_url=server.endpoint_url, credentials=server.credentials
        ) as client:
            found = await client.wait_until_image_exists(repository_name="team/app", image_tag="latest")
            assert found.image_digest == image.digest


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["oci:nowhere", "team/app"], 2, "nowhere"),
        (["oci-archive:nowhere", "team/app"], 2, "nowhere"),
        (["nowhere", "team/app"], 2, "nowhere"),
        (["oci:image:1.0", "team/app:"], 2, "is not REPOSITORY or REPOSITORY:TAG"),
        (["oci:image:1.0", "team/app@sha256:00"], 2, "is not REPOSITORY or REPOSITORY:TAG"),
        (["oci:image:1.0", "Team/App"], 2, "repository_name 'Team/App' does not match"),
        (["oci:image:1.0", "team/app", "--tag", "-x"], 2, "'-x' is not a tag"),
        (["oci:image:1.0", "team/app", "--platform", "linux"], 2, "platform 'linux'"),
        (["docker://127.0.0.1:1/app@sha", "team/app"], 2, "'sha' is no digest"),
        (["docker:app", "team/app"], 2, "is no image source"),
        (["oci:image:1.0", "team/missing"], 1, "The repository with name 'team/missing' does not exist"),
        (["oci:image:1.0", "team/missing"], 1, "; --create makes it"),
        (
            ["oci:image:1.0", "public.ecr.aws/local/team/app:1.0", "--create"],
            2,
            "'public.ecr.aws/local/team/app' is an image URI; the repository's name is 'team/app'",
        ),
        (["app:latest", "team/app"], 2, "docker://HOST/REPOSITORY:TAG"),
        (["oci:image:9.9", "team/app"], 1, "9.9"),
        (["oci:image:1.0", "team/app", "--platform", "linux/s390x"], 1, "linux/s390x"),
        (["oci:image:1.0", "team/app", "--journal", "notes"], 1, "notes is no journal of aioecrpublic"),
    ],
)
async def test_what_goes_wrong_is_one_line(
    arguments: list[str], status: int, says: str, tmp_path: Path
) -> None:
    write_image(tmp_path / "image")
    (tmp_path / "notes").write_text("precious")
    async with LocalECRPublic() as server:
        finished = await run(*COMMAND, "push", *arguments, cwd=tmp_path, env=environment(tmp_path, server))
    assert finished.status == status, finished.errors
    assert not finished.output
    *progress, line = finished.errors.splitlines()
    assert status == 1 or not progress
    assert line.startswith("aioecrpublic: ")
    assert says in line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["oci:image", "team/app"], "is not docker://HOST/REPOSITORY:TAG"),
        (["docker://127.0.0.1:1/app:1", "team/app:"], "is not REPOSITORY or REPOSITORY:TAG"),
        (["docker://127.0.0.1:1/app:1", "Team/App"], "does not match"),
        (["docker://127.0.0.1:1/app:1", "team/app", "--platform", "x"], "platform 'x'"),
        (["docker://127.0.0.1:1/App:1", "team/app"], "App"),
        ([], "Missing argument 'docker://HOST/REPOSITORY:TAG'. Try 'aioecrpublic copy --help'."),
        (["--nothing"], "--nothing"),
    ],
)
async def test_copies_that_cannot_be_meant_are_refused_before_any_traffic(
    arguments: list[str], says: str, tmp_path: Path
) -> None:
    env = environment(tmp_path) | {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    finished = await run(*COMMAND, "copy", *arguments, cwd=tmp_path, env=env)
    assert finished.status == 2, finished.errors
    assert not finished.output
    (line,) = finished.errors.splitlines()
    assert line.startswith("aioecrpublic: ")
    assert says in line


async def test_what_is_attached_and_cannot_be_pushed_is_told(tmp_path: Path) -> None:
    builder = LayoutBuilder(tmp_path / "image")
    image = builder.tag(builder.image([random_layer(100, 1)]), "1.0")
    lost = builder.artifact(image, b"lost", "application/x-signature")
    builder.tag(lost, None)
    kept = builder.artifact(image, b"kept", "application/x-signature")
    builder.tag(kept, None)
    lost.path(lost.layers[0]).unlink()
    words = ("push", "oci:image:1.0", "team/app:1.0", "--create", "--referrers", "--json")
    async with LocalECRPublic() as server:
        finished = await run(*COMMAND, *words, cwd=tmp_path, env=environment(tmp_path, server))
        assert await server.read_manifest("team/app", kept.digest) == kept.read(kept.digest)
    assert finished.status == 3, finished.errors
    (failure,) = json.loads(finished.output)["referrers_failed"]
    assert failure["digest"] == lost.digest
    assert finished.errors.splitlines()[-2:] == [
        f"aioecrpublic: referrer {lost.digest}: {failure['reason']}",
        "aioecrpublic: the image is pushed, 1 of what is attached to it could not be",
    ]


async def test_usage_errors_have_a_status_of_their_own(tmp_path: Path) -> None:
    finished = await run(*COMMAND, "push", cwd=tmp_path, env=environment(tmp_path))
    assert finished.status == 2
    assert "Missing argument" in finished.errors


@pytest.mark.parametrize("command", ["", "push", "local", "demo"])
async def test_every_command_has_help(command: str, tmp_path: Path) -> None:
    finished = await run(*COMMAND, *command.split(), "--help", cwd=tmp_path, env=environment(tmp_path))
    assert finished.status == 0
    assert "Usage: aioecrpublic" in finished.output


async def test_demo_pushes_describes_and_skips(tmp_path: Path) -> None:
    image = write_index(tmp_path / "image", layer_size=200_000)
    # What is configured for AWS is not the demo's.
    env = environment(tmp_path) | {"AWS_PROFILE": "nobody", "http_proxy": "http://127.0.0.1:1"}
    finished = await run(*COMMAND, "demo", "--image", "oci:image", cwd=tmp_path, env=env)
    assert finished.status == 0, finished.errors
    assert image.digest[7:15] in finished.output
    layers = len(image.layers) + len(image.configs)
    assert f"{layers} layers uploaded" in finished.output
    assert f"All {layers} layers were skipped, 0 bytes sent." in finished.output


async def test_local_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    write_image(tmp_path / "image")
    process = await asyncio.create_subprocess_exec(
        sys.executable, *COMMAND, "local", "--data-dir", "data", "--quotas", "--latency", "0.001",
        cwd=tmp_path, env=environment(tmp_path), stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    exports: dict[str, str] = {}
    async with asyncio.timeout(20):
        while "AIOECRPUBLIC_REGISTRY_URL" not in exports:
            match = re.fullmatch(rb"export (\w+)=(\S*)\n", await process.stdout.readline())
            assert match is not None
            exports[match[1].decode()] = match[2].decode()
    for words in ("push oci:image:1.0 team/app:1.0 --create", "prune team/app --untagged"):
        finished = await run(*COMMAND, *words.split(), cwd=tmp_path, env=environment(tmp_path) | exports)
        assert finished.status == 0, finished.errors
    process.send_signal(signal.SIGINT)
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert (tmp_path / "data" / "registry.sqlite").exists()


@pytest.mark.slow
async def test_an_interrupted_push_says_how_to_go_on(tmp_path: Path) -> None:
    write_image(tmp_path / "image", layers=1, layer_size=8 * 1024 * 1024)
    # So that it cannot be done before it is interrupted.
    waiting = Fault(kind=FaultKind.DELAY, operation="CompleteLayerUpload", delay=5)
    async with LocalECRPublic(faults=[waiting]) as server:
        async with ECRPublicClient(
            endpoint_url=server.endpoint_url, credentials=server.credentials
        ) as client:
            await client.create_repository(repository_name="team/app")
        process = await asyncio.create_subprocess_exec(
            sys.executable, *COMMAND, "push", "oci:image:1.0", "team/app:1.0", "--journal", "journal",
            cwd=tmp_path, env=environment(tmp_path, server), stderr=PIPE,
        )  # fmt: skip
        assert process.stderr is not None
        await process.stderr.readline()
        os.kill(process.pid, signal.SIGINT)
        errors = (await process.communicate())[1].decode()
        assert process.returncode == 130
        assert errors.splitlines()[-1].startswith("aioecrpublic: interrupted: run the same command again")
        finished = await run(
            *COMMAND, "push", "oci:image:1.0", "team/app:1.0", "--journal", "journal",
            cwd=tmp_path, env=environment(tmp_path, server),
        )  # fmt: skip
    assert finished.status == 0, finished.errors


async def test_profiles_and_endpoints_are_taken_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "about.md").write_text("# App")
    async with LocalECRPublic() as server:
        keys = server.credentials
        env = environment(tmp_path) | {"AWS_CONFIG_FILE": str(tmp_path / "config")}
        (tmp_path / "config").write_text(
            f"[profile whole]\naws_access_key_id = {keys.access_key_id}\n"
            f"aws_secret_access_key = {keys.secret_access_key}\nendpoint_url = {server.endpoint_url}\n"
            f"[profile keys]\naws_access_key_id = {keys.access_key_id}\n"
            f"aws_secret_access_key = {keys.secret_access_key}\nendpoint_url = http://127.0.0.1:1\n"
        )
        async with ECRPublicClient(endpoint_url=server.endpoint_url, credentials=keys) as client:
            await client.create_repository(repository_name="team/app")
        here = ("--endpoint-url", server.endpoint_url)
        for options in (("--profile", "whole"), ("--profile", "keys", *here)):
            for words in (("catalog", "page", "team/app"), ("login", "--config", "docker.json")):
                finished = await run(*COMMAND, *words, "--json", *options, cwd=tmp_path, env=env)
                assert finished.status == 0, finished.errors
                assert json.loads(finished.output)


CLI_ONLY = ("click", "packaging", "rich")
EVERYTHING = """
import sys
import aioecrpublic, aioecrpublic.local, aioecrpublic.manage.credential_helper, aioecrpublic.push
for name in aioecrpublic.__all__:
    getattr(aioecrpublic, name)
print(sorted({name.partition(".")[0] for name in sys.modules}))
"""


async def test_the_library_does_not_load_what_the_commands_need(tmp_path: Path) -> None:
    finished = await run("-c", EVERYTHING, cwd=tmp_path, env=environment(tmp_path))
    assert finished.status == 0, finished.errors
    loaded = set(ast.literal_eval(finished.output))
    assert "aiohttp" in loaded
    assert not loaded & set(CLI_ONLY)


async def test_commands_without_what_they_need_say_what_to_install(tmp_path: Path) -> None:
    for missing, words in (("click rich", "click and rich"), ("packaging", "packaging")):
        lack = f"import sys; sys.modules.update(dict.fromkeys({missing.split()}))"
        script = f"{lack}; from aioecrpublic.cli import main; main()"
        finished = await run("-c", script, cwd=tmp_path, env=environment(tmp_path))
        says = f"aioecrpublic: {words} not installed; run: pip install 'aioecrpublic[cli]'\n"
        assert (finished.status, finished.output, finished.errors) == (1, "", says)
