from __future__ import annotations

import io
import os
import tarfile
import tempfile
from contextlib import contextmanager, suppress
from itertools import starmap
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioecrpublic.images import FileRange, ImageError
from aioecrpublic.images.handles import FileHandle
from aioecrpublic.images.tarindex import MAX_EXTENDED_HEADER, MAX_MEMBERS, TarIndex, normalised

if TYPE_CHECKING:
    from collections.abc import Generator

REGULAR = {"0", "7"}


@contextmanager
def index_of(data: bytes) -> Generator[TarIndex, None, None]:
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(data)
        handle = FileHandle(os.dup(file.fileno()), "a.tar")
    try:
        yield TarIndex(FileRange(handle, 0, len(data)), "a.tar")
    finally:
        handle.close()


def member(name: str, data: bytes = b"", **attributes: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, data


def tar(*members: tuple[tarfile.TarInfo, bytes], fmt: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=fmt) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def content(index: TarIndex, path: str) -> bytes | None:
    found = index.find(path)
    return None if found is None else found.read_at(0, len(found))


def error_of(data: bytes, path: str = "a") -> str:
    with pytest.raises(ImageError) as caught, index_of(data) as index:
        index.find(path)
    return str(caught.value)


def raw_header(
    name: bytes = b"a", size: bytes = b"00000000000", flag: bytes = b"0", link: bytes = b""
) -> bytes:
    """Return a header with any bytes in it and the right checksum."""
    block = bytearray(512)
    block[: len(name)] = name
    block[124 : 124 + len(size)] = size
    block[156:157] = flag
    block[157 : 157 + len(link)] = link
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


NAMES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=80).filter(
        lambda name: name not in {".", ".."}
    ),
    min_size=1,
    max_size=4,
).map("/".join)


@given(
    st.dictionaries(NAMES, st.binary(max_size=1500), max_size=6),
    st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)
def test_every_file_is_found_where_tarfile_put_it(files: dict[str, bytes], fmt: int) -> None:
    kept = {
        name: data for name, data in files.items() if len(name.encode()) < 100 or fmt != tarfile.USTAR_FORMAT
    }
    data = tar(*starmap(member, kept.items()), fmt=fmt)
    if not kept:
        assert "not a tar file: empty" in error_of(data)
        return
    with index_of(data) as index:
        for name, stored in kept.items():
            assert content(index, name) == stored
        assert index.find("no such file") is None


