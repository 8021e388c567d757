from __future__ import annotations

import asyncio
import datetime as dt
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from aioecrpublic import ConfigurationError, Credentials, CredentialsError, ECRPublicClient
from aioecrpublic._runtime.credentials import BotocoreSource
from aioecrpublic.errors import ClientStateError
from tests.support import oracle
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.wire import Wire


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


class Refreshing:
    """botocore's refreshable credentials with a source that is counted, held up and made to fail."""

    def __init__(self, minutes: float) -> None:
        self.calls = 0
        self.failure: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.lifetime = 60.0
        self.made = oracle.credentials.RefreshableCredentials(
            "key-0", "secret", "token", self._in(minutes), self._refresh, "test"
        )

    @staticmethod
    def _in(minutes: float) -> dt.datetime:
        return dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)

    def _refresh(self) -> dict[str, str]:
        assert threading.current_thread() is not threading.main_thread()
        self.gate.wait(10)
        self.calls += 1
        if self.failure:
            raise self.failure
        return {
            "access_key": f"key-{self.calls}",
            "secret_key": "secret",
            "token": "token",
            "expiry_time": self._in(self.lifetime).isoformat(),
        }


async def test_many_callers_resolve_once(executor: ThreadPoolExecutor) -> None:
    calls = []

    def resolve() -> Any:
        calls.append(threading.current_thread())
        return oracle.credentials.Credentials("key", "secret")

    source = BotocoreSource(resolve, executor)
    found = await asyncio.gather(*(source.get(10) for _ in range(50)))
    assert set(found) == {Credentials("key", "secret")}
    assert len(calls) == 1
    assert calls[0] is not threading.main_thread()
    assert source.ready() == Credentials("key", "secret")


async def test_fresh_credentials_are_not_refreshed(executor: ThreadPoolExecutor) -> None:
    refreshing = Refreshing(60)
    source = BotocoreSource(lambda: refreshing.made, executor)
    assert (await source.get(10)).access_key_id == "key-0"
    assert (await source.get(10)).access_key_id == "key-0"
    assert refreshing.calls == 0


async def test_in_the_mandatory_window_callers_wait_for_one_refresh(executor: ThreadPoolExecutor) -> None:
    refreshing = Refreshing(60)
    source = BotocoreSource(lambda: refreshing.made, executor)
    await source.get(10)
    refreshing.made._expiry_time = refreshing._in(1)
    found = await asyncio.gather(*(source.get(10) for _ in range(20)))
    assert {credentials.access_key_id for credentials in found} == {"key-1"}
    assert refreshing.calls == 1


async def test_in_the_advisory_window_calls_go_on_while_one_refreshes(executor: ThreadPoolExecutor) -> None:
    refreshing = Refreshing(60)
    source = BotocoreSource(lambda: refreshing.made, executor)
    await source.get(10)
    refreshing.made._expiry_time = refreshing._in(12)
    refreshing.gate.clear()
    assert [(await source.get(10)).access_key_id for _ in range(5)] == ["key-0"] * 5
    fetching = source._fetching
    assert fetching is not None
    refreshing.gate.set()
    await fetching
    assert (await source.get(10)).access_key_id == "key-1"
    assert refreshing.calls == 1


async def test_what_another_user_of_the_object_has_refreshed_is_used(executor: ThreadPoolExecutor) -> None:
    refreshing = Refreshing(60)
    source = BotocoreSource(lambda: refreshing.made, executor)
    await source.get(10)
    refreshing.made._expiry_time = refreshing._in(12)
    await asyncio.to_thread(refreshing.made.get_frozen_credentials)
    assert (await source.get(10)).access_key_id == "key-1"
    assert source.ready() == Credentials("key-1", "secret", "token")
    assert refreshing.calls == 1


async def test_a_failed_advisory_refresh_changes_nothing(executor: ThreadPoolExecutor) -> None:
    refreshing = Refreshing(60)
    source = BotocoreSource(lambda: refreshing.made, executor)
    await source.get(10)
    refreshing.made._expiry_time = refreshing._in(12)
    refreshing.failure = RuntimeError("the metadata service is away")
    assert (await source.get(10)).access_key_id == "key-0"
    assert source._fetching is not None
    await source._fetching
    assert (await source.get(10)).access_key_id == "key-0"


async def test_a_failed_mandatory_refresh_is_an_error_and_can_be_got_over(
    executor: ThreadPoolExecutor,
) -> None:
    refreshing = Refreshing(60)
    source = BotocoreSource(lambda: refreshing.made, executor)
    await source.get(10)
    refreshing.made._expiry_time = refreshing._in(1)
    refreshing.failure = KeyError("AccessKeyId")
    with pytest.raises(CredentialsError, match="AccessKeyId") as caught:
        await source.get(10)
    assert caught.value.__cause__ is refreshing.failure
    refreshing.failure = None
    assert (await source.get(10)).access_key_id == "key-2"


