"""Whatever a user types as a reference, and whatever a registry answers: it works, or ends in one error.

The registry is a socket that sends what the example says and hangs up. Most kinds of requests get a good
reply in an example, so that the others are asked at all.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aioecrpublic.errors import ECRPublicError
from aioecrpublic.images import RegistryCredentials, RegistryImage, open_image
from aioecrpublic.images.registry_urls import is_authority, origin_of
from tests.images.scripted_registry import BLOB, CONFIG, GOOD, LISTING, MANIFEST, Reply, Scripted
from tests.support.oci import OCI_INDEX, OCI_MANIFEST, digest_of
from tests.support.soak import FUZZ

if TYPE_CHECKING:
    from collections.abc import Generator

CREDENTIALS = RegistryCredentials(username="someone", password="hunter2hunter2")
LONG = 30.0
"""Seconds; nothing here waits, so whatever takes as long hangs."""


@contextmanager
def nobody_but(registry: Scripted | None) -> Generator[None]:
    """Let every name be this machine, on which nobody else listens."""

    def resolve(host: str | None, port: int, *_: object, **__: object) -> list[Any]:
        if not host or not host.isascii() or len(host) > 253:
            raise UnicodeError("label empty or too long")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async def connect(loop: asyncio.BaseEventLoop, sock: socket.socket, address: Any) -> None:
        if registry is None or address[1] != registry.port:
            raise ConnectionRefusedError(111, "nobody is there")
        await real(loop, sock, ("127.0.0.1", registry.port))

    module = asyncio.selector_events.BaseSelectorEventLoop
    real = module.sock_connect
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", resolve)
        patch.setattr(module, "sock_connect", connect)
        yield


@contextmanager
def run() -> Generator[asyncio.Runner]:
    """Run coroutines on one loop; whatever is only told to the loop fails the test too."""
    told: list[dict[str, Any]] = []
    with asyncio.Runner() as runner:
        runner.get_loop().set_exception_handler(lambda _, context: told.append(context))
        yield runner
    assert told == []


hosts = st.one_of(
    st.text(st.sampled_from("aZ09.-_:[]%@/"), max_size=20),
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
    st.sampled_from(["localhost", "[::1]", "[fe80::1%eth0]", "xn--a", "xn--", "1.2.3", "0x7f.1", "a" * 63]),
)
ports = st.one_of(
    st.just(""),
    st.integers(-1, 100_000).map(lambda port: f":{port}"),
    st.sampled_from([":", ":٣", ":1e3"]),
)
paths = st.one_of(
    st.sampled_from(["team/app:1.0", "a", f"a@{digest_of(b'')}", "a:b@c", "../a", "a?b#c", ""]),
    st.text(st.characters(codec=None), max_size=20),
)
references = st.one_of(
    st.builds("{}{}{}/{}".format, st.sampled_from(["", "docker://", "https://"]), hosts, ports, paths),
    st.text(st.characters(codec=None), max_size=30),
)


def test_any_reference() -> None:
    @pytest.mark.slow
    @FUZZ
    @given(text=references, plain=st.booleans())
    @example(text="docker://[::1]:5000/team/app:1", plain=True)
    @example(text="docker://xn--a/b", plain=False)
    def check(text: str, *, plain: bool) -> None:
        async def attempt() -> None:
            if not text.startswith("docker://"):
                open_image(text)
            source = RegistryImage(text, insecure=plain, credentials=CREDENTIALS, max_attempts=1)
            scheme, host, _ = origin_of(source._base)
            assert scheme == ("http" if plain else "https")
            assert is_authority(f"[{host}]" if ":" in host else host)
            async with asyncio.timeout(LONG):
                await source.open()

        with suppress(ECRPublicError):
            runner.run(attempt())
            raise AssertionError("nobody is there")

    with run() as runner, nobody_but(None):
        check()


VALUES: dict[str, list[bytes]] = {
    "Location": [
        b"/v2/team/app/blobs/x",
        b"/loop",
        b"//a:b@HOST/x",
        b"http://a:b@HOST/x",
        b"http://HOST/token",
        b"http://other.example/v2/team/app/manifests/1.0",
        b"http://[::1]:1/",
        b"http://[fe80::1%25eth0]/",
        b"https://HOST/",
        b"http://%zz/",
        b"http://xn--a/",
        b"mailto:x",
        b"?",
        b"#",
        b"http:x",
        b"http://a" + b".a" * 2000 + b"/",
    ],
    "WWW-Authenticate": [
        b'Bearer realm="http://HOST/token",service="s",scope="repository:team/app:pull"',
        b'Bearer realm="http://HOST/token?a=b%2F#c"',
        b'Bearer realm="http://a:b@HOST/token"',
        b'Bearer realm="http://HOST/token",service="\xff\xfe"',
        b'Bearer realm="http://other.example/token",scope="' + b"x" * 4000 + b'"',
        b'Bearer realm="mailto:x"',
        b"Bearer realm=",
        b'Basic realm="here"',
        b"Basic",
        b"Negotiate",
        b'Bearer realm="http://HOST/token' + b"\\" * 1000,
    ],
    "Link": [
        b'</v2/team/app/referrers/x>; rel="next"',
        b'<http://[bad>; rel="next"',
        b'<mailto:x>; rel="next"',
        b'<//a:b@HOST/v2/>; rel="next"',
        b'<>; rel="next"',
        b'</>; rel="next',
        b"<" * 4000,
    ],
    "Content-Length": [b"0", b"1", b"-1", b"+5", b"1e3", b"9" * 30, b"9" * 5000, b"5, 5", b"\xd9\xa3"],
    "Content-Range": [b"bytes 10-2559/2560", b"bytes 10-2559/*", b"bytes 11-12/13", b"bytes " + b"9" * 50],
    "Content-Type": [OCI_MANIFEST.encode(), OCI_INDEX.encode(), b"text/html", b";", b"\xff"],
    "Content-Encoding": [b"identity", b"gzip", b"br", b"deflate, gzip", b"\xff"],
    "Transfer-Encoding": [b"chunked", b"gzip, chunked", b"gzip", b"identity", b"chunked, chunked", b"\xff"],
    "Docker-Content-Digest": [digest_of(MANIFEST).encode(), b"sha256:", b"md5:x", b"sha256:" + b"0" * 64],
    "Retry-After": [b"1", b"9" * 20, b"Wed, 21 Oct 2015 07:28:00 GMT", b"Wed, 21 Oct 99999 07:28 GMT"],
    "Date": [b"Wed, 21 Oct 2015 07:28:00 GMT", b"Wed, 31 Feb 0000 99:99:99 +9999"],
    "Set-Cookie": [b"a=b", b"a=b; Domain=.HOST", b"\xff=\x01", b"=;;=,"],
    "Connection": [b"close", b"keep-alive", b"Upgrade"],
    "Upgrade": [b"tcp", b"websocket", b"h2c"],
}  # fmt: skip
STATUSES = [
    100,
    101,
    103,
    200,
    201,
    204,
    206,
    301,
    302,
    303,
    304,
    307,
    308,
    400,
    401,
    403,
    404,
    405,
    416,
    429,
    503,
]
BODIES = [
    b"",
    b"{}",
    MANIFEST,
    LISTING,
    BLOB,
    BLOB[10:],
    b'{"token":"t"}',
    b'{"token":"t","expires_in":' + b"9" * 400 + b"}",
    b'{"token":"t","expires_in":1e999}',
    b'{"token":"t","expires_in":-1}',
    b'{"token":"t","expires_in":true}',
    b'{"access_token":"\\u00e9"}',
    b'{"token":"t\\r\\nX: y"}',
    b'{"token":' + b"9" * 5000 + b"}",
    b'{"token":["t"]}',
    b'{"errors":[{"message":"no \\u001b[31m \\u202e"}]}',
    b'{"errors":[[]]}',
    b'{"errors":{}}',
    b'{"manifests":[{"size":' + b"9" * 400 + b"}]}",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"\xff\xfe",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"fffffffffffffffff\r\nx",
    b"0\r\nX: \xff\r\n\r\n",
]  # fmt: skip


CHALLENGE = Reply.of(401, b"Unauthorized", [(b"WWW-Authenticate", VALUES["WWW-Authenticate"][0])], b"")

header = st.sampled_from(sorted(VALUES)).flatmap(
    lambda name: st.tuples(
        st.just(name.encode()),
        st.one_of(st.sampled_from(VALUES[name]), st.binary(max_size=20)),
    )
)
odd = st.one_of(
    st.builds(
        Reply.of,
        st.sampled_from(STATUSES),
        st.one_of(st.just(b"OK"), st.binary(max_size=10)),
        st.lists(header, max_size=3),
        st.one_of(st.sampled_from(BODIES), st.binary(max_size=50)),
    ),
    st.binary(max_size=100).map(Reply),
    st.builds(
        lambda one, size: Reply(one.raw[:size]), st.sampled_from(list(GOOD.values())), st.integers(0, 200)
    ),
)
# What is asked for, and the replies to it one after the other; the last one then again and again.
answers = st.fixed_dictionaries({
    kind: st.one_of(st.just([one]), st.just([CHALLENGE, one]), st.lists(odd, min_size=1, max_size=3))
    for kind, one in GOOD.items()
})  # fmt: skip


def test_any_reply_of_a_registry() -> None:
    reached = {"opened": 0, "listed": 0, "checked": 0, "read": 0}

    @pytest.mark.slow
    @FUZZ
    @given(replies=answers, anonymous=st.booleans())
    def check(replies: dict[str, list[Reply]], *, anonymous: bool) -> None:
        registry.replies = {kind: list(these) for kind, these in replies.items()}
        runner.run(attempt(anonymous=anonymous))

    async def attempt(*, anonymous: bool) -> None:
        source = RegistryImage(
            f"{registry.host}/team/app:1.0",
            credentials=None if anonymous else CREDENTIALS,
            anonymous=anonymous,
            max_attempts=1,
            read_timeout=LONG,
        )
        async with asyncio.timeout(LONG):
            with suppress(ECRPublicError):
                async with source:
                    reached["opened"] += 1
                    with suppress(ECRPublicError):
                        await source.referrers(digest_of(MANIFEST))
                        reached["listed"] += 1
                    with suppress(ECRPublicError):
                        await source.check_blob(CONFIG)
                        reached["checked"] += 1
                    blob = await source.open_blob(CONFIG)
                    await blob.read(10, 100)
                    await blob.read(0, CONFIG.size)
                    reached["read"] += 1
            await source.close()

    registry = Scripted()
    with run() as runner, nobody_but(registry):
        runner.run(registry.start())
        check()
        runner.run(registry.stop())
    assert min(reached.values()) > 50, reached
