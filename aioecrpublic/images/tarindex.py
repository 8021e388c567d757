"""Where the members of a tar file are, found without unpacking it.

`tarfile` is not used on purpose: it reads extended headers of any size into memory and, in Python versions
still in use, loops forever on a negative size. Formats: POSIX ustar and pax (pax(1), "EXTENDED DESCRIPTION"),
GNU tar, and the original one. Everything here blocks and is called from worker threads.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from aioecrpublic.images.errors import ImageError, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aioecrpublic.images.handles import FileRange

BLOCK = 512
MAX_MEMBERS = 100_000
MAX_EXTENDED_HEADER = 64 * 1024
"""Bytes; paths have at most 4096, and little else is ever written there."""
MAX_EXTENDED_HEADERS = 32 * 1024 * 1024
"""Bytes of all extended headers together, each of which takes time to read and may say next to nothing."""
MAX_EXTENDED_LINES = 500_000
"""Lines of all extended headers together; each may be a record of its own."""
MAX_NAMES = 16 * 1024 * 1024
"""Characters of all paths together, which are held in memory."""
MAX_SPARSE_MAPS = 10_000
"""Blocks of all maps of sparse entries together."""
MAX_LINKS = 16

Kind = Literal["file", "directory", "link", "symlink", "special", "sparse", "unknown"]

_READ_AHEAD = 16 * BLOCK
_COMPARED_AT_ONCE = 1024 * 1024
_KINDS: dict[bytes, Kind] = {
    b"0": "file",
    b"\0": "file",
    b"7": "file",
    b"1": "link",
    b"2": "symlink",
    b"3": "special",
    b"4": "special",
    b"5": "directory",
    b"6": "special",
    b"S": "sparse",
}
_SIZE = re.compile(r"[0-9]{1,19}")
_NO_CONTENT = frozenset({"directory", "link", "symlink", "special"})


@attrs.frozen
class Member:
    """One entry of a tar file."""

    path: str
    """From the top of the archive, with no `.`, `..` or empty step."""
    kind: Kind
    start: int
    """Of the content, in bytes from the start of the tar file."""
    size: int
    target: str = ""
    """Of a link: the normalised path, from the top of the archive, that it leads to."""


_Place: TypeAlias = tuple[int, int]
"""Where content begins in the tar file, and its size."""


class TarIndex:
    """The members of one tar file by their path."""

    def __init__(self, content: FileRange, name: str) -> None:
        """Read all headers.

        Args:
            content: the whole tar file.
            name: what it is called in messages.

        Raises:
            ImageError: it is no tar file, is truncated, or has an entry that points outside.
        """
        self._content = content
        self._name = name
        self._members: dict[str, list[Member]] = {}
        self._places: dict[str, _Place] = {}
        self._same: set[tuple[_Place, _Place]] = set()
        self._compared = 0
        names = 0
        for member in _members(content, name):
            names += len(member.path) + len(member.target)
            if names > MAX_NAMES:
                raise ImageError(f"{name}: more than {MAX_NAMES} characters of paths")
            self._members.setdefault(member.path, []).append(member)

    def find(self, path: str) -> FileRange | None:
        """Return the content of the file at `path`, links followed; None if there is none.

        A path may be there several times, as bundles of images have the layers that those share, if what is
        there is the same each time. It is compared when it is asked for.

        Raises:
            ImageError: there are several of different content, it is no regular file, its links lead nowhere,
                or the path leads outside.
        """
        path = normalised(path, "", self._name)
        return self._content.part(*self._place(path)) if path in self._members else None

    def __contains__(self, path: str) -> bool:
        return path in self._members

    def _place(self, path: str, links: int = 0) -> _Place:
        """Return where the content of an entry is, the same for all entries of its path."""
        known = self._places.get(path)
        if known is not None:
            return known
        first, *others = sorted({self._place_of(member, links) for member in self._members[path]})
        for other in others:
            if not self._are_same(first, other):
                # Readers disagree about which of them counts.
                where = f"{self._name}: entry {shown(path)}"
                raise ImageError(f"{where} is there more than once, with different content")
        self._places[path] = first
        return first

    def _place_of(self, member: Member, links: int) -> _Place:
        where = f"{self._name}: entry {shown(member.path)}"
        if member.kind == "file":
            return member.start, member.size
        if member.kind not in {"link", "symlink"}:
            raise ImageError(f"{where} is not a regular file ({member.kind})")
        if member.target not in self._members:
            raise ImageError(f"{where} links to {shown(member.target)}, which is not in the archive")
        if links == MAX_LINKS:
            raise ImageError(f"{where}: too many links")
        return self._place(member.target, links + 1)

    def _are_same(self, one: _Place, other: _Place) -> bool:
        size = one[1]
        if other[1] != size:
            return False
        if (one, other) in self._same:
            return True
        # Each entry is compared with one other; only links in great number could ask for more.
        self._compared += size
        if self._compared > len(self._content):
            raise ImageError(f"{self._name}: too many entries that are there more than once")
        for offset in range(0, size, _COMPARED_AT_ONCE):
            length = min(_COMPARED_AT_ONCE, size - offset)
            pieces = {self._content.read_at(start + offset, length) for start in (one[0], other[0])}
            if len(pieces) > 1:
                return False
        self._same.add((one, other))
        return True


@attrs.frozen
class _Header:
    """One raw header with the extended headers before it applied."""

    path: str
    link: str
    kind: Kind
    size: int


@attrs.define
class _Extension:
    """What extended headers say about the member that follows them."""

    path: str | None = None
    link: str | None = None
    size: int | None = None
    sparse: bool = False


@attrs.define
class _Bounds:
    """How much of everything there was: reading what says nothing takes time, too."""

    name: str
    members: int = 0
    extended: int = 0
    lines: int = 0
    maps: int = 0

    def count_member(self) -> None:
        self.members += 1
        if self.members > MAX_MEMBERS:
            raise ImageError(f"{self.name}: more than {MAX_MEMBERS} entries")

    def count_extended(self, raw: bytes) -> None:
        self.extended += len(raw)
        self.lines += raw.count(b"\n")
        if self.extended > MAX_EXTENDED_HEADERS or self.lines > MAX_EXTENDED_LINES:
            raise ImageError(
                f"{self.name}: more than {MAX_EXTENDED_HEADERS} bytes or {MAX_EXTENDED_LINES} lines "
                "of extended headers"
            )

    def count_maps(self, blocks: int) -> None:
        self.maps += blocks
        if self.maps > MAX_SPARSE_MAPS:
            raise ImageError(f"{self.name}: more than {MAX_SPARSE_MAPS} blocks of maps of sparse entries")


class _Blocks:
    """Reads headers with few system calls: they are often near each other."""

    def __init__(self, content: FileRange) -> None:
        self._content = content
        self._start = 0
        self._data = b""

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes; fewer only at the end of the file."""
        if offset >= len(self._content):
            return b""
        end = min(offset + length, len(self._content))
        if not self._start <= offset <= end <= self._start + len(self._data):
            self._start = offset
            self._data = self._content.read_at(
                offset, min(max(length, _READ_AHEAD), len(self._content) - offset)
            )
        return self._data[offset - self._start : end - self._start]


