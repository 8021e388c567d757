"""A catalog page as files: read without leaving their directory, and held against the model's limits."""

from __future__ import annotations

import errno
import os
import re
import tomllib
from typing import TYPE_CHECKING, Any

import attrs

from aioecrpublic._common.fileio import LeavesDirectoryError, open_regular_beneath, read_descriptor
from aioecrpublic._generated.service import PUT_REPOSITORY_CATALOG_DATA, SERVICE
from aioecrpublic._generated.types import PutRepositoryCatalogDataRequest, RepositoryCatalogDataInput
from aioecrpublic._runtime.errors import ConfigurationError
from aioecrpublic._runtime.validate import problems

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ABOUT = "about.md"
USAGE = "usage.md"
TABLE = "catalog.toml"
LOGOS = ("logo.png", "logo.jpg", "logo.jpeg")
_FILES = (ABOUT, USAGE, TABLE, *LOGOS)
_STEMS = frozenset(name.partition(".")[0] for name in _FILES)
# Amazon ECR Public user guide, "Repository catalog data".
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
# More than the service takes of anything, so that what is a little too long is told by its length.
_MAX_FILE = 1024 * 1024
# A key of many parts takes tomllib a time that grows with their square: of so many bytes, some seconds.
_MAX_TABLE = 32 * 1024
_OPEN_DIRECTORY = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY
_MEMBER = re.compile(r"catalog_data\.(\w+)")
# What the gallery shows and searches (API reference, RepositoryCatalogDataInput); others are only stored.
_SHOWN = {
    "architectures": ("ARM", "ARM 64", "x86", "x86-64"),
    "operating_systems": ("Linux", "Windows"),
}


@attrs.frozen(kw_only=True)
class CatalogPage:
    """What a directory says about a repository; what it does not say is empty.

    Attributes:
        description: One or two sentences, from ``catalog.toml``.
        about_text: Markdown, from ``about.md``.
        usage_text: Markdown, from ``usage.md``.
        architectures: From ``catalog.toml``.
        operating_systems: From ``catalog.toml``.
        logo: A PNG or JPEG image.
        files: The file that each of these comes from, or would.
        notes: What is allowed and yet hardly meant, a sentence each.
    """

    description: str
    about_text: str
    usage_text: str
    architectures: tuple[str, ...]
    operating_systems: tuple[str, ...]
    logo: bytes | None = attrs.field(repr=False)
    files: dict[str, str]
    notes: tuple[str, ...]

    def to_input(self) -> RepositoryCatalogDataInput:
        """All of it as the service takes it."""
        return RepositoryCatalogDataInput(
            description=self.description,
            about_text=self.about_text,
            usage_text=self.usage_text,
            architectures=self.architectures,
            operating_systems=self.operating_systems,
            logo_image_blob=self.logo,
        )


def read_page(directory: Path, repository_name: str) -> CatalogPage:
    """Read and check a directory; blocks.

    Symbolic links are followed as long as they stay within it.

    Raises:
        ConfigurationError: It cannot be read, or something in it cannot be; all problems in one, each with
            its file.
    """
    try:
        root = os.open(directory, _OPEN_DIRECTORY)
    except (OSError, ValueError) as error:
        raise _unreadable(directory, error) from error
    try:
        return _read_page(root, directory, repository_name)
    finally:
        os.close(root)


def _read_page(root: int, directory: Path, repository_name: str) -> CatalogPage:
    reader = _Reader(root, directory, _names(root, directory))
    table = reader.table()
    logo_name, logo = reader.logo()
    page = CatalogPage(
        description=table["description"],
        about_text=reader.text(ABOUT),
        usage_text=reader.text(USAGE),
        architectures=table["architectures"],
        operating_systems=table["operating_systems"],
        logo=logo,
        files={
            **dict.fromkeys(("description", "architectures", "operating_systems"), TABLE),
            "about_text": ABOUT,
            "usage_text": USAGE,
            "logo": logo_name,
        },
        notes=tuple(_notes(table)),
    )
    found_wrong = reader.problems + _limits(page, directory, repository_name)
    if found_wrong:
        raise ConfigurationError("; ".join(found_wrong))
    return page


def _names(root: int, directory: Path) -> list[str]:
    """Return the names of the files that make the page."""
    found, mistaken = [], []
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                if entry.name in _FILES:
                    found.append(entry.name)
                elif entry.name.partition(".")[0].lower() in _STEMS:
                    mistaken.append(entry.name)
    except OSError as error:
        raise _unreadable(directory, error) from error
    known = ", ".join(_FILES)
    if mistaken:
        # Taken for something else, it would be as if its part of the page were to be removed.
        raise ConfigurationError(f"{directory / min(mistaken)}: not one of the names {known}")
    if not found:
        raise ConfigurationError(f"{directory}: holds none of {known}")
    return found


