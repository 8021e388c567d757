"""Text as an attacker would choose it, and looking for what of it reaches a terminal."""

from __future__ import annotations

from typing import Final

TEXTS: Final = {
    "title and clipboard": "\x1b]0;owned\x07\x1b]52;c;ZXZpbA==\x07",
    "cursor and colour": "\x1b[2K\x1b[1G\x1b[8m\x1b[31mpushed\x1b[0m",
    "eight-bit controls": "\x9b2J\x9d0;owned\x9c\x90q\x9c\x85",
    "line forged by a carriage return": "refused\rpushed public.ecr.aws/team/app:1.0",
    "line forged by a line feed": "refused\naioecrpublic: pushed\x0b\x0c\x1c\x1d\u2028\u2029",
    "bell, backspace, null, delete": "\x07\x08\x08\x08\x00\x7f",
    "other direction": "\u202egnihton\u202c\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
    "nothing to be seen": "\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e\U000e0041",
    "no characters": "\udc9b\ud800\udfff\ufffe\U0010ffff",
    "markup": "[bold red]x[/] [link=http://127.0.0.1]y[/link] [/nothing] :bomb: \\[",
    "format": "%s %(name)s {0} {name} %n",
}
EVERYTHING: Final = "".join(TEXTS.values())
LONG: Final = {
    "a megabyte": "x" * 2**20,
    "a megabyte of escapes": "\x1b[" * 2**19,
    "a hundred thousand combining marks": "e" + "\u0301" * 100_000,
}
# An escape takes up to ten characters; a line may have two such texts in it.
MAX_LINE: Final = 100_000


def assert_harmless(text: str) -> None:
    """Hold that ``text`` consists of lines of printable characters, none of them without end."""
    for line in text.split("\n"):
        bad = sorted({ascii(character) for character in line if not character.isprintable()})
        assert not bad, f"{' '.join(bad)} in {line[:500]!a}"
        assert len(line) <= MAX_LINE, f"a line of {len(line)} characters: {line[:200]}"