async def test_a_cancelled_caller_does_not_take_the_others_along(executor: ThreadPoolExecutor) -> None:
    gate = threading.Event()

    def resolve() -> Any:
        gate.wait(10)
        return oracle.credentials.Credentials("key", "secret")

    source = BotocoreSource(resolve, executor)
    first, second = (asyncio.create_task(source.get(10)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    assert first.cancelled()
    gate.set()
    assert (await second).access_key_id == "key"


async def test_closing_lets_those_who_wait_go(executor: ThreadPoolExecutor) -> None:
    gate = threading.Event()

    def resolve() -> None:
        gate.wait(10)

    source = BotocoreSource(resolve, executor)
    waiting = asyncio.create_task(source.get(10))
    await until(lambda: source._fetching is not None)
    source.close()
    with pytest.raises(ClientStateError, match="closed"):
        await waiting
    gate.set()


async def test_no_credentials_at_all_says_what_to_do(wire: Wire) -> None:
    async with ECRPublicClient("us-east-1", wire.url) as client:
        with pytest.raises(
            CredentialsError, match=r"no credentials found: pass credentials=.*anonymous=True"
        ):
            await client.describe_registries()
    assert wire.requests == []


async def test_the_environments_credentials_sign(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token")
    async with ECRPublicClient("us-east-1", wire.url) as client:
        await client.describe_registries()
    assert "Credential=AKIDENV/" in wire.requests[0].headers["Authorization"]
    assert wire.requests[0].headers["X-Amz-Security-Token"] == "a-token"


async def test_a_profiles_credential_process_signs(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "process.py"
    script.write_text('print(\'{"Version": 1, "AccessKeyId": "AKIDPROC", "SecretAccessKey": "s"}\')')
    config = tmp_path / "config"
    config.write_text(f"[profile dev]\ncredential_process = {sys.executable} {script}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    async with ECRPublicClient("us-east-1", wire.url, profile="dev") as client:
        await client.describe_registries()
    assert "Credential=AKIDPROC/" in wire.requests[0].headers["Authorization"]


async def test_a_botocore_object_signs(wire: Wire) -> None:
    found = oracle.credentials.Credentials("AKIDOBJ", "secret")
    async with ECRPublicClient("us-east-1", wire.url, found) as client:
        await client.describe_registries()
        other = client.with_options(credentials=Credentials("AKIDTWO", "secret"))
        await other.describe_registries()
    assert "Credential=AKIDOBJ/" in wire.requests[0].headers["Authorization"]
    assert "Credential=AKIDTWO/" in wire.requests[1].headers["Authorization"]


async def test_credentials_of_the_users_own_making_are_asked_each_time(wire: Wire) -> None:
    class Own:
        calls = 0

        def get_frozen_credentials(self) -> Any:
            self.calls += 1
            return oracle.credentials.ReadOnlyCredentials(f"AKID{self.calls}", "secret", None)

    async with ECRPublicClient("us-east-1", wire.url, Own()) as client:  # type: ignore[arg-type]
        await client.describe_registries()
        await client.describe_registries()
    for number, request in enumerate(wire.requests, 1):
        assert f"Credential=AKID{number}/" in request.headers["Authorization"]


def test_credentials_that_are_coroutines_are_refused() -> None:
    class Aio:
        async def get_frozen_credentials(self) -> None: ...

    with pytest.raises(ConfigurationError, match="Aio, not Credentials"):
        ECRPublicClient(credentials=Aio())  # type: ignore[arg-type]


async def test_an_anonymous_call_is_unsigned(wire: Wire) -> None:
    async with ECRPublicClient("us-east-1", wire.url, Credentials("a", "b")) as client:
        await client.with_options(anonymous=True).describe_registries()
        await client.describe_registries()
    unsigned, signed = wire.requests
    assert "Authorization" not in unsigned.headers
    assert "X-Amz-Date" not in unsigned.headers
    assert "Authorization" in signed.headers


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("AKID\n", "secret"), "access_key_id has white space"),
        (("AKID", "secret", "FwoG "), "session_token has white space"),
        (("AKID", "secret", "tökén"), "session_token has"),
    ],
)
def test_what_no_header_can_have_is_refused(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        Credentials(*arguments)
    assert arguments[-1].strip() not in str(caught.value)


async def test_what_no_header_can_have_is_refused_from_the_chain_too(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a token")
    async with ECRPublicClient("us-east-1", wire.url) as client:
        with pytest.raises(CredentialsError, match="session_token has white space"):
            await client.describe_registries()
    assert wire.requests == []


def test_secrets_are_not_shown() -> None:
    shown = repr(Credentials("AKID", "the-secret", "the-token"))
    assert "AKID" in shown
    assert "the-" not in shown


def test_static_credentials_and_an_endpoint_do_not_load_botocore() -> None:
    code = """
import asyncio, sys
from aioecrpublic import Credentials, ECRPublicClient
async def main():
    credentials = Credentials("a", "b")
    async with ECRPublicClient("us-east-1", "http://127.0.0.1:1", credentials, max_attempts=1) as client:
        try:
            await client.describe_registries()
        except Exception as error:
            print(type(error).__name__)
asyncio.run(main())
print([name for name in sys.modules if name.partition(".")[0] in {"botocore", "boto3", "jinja2"}])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.split("\n")[:2] == ["ConnectError", "[]"]
