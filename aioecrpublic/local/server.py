"""The local registry's life: its directory, its threads, its listening socket."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import secrets
import shutil
import sqlite3
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Self

from aioecrpublic._common.addresses import REGISTRY_URL
from aioecrpublic._generated.service import SERVICE
from aioecrpublic._runtime.errors import ClientStateError, ConfigurationError
from aioecrpublic.local.accounts import DEFAULT_CREDENTIALS, Accounts
from aioecrpublic.local.api import Api
from aioecrpublic.local.apiside import LARGE_AT_ONCE, ApiSide
from aioecrpublic.local.blobs import BlobStore
from aioecrpublic.local.bodies import BodyMemory
from aioecrpublic.local.datadir import claim, open_database
from aioecrpublic.local.disk import Disk, Reserve
from aioecrpublic.local.faults import FaultSchedule
from aioecrpublic.local.garbage import clear_up, sweeping
from aioecrpublic.local.listening import listening
from aioecrpublic.local.logos import LOGOS, Logos
from aioecrpublic.local.quotas import Quotas
from aioecrpublic.local.signature import SignatureCheck
from aioecrpublic.local.state import Settings, State
from aioecrpublic.local.trouble import Trouble
from aioecrpublic.local.v2 import V2Side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from concurrent.futures import Executor

    from aiohttp import web

    from aioecrpublic._runtime.credentials import Credentials
    from aioecrpublic.local.database import Database
    from aioecrpublic.local.faults import Fault
    from aioecrpublic.local.listening import Handler

_THREADS = 8


class LocalECRPublic:
    """An ECR Public on this machine, as an async context manager.

    Its registry has the id ``123456789012`` and the alias ``local``. On a full disk it goes on reading and
    deleting; it refuses what takes room with HTTP 507 (``InsufficientStorageException``), which no client
    retries by itself.

    Args:
        data_dir: Where everything is kept, made if it is not there; ``None`` is a temporary directory that is
            removed at the end.
        host: The address to listen on; loopback unless told otherwise. On another, whoever reaches it may
            pull, and its credentials are known to everybody unless you give your own.
        port: The port to listen on; 0 is a free one.
        credentials: What clients must sign with.
        accounts: The credentials of further accounts, by account id; they may do what a repository's policy
            allows them.
        settings: Where the service's behaviour has room.
        clock: The time in UTC, for tests of what expires and refills.
        quotas: Requests per second that each account may make: ``True`` for those of the service, or by
            operation; what is more is answered with ``ThrottlingException``.
        latency: Seconds that every request waits before it is worked on.
        faults: What is to go wrong; ``inject`` adds to it.

    Raises:
        ConfigurationError: An argument cannot be used, or, on entering, another registry uses ``data_dir``,
            it is not a registry's and not empty, its database is lost, or the address cannot be listened on.
    """

    def __init__(
        self,
        data_dir: str | os.PathLike[str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        credentials: Credentials = DEFAULT_CREDENTIALS,
        *,
        accounts: Mapping[str, Credentials] | None = None,
        settings: Settings | None = None,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        quotas: Mapping[str, float] | bool = False,
        latency: float = 0.0,
        faults: Iterable[Fault] = (),
    ) -> None:
        self.credentials = credentials
        self._data_dir = data_dir
        self._host = host
        self._port = port
        self._accounts = Accounts.of(credentials, accounts or {})
        self._settings = settings or Settings()
        self._clock = clock
        self._quotas = Quotas.of(quotas, lambda: clock().timestamp())
        self._faults = FaultSchedule(faults)
        self._trouble = Trouble(self._faults, latency)
        self._stack: contextlib.AsyncExitStack | None = None
        self._state: State | None = None
        self._url = ""

    @property
    def endpoint_url(self) -> str:
        """The URL of the ECR Public API."""
        self._opened()
        return self._url

    @property
    def registry_url(self) -> str:
        """The URL of the Docker Registry v2 side, on the same port."""
        self._opened()
        return self._url

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead this package, boto3, the AWS CLI and other AWS SDKs to it."""
        return {
            "AWS_ENDPOINT_URL_ECR_PUBLIC": self.endpoint_url,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": self.credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.credentials.secret_access_key,
            # Empty is none, and takes the place of one that is there.
            "AWS_SESSION_TOKEN": self.credentials.session_token or "",
            REGISTRY_URL: self.registry_url,
        }

    async def __aenter__(self) -> Self:
        if self._stack is not None:
            raise ClientStateError("the registry is running already")
        async with contextlib.AsyncExitStack() as stack:
            files = contextlib.ExitStack()
            stack.push_async_callback(asyncio.to_thread, files.close)
            threads, large = (_threads(stack, number) for number in (_THREADS, LARGE_AT_ONCE))
            loop = asyncio.get_running_loop()
            state = await loop.run_in_executor(threads, self._open_state, files)
            handler = self._handler(state, threads, large)
            address = await stack.enter_async_context(
                listening(handler, self._host, self._port, self._settings)
            )
            await stack.enter_async_context(sweeping(state, threads))
            self._url = address.url
            self._state = state
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        stack, self._stack = self._stack, None
        self._state = None
        if stack is not None:
            await stack.aclose()

    async def read_blob(self, digest: str) -> bytes:
        """The bytes of a layer or config, as they are stored.

        Raises:
            FileNotFoundError: There is no such blob.
        """
        return await asyncio.to_thread(self._opened().blobs.read, digest)

    async def read_manifest(self, repository_name: str, digest: str) -> bytes:
        """The bytes of a manifest, as they are stored.

        Raises:
            FileNotFoundError: There is no such manifest.
        """
        return await asyncio.to_thread(_read_manifest, self._opened(), repository_name, digest)

    def inject(self, *faults: Fault) -> None:
        """Add faults to the schedule, at any time and from any thread.

        Raises:
            ConfigurationError: One of them concerns nothing.
        """
        self._faults.add(faults)

    def _opened(self) -> State:
        if self._state is None:
            raise ClientStateError("the registry is not running: use 'async with'")
        return self._state

    def _open_state(self, stack: contextlib.ExitStack) -> State:
        # Nobody restarts on a temporary directory, so it need not survive a power cut.
        durable = self._data_dir is not None
        directory = claim(self._directory(stack), stack)
        path = directory.path
        try:
            reserve = Reserve(path)
            database = open_database(directory, reserve, durable=durable)
            stack.callback(database.close)
            state = State(
                database=database,
                blobs=BlobStore(path, durable=durable),
                disk=Disk(database, reserve),
                settings=self._settings,
                clock=self._clock,
                token_key=_token_key(database),
                base_url=lambda: self._url,
            )
            clear_up(state)
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(f"data_dir {path}: {error}") from error
        return state

    def _directory(self, stack: contextlib.ExitStack) -> Path:
        """Return where everything is kept; a temporary directory is removed when ``stack`` is closed."""
        if self._data_dir is not None:
            if not os.fspath(self._data_dir):
                raise ConfigurationError("data_dir must not be empty")
            # Wherever this process goes later, it is the same directory.
            return Path(self._data_dir).absolute()
        try:
            directory = Path(tempfile.mkdtemp(prefix="aioecrpublic-local-"))
        except OSError as error:
            raise ConfigurationError(
                f"no temporary directory for the registry can be made: {error}"
            ) from error
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        return directory

    def _handler(self, state: State, threads: Executor, large: Executor) -> Handler:
        """What answers each request, by its path."""
        signatures = SignatureCheck(self._accounts, SERVICE.signing_name, state.clock)
        bodies = BodyMemory(state.settings.idle_timeout)
        api = ApiSide(Api(state, signatures, self._quotas), bodies, state.clock, threads, large)
        logos = Logos(state, threads)
        v2 = V2Side(state, bodies, threads)

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            path = request.rel_url.raw_path
            if path.startswith(LOGOS):
                return await logos.answer(request)
            if v2.serves(path):
                return await v2.answer(request)
            return await api.answer(request)

        return self._trouble.around(handle, api.refuse)


def _threads(stack: contextlib.AsyncExitStack, number: int) -> Executor:
    """Threads that are waited for at the end."""
    threads = ThreadPoolExecutor(number, thread_name_prefix="aioecrpublic-local")
    stack.push_async_callback(asyncio.to_thread, threads.shutdown, cancel_futures=True)
    return threads


def _read_manifest(state: State, repository_name: str, digest: str) -> bytes:
    with state.database.transaction() as cursor:
        manifest: str | None = cursor.value(
            "SELECT manifest FROM image WHERE repository = ? AND digest = ?", repository_name, digest
        )
    if manifest is None:
        raise FileNotFoundError(f"{repository_name}@{digest}")
    return manifest.encode()


def _token_key(database: Database) -> bytes:
    """The key that seals tokens: made once, so that they outlive a restart."""
    with database.transaction() as cursor:
        cursor.run("INSERT OR IGNORE INTO setting VALUES ('token_key', ?)", secrets.token_hex(32))
        return bytes.fromhex(cursor.value("SELECT value FROM setting WHERE name = 'token_key'"))
