from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioecrpublic.images import ImageError
from aioecrpublic.images.registry_headers import (
    Challenge,
    ContentRange,
    check_encodings,
    content_length,
    next_link,
    parse_challenges,
    parse_content_range,
)


@pytest.mark.parametrize(
    ("headers", "challenges"),
    [
        ([], []),
        (["Basic"], [Challenge("basic", {})]),
        (['Basic realm="x"'], [Challenge("basic", {"realm": "x"})]),
        (
            [
                'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="a:b:pull,push"'
            ],
            [
                Challenge(
                    "bearer",
                    {
                        "realm": "https://auth.docker.io/token",
                        "service": "registry.docker.io",
                        "scope": "a:b:pull,push",
                    },
                )
            ],
        ),
        (
            ['Negotiate, BASIC Realm = "a \\"b\\" c" , charset=utf-8, bearer realm=x'],
            [
                Challenge("negotiate", {}),
                Challenge("basic", {"realm": 'a "b" c', "charset": "utf-8"}),
                Challenge("bearer", {"realm": "x"}),
            ],
        ),
        (['Basic realm="a"', "Bearer"], [Challenge("basic", {"realm": "a"}), Challenge("bearer", {})]),
        (['Bearer realm="first",realm="second"'], [Challenge("bearer", {"realm": "first"})]),
        (['Basic realm="not closed'], [Challenge("basic", {"realm": ""})]),
        (["@@@"], []),
        (["realm=x"], []),
    ],
)
def test_challenges(headers: list[str], challenges: list[Challenge]) -> None:
    assert parse_challenges(headers) == challenges


@given(st.lists(st.text(st.sampled_from('Bearer realm="x\\,;= \t'), max_size=60), max_size=3))
def test_any_header_is_read_as_far_as_it_goes(headers: list[str]) -> None:
    for challenge in parse_challenges(headers):
        assert challenge.scheme == challenge.scheme.lower()


@pytest.mark.parametrize(
    ("headers", "target"),
    [
        ([], None),
        ([""], None),
        ([" , ,"], None),
        (['</v2/a?last=x&n=5>; rel="next"'], "/v2/a?last=x&n=5"),
        (["</v2/a>;rel=next"], "/v2/a"),
        (['</v2/a> ; ReL = "prev NEXT"'], "/v2/a"),
        (['<a>; rel="prev", <b>; rel="next"'], "b"),
        (['<a>; rel="prev"', '<b>; rel="next"'], "b"),
        (['<a>; rel="prev"; rel="next"'], None),
        (['<a>; title="<b>; rel=\\"next\\", "; rel=last'], None),
        (['<a>; rel="nextnext"', '<b>; rev="next"', "<c>"], None),
        (["</style.css>; rel=preload; as=style; nopush, <b,c;d>; rel=\"next\"; title*=UTF-8''x"], "b,c;d"),
        (['<a>; rel="next"; anchor="/elsewhere"'], None),
        (['<>; rel="next"'], ""),
        (["<a>;; ; rel=next;"], "a"),
    ],
)
def test_the_link_to_the_next_page(headers: list[str], target: str | None) -> None:
    assert next_link(headers) == target


@pytest.mark.parametrize(
    "header",
    ['/v2/a; rel="next"', '<a; rel="next"', '<a> rel="next"', '<a>; rel="next', "<a>, b", "\x00\udcff"],
)
def test_links_that_could_hide_a_page_are_refused(header: str) -> None:
    with pytest.raises(ValueError, match=r"no target|something else"):
        next_link([header])


@given(st.lists(st.text(st.sampled_from('</a>;rel="next,= \\\t\udc80'), max_size=60), max_size=3))
def test_any_link_is_read_or_refused(headers: list[str]) -> None:
    try:
        target = next_link(headers)
    except ValueError:
        return
    assert target is None or any(f"<{target}>" in header for header in headers)


@pytest.mark.parametrize(
    ("value", "length"),
    [
        ("0", 0),
        (" 12 ", 12),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1,1", None),
        ("٣", None),
        ("9" * 20, None),
    ],
)
def test_content_length(value: str, length: int | None) -> None:
    assert content_length({"Content-Length": value}) == length
    assert content_length({"Content-Length": "9" * 5000}) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes 5-9/10", ContentRange(5, 9, 10)),
        ("Bytes 5-9/*", ContentRange(5, 9, None)),
        ("bytes */10", None),
        ("bytes=5-9/10", None),
        ("bytes 5-9", None),
        ("bytes ٣-٤/9", None),
        (f"bytes {'9' * 5000}-1/1", None),
    ],
)
def test_content_range(value: str, expected: ContentRange | None) -> None:
    assert parse_content_range({"Content-Range": value}) == expected
    assert parse_content_range({}) is None


def test_encodings_that_change_the_bytes_are_refused() -> None:
    check_encodings({}, "x")
    check_encodings({"Content-Encoding": "Identity", "Transfer-Encoding": "Chunked"}, "x")
    with pytest.raises(ImageError, match=r"x: sent with Content-Encoding 'gzip', which was not asked for"):
        check_encodings({"Content-Encoding": "gzip"}, "x")
    with pytest.raises(ImageError, match="x: sent with Transfer-Encoding 'gzip, chunked'"):
        check_encodings({"Transfer-Encoding": "gzip, chunked"}, "x")
