"""The model's HTML documentation as plain docstring text."""

from __future__ import annotations

import re
import textwrap
from html.parser import HTMLParser

import attrs

_BLOCKS = frozenset({
    "p", "dt", "dd", "br", "div", "section", "title", "table", "tr", "h1", "h2", "h3", "h4", "h5", "h6",
})  # fmt: skip
_CONTAINERS = frozenset({"ul", "ol", "dl", "li", "note", "important"})
_DROPPED = frozenset({"fullname"})
_LABELS = {"note": "Note: ", "important": "Important: "}


@attrs.define
class _Block:
    text: str = ""
    indent: int = 0
    bullet: str = ""


class _Reader(HTMLParser):
    """Collects blocks of text; of a tag that it does not know, the words."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks = [_Block()]
        self._lists = 0
        self._dropping = 0
        self._links: list[str | None] = []
        self._code = 0
        self._bullet = ""
        self._label = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in _DROPPED:
            self._dropping += 1
        elif tag == "a":
            self._links.append(dict(attributes).get("href"))
        elif tag == "code":
            self._code += 1
            self.blocks[-1].text += "``"
        elif tag in _BLOCKS or tag in _CONTAINERS:
            self._lists += tag in {"ul", "ol", "dl"}
            self._bullet = "- " if tag == "li" else self._bullet
            self._label = _LABELS.get(tag, self._label)
            self._begin()

    def handle_endtag(self, tag: str) -> None:
        if tag in _DROPPED:
            self._dropping = max(self._dropping - 1, 0)
        elif tag == "a":
            link = self._links.pop() if self._links else None
            if link and link.startswith("http"):
                self.blocks[-1].text += f" ({link})"
        elif tag == "code" and self._code:
            self._code -= 1
            self.blocks[-1].text += "``"
        elif tag in _BLOCKS or tag in _CONTAINERS:
            self._lists = max(self._lists - (tag in {"ul", "ol", "dl"}), 0)
            self._begin()

    def handle_data(self, data: str) -> None:
        if self._dropping:
            return
        if data.strip() and not self.blocks[-1].text.strip("` "):
            self.blocks[-1].text = self._label + self.blocks[-1].text
            self._label = ""
        self.blocks[-1].text += data

    def _begin(self) -> None:
        last = self.blocks[-1]
        if last.text.strip():
            self.blocks.append(_Block())
            last = self.blocks[-1]
        last.text = ""
        last.indent = max(self._lists - 1, 0) * 2 + (2 if self._lists else 0)
        last.bullet = self._bullet or last.bullet
        self._bullet = ""


def _clean(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"``\s*([^`]*?)\s*``", r"``\1``", text)
    return re.sub(r"`{4}", "", text).replace("\\", "\\\\").replace('"""', "'''")


def paragraphs(html: str) -> list[tuple[str, int, str]]:
    """The documentation as ``(text, indent, bullet)`` blocks, white space folded."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    blocks = [(_clean(block.text), block.indent, block.bullet) for block in reader.blocks]
    return [block for block in blocks if block[0]]


def summary(html: str) -> str:
    """The first sentence of the documentation, or nothing where there is none."""
    blocks = paragraphs(html)
    if not blocks:
        return ""
    first = re.split(r"(?<=[.!?])\s+(?=[A-Z`])", blocks[0][0], maxsplit=1)[0]
    return first if first.endswith((".", "!", "?")) else f"{first}."


def lines(html: str, width: int, *, hanging: int = 0) -> list[str]:
    """The documentation wrapped to ``width`` columns, an empty line between blocks.

    With ``hanging``, blocks follow each other without empty lines and every line but the first is indented:
    the form of an entry in an ``Args:`` section.
    """
    result: list[str] = []
    previous_bullet = ""
    for text, indent, bullet in paragraphs(html):
        if result and not hanging and not (bullet and previous_bullet):
            result.append("")
        pad = " " * (max(indent - len(bullet), 0) if bullet else indent)
        first = "" if hanging and not result else " " * hanging
        rest = " " * hanging
        result.extend(
            textwrap.wrap(
                text,
                width,
                initial_indent=first + pad + bullet,
                subsequent_indent=rest + pad + " " * len(bullet),
                break_long_words=False,
                break_on_hyphens=False,
            ),
        )
        previous_bullet = bullet
    return result
