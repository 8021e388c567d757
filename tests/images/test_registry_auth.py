from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioecrpublic.images.registry_auth import Challenge, parse_challenges


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
