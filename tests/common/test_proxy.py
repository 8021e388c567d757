"""Which proxy is used: by a table of our own, and by botocore wherever it has the same rule."""

from __future__ import annotations

import base64
import traceback

import pytest
import yarl
from hypothesis import given
from hypothesis import strategies as st

from aioecrpublic._common.proxy import ProxyError, find_proxy
from tests.support import oracle
from tests.support.secrets import assert_hidden
from tests.support.soak import FUZZ

PROXY = "http://proxy:3128"
ELSEWHERE = "https://a.example.com"


def found(environment: dict[str, str], url: str = ELSEWHERE) -> str | None:
    proxy = find_proxy(yarl.URL(url), environment)
    return None if proxy is None else str(proxy.url)


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, ELSEWHERE, None),
        ({"HTTPS_PROXY": PROXY}, ELSEWHERE, PROXY),
        ({"https_proxy": "proxy:3128"}, ELSEWHERE, PROXY),
        ({"https_proxy": "//proxy:3128"}, ELSEWHERE, PROXY),
        ({"HTTP_PROXY": PROXY}, ELSEWHERE, None),
        ({"HTTPS_PROXY": PROXY, "https_proxy": "http://lower:1"}, ELSEWHERE, "http://lower:1"),
        ({"HTTP_PROXY": PROXY}, "http://example.com", PROXY),
        ({"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}, "http://example.com", None),
        ({"http_proxy": PROXY, "REQUEST_METHOD": "GET"}, "http://example.com", PROXY),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "example.com"}, "https://example.com", None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "example.com"}, ELSEWHERE, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": ".example.com"}, ELSEWHERE, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": ".example.com"}, "https://example.com", None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "ample.com"}, "https://example.com", PROXY),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "EXAMPLE.com"}, "https://Example.COM", None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "example.com:8443"}, "https://example.com:8443", None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "example.com:8443"}, "https://example.com", PROXY),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "b.test,example.com"}, ELSEWHERE, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, ELSEWHERE, None),
    ],
)
def test_proxies_are_found_as_botocore_finds_them(
    environment: dict[str, str], url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert found(environment, url) == proxy
    scheme = yarl.URL(url).scheme
    theirs = oracle.utils.get_environ_proxies(url).get(scheme)
    assert (theirs is None) == (proxy is None)
    assert theirs is None or (proxy or "").endswith(theirs.removeprefix("//"))


@pytest.mark.parametrize(
    ("excluded", "url", "reached_directly"),
    [
        ("a.example.com:443", ELSEWHERE, True),
        ("a.example.com:8443", ELSEWHERE, False),
        ("b.test a.example.com", ELSEWHERE, True),
        ("b.test, a.example.com ,c.test", ELSEWHERE, True),
        ("b.test,*", ELSEWHERE, True),
        ("*.example.com", ELSEWHERE, True),
        ("example.com.", ELSEWHERE, True),
        ("example.com", "https://a.example.com./", True),
        ("bücher.example", "https://bücher.example", True),
        ("xn--bcher-kva.example", "https://bücher.example", True),
        ("192.0.2.1", "https://192.0.2.1", True),
        ("192.0.2.1:443", "https://192.0.2.1", True),
        ("192.0.2.1:444", "https://192.0.2.1", False),
        ("2.1", "https://192.0.2.1", False),
        ("192.0.2.0/24", "https://192.0.2.1:8443", True),
        ("192.0.2.77/24", "https://192.0.2.1", True),
        ("198.51.100.0/24", "https://192.0.2.1", False),
        ("192.0.2.0/24", ELSEWHERE, False),
        ("2001:db8::1", "https://[2001:db8::1]", True),
        ("[2001:db8::1]", "https://[2001:db8::1]", True),
        ("[2001:DB8:0::1]:443", "https://[2001:db8::1]", True),
        ("[2001:db8::1]:444", "https://[2001:db8::1]", False),
        ("2001:db8::/32", "https://[2001:db8::1]:8443", True),
        ("[2001:db8::]/32", "https://[2001:db8::1]", True),
        ("2001:db9::/32", "https://[2001:db8::1]", False),
        ("192.0.2.1", "https://[::ffff:192.0.2.1]", True),
        ("", ELSEWHERE, False),
        (",, ,", ELSEWHERE, False),
        ("/ :443 [ ] [:1 999.1.1.1/99 .", ELSEWHERE, False),
    ],
)
def test_what_no_proxy_lists_is_reached_directly(excluded: str, url: str, reached_directly: bool) -> None:  # noqa: FBT001 - cases
    for name in ("NO_PROXY", "no_proxy"):
        assert (found({"HTTPS_PROXY": PROXY, name: excluded}, url) is None) == reached_directly


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({"HTTPS_PROXY": ""}, None),
        ({"https_proxy": "", "HTTPS_PROXY": PROXY}, PROXY),
        ({"https_proxy": PROXY, "HTTPS_PROXY": ""}, PROXY),
        ({"HTTPS_PROXY": PROXY, "no_proxy": "", "NO_PROXY": "a.example.com"}, None),
        ({"HTTPS_PROXY": PROXY, "no_proxy": "", "NO_PROXY": ""}, PROXY),
    ],
)
def test_an_empty_variable_is_as_good_as_none(environment: dict[str, str], proxy: str | None) -> None:
    assert found(environment) == proxy


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "127.0.0.1:4566",
        "127.1.2.3",
        "[::1]:8080",
        "ecr.localhost",
        "[::ffff:127.0.0.1]",
    ],
)
def test_no_proxy_leads_back_to_this_machine(host: str) -> None:
    assert found({"HTTP_PROXY": PROXY}, f"http://{host}") is None
    assert found({"HTTP_PROXY": PROXY}, "http://10.0.0.1") == PROXY


