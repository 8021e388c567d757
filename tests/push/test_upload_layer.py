from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aioecrpublic import upload_layer
from aioecrpublic.errors import RepositoryNotFoundException
from tests.push.helpers import REPOSITORY, Wire, assert_nothing_is_open, kinds
from tests.support.oci import digest_of, random_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from aioecrpublic import ECRPublicClient
    from aioecrpublic.local import LocalECRPublic
    from aioecrpublic.push import PushEvent
    from aioecrpublic.push.blobs import LayerInput

SIZE = 12 * 1024 * 1024 + 5


class Counted:
    """A reader of the user's own."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def read_at(self, offset: int, length: int, /) -> bytes:
        return self._data[offset : offset + length]


@pytest.mark.parametrize("kind", ["bytes", "bytearray", "memoryview", "reader", "path", "name"])
async def test_a_layer_from_anywhere(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path, kind: str
) -> None:
    data = random_bytes(SIZE)
    path = tmp_path / "layer"
    path.write_bytes(data)
    blobs: dict[str, LayerInput] = {
        "bytes": data,
        "bytearray": bytearray(data),
        "memoryview": memoryview(data),
        "reader": Counted(data),
        "path": path,
        "name": str(path),
    }
    result = await upload_layer(client, REPOSITORY, blobs[kind])
    assert await server.read_blob(digest_of(data)) == data
    assert (result.digest, result.size, result.uploaded) == (digest_of(data), SIZE, True)
    assert (result.bytes_sent, result.retries) == (SIZE, 0)
    await assert_nothing_is_open(tmp_path)


@pytest.mark.parametrize("size", [1, 2, 3, 1000, 64 * 1024, 5 * 1024 * 1024, 5 * 1024 * 1024 + 1])
async def test_layers_of_every_size(server: LocalECRPublic, client: ECRPublicClient, size: int) -> None:
    data = random_bytes(size)
    result = await upload_layer(client, REPOSITORY, data, digest=digest_of(data), part_size=5 * 1024 * 1024)
    assert await server.read_blob(result.digest) == data


async def test_a_layer_that_is_there_is_not_sent(client: ECRPublicClient) -> None:
    data = random_bytes(1000)
    await upload_layer(client, REPOSITORY, data)
    wire = Wire()
    events: list[PushEvent] = []
    result = await upload_layer(
        client.with_options(hooks=[wire]), REPOSITORY, data, digest=digest_of(data), on_event=events.append
    )
    assert wire.sent == ["BatchCheckLayerAvailability"]
    assert (result.uploaded, result.bytes_sent) == (False, 0)
    assert kinds(events) == ["LayerSkipped"]


async def test_a_missing_repository(client: ECRPublicClient) -> None:
    with pytest.raises(RepositoryNotFoundException):
        await upload_layer(client, "no/where", b"content")


async def test_a_journal_is_gone_when_the_layer_is_there(client: ECRPublicClient, tmp_path: Path) -> None:
    data = random_bytes(SIZE)
    for _ in range(2):
        await upload_layer(client, REPOSITORY, data, journal=tmp_path / "journal")
        assert list(tmp_path.iterdir()) == []
