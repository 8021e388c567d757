"""Bytes that change while they are pushed: the service gets what it was promised, or an error names them."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from aioecrpublic import ImageError, push_image, upload_layer
from aioecrpublic._runtime.body import Body
from aioecrpublic.errors import ECRPublicError, ServiceError, ValidationError
from aioecrpublic.local import LocalECRPublic
from aioecrpublic.local.state import Settings
from tests.push.helpers import REPOSITORY, connect, small_parts, tags_of
from tests.support.oci import LayoutBuilder, digest_of, random_bytes, random_layer, tar_layout
from tests.support.soak import SOAK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aioecrpublic import ECRPublicClient
    from aioecrpublic.types import SendEvent

# More than what is encoded at once, so that parts are streamed.
PART = 100_000
OPERATIONS = ("BatchCheckLayerAvailability", "InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload")


@pytest.fixture(scope="module")
def parts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        small_parts(patch, PART)
        yield


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


def truncate(path: Path, at: int) -> None:
    os.truncate(path, at)


def grow(path: Path, at: int) -> None:
    with path.open("ab") as file:
        file.write(bytes(at + 1))


def replace(path: Path, at: int) -> None:
    new = path.with_name("new")
    new.write_bytes(bytes(at))
    new.replace(path)


def rewrite(path: Path, at: int) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


CHANGES: tuple[Callable[[Path, int], None], ...] = (flip, truncate, grow, replace, rewrite)


@attrs.define
class Changing:
    """A hook that changes something once, before the n-th request of an operation."""

    operation: str
    count: int
    change: Callable[[], None]

    async def before_send(self, event: SendEvent) -> None:
        if event.operation != self.operation:
            return
        self.count -= 1
        if self.count == 0:
            self.change()


def registry() -> LocalECRPublic:
    return LocalECRPublic(settings=Settings(part_size=PART, smallest_part=PART))


def _refused(error: ImageError, names: set[str]) -> str:
    return "refused" if any(name in str(error) for name in names) else f"{error} does not say what"


async def _upload(size: int, change: Callable[[Path, int], None], operation: str, count: int, at: int) -> str:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "layer"
        path.write_bytes(data := random_bytes(size))
        hook = Changing(operation, count, lambda: change(path, at % size))
        async with registry() as server, connect(server, hooks=[hook]) as client:
            await client.create_repository(repository_name=REPOSITORY)
            try:
                result = await upload_layer(client, REPOSITORY, path)
            except ImageError as error:
                return _refused(error, {str(path)})
            assert result.digest == digest_of(data)
            assert await server.read_blob(result.digest) == data
            return "pushed"


async def _push(
    size: int, change: Callable[[Path, int], None], operation: str, count: int, at: int, *, archive: bool
) -> str:
    with tempfile.TemporaryDirectory() as directory:
        layout = Path(directory) / "layout"
        builder = LayoutBuilder(layout)
        image = builder.tag(builder.image([random_layer(size, 1), random_layer(size, 2)]), "1")
        path = tar_layout(layout, layout / "archive.tar") if archive else image.path(image.layers[1])
        hook = Changing(operation, count, lambda: change(path, at % path.stat().st_size))
        async with registry() as server, connect(server, hooks=[hook]) as client:
            await client.create_repository(repository_name=REPOSITORY)
            source = f"oci-archive:{path}:1" if archive else f"oci:{layout}:1"
            try:
                await push_image(client, source, REPOSITORY, ["1"], jobs=1)
            except ImageError as error:
                refused = _refused(error, {str(path), *image.layers, image.config})
                return refused if await tags_of(client) == {} else "half pushed"
            # What the manifest promises is what is there.
            layers = [random_layer(size, number) for number in (1, 2)]
            for layer in layers:
                assert await server.read_blob(layer.digest) == layer.data
            return "pushed"


@pytest.mark.slow
@settings(
    max_examples=5000 if SOAK else 150,
    deadline=None,
    derandomize=not SOAK,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    size=st.sampled_from([1000, 64 * 1024, PART + 1, 3 * PART + 7]),
    change=st.sampled_from(CHANGES),
    operation=st.sampled_from(OPERATIONS),
    count=st.integers(1, 4),
    at=st.integers(0, 3 * PART),
    source=st.sampled_from(["layer", "layout", "archive"]),
)
def test_what_changes_is_named_or_does_not_matter(
    parts: None,
    size: int,
    change: Callable[[Path, int], None],
    operation: str,
    count: int,
    at: int,
    source: str,
) -> None:
    work = (
        _upload(size, change, operation, count, at)
        if source == "layer"
        else _push(size, change, operation, count, at, archive=source == "archive")
    )
    outcome = asyncio.run(asyncio.wait_for(work, 60))
    # The file that was opened is the one that is read.
    harmless = source == "layer" and change in {replace, grow}
    assert outcome == "pushed" if harmless else outcome in {"pushed", "refused"}


@pytest.mark.parametrize("size", [PART, 3 * PART + 7])
@pytest.mark.parametrize("number", [1, 2])
async def test_a_layer_that_changes_after_a_part_was_hashed(
    parts: None, tmp_path: Path, size: int, number: int
) -> None:
    path = tmp_path / "layer"
    path.write_bytes(random_bytes(size))
    hook = Changing("UploadLayerPart", min(number, size // PART), lambda: rewrite(path, 0))
    async with registry() as server, connect(server, hooks=[hook]) as client:
        await client.create_repository(repository_name=REPOSITORY)
        with pytest.raises(ImageError, match=f"^{path}: its bytes changed while") as caught:
            await upload_layer(client, REPOSITORY, path)
    reason = caught.value.__cause__
    assert isinstance(reason, ValidationError)
    assert isinstance(reason.__cause__, ServiceError)
    assert reason.__cause__.code == "InvalidSignatureException"


class Shifting:
    """A reader whose bytes are others each time, or too few."""

    def __init__(self, size: int, given: int) -> None:
        self._size = size
        self._given = given

    def __len__(self) -> int:
        return self._size

    def read_at(self, offset: int, length: int, /) -> bytes:
        return os.urandom(min(length, self._given))


@pytest.mark.parametrize("digest", [None, f"sha256:{'0' * 64}"])
@pytest.mark.parametrize("given", [10, 10_000_000])
async def test_a_reader_that_does_not_keep_its_word(parts: None, given: int, digest: str | None) -> None:
    async with registry() as server, connect(server) as client:
        await client.create_repository(repository_name=REPOSITORY)
        with pytest.raises(ImageError, match=digest or r"^layer (\(Shifting\): cannot be read|sha256)"):
            await upload_layer(client, REPOSITORY, Shifting(2 * PART, given), digest=digest)


async def test_a_buffer_that_is_written_meanwhile(parts: None) -> None:
    data = bytearray(random_bytes(2 * PART))
    hook = Changing("UploadLayerPart", 2, lambda: data.__setitem__(slice(-10, None), bytes(10)))
    async with registry() as server, connect(server, hooks=[hook]) as client:
        await client.create_repository(repository_name=REPOSITORY)
        with pytest.raises(ImageError, match=r"^layer sha256:[0-9a-f]{64}: its bytes changed while"):
            await upload_layer(client, REPOSITORY, data)


async def test_a_call_of_ones_own_says_so_too(client: ECRPublicClient) -> None:
    data = bytearray(random_bytes(PART))
    hook = Changing("UploadLayerPart", 1, lambda: data.__setitem__(0, data[0] ^ 1))
    upload = await client.initiate_layer_upload(repository_name=REPOSITORY)
    with pytest.raises(ValidationError, match=r"^upload_layer_part: a blob has changed since it was hashed$"):
        await client.with_options(hooks=[hook]).upload_layer_part(
            repository_name=REPOSITORY,
            upload_id=str(upload.upload_id),
            part_first_byte=0,
            part_last_byte=PART - 1,
            layer_part_blob=data,
        )


async def test_nothing_is_read_again_where_all_is_well_or_the_service_says_what_is_wrong(
    client: ECRPublicClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(Body, "changed", lambda *arguments: asked.append(arguments))
    await upload_layer(client, REPOSITORY, random_bytes(PART))
    with pytest.raises(ECRPublicError):
        await upload_layer(client, "no/where", random_bytes(PART))
    assert asked == []


async def test_a_signature_that_is_wrong_for_another_reason_stays_one(server: LocalECRPublic) -> None:
    keys = attrs.evolve(server.credentials, secret_access_key="of somebody else")
    async with connect(server, credentials=keys) as client:
        with pytest.raises(ServiceError, match="InvalidSignatureException"):
            await client.upload_layer_part(
                repository_name=REPOSITORY,
                upload_id="00000000-0000-0000-0000-000000000000",
                part_first_byte=0,
                part_last_byte=PART - 1,
                layer_part_blob=random_bytes(PART),
            )


def test_a_layer_that_is_far_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "layer"
    with path.open("wb") as file:
        file.truncate(2**40)

    async def upload() -> None:
        async with LocalECRPublic() as server, connect(server) as client:
            with pytest.raises(ImageError, match=f"^{path} is {2**40} bytes, at most"):
                await upload_layer(client, REPOSITORY, path)

    asyncio.run(asyncio.wait_for(upload(), 60))
