"""The local registry's life: its directory, its threads, its listening socket."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import fcntl
import secrets
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Self

from aiohttp import web

from aioecrpublic._generated.service import SERVICE
from aioecrpublic._runtime.errors import ClientStateError, ConfigurationError, ServiceError
from aioecrpublic.local.accounts import DEFAULT_CREDENTIALS, Accounts
from aioecrpublic.local.api import LARGEST_BODY, Api, ApiReply
from aioecrpublic.local.blobs import BlobStore
from aioecrpublic.local.database import Database
from aioecrpublic.local.garbage import collect_garbage
from aioecrpublic.local.signature import SignatureCheck
from aioecrpublic.local.state import Settings, State

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from aioecrpublic._runtime.credentials import Credentials

_THREADS = 4


class LocalECRPublic:
    """An ECR Public on this machine, as an async context manager.

    Its registry has the id ``123456789012`` and the alias ``local``.

    Args:
        data_dir: Where everything is kept, made if it is not there; ``None`` is a temporary directory that is
            removed at the end.
        host: The address to listen on; loopback unless told otherwise.
        port: The port to listen on; 0 is a free one.
        credentials: What clients must sign with.
        accounts: The credentials of further accounts, by account id; they may push where a repository's policy
            allows it.
        settings: Where the service's behaviour has room.
        clock: The time in UTC, for tests of what expires.

    Raises:
        ConfigurationError: Another registry uses ``data_dir``, or it cannot be used.
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
    ) -> None:
        self.credentials = credentials
        self._data_dir = data_dir
        self._host = host
        self._port = port
        self._accounts = Accounts.of(credentials, accounts or {})
        self._settings = settings or Settings()
        self._clock = clock
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

    async def __aenter__(self) -> Self:
        if self._stack is not None:
            raise ClientStateError("the registry is running already")
        async with contextlib.AsyncExitStack() as stack:
            threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="aioecrpublic-local")
            stack.push_async_callback(asyncio.to_thread, threads.shutdown)
            loop = asyncio.get_running_loop()
            self._state = await loop.run_in_executor(threads, self._open_state, stack)
            api = Api(self._state, SignatureCheck(self._accounts, SERVICE.signing_name, self._clock))
            await self._listen(stack, _application(api, threads))
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
        return await asyncio.to_thread(self._opened().blobs.path(digest).read_bytes)

    async def read_manifest(self, repository_name: str, digest: str) -> bytes:
        """The bytes of a manifest, as they are stored.

        Raises:
            FileNotFoundError: There is no such manifest.
        """
        with self._opened().database.transaction() as cursor:
            manifest: str | None = cursor.value(
                "SELECT manifest FROM image WHERE repository = ? AND digest = ?", repository_name, digest
            )
        if manifest is None:
            raise FileNotFoundError(f"{repository_name}@{digest}")
        return manifest.encode()

    def _opened(self) -> State:
        if self._state is None:
            raise ClientStateError("the registry is not running: use 'async with'")
        return self._state

    def _open_state(self, stack: contextlib.AsyncExitStack) -> State:
        if self._data_dir is None:
            directory = Path(tempfile.mkdtemp(prefix="aioecrpublic-local-"))
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
        else:
            directory = Path(self._data_dir)
            _claim(directory, stack)
        # Nobody restarts on a temporary directory, so it need not survive a power cut.
        durable = self._data_dir is not None
        database = Database(directory / "registry.sqlite", durable=durable)
        stack.callback(database.close)
        blobs = BlobStore(directory, durable=durable)
        collect_garbage(database, blobs)
        return State(
            database=database,
            blobs=blobs,
            settings=self._settings,
            clock=self._clock,
            token_key=_token_key(database),
            base_url=lambda: self._url,
        )

    async def _listen(self, stack: contextlib.AsyncExitStack, application: web.Application) -> None:
        runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, self._host, self._port)
        await site.start()
        host, port = runner.addresses[0][:2]
        self._url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _application(api: Api, threads: ThreadPoolExecutor) -> web.Application:
    async def answer(request: web.Request) -> web.Response:
        if (request.content_length or 0) > LARGEST_BODY:
            return _response(api.refuse(_too_large()))
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return _response(api.refuse(_too_large()))
        loop = asyncio.get_running_loop()
        return _response(
            await loop.run_in_executor(threads, api.answer, request.rel_url.raw_path, request.headers, body)
        )

    application = web.Application(client_max_size=LARGEST_BODY)
    application.router.add_post("/", answer)
    return application


def _response(reply: ApiReply) -> web.Response:
    return web.Response(status=reply.status, body=reply.body, headers=reply.headers)


def _too_large() -> ServiceError:
    return ServiceError("The request is too large", code="RequestEntityTooLargeException", status=413)


def _claim(directory: Path, stack: contextlib.AsyncExitStack) -> None:
    """Make the directory this registry's own for as long as it runs.

    Raises:
        ConfigurationError: Another registry runs on it, or it cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / "lock").open("w")
    except OSError as error:
        raise ConfigurationError(f"data_dir {directory}: {error.strerror}") from error
    stack.callback(lock.close)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise ConfigurationError(f"data_dir {directory} is used by another registry") from None


def _token_key(database: Database) -> bytes:
    """The key that seals tokens: made once, so that they outlive a restart."""
    with database.transaction() as cursor:
        cursor.run("INSERT OR IGNORE INTO setting VALUES ('token_key', ?)", secrets.token_hex(32))
        return bytes.fromhex(cursor.value("SELECT value FROM setting WHERE name = 'token_key'"))