@pytest.mark.parametrize(
    ("value", "address", "identity"),
    [
        ("http://proxy:3128/", "http://proxy:3128", None),
        ("HTTPS://proxy", "https://proxy", None),
        ("http://[2001:db8::1]:3128", "http://[2001:db8::1]:3128", None),
        ("[2001:db8::1]:3128", "http://[2001:db8::1]:3128", None),
        ("http://user:the-password@proxy:1", "http://proxy:1", "user:the-password"),
        ("user:the-password@proxy:1", "http://proxy:1", "user:the-password"),
        ("http://us%40er:p%2Fw%3A%C3%BC@proxy", "http://proxy", "us@er:p/w:ü"),
        ("http://user@proxy", "http://proxy", "user:"),
        ("http://:the-password@proxy", "http://proxy", ":the-password"),
    ],
)
def test_a_proxy_is_taken_apart(value: str, address: str, identity: str | None) -> None:
    proxy = find_proxy(yarl.URL(ELSEWHERE), {"HTTPS_PROXY": value})
    assert proxy is not None
    assert str(proxy.url) == address
    expected = None if identity is None else f"Basic {base64.b64encode(identity.encode()).decode()}"
    assert proxy.authorization == expected
    assert "the-password" not in f"{proxy!r} {proxy}"
    assert expected is None or expected not in repr(proxy)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
@pytest.mark.parametrize(
    "value",
    [
        "socks5://user:the-password@proxy:1",
        "SOCKS5h://user:the-password@proxy:1",
        "ftp://user:the-password@proxy:1",
        "http://user:the-password@",
        "http://user:the-password@proxy:port",
        "http://user:the-password@proxy:99999",
        "http://user:the-password@proxy:1/path",
        "http://user:the-password@proxy:1?query",
        "http://user:the-password@pro xy:1",
        "http://user:the-password@[::1",
        "http://user:the-password@[fe80::1%25eth0]:1",
        "http://user:the-password/tail@proxy:1",
    ],
)
def test_what_is_no_proxy_is_refused_in_one_sentence_without_its_value(name: str, value: str) -> None:
    with pytest.raises(ProxyError, match=f"^{name} must be an http or https URL") as caught:
        find_proxy(yarl.URL(ELSEWHERE), {name: value})
    assert_hidden(caught.value, ["the-password"])
    assert "\n" not in str(caught.value)
    assert ("SOCKS" in str(caught.value)) == value.lower().startswith("socks")


urls = st.one_of(
    st.text(max_size=40),
    st.builds(
        "{}://{}{}{}{}".format,
        st.sampled_from(["http", "https", "socks5", "HTTP", "", "ws"]),
        st.sampled_from(["", "user:the-password@", "@", "a:b:c@", "%zz:%@"]),
        st.sampled_from(["proxy", "[::1]", "[::1", "fe80::1%eth0", "127.1", "a..b", "bücher", " ", "."]),
        st.sampled_from(["", ":", ":0", ":1", ":65536", ":-1", ":x", ":٣"]),
        st.sampled_from(["", "/", "/p", "?q", "#f", "\n", "\0", "\udcff"]),
    ),
)


@pytest.mark.slow
@FUZZ
@given(proxy=urls, excluded=st.one_of(urls, st.text(alphabet="*.,: []/0123456789abcdef%-", max_size=30)))
def test_any_text_is_a_proxy_or_is_refused(proxy: str, excluded: str) -> None:
    shown = ""
    try:
        result = find_proxy(yarl.URL(ELSEWHERE), {"HTTPS_PROXY": proxy, "NO_PROXY": excluded})
        shown = repr(result)
    except ProxyError as error:
        shown = "".join(traceback.format_exception(error))
    assert "the-password" not in shown
