"""A catalog page as files: read, and held against the model's limits."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

import attrs

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

    Raises:
        ConfigurationError: It cannot be read, or something in it cannot be; all problems in one, each with
            its file.
    """
    found = _names(directory)
    reader = _Reader(directory, found)
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


def _names(directory: Path) -> list[str]:
    try:
        names = sorted(path.name for path in directory.iterdir())
    except OSError as error:
        raise ConfigurationError(f"{directory}: cannot be read: {error.strerror}") from error
    known = ", ".join(_FILES)
    for name in names:
        # Taken for something else, it would be as if its part of the page were to be removed.
        if name not in _FILES and name.partition(".")[0].lower() in _STEMS:
            raise ConfigurationError(f"{directory / name}: not one of the names {known}")
    found = [name for name in names if name in _FILES]
    if not found:
        raise ConfigurationError(f"{directory}: holds none of {known}")
    return found


class _Reader:
    """Reads the files of a directory, and gathers what is wrong with them."""

    def __init__(self, directory: Path, names: list[str]) -> None:
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
            return parse((self._directory / name).read_bytes())
        except OSError as error:
            self._wrong(name, f"cannot be read: {error.strerror}")
        except UnicodeDecodeError as error:
            self._wrong(name, f"not UTF-8 at byte {error.start}")
        except tomllib.TOMLDecodeError as error:
            self._wrong(name, f"not TOML: {error}")
        return None

    def _wrong(self, name: str, what: str) -> None:
        self.problems.append(f"{self._directory / name}: {what}")


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
