from __future__ import annotations

import pytest
import yarl
from hypothesis import given
from hypothesis import strategies as st

from aioecrpublic.images.registry_urls import URLError, is_authority, join_url, origin_of, show_origin

BASE = yarl.URL("https://registry.example/v2/team/app/")


@pytest.mark.parametrize(
    "text",
    [
        "localhost",
        "ghcr.io",
        "GHCR.io.",
        "my_registry:5000",
        "10.0.0.1:65535",
        "[::1]",
        "[::1]:1",
        "[::ffff:10.0.0.1]:5000",
        "a" * 63 + ".x",
    ],
)
def test_hosts(text: str) -> None:
    assert is_authority(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a..b",
        "-a",
        "a-.b",
        "a" * 64,
        ".".join(["a" * 49] * 6),
        "a:0",
        "a:65536",
        "a:",
        "a:٣",
        "user@a",
        "ä.example",
        "::1",
        "[]",
        "[::g]",
        "[fe80::1%eth0]",
        "[fe80::1%25eth0]",
        "[1.2.3.4]",
        "[v1.x]",
        "a b",
        "a%2fb",
        "a\n",
    ],
)
def test_no_hosts(text: str) -> None:
    assert not is_authority(text)


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("/v2/x?last=a%2Fb", "https://registry.example/v2/x?last=a%2Fb"),
        ("?n=1", "https://registry.example/v2/team/app/?n=1"),
        ("other", "https://registry.example/v2/team/app/other"),
        ("//cdn.example/x", "https://cdn.example/x"),
        ("HTTPS://cdn.example:8443/a%20b?X-Sig=a%2Fb%2B%3D&x=%20", None),
        ("https://[::1]:5000/x", "https://[::1]:5000/x"),
    ],
)
def test_what_is_followed(reference: str, url: str | None) -> None:
    expected = url or reference.replace("HTTPS", "https")
    assert str(join_url(BASE, reference)) == expected


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("", "something that is not a valid URL"),
        ("http://[bad", "something that is not a valid URL"),
        ("/\x1b[31m", "something that is not a valid URL"),
        ("/a b", "something that is not a valid URL"),
        ("/\udcff", "something that is not a valid URL"),
        ("https://ä.example/", "something that is not a valid URL"),
        ("https://a\\@b/", "something that is not a valid URL"),
        ("https://a:99999/", "something that is not a valid URL"),
        ("https://[fe80::1%25eth0]/", "something that is not a valid URL"),
        ("https:///x", None),
        ("mailto:x", "something that is neither http nor https"),
        ("file:///etc/passwd", "something that is neither http nor https"),
        ("https://a:b@cdn.example/", "a URL with a user name or password in it"),
        ("//a@cdn.example/", "a URL with a user name or password in it"),
        ("http://registry.example/x", "http from https"),
    ],
)
def test_what_is_not_followed(reference: str, reason: str | None) -> None:
    if reason is None:
        assert origin_of(join_url(BASE, reference)) == origin_of(BASE)
        return
    with pytest.raises(URLError) as caught:
        join_url(BASE, reference)
    assert str(caught.value) == reason


def test_http_may_lead_to_https_and_to_itself() -> None:
    plain = yarl.URL("http://registry.example/x")
    assert str(join_url(plain, "https://a.example/")) == "https://a.example/"
    assert str(join_url(plain, "http://a.example/")) == "http://a.example/"


def test_origins_are_compared_as_servers_are_told_apart() -> None:
    def origin(text: str) -> object:
        return origin_of(yarl.URL(text, encoded=True))

    assert origin("https://A.example/x?y") == origin("https://a.example.:443/")
    assert origin("https://a.example/") != origin("http://a.example/")
    assert origin("https://a.example/") != origin("https://a.example:444/")
    assert origin("https://[::1]/") != origin("https://a.example/")
    assert show_origin(yarl.URL("https://a.example/path?signature=x")) == "https://a.example"


@given(
    st.text(st.sampled_from("htps:/ab.@[]%?#\\1٣ \x00\udc80é"), max_size=40)
    | st.text(max_size=40).map(lambda text: f"https://{text}")
    | st.text(max_size=40).map(lambda text: f"//{text}/x")
)
def test_any_reference_is_followed_safely_or_refused(reference: str) -> None:
    try:
        url = join_url(BASE, reference)
    except URLError:
        return
    assert url.scheme == "https"
    assert url.raw_user is None
    assert url.raw_password is None
    scheme, host, port = origin_of(url)
    assert scheme == "https"
    assert host
    assert 0 < port < 65536
    assert str(url).isascii()