def _members(content: FileRange, name: str) -> Iterator[Member]:
    blocks = _Blocks(content)
    bounds = _Bounds(name)
    offset = 0
    extension = _Extension()
    while (block := _next_block(blocks, offset, name)) is not None:
        where = f"{name}: tar header at byte {offset}"
        _check_sum(block, where)
        offset += BLOCK
        bounds.count_member()
        size = _number(block[124:136], where)
        if block[156:157] in b"LKxXg":
            raw = _extended(blocks, offset, size, where)
            bounds.count_extended(raw)
            _extend(extension, block[156:157], raw, where)
            offset += _padded(size)
            continue
        header = _header(block, size, extension)
        extension = _Extension()
        if header.kind == "sparse" and block[156:157] == b"S":
            start, offset = offset, _skip_sparse_map(blocks, block, offset, name)
            bounds.count_maps((offset - start) // BLOCK)
        stored = 0 if header.kind in _NO_CONTENT else header.size
        if offset + stored > len(content):
            raise ImageError(
                f"{name}: entry {shown(header.path)} goes beyond the end of the archive: truncated"
            )
        path = normalised(header.path, "", name)
        if path:
            target = _target(header, path, name)
            yield Member(path, header.kind, offset, stored, target)
        offset += _padded(stored)


def _next_block(blocks: _Blocks, offset: int, name: str) -> bytes | None:
    block = blocks.read(offset, BLOCK)
    if not block or block.count(0) == len(block):
        # Real tools also leave out the blocks of zeros at the end, or cut them short.
        if offset == 0:
            raise ImageError(f"{name}: not a tar file: empty")
        return None
    if len(block) < BLOCK:
        raise ImageError(f"{name}: truncated in the tar header at byte {offset}")
    return block


def is_tar(head: bytes) -> bool:
    """Tell whether a file that begins so is a tar file; one without entries begins with zeros."""
    block = head[:BLOCK]
    if len(block) < BLOCK:
        return False
    if block.count(0) == BLOCK:
        return True
    digits = block[148:156].strip(b"\0 ")
    return not digits.translate(None, b"01234567") and int(digits or b"0", 8) == _sum(block)


def _check_sum(block: bytes, where: str) -> None:
    if _number(block[148:156], where) != _sum(block):
        raise ImageError(f"{where}: wrong checksum; not a tar file, or damaged")


def _sum(block: bytes) -> int:
    """Return the sum of all bytes of a header, with spaces for the sum itself."""
    return sum(block) - sum(block[148:156]) + 8 * 0x20


def _number(field: bytes, where: str) -> int:
    """Return a number in octal digits, or in base 256 if the first bit is set (GNU tar)."""
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if field[0] & 0x40:
            raise ImageError(f"{where}: negative number")
        return value
    digits = field.split(b"\0", 1)[0].strip()
    if not digits:
        return 0
    if digits.translate(None, b"01234567"):
        raise ImageError(f"{where}: {shown(digits)} is no octal number; not a tar file, or damaged")
    return int(digits, 8)


def _extended(blocks: _Blocks, offset: int, size: int, where: str) -> bytes:
    if size > MAX_EXTENDED_HEADER:
        raise ImageError(f"{where}: an extended header of {size} bytes, more than {MAX_EXTENDED_HEADER}")
    raw = blocks.read(offset, size)
    if len(raw) < size:
        raise ImageError(f"{where}: truncated in an extended header")
    return raw


def _extend(extension: _Extension, flag: bytes, raw: bytes, where: str) -> None:
    if flag == b"L":
        extension.path = _decode(raw)
    elif flag == b"K":
        extension.link = _decode(raw)
    else:
        records = _pax_records(raw, where)
        if flag == b"g":
            _check_global(records, where)
        else:
            _apply_pax(extension, records, where)


def _check_global(records: dict[str, str], where: str) -> None:
    for key in records:
        if key in {"path", "linkpath", "size"} or key.startswith("GNU.sparse"):
            raise ImageError(f"{where}: a global header sets {shown(key)} for all entries")


def _apply_pax(extension: _Extension, records: dict[str, str], where: str) -> None:
    extension.path = records.get("path", extension.path)
    extension.link = records.get("linkpath", extension.link)
    extension.sparse |= any(key.startswith("GNU.sparse") for key in records)
    size = records.get("size")
    if size is not None:
        if _SIZE.fullmatch(size) is None:
            raise ImageError(f"{where}: size is {shown(size)}, not a number")
        extension.size = int(size)


def _pax_records(raw: bytes, where: str) -> dict[str, str]:
    """Parse records of `LENGTH KEY=VALUE` and a newline, where the length counts the whole record."""
    records: dict[str, str] = {}
    position = 0
    while position < len(raw) and raw[position]:
        digits, space, _ = raw[position : position + 21].partition(b" ")
        length = int(digits) if space and digits.isdigit() else 0
        record = raw[position + len(digits) + 1 : position + length]
        key, equals, value = record.partition(b"=")
        if length > len(raw) - position or not equals or not record.endswith(b"\n"):
            raise ImageError(f"{where}: malformed extended header")
        records[key.decode("utf-8", "replace")] = value[:-1].decode("utf-8", "surrogateescape")
        position += length
    return records


def _header(block: bytes, size: int, extension: _Extension) -> _Header:
    path = _decode(block[:100])
    # The prefix is ustar's; GNU tar ("ustar  ") keeps times in its place.
    if block[257:263] == b"ustar\0" and block[345]:
        path = f"{_decode(block[345:500])}/{path}"
    path = path if extension.path is None else extension.path
    flag = block[156:157]
    kind = _KINDS.get(flag, "unknown")
    if flag == b"\0" and path.endswith("/"):
        kind = "directory"
    if kind == "file" and extension.sparse:
        kind = "sparse"
    return _Header(
        path=path,
        link=_decode(block[157:257]) if extension.link is None else extension.link,
        kind=kind,
        size=size if extension.size is None else extension.size,
    )


def _skip_sparse_map(blocks: _Blocks, block: bytes, offset: int, name: str) -> int:
    """Return where the content of an old GNU sparse member begins: after the rest of its map."""
    extended = block[482]
    end = offset + (MAX_SPARSE_MAPS + 1) * BLOCK
    while extended and offset < end:
        more = blocks.read(offset, BLOCK)
        if len(more) < BLOCK:
            raise ImageError(f"{name}: truncated in the map of a sparse entry at byte {offset}")
        extended = more[504]
        offset += BLOCK
    return offset


def _target(header: _Header, path: str, name: str) -> str:
    if header.kind == "symlink":
        return normalised(header.link, path.rpartition("/")[0], name)
    if header.kind == "link":
        return normalised(header.link, "", name)
    return ""


def normalised(path: str, directory: str, name: str) -> str:
    """Return `path`, seen from `directory`, from the top of the archive.

    Raises:
        ImageError: it leads outside.
    """
    if path.startswith("/"):
        raise ImageError(f"{name}: entry {shown(path)} points outside the archive")
    steps = directory.split("/") if directory else []
    for step in path.split("/"):
        if step == "..":
            if not steps:
                raise ImageError(f"{name}: entry {shown(path)} points outside the archive")
            steps.pop()
        elif step not in {"", "."}:
            steps.append(step)
    return "/".join(steps)


def _decode(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
