from __future__ import annotations

import json
import tracemalloc
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioecrpublic.images import ImageError
from aioecrpublic.images.jsondoc import MAX_VALUES, parse, parse_object

if TYPE_CHECKING:
    from tests.support.oci import JSON

JSON_VALUES: st.SearchStrategy[JSON] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_json_is_read_as_the_standard_library_reads_it(value: JSON) -> None:
    raw = json.dumps(value).encode()
    assert parse(raw, "here") == json.loads(raw)


@given(st.binary(max_size=40))
def test_no_bytes_end_in_anything_but_a_document_or_an_image_error(raw: bytes) -> None:
    with suppress(ImageError):
        parse(raw, "here")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe{\x00}\x00", r"not UTF-8 text \(byte 0\)"),
        (b'{"a": "\xc3"}', r"not UTF-8 text \(byte 7\)"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        (b'{"size": NaN}', "NaN is no JSON value"),
        (b'{"size": 1e999}', "the number '1e999' is too large"),
        (b'{"size": -' + b"9" * 400 + b".0}", "the number '-999.* is too large"),
        (b'{"size": -Infinity}', "-Infinity is no JSON value"),
        (b'{"size": ' + b"9" * 5000 + b"}", "not valid JSON: Exceeds the limit"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "the member 'c' is there twice"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
        (b"[" * 101 + b"]" * 101, "nested too deeply"),
        (b'{"a":' * 500 + b"1" + b"}" * 500, "nested too deeply"),
        (b"[" + b"[]," * MAX_VALUES + b"[]]", "more than 300000 values"),
    ],
)
def test_what_is_wrong_is_said(raw: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=f"^here: .*{message}"):
        parse(raw, "here")


def test_a_hundred_levels_are_enough() -> None:
    assert json.dumps(parse(b"[" * 100 + b"]" * 100, "here")) == "[" * 100 + "]" * 100


def test_an_object_is_asked_for() -> None:
    assert parse_object(b'{"a": 1}', "here") == {"a": 1}
    with pytest.raises(ImageError, match="here: the document is a list, not an object"):
        parse_object(b"[]", "here")


@pytest.mark.parametrize("unit", [b"{},", b"[],", b'"",', b'{"a":0},', b"[[[[]]]],"])
def test_the_values_of_a_document_of_full_size_fit_into_memory(unit: bytes) -> None:
    full = b"[" + unit * (4 * 1024 * 1024 // len(unit)) + b"0]"
    counted = sum(unit.count(character) for character in (b",", b"[", b"{"))
    largest = b"[" + unit * ((MAX_VALUES - 1) // counted) + b"0]"
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match="more than"):
            parse(full, "here")
        parse(largest, "here")
        assert tracemalloc.get_traced_memory()[1] < 40 * 1024 * 1024
    finally:
        tracemalloc.stop()
