"""Where a registry listens, and that its clients find it there: IPv6, all addresses, names."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from aioecrpublic import ConfigurationError, ECRPublicClient, open_image, push_image
from aioecrpublic.images import load_image
from aioecrpublic.local import LocalECRPublic
from aioecrpublic.types import RepositoryCatalogDataInput
from tests.local.rules.helpers import boto
from tests.local.test_slow_peers import PATIENT, connect, send_all
from tests.support.exchange import exchange
from tests.support.oci import write_image
from tests.support.processes import environment

if TYPE_CHECKING:
    from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n"
BOUND = 60.0


def has_ipv6() -> bool:
    """Whether this machine has the loopback address of IPv6."""
    with closing(socket.socket(socket.AF_INET6)) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("::", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104 - what is tested
    ],
)
async def test_clients_find_it_where_it_says_it_is(host: str, shown: str, tmp_path: Path) -> None:
    if shown == "::1" and not has_ipv6():
        pytest.skip("no IPv6 on this machine")
    image = write_image(tmp_path / "image")
    async with (
        LocalECRPublic(host=host) as server,
        ECRPublicClient(endpoint_url=server.endpoint_url, credentials=server.credentials) as client,
    ):
        assert urlsplit(server.endpoint_url).hostname == urlsplit(server.registry_url).hostname == shown
        assert server.environment["AWS_ENDPOINT_URL_ECR_PUBLIC"] == server.endpoint_url
        await client.create_repository(
            repository_name="team/app", catalog_data=RepositoryCatalogDataInput(logo_image_blob=PNG)
        )
        result = await push_image(client, image.directory, "team/app", ["1.0"])
        assert result.repository_uri == "public.ecr.aws/local/team/app"
        catalog = await client.get_repository_catalog_data(repository_name="team/app")
        assert catalog.catalog_data is not None
        logo = catalog.catalog_data.logo_url or ""
        assert logo.startswith(server.endpoint_url)
        found = await asyncio.to_thread(exchange, server.endpoint_url, "GET", urlsplit(logo).path)
        assert found.body == PNG
        with closing(await asyncio.to_thread(boto, server)) as other:
            reply = await asyncio.to_thread(other.describe_repositories)
            assert len(reply["repositories"]) == 1
        authority = urlsplit(server.registry_url).netloc
        async with open_image(f"docker://{authority}/local/team/app:1.0") as source:
            assert (await load_image(source)).root.descriptor.digest == result.digest


@pytest.mark.parametrize(
    ("host", "port", "says"),
    [
        ("", 0, "host must not be empty"),
        ("nowhere.invalid", 0, "cannot listen on nowhere.invalid port 0: "),
        ("a" * 70, 0, "label too long"),
        ("a\0b", 0, "null character"),
        ("127.0.0.1", 70_000, "port must be 0-65535"),
        ("127.0.0.1", -1, "port must be 0-65535"),
    ],
)
async def test_an_address_that_is_none_is_refused(host: str, port: int, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        async with LocalECRPublic(host=host, port=port):
            pytest.fail("a registry nowhere")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_command_ends_whoever_is_connected(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "aioecrpublic", "local", "--host", "127.0.0.2", "--data-dir", "data"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=tmp_path, env=environment(tmp_path), stdout=PIPE, stderr=PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(BOUND):
        line = (await process.stdout.readline()).decode()
        assert line.startswith("export AWS_ENDPOINT_URL_ECR_PUBLIC=")
        url = line.strip().partition("=")[2]
        with ExitStack() as stack:

            class Server:
                endpoint_url = registry_url = url

            for what in PATIENT[:3]:
                connection = stack.enter_context(closing(connect(Server)))
                send_all(connection, what(Server))
            process.send_signal(number)
            _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()


@pytest.mark.slow
@pytest.mark.parametrize(("host", "warned"), [("0.0.0.0", True), ("127.0.0.1", False), ("::1", False)])  # noqa: S104
async def test_the_command_warns_of_an_address_that_others_reach(
    tmp_path: Path, host: str, *, warned: bool
) -> None:
    if host == "::1" and not has_ipv6():
        pytest.skip("no IPv6 on this machine")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aioecrpublic", "local", "--host", host),
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=PIPE,
        stderr=PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(BOUND):
        await process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
    assert (f"warning: who reaches {host} may pull" in errors.decode()) == warned
