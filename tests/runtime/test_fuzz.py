"""Whatever is given, configured or answered, a call ends in a response or in an error of this package."""

from __future__ import annotations

import asyncio
import math
import socket
import traceback
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aioecrpublic import Credentials, ECRPublicClient
from aioecrpublic.errors import ECRPublicError
from tests.support.soak import FUZZ
from tests.support.wire import Raw, Wire, answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

CREDENTIALS = Credentials("AKIDEXAMPLE", "a-secret", "a-session-token")
PASSWORD = "the-password"


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all examples."""
    with asyncio.Runner() as made:
        made.get_loop()
        yield made


@pytest.fixture(scope="module")
def nobody() -> Iterator[None]:
    """No name is resolved and no address answers."""

    def refused(**_: Any) -> Awaitable[socket.socket]:
        raise ConnectionRefusedError(111, "refused")

    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aiohttp.connector.aiohappyeyeballs.start_connection", refused)
        patch.setattr("aioecrpublic._common.resolver.socket.getaddrinfo", unknown)
        yield


async def call(**options: Any) -> str:
    """What a client shows of itself, or how it failed; anything but our own errors goes through."""
    try:
        client = ECRPublicClient(**options)
        async with client:
            await client.describe_registries()
            return repr(client)
    except ECRPublicError as error:
        return "".join(traceback.format_exception(error))


# Addresses

hosts = st.one_of(
    st.sampled_from(
        [
            "example.com", "EXAMPLE.com.", "a..b", "-a-", "a_b", "bücher.example", "xn--bcher-kva", "xn--",
            "*",
            "localhost", "127.0.0.1", "127.1", "2130706433", "0x7f.1", "256.1.1.1", "1.2.3.4.5", "",
            "[::1]", "[::]", "[::ffff:127.0.0.1]", "[2001:db8::1]", "[fe80::1%25lo]", "[fe80::1%lo]", "[::1",
            "::1", "[]", "[v1.a]", "[1.2.3.4]", "a" * 64 + ".example", "a." * 130 + "b", "a b", "a%20b", "a%",
            "%", "a\u3002b", "①", "\u200d", "a\tb",
        ]
    ),
    st.text(max_size=20),
)  # fmt: skip
addresses = st.one_of(
    st.text(max_size=40),
    st.builds(
        "{}{}{}{}{}".format,
        st.sampled_from(
            ["http://", "https://", "HTTP://", "http:", "//", "", "socks5://", "ftp://", "http:///"]
        ),
        st.sampled_from(
            ["", f"user:{PASSWORD}@", "@", ":@", "a@b@", f"{PASSWORD}@", f"u:{PASSWORD}/x@", "u%40:%zz@"]
        ),
        hosts,
        st.sampled_from(["", ":", ":0", ":1", ":443", ":65535", ":65536", ":-1", ":x", ":٣", ":1:2", ": 1"]),
        st.one_of(
            st.sampled_from(
                ["", "/", "/a/../b//", "/%zz", "?q", f"?token={PASSWORD}", "#f", "/\n", "\0", "\udcff", "\\"]
            ),
            st.text(max_size=10),
        ),
    ),
)
in_variables = addresses.map(lambda text: text.replace("\0", "")).filter(
    lambda text: all(not "\ud800" <= character <= "\udfff" for character in text)
)


@pytest.mark.slow
@FUZZ
@given(address=addresses)
def test_any_endpoint_is_used_or_refused(address: str, runner: asyncio.Runner, nobody: None) -> None:
    options = {"credentials": CREDENTIALS, "max_attempts": 1, "connect_timeout": 5, "read_timeout": 5}
    shown = runner.run(call(region="us-east-1", endpoint_url=address, **options))
    assert PASSWORD not in shown


@pytest.mark.slow
@FUZZ
@given(
    proxy=in_variables,
    excluded=in_variables,
    endpoint=st.sampled_from(["http://a.example", "https://[2001:db8::1]"]),
)
def test_any_proxy_is_used_or_refused(
    proxy: str, excluded: str, endpoint: str, runner: asyncio.Runner, nobody: None
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            patch.setenv(name, proxy)
        patch.setenv("NO_PROXY", excluded)
        options = {"credentials": CREDENTIALS, "max_attempts": 1, "connect_timeout": 5, "read_timeout": 5}
        shown = runner.run(call(region="us-east-1", endpoint_url=endpoint, **options))
    assert PASSWORD not in shown


# Arguments

odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from(
        [0, -1, 1, 10**400, -(10**5000), 0.0, -1.5, 1e308, 5e-324, math.nan, math.inf, -math.inf]
    ),
    st.text(max_size=20),
    st.sampled_from(
        ["", " ", "\n", "a\r\nb: c", "\0", "\udcff", "é", "\u202e", "us-east-1", "us-west-2", "standard"]
    ),
    st.binary(max_size=10),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=5), st.one_of(st.none(), st.floats(), st.text(max_size=3)), max_size=2),
    st.builds(object),
)
NAMES = [
    "region", "endpoint_url", "credentials", "profile", "anonymous", "api_version", "max_attempts",
    "retry_mode", "connect_timeout", "read_timeout", "max_connections", "session", "use_fips",
    "use_dualstack", "validate", "hooks", "user_agent_extra", "rate_limits",
]  # fmt: skip
DERIVED = [
    "credentials", "anonymous", "max_attempts", "retry_mode", "connect_timeout", "read_timeout", "validate",
    "hooks", "user_agent_extra",
]  # fmt: skip


@pytest.mark.slow
@FUZZ
@given(changed=st.dictionaries(st.sampled_from(NAMES), odd, min_size=1, max_size=3))
def test_any_argument_is_used_or_refused(
    changed: dict[str, Any], runner: asyncio.Runner, nobody: None
) -> None:
    options = {
        "region": "us-east-1",
        "endpoint_url": "http://a.example",
        "max_attempts": 1,
        "connect_timeout": 5,
    }
    if changed.get("anonymous") is not True:
        options["credentials"] = CREDENTIALS
    options |= changed
    # As many attempts as anybody wants, but each of them waits for the next.
    if isinstance(options["max_attempts"], int) and options["max_attempts"] > 2:
        options["max_attempts"] = 2
    runner.run(call(**options))


@pytest.mark.slow
@FUZZ
@given(changed=st.dictionaries(st.sampled_from(DERIVED), odd, min_size=1, max_size=3))
def test_any_option_is_used_or_refused(changed: dict[str, Any]) -> None:
    client = ECRPublicClient("us-east-1", "http://a.example", CREDENTIALS)
    with suppress(ECRPublicError):
        client.with_options(**changed)


# Variables

VARIABLES = [
    "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECR_PUBLIC", "AWS_MAX_ATTEMPTS",
    "AWS_RETRY_MODE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "AWS_PROFILE",
    "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_USE_FIPS_ENDPOINT", "AWS_SDK_UA_APP_ID",
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "HOME",
]  # fmt: skip


# botocore reads the files anew each time.
@settings(FUZZ, max_examples=FUZZ.max_examples // 5)
@given(
    chosen=st.dictionaries(
        st.sampled_from(VARIABLES),
        st.one_of(
            in_variables,
            st.sampled_from(
                [
                    "",
                    " ",
                    "true",
                    "0",
                    "-1",
                    "9" * 5000,
                    "1e3",
                    "/",
                    "/dev/null",
                    "/dev/zero",
                    "~x",
                    "$HOME",
                    ".",
                ]
            ),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_any_variable_is_used_or_refused(
    chosen: dict[str, str], runner: asyncio.Runner, nobody: None
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
        patch.setenv("AWS_ENDPOINT_URL", "http://a.example")
        for name, value in chosen.items():
            # As many attempts as anybody wants, but each of them waits for the next.
            patch.setenv(name, value[:1] if name == "AWS_MAX_ATTEMPTS" and value.isdecimal() else value)
        runner.run(call(connect_timeout=5, read_timeout=5))


# Files

names = st.sampled_from(
    [
        "region", "endpoint_url", "services", "max_attempts", "retry_mode", "ca_bundle", "use_fips_endpoint",
        "sdk_ua_app_id", "ignore_configured_endpoint_urls", "ecr_public", "aws_access_key_id",
        "aws_secret_access_key", "aws_session_token", "source_profile", "role_arn", "credential_source",
        "sso_session", "defaults_mode", "metadata_service_timeout",
    ]
)  # fmt: skip
settings_lines = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "  ", "\t"]),
    st.one_of(names, st.text(max_size=6)),
    st.sampled_from([" = ", "=", " =", ": ", " "]),
    st.one_of(
        st.sampled_from(["", "us-east-1", "mine", "default", "true", "5", "http://a.example"]), in_variables
    ),
)
sections = st.sampled_from(
    [
        "[default]",
        "[profile default]",
        "[services mine]",
        "[services]",
        "[profile a",
        "[]",
        "[profile 'a]",
        "[a] b",
    ]
)
files = st.lists(st.one_of(sections, settings_lines), max_size=8).map("\n".join)


@settings(FUZZ, max_examples=FUZZ.max_examples // 5)
@given(config=files, credentials=files)
def test_any_shared_file_is_used_or_refused(
    config: str,
    credentials: str,
    runner: asyncio.Runner,
    nobody: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        for variable, content in (("AWS_CONFIG_FILE", config), ("AWS_SHARED_CREDENTIALS_FILE", credentials)):
            (folder / variable).write_text(content, encoding="utf-8", errors="replace")
            patch.setenv(variable, str(folder / variable))
        patch.setenv("AWS_ENDPOINT_URL_STS", "http://a.example")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        runner.run(call(connect_timeout=5, read_timeout=5))


# Replies

tokens = st.sampled_from(
    [
        b"Content-Length", b"Content-Type", b"Transfer-Encoding", b"Content-Encoding", b"Connection", b"Date",
        b"Retry-After", b"x-amz-retry-after", b"x-amzn-RequestId", b"x-amzn-ErrorType", b"x-amzn-query-error",
        b"Set-Cookie", b"Location", b"Upgrade", b"Trailer", b"Keep-Alive", b"X-A", b"", b" X", b"X ", b"X\0",
        b"\xff",
    ]
)  # fmt: skip
values = st.one_of(
    st.sampled_from(
        [
            b"0", b"2", b"-1", b"99999999999999999999", b"1e3", b"abc", b"", b"chunked", b"gzip", b"deflate",
            b"br", b"identity", b"gzip, chunked", b"close", b"keep-alive", b"upgrade", b"websocket",
            b"a=b; Domain=.",
            b"Wed, 25 Nov 2026 09:00:00 GMT", b"Wed, 99 Nov 99999 99:99:99 +9999",
            b"Mon, 1 Jan 0001 00:00:00 -2359",
            b"a#b:c", b"#", b":", b";Sender", b"\xff\xfe", b"a\tb", b"a\0b", b"\x1b[2J", b"9" * 400,
            b"x" * 9000,
        ]
    ),
    st.binary(max_size=30),
)  # fmt: skip
statuses = st.one_of(
    st.sampled_from(
        [
            b"HTTP/1.1 200 OK",
            b"HTTP/1.0 200 OK",
            b"HTTP/1.1 400 Bad",
            b"HTTP/1.1 503 No",
            b"HTTP/1.1 429 Slow",
        ]
    ),
    st.builds(
        b"%b %b %b".__mod__,
        st.tuples(
            st.sampled_from(
                [b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2", b"HTTP/0.9", b"HTTP/9.9", b"ICY", b"", b"HTTP"]
            ),
            st.one_of(st.integers(0, 1200).map(lambda number: b"%d" % number), st.binary(max_size=4)),
            st.binary(max_size=10),
        ),
    ),
)
bodies = st.one_of(
    st.sampled_from(
        [
            b"", b"{}", b"[]", b"null", b"{", b'{"__type": 5}', b'{"__type": "A#B", "message": {}}', b"\xff",
            b'{"registries": [{"registryId": 5}]}', b'{"registries": {}}',
            b'{"registries": [null, {"aliases": [1]}]}',
            b'{"nextToken": "\\ud800"}', b"[" * 100_000, b"<html>", b"2\r\n{}\r\n0\r\n\r\n",
            b"ffffffffff\r\n",
            b"2;a=b\r\n{}\r\n0\r\nX: y\r\n\r\n", b"-1\r\n", b"\x1f\x8b\x08\x00", b"9" * 5000, b'{"a": 1e999}',
            b"NaN",
        ]
    ),
    st.binary(max_size=60),
)  # fmt: skip
headers = st.lists(st.tuples(tokens, values), max_size=4).map(
    lambda lines: b"".join(b"%b: %b\r\n" % line for line in lines)
)
replies = st.one_of(
    st.binary(max_size=200),
    st.builds(lambda *parts: b"%b\r\n%b\r\n%b" % parts, statuses, headers, bodies),
    st.builds(
        lambda status, lines, body: (
            b"%b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, lines, len(body), body)
        ),
        statuses,
        headers,
        bodies,
    ),
    st.builds(
        lambda whole, at, noise: whole[:at] + noise + whole[at:],
        st.just(answer({"registries": []})),
        st.integers(0, 150),
        st.binary(min_size=1, max_size=4),
    ),
)


@attrs.frozen
class Answering:
    """A server and a client of it that live as long as the tests do."""

    server: Wire
    client: ECRPublicClient


@pytest.fixture(scope="module")
def answering(runner: asyncio.Runner) -> Iterator[Answering]:
    stack = AsyncExitStack()

    async def begin() -> Answering:
        server = await stack.enter_async_context(Wire())
        client = ECRPublicClient(
            "us-east-1", server.url, CREDENTIALS, max_attempts=1, rate_limits=False, read_timeout=5
        )
        return Answering(server, await stack.enter_async_context(client))

    yield runner.run(begin())
    runner.run(stack.aclose())


@pytest.mark.slow
@FUZZ
@given(data=replies)
def test_any_reply_is_a_response_or_an_error(
    data: bytes, answering: Answering, runner: asyncio.Runner
) -> None:
    async def ask() -> str:
        answering.server.answers = [Raw(data), Raw(data)]
        try:
            return repr(await answering.client.describe_registries())
        except ECRPublicError as error:
            traceback.format_exception(error)
            return str(error)

    # What is shown is one line, whatever the peer has put there.
    assert runner.run(ask()).isprintable()


odd_headers = st.dictionaries(
    st.one_of(
        st.text(max_size=8), st.sampled_from(["X-A", "Host", "Content-Length", "Transfer-Encoding", "Expect"])
    ),
    st.one_of(st.text(max_size=8), st.sampled_from(["a\r\nb: c", "\0", "é", "100-continue", "\udcff", "5"])),
    max_size=3,
)


@pytest.mark.slow
@FUZZ
@given(added=odd_headers)
def test_any_header_of_a_hook_is_sent_or_refused(
    added: dict[str, str], answering: Answering, runner: asyncio.Runner
) -> None:
    class Adding:
        async def before_send(self, event: Any) -> None:
            event.headers.update(added)

    async def ask() -> object:
        answering.server.answers = []
        client = answering.client.with_options(hooks=[Adding()], read_timeout=0.05)
        try:
            return await client.describe_registries()
        except ECRPublicError as error:
            return str(error)

    assert runner.run(ask())
