"""Starting, stopping and failing: by itself, in a thread, and in the middle of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aioecrpublic import ConfigurationError
from aioecrpublic.errors import ClientStateError
from aioecrpublic.local import BackgroundECRPublic, LocalECRPublic
from aioecrpublic.local.database import Database
from tests.local.rules.helpers import signed
from tests.local.v2.helpers import logged_in
from tests.support.exchange import exchange
from tests.support.oci import digest_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.rules.helpers import Boto


async def test_what_is_not_running_says_so() -> None:
    registry = LocalECRPublic()
    for _ in range(2):
        with pytest.raises(ClientStateError, match="is not running"):
            _ = registry.endpoint_url
        with pytest.raises(ClientStateError, match="is not running"):
            _ = registry.registry_url
        with pytest.raises(ClientStateError, match="is not running"):
            await registry.read_blob(digest_of(b""))
        async with registry:
            with pytest.raises(ClientStateError, match="is running already"):
                async with registry:
                    pytest.fail("it ran twice")
            with pytest.raises(FileNotFoundError):
                await registry.read_blob(digest_of(b""))
            with pytest.raises(FileNotFoundError, match=f"team/app@{digest_of(b'')}"):
                await registry.read_manifest("team/app", digest_of(b""))


def test_a_thread_tells_what_kept_it_from_starting(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no directory")
    background = BackgroundECRPublic(LocalECRPublic(data_dir=tmp_path / "data"))
    with pytest.raises(ConfigurationError, match="data_dir"), background:
        pytest.fail("it runs on a file")


def test_a_thread_is_started_once() -> None:
    background = BackgroundECRPublic(LocalECRPublic())
    with background, pytest.raises(ClientStateError, match="was started already"), background:
        pytest.fail("it ran twice")


def test_a_thread_tells_what_went_wrong_at_its_end() -> None:
    class Failing(LocalECRPublic):
        async def __aexit__(self, *exc: object) -> None:
            await super().__aexit__(*exc)
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"), BackgroundECRPublic(Failing()):
        pass


def test_a_failure_of_its_own_is_answered_too(
    server: LocalECRPublic, client: Boto, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client.create_repository(repositoryName="team/app")
    registry = logged_in(server, client)

    def fail(_: object) -> None:
        raise OSError("the disk is full")

    headers = signed(server, "DescribeRepositories")
    with monkeypatch.context() as patch:
        patch.setattr(Database, "transaction", fail)
        reply = exchange(server.endpoint_url, "POST", "/", headers, b"{}")
        other = registry.call("GET", "tags/list")
    assert (reply.status, reply.code, reply.message) == (500, "ServerException", "Internal failure")
    assert reply.headers["x-amzn-RequestId"] in caplog.text
    assert (other.status, other.codes) == (500, ["UNKNOWN"])
    assert b"disk" not in reply.body + other.body
    assert "the disk is full" in caplog.text
    assert exchange(server.endpoint_url, "POST", "/", headers, b"{}").status == 200


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/elsewhere"), ("PUT", "/")])
def test_other_methods_and_paths(server: LocalECRPublic, method: str, path: str) -> None:
    reply = exchange(server.endpoint_url, method, path, signed(server, "DescribeRegistries"), b"{}")
    assert (reply.status, reply.code) == (404, "UnknownOperationException")


@pytest.mark.parametrize("path", ["/token/", "/logos/x"])
def test_methods_of_other_paths(server: LocalECRPublic, path: str) -> None:
    assert exchange(server.endpoint_url, "DELETE", path).status == 405