@pytest.mark.parametrize("fmt", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_links(fmt: int) -> None:
    directory = "d" * 90
    name = f"{directory}/{'n' * 90}" + ("" if fmt == tarfile.USTAR_FORMAT else "m" * 200)
    data = tar(
        member(directory, type=tarfile.DIRTYPE),
        member(name, b"content"),
        member("short", type=tarfile.SYMTYPE, linkname=name if fmt != tarfile.USTAR_FORMAT else "hard"),
        member("hard", type=tarfile.LNKTYPE, linkname=name if fmt != tarfile.USTAR_FORMAT else "./last"),
        member("last", b"content"),
        fmt=fmt,
    )
    with index_of(data) as index:
        for path in (name, "short", "hard", f"./{name}", f"{directory}//{name[91:]}", f"{directory}/../hard"):
            assert content(index, path) == b"content"


def test_sizes_are_read_in_base_256_and_from_pax_headers() -> None:
    block = raw_header(size=b"\x80" + bytes(10) + b"\x05")
    with index_of(block + b"hello") as index:
        assert content(index, "a") == b"hello"
    pax = b"10 size=5\n"
    data = raw_header(b"x", b"%011o" % len(pax), b"x") + pax.ljust(512, b"\0") + raw_header() + b"hello"
    with index_of(data) as index:
        assert content(index, "a") == b"hello"


def test_links_are_followed_within_the_archive() -> None:
    data = tar(
        member("real/layer.tar", b"layer"),
        member("one/layer.tar", type=tarfile.SYMTYPE, linkname="../real/layer.tar"),
        member("two/layer.tar", type=tarfile.SYMTYPE, linkname="../one/layer.tar"),
        member("hard", type=tarfile.LNKTYPE, linkname="two/layer.tar"),
        member("loop", type=tarfile.SYMTYPE, linkname="pool"),
        member("pool", type=tarfile.SYMTYPE, linkname="loop"),
        member("dangling", type=tarfile.SYMTYPE, linkname="nowhere"),
        member("to-directory", type=tarfile.SYMTYPE, linkname="directory"),
        member("directory", type=tarfile.DIRTYPE),
        member("pipe", type=tarfile.FIFOTYPE),
    )
    with index_of(data) as index:
        for path in ("real/layer.tar", "one/layer.tar", "two/layer.tar", "hard"):
            assert content(index, path) == b"layer"
    assert error_of(data, "loop") == "a.tar: entry 'loop': too many links"
    assert error_of(data, "dangling") == (
        "a.tar: entry 'dangling' links to 'nowhere', which is not in the archive"
    )
    assert error_of(data, "to-directory") == "a.tar: entry 'directory' is not a regular file (directory)"
    assert error_of(data, "pipe") == "a.tar: entry 'pipe' is not a regular file (special)"


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("../x", ""),
        ("a/../../x", ""),
        ("/etc/passwd", ""),
        ("a", "/etc/passwd"),
        ("a", "../x"),
        ("a/b", "../../x"),
    ],
)
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_an_entry_that_points_outside_spoils_the_archive(name: str, link: str, kind: bytes) -> None:
    info = member(name, b"", type=kind, linkname=link) if link else member(name, b"data")
    data = tar(member("innocent", b"data"), info)
    assert "points outside the archive" in error_of(data, "innocent")


def test_paths_asked_for_cannot_point_outside_either() -> None:
    data = tar(member("a", b"data"))
    for path in ("../a", "/a", "a/../../a"):
        assert "points outside the archive" in error_of(data, path)


@pytest.mark.parametrize("second", [b"second", b"firsT", b"first\0", b""])
def test_an_entry_that_is_there_twice_with_other_content_cannot_be_read(second: bytes) -> None:
    data = tar(member("a", b"first"), member("b", b"data"), member("./a", second))
    assert error_of(data) == "a.tar: entry 'a' is there more than once, with different content"
    with index_of(data) as index:
        assert content(index, "b") == b"data"


def test_an_entry_that_is_there_twice_with_the_same_content_is_one() -> None:
    large = os.urandom(3 * 1024 * 1024)
    data = tar(
        member("a", large),
        member("b", type=tarfile.SYMTYPE, linkname="a"),
        member("./a", large),
        member("b", large),
        member("c", type=tarfile.LNKTYPE, linkname="b"),
        member("a", type=tarfile.LNKTYPE, linkname="c2"),
        member("c2", large),
        member("directory", type=tarfile.DIRTYPE),
        member("directory", type=tarfile.DIRTYPE),
    )
    with index_of(data) as index:
        for path in ("a", "b", "c"):
            assert content(index, path) == large
    assert "not a regular file (directory)" in error_of(data, "directory")


def test_only_what_is_asked_for_is_compared() -> None:
    data = tar(*(member("a", bytes([number])) for number in range(3)), member("b", b"data"))
    with index_of(data) as index:
        assert content(index, "b") == b"data"


def test_an_entry_that_is_a_file_and_a_directory_is_neither() -> None:
    data = tar(member("a", b"data"), member("a", type=tarfile.DIRTYPE))
    assert error_of(data) == "a.tar: entry 'a' is not a regular file (directory)"


def test_entries_that_are_there_very_often_are_compared_once() -> None:
    """A chain in which each path is there 300 times takes no time at all."""
    links = [
        member(f"l{number}", type=tarfile.LNKTYPE, linkname=f"l{number + 1}")
        for number in range(10)
        for _ in range(300)
    ]
    data = tar(*links, *(member("l10", b"end") for _ in range(300)))
    with index_of(data) as index:
        assert content(index, "l0") == b"end"
    circle = tar(*links, *(member("l10", type=tarfile.LNKTYPE, linkname="l0") for _ in range(300)))
    assert "too many links" in error_of(circle, "l0")


