"""That one member of a document changes, and no other character of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aioecrpublic.manage.json_edit import set_member
from tests.support.soak import SOAK

PATH = ["auths", "host"]
VALUE = {"auth": "x"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{}", '{\n\t"auths": {\n\t\t"host": {\n\t\t\t"auth": "x"\n\t\t}\n\t}\n}'),
        (" { } \n", ' {\n\t"auths": {\n\t\t"host": {\n\t\t\t"auth": "x"\n\t\t}\n\t}\n} \n'),
        ('{"a":1}', '{"a":1,"auths": {"host": {"auth": "x"}}}'),
        ('{"a": 1, "b": 2}', '{"a": 1, "b": 2, "auths": {"host": {"auth": "x"}}}'),
        ('{"auths": null, "b": 2}', '{"auths": {"host": {"auth": "x"}}, "b": 2}'),
        ('{"auths":{"host":{"auth":"y"}} }', '{"auths":{"host":{"auth": "x"}} }'),
        (
            '{\n  "auths": {},\n  "b": 1.10\n}\n',
            '{\n  "auths": {\n    "host": {\n      "auth": "x"\n    }\n  },\n  "b": 1.10\n}\n',
        ),
        (
            '{\n   "auths": {\n      "a": {}\n   }\n}',
            '{\n   "auths": {\n      "a": {},\n      "host": {\n         "auth": "x"\n      }\n   }\n}',
        ),
        ('{\n"a": 1\n}', '{\n"a": 1,\n"auths": {\n\t"host": {\n\t\t"auth": "x"\n\t}\n}\n}'),
        # Of two the last counts.
        (
            '{"auths": {}, "auths": {"host": 1, "host": 2}}',
            '{"auths": {}, "auths": {"host": 1, "host": {"auth": "x"}}}',
        ),
        ('{"\\u0061uths": {"h\\u006fst": 1}}', '{"\\u0061uths": {"h\\u006fst": {"auth": "x"}}}'),
        ('{"x": 1e999, "y": "\\ud800é"}', '{"x": 1e999, "y": "\\ud800é", "auths": {"host": {"auth": "x"}}}'),
    ],
)  # fmt: skip
def test_what_is_there_stays(before: str, after: str) -> None:
    assert set_member(before, PATH, VALUE) == after


@pytest.mark.parametrize(
    "text", ["", " ", "[]", "null", "{", '{"a": }', "{} {}", "{}x", '{"auths": []}', '{"auths": "x"}']
)
def test_what_is_not_an_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="char"):
        set_member(text, PATH, VALUE)


NAMES = st.sampled_from(["auths", "host", "a", "é", '"', "\n", "\\", ""])
LEAVES: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1.5e300, "", "\u20ac\t", [], {}, [[{}]], {"host": {"auth": "{}"}}]
)
TABLES = st.dictionaries(NAMES, LEAVES | st.dictionaries(NAMES, LEAVES, max_size=2), max_size=3)


@pytest.mark.slow
@settings(max_examples=100_000 if SOAK else 1000, derandomize=not SOAK, deadline=None)
@given(
    document=TABLES,
    table=st.none() | TABLES,
    indent=st.sampled_from([None, 0, 1, 2, 4, "\t"]),
    separators=st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]),
    ascii_only=st.booleans(),
)
def test_a_reader_finds_the_old_and_the_new(
    document: dict[str, Any],
    table: dict[str, Any] | None,
    indent: int | str | None,
    separators: tuple[str, str],
    ascii_only: bool,  # noqa: FBT001 - hypothesis passes by name
) -> None:
    document["auths"] = table
    before = json.dumps(document, indent=indent, separators=separators, ensure_ascii=ascii_only)
    after = set_member(before, PATH, VALUE)
    expected = {**document, "auths": {**(table or {}), "host": VALUE}}
    # Dumped, the order counts.
    assert json.dumps(json.loads(after)) == json.dumps(expected)
    if not table or "host" not in table:
        # What was added is in one piece; without it, the text is what it was, up to white space in braces.
        assert len(after) > len(before) - len("null")
        removed = _without_addition(before, after)
        assert "".join(removed.split()) in {"", "null"}
    assert set_member(after, PATH, VALUE) == after


def _without_addition(before: str, after: str) -> str:
    """Return what of ``before`` is neither the beginning nor the end of ``after``."""
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    return before[start : len(before) - end]