def _unreadable(directory: Path, error: OSError | ValueError) -> ConfigurationError:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return ConfigurationError(f"{directory}: cannot be read: {reason}")


class _Reader:
    """Reads the files of a directory, and gathers what is wrong with them."""

    def __init__(self, root: int, directory: Path, names: list[str]) -> None:
        self._root = root
        self._directory = directory
        self._names = names
        self.problems: list[str] = []

    def text(self, name: str) -> str:
        """The text of a file, without what editors and gits add: a mark, returns, blanks at the end."""
        return self._read(name, lambda raw: plain(raw.decode("utf-8-sig"))) or ""

    def logo(self) -> tuple[str, bytes | None]:
        """The name and the bytes of the logo, of the first name that it may have if there is none."""
        names = [name for name in LOGOS if name in self._names]
        if len(names) > 1:
            self._wrong(names[1], f"there is {names[0]} too, and a page has one logo")
        name = (names or LOGOS)[0]
        logo = self._read(name, bytes)
        if logo is not None and not logo.startswith(_IMAGES):
            self._wrong(name, "neither a PNG nor a JPEG image")
        return name, logo

    def table(self) -> dict[str, Any]:
        """What ``catalog.toml`` says, with everything it may say in it."""
        found = self._read(TABLE, lambda raw: tomllib.loads(raw.decode("utf-8"))) or {}
        lists = {name: self._strings(found.pop(name, []), name) for name in _SHOWN}
        description = found.pop("description", "")
        if not isinstance(description, str):
            self._wrong(TABLE, "description is not a string")
            description = ""
        if found:
            known = ", ".join(("description", *_SHOWN))
            self._wrong(TABLE, f"{', '.join(sorted(found))}: not one of {known}")
        return {"description": plain(description), **lists}

    def _strings(self, value: object, name: str) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self._wrong(TABLE, f"{name} is not a list of strings")
            return ()
        if len(set(value)) < len(value):
            self._wrong(TABLE, f"{name} says the same twice")
        return tuple(value)

    def _read(self, name: str, parse: Callable[[bytes], Any]) -> Any:
        if name not in self._names:
            return None
        try:
            return parse(self._content(name))
        except LeavesDirectoryError:
            self._wrong(name, "cannot be read: a symbolic link points outside the directory")
        except OSError as error:
            self._wrong(name, f"cannot be read: {error.strerror}")
        except UnicodeDecodeError as error:
            self._wrong(name, f"not UTF-8 at byte {error.start}")
        except (ValueError, RecursionError) as error:
            # tomllib's own error, a number of too many digits, or lists in lists in lists.
            self._wrong(name, f"not TOML: {error}")
        return None

    def _content(self, name: str) -> bytes:
        descriptor = open_regular_beneath(self._root, name)
        try:
            before = os.fstat(descriptor)
            content = read_descriptor(descriptor, _MAX_TABLE if name == TABLE else _MAX_FILE, name)
            if _version(os.fstat(descriptor)) != _version(before) or len(content) != before.st_size:
                raise OSError(errno.EBUSY, "it was written to meanwhile")
        finally:
            os.close(descriptor)
        return content

    def _wrong(self, name: str, what: str) -> None:
        self.problems.append(f"{self._directory / name}: {what}")


def _version(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def plain(text: str) -> str:
    """A text as it is compared and sent: lines end with a newline, and nothing blank is at its end."""
    return text.replace("\r\n", "\n").rstrip()


def _limits(page: CatalogPage, directory: Path, repository_name: str) -> list[str]:
    request = PutRepositoryCatalogDataRequest(repository_name=repository_name, catalog_data=page.to_input())
    found = []
    for line in problems(SERVICE, PUT_REPOSITORY_CATALOG_DATA, request):
        # The repository's name is refused by the client, with what it can say about it.
        if match := _MEMBER.match(line):
            name = page.files[match[1].removesuffix("_image_blob")]
            found.append(f"{directory / name}: {line.removeprefix('catalog_data.')}")
    return found


def _notes(table: dict[str, Any]) -> list[str]:
    return [
        f"{member} has {item!r}, which the gallery neither shows nor searches: it knows {', '.join(shown)}"
        for member, shown in _SHOWN.items()
        for item in table[member]
        if item not in shown
    ]