def test_comparing_costs_no_more_than_reading_the_archive() -> None:
    """Links can make many paths of few files, of which each pair could be compared."""
    size = 100_000
    files = [member(f"f{number}", bytes(size)) for number in range(10)]
    links = [
        member(f"l{one}-{other}", type=tarfile.LNKTYPE, linkname=f"f{which}")
        for one in range(10)
        for other in range(10)
        for which in (one, other)
    ]
    with index_of(tar(*files, *links)) as index:
        for number in range(1, 10):
            assert index.find(f"l0-{number}") is not None
        with pytest.raises(ImageError, match="too many entries that are there more than once"):
            [index.find(f"l1-{number}") for number in range(2, 10)]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.binary(max_size=3)), max_size=6))
def test_a_path_is_readable_if_all_that_is_there_is_the_same(entries: list[tuple[str, bytes]]) -> None:
    with index_of(tar(member("other"), *starmap(member, entries))) as index:
        for path in "abc":
            stored = {data for name, data in entries if name == path}
            if len(stored) <= 1:
                assert content(index, path) == next(iter(stored), None)
            else:
                with pytest.raises(ImageError, match="more than once, with different content"):
                    index.find(path)


@pytest.mark.parametrize("cut", [1, 511, 512, 513, 1023])
def test_the_end_may_be_missing(cut: int) -> None:
    full = tar(member("a", b"x" * 512))
    with index_of(full[:1024] + bytes(1024)[:-cut]) as index:
        assert content(index, "a") == b"x" * 512
    with index_of(full[:1024]) as index:
        assert content(index, "a") == b"x" * 512


def test_the_last_member_may_be_unpadded() -> None:
    with index_of(tar(member("a", b"12345"))[:517]) as index:
        assert content(index, "a") == b"12345"


