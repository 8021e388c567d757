"""Files of layers and uploads, and what is done for them to survive."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from aioecrpublic.local.blobs import BlobStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

UPLOAD = "01234567-89ab-cdef-0123-456789abcdef"
OTHER = "fedcba98-7654-3210-fedc-ba9876543210"
DATA = bytes(range(256)) * 9000
DIGEST = f"sha256:{hashlib.sha256(DATA).hexdigest()}"


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "data", durable=False)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The inodes of files and directories that were made to survive a power cut."""
    inodes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: inodes.append(os.fstat(descriptor).st_ino))
    return inodes


def append(store: BlobStore, upload: str, offset: int, data: bytes) -> None:
    """Write to an upload for good."""
    with store.open_upload(upload, offset) as file:
        file.write(data)
        file.sync()
        file.keep()


def content(store: BlobStore, upload: str, size: int) -> bytes:
    with store.open_upload(upload, size) as file:
        return b"".join(file.pieces())


def files_below(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def test_an_upload_becomes_a_layer(store: BlobStore, tmp_path: Path) -> None:
    store.begin(UPLOAD)
    append(store, UPLOAD, 0, DATA[:5])
    append(store, UPLOAD, 5, DATA[5:])
    assert store.digest(UPLOAD, len(DATA)) == DIGEST
    assert not store.has(DIGEST)
    store.keep(UPLOAD, DIGEST)
    assert store.has(DIGEST)
    assert (store.size(DIGEST), store.path(DIGEST).read_bytes()) == (len(DATA), DATA)
    # Until it is dropped, it is an upload as well.
    assert (list(store.uploads()), list(store.digests())) == ([UPLOAD], [DIGEST])
    store.drop_upload(UPLOAD)
    assert list(store.uploads()) == []
    name = DIGEST.removeprefix("sha256:")
    assert files_below(tmp_path) == {f"data/blobs/sha256/{name[:2]}/{name}"}
    store.drop(DIGEST)
    assert not store.has(DIGEST)
    assert list(store.digests()) == []
    # What is gone already need not be dropped.
    store.drop(DIGEST)
    store.drop_upload(UPLOAD)


def test_two_uploads_may_become_one_layer(store: BlobStore) -> None:
    for upload in (UPLOAD, OTHER):
        store.begin(upload)
        append(store, upload, 0, DATA)
        store.keep(upload, DIGEST)
    assert list(store.digests()) == [DIGEST]


def test_an_upload_begins_once(store: BlobStore) -> None:
    store.begin(UPLOAD)
    with pytest.raises(FileExistsError):
        store.begin(UPLOAD)


def test_what_was_never_acknowledged_is_cut_off(store: BlobStore) -> None:
    store.begin(UPLOAD)
    append(store, UPLOAD, 0, b"0123456789")
    assert store.digest(UPLOAD, 4) == f"sha256:{hashlib.sha256(b'0123').hexdigest()}"
    append(store, UPLOAD, 0, b"0123456789")
    append(store, UPLOAD, 4, b"ab")
    assert content(store, UPLOAD, 6) == b"0123ab"


def test_what_is_not_kept_is_cut_off(store: BlobStore) -> None:
    store.begin(UPLOAD)
    append(store, UPLOAD, 0, b"0123")
    with store.open_upload(UPLOAD, 4) as file:
        file.write(b"45")
        file.keep()
        file.write(b"67")
    assert store.upload_size(UPLOAD) == 6
    file = store.open_upload(UPLOAD, 6)
    file.write(b"67")
    file.close()
    assert content(store, UPLOAD, 6) == b"012345"


def test_bytes_can_be_stored_at_once(store: BlobStore) -> None:
    assert store.add(DATA) == DIGEST
    assert store.path(DIGEST).read_bytes() == DATA
    before = store.path(DIGEST).stat().st_ino
    assert store.add(DATA) == DIGEST
    assert store.path(DIGEST).stat().st_ino == before
    assert list(store.uploads()) == []


def test_bytes_whose_storing_was_interrupted_are_stored_anew(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "keep", die)
        with pytest.raises(OSError, match="disk is full"):
            store.add(DATA)
    assert not store.has(DIGEST)
    assert list(store.uploads()) == []
    assert store.add(DATA) == DIGEST
    assert store.path(DIGEST).read_bytes() == DATA
    assert list(store.uploads()) == []


def test_a_store_finds_what_an_earlier_one_left(tmp_path: Path) -> None:
    first = BlobStore(tmp_path, durable=True)
    first.begin(UPLOAD)
    first.add(DATA)
    again = BlobStore(tmp_path, durable=False)
    assert (list(again.uploads()), list(again.digests())) == ([UPLOAD], [DIGEST])


def test_other_files_are_none_of_ours(store: BlobStore, tmp_path: Path) -> None:
    store.add(DATA)
    (tmp_path / "data" / "uploads" / "notes.txt").touch()
    (store.path(DIGEST).parent / "notes.txt").touch()
    assert (list(store.uploads()), list(store.digests())) == ([], [DIGEST])


NO_DIGESTS = [
    "",
    "sha256:",
    "sha256:abc",
    "../../etc/passwd",
    DIGEST.upper(),
    f"{DIGEST}0",
    f"{DIGEST}\n",
    DIGEST[7:],
    f"x{DIGEST}",
    DIGEST.replace("sha256", "sha512"),
]


@pytest.mark.parametrize("digest", NO_DIGESTS)
def test_no_other_name_is_a_layer(store: BlobStore, digest: str) -> None:
    assert not store.has(digest)
    for use in (store.path, store.size, store.drop):
        with pytest.raises(ValueError, match="is not a sha256 digest") as caught:
            use(digest)
        assert repr(digest) in str(caught.value)


@pytest.mark.parametrize(
    "name", ["", "..", "../../etc/passwd", UPLOAD.upper(), f"{UPLOAD}/x", f"{UPLOAD}\n", UPLOAD[1:]]
)
def test_no_other_name_is_an_upload(store: BlobStore, name: str) -> None:
    uses: list[Callable[[], object]] = [
        lambda: store.begin(name),
        lambda: store.open_upload(name, 0),
        lambda: store.digest(name, 0),
        lambda: store.keep(name, DIGEST),
        lambda: store.drop_upload(name),
    ]
    for use in uses:
        with pytest.raises(ValueError, match="is not an upload id") as caught:
            use()
        assert repr(name) in str(caught.value)


def test_what_is_durable_is_synced_with_the_names_that_lead_to_it(tmp_path: Path, synced: list[int]) -> None:
    store = BlobStore(tmp_path, durable=True)
    store.begin(UPLOAD)
    assert synced == [(tmp_path / "uploads").stat().st_ino]
    synced.clear()
    append(store, UPLOAD, 0, DATA)
    assert synced == [(tmp_path / "uploads" / UPLOAD).stat().st_ino]
    synced.clear()
    store.keep(UPLOAD, DIGEST)
    directory = store.path(DIGEST).parent
    assert synced == [directory.stat().st_ino, directory.parent.stat().st_ino]


def test_what_need_not_be_durable_is_not_synced_but_written(store: BlobStore, synced: list[int]) -> None:
    store.begin(UPLOAD)
    with store.open_upload(UPLOAD, 0) as file:
        file.write(b"12345")
        file.sync()
        assert content(store, UPLOAD, 5) == b"12345"
    store.keep(UPLOAD, DIGEST)
    store.add(DATA)
    assert synced == []