def test_sparse_files_are_refused_but_do_not_hide_what_follows(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    old = bytearray(raw_header(b"s", b"00000001000", b"S"))
    old[482] = 1
    old[148:156] = b" " * 8
    old[148:156] = b"%06o\0 " % sum(old)
    more = bytearray(512)
    more[504] = 1
    data = bytes(old) + bytes(more) + bytes(512) + b"s" * 512 + raw_header() + bytes(1024)
    assert error_of(data, "s") == "a.tar: entry 's' is not a regular file (sparse)"
    with index_of(data) as index:
        assert content(index, "a") == b""
    pax = b"22 GNU.sparse.major=1\n"
    header = raw_header(b"x", b"%011o" % len(pax), b"x") + pax.ljust(512, b"\0")
    assert "not a regular file (sparse)" in error_of(header + raw_header())
    assert "map of a sparse entry" in error_of(bytes(old) + bytes(100))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a tar file: empty"),
        (bytes(2048), "not a tar file: empty"),
        (b"x", "truncated in the tar header at byte 0"),
        (b"PK\x03\x04" * 200, "not a tar file"),
        (b"\x89PNG" + bytes(1000), "wrong checksum; not a tar file, or damaged"),
        (
            raw_header(size=b"00000000005") + b"1234",
            "entry 'a' goes beyond the end of the archive: truncated",
        ),
        (raw_header(size=b"77777777777"), "entry 'a' goes beyond the end"),
        (raw_header(size=b"\xff" * 12), "negative number"),
        (raw_header(size=b"\x80" + b"\xff" * 11), "entry 'a' goes beyond the end"),
        (raw_header(size=b"0000x000000"), "is no octal number"),
        (raw_header()[:-1], "truncated in the tar header"),
        (raw_header() + raw_header()[:100], "truncated in the tar header at byte 512"),
        (raw_header(flag=b"L", size=b"00077777777"), "an extended header of 16777215 bytes"),
        (raw_header(flag=b"x", size=b"00000001000"), "truncated in an extended header"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, message: str) -> None:
    error = error_of(data)
    assert error.startswith("a.tar")
    assert message in error


@pytest.mark.parametrize(
    "records",
    [
        b"no length\n",
        b"0 \n",
        b"9999 path=x\n",
        b"9 path=xyz\n",
        b"10 path xx\n",
        b"99999999999999999999999999 path=x\n",
        b"-5 a=b\n",
        b"3 a=b\n",
        b"16 size=notanum\n",
        b"11 size=-5\n",
        b"31 size=99999999999999999999999\n",
        b"20 size=18446744073\n",
    ],
)
def test_malformed_extended_headers(records: bytes) -> None:
    block = raw_header(b"x", b"%011o" % len(records), b"x") + records.ljust(512, b"\0") + raw_header()
    assert error_of(block).startswith("a.tar")


def test_a_global_header_cannot_rename_everything() -> None:
    for record in (b"10 path=b\n", b"10 size=3\n", b"19 GNU.sparse.map=\n"):
        block = raw_header(b"g", b"%011o" % len(record), b"g") + record.ljust(512, b"\0") + raw_header()
        assert "a global header sets" in error_of(block)
    comment = b"13 comment=x\n"
    block = raw_header(b"g", b"%011o" % len(comment), b"g") + comment.ljust(512, b"\0") + raw_header()
    with index_of(block) as index:
        assert content(index, "a") == b""


def test_the_number_and_length_of_names_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"more than {MAX_MEMBERS} entries" in error_of(raw_header() * (MAX_MEMBERS + 1))
    name = b"n" * (MAX_EXTENDED_HEADER - 1)
    long = (
        raw_header(b"L", b"%011o" % len(name), b"L") + name.ljust(MAX_EXTENDED_HEADER, b"\0") + raw_header()
    )
    assert "characters of paths" in error_of(long * 300)


def test_extended_headers_are_bounded_together() -> None:
    """Names that say nothing in 64 KiB count as nothing among the characters of paths."""
    name = b"./" * (MAX_EXTENDED_HEADER // 2)
    long = raw_header(b"L", b"%011o" % len(name), b"L") + name + raw_header()
    assert "33554432 bytes or 500000 lines of extended headers" in error_of(long * 600)
    records = b"5 a=\n" * 5000
    record = (
        raw_header(b"x", b"%011o" % len(records), b"x") + records + bytes(-len(records) % 512) + raw_header()
    )
    assert "33554432 bytes or 500000 lines of extended headers" in error_of(record * 101)


def test_maps_of_sparse_entries_are_bounded() -> None:
    header = bytearray(raw_header(b"s", b"00000000000", b"S"))
    header[482] = 1
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    more = bytearray(512)
    more[504] = 1
    for data in (
        bytes(header) + bytes(more) * 20_000,
        (bytes(header) + bytes(more) * 10 + bytes(512)) * 2000,
    ):
        assert "blocks of maps of sparse entries" in error_of(data, "s")


def test_normalised_paths() -> None:
    assert normalised("./a//b/./c/", "", "x") == "a/b/c"
    assert normalised("../b", "a/x", "x") == "a/b"
    assert not normalised("", "", "x")


@given(st.data())
def test_damaged_archives_end_in_an_image_error(data: st.DataObject) -> None:
    original = bytearray(
        tar(
            member("é" * 80, b"x" * 700),
            member("link", type=tarfile.SYMTYPE, linkname="é" * 80),
            member("b", b"y" * 10),
            fmt=data.draw(st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])),
        )
    )
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(original) - 1))
        original[position] = data.draw(st.integers(0, 255))
        if data.draw(st.booleans()):  # with a right checksum damage goes deeper
            start = position // 512 * 512
            block = original[start : start + 512]
            block[148:156] = b" " * 8
            original[start + 148 : start + 156] = b"%06o\0 " % sum(block)
    size = data.draw(st.integers(0, len(original)))
    with (
        suppress(ImageError),
        index_of(bytes(original[: size if data.draw(st.booleans()) else None])) as index,
    ):
        for path in ("é" * 80, "link", "b"):
            with suppress(ImageError):
                content(index, path)
