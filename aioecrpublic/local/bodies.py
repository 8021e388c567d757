"""Bodies of requests: as fast as they have to come, and within the memory that there is for them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import attrs
from aiohttp import web

from aioecrpublic.local.connections import Connection, connection_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

# Bytes a second that even the slowest peer has to move, beside the time that it may always take.
_MIN_RATE: Final = 16 * 1024
# What a body may have without being counted.
_SMALL: Final = 64 * 1024
# What all others may hold together, beside a few that may always go on.
_LIMIT: Final = 32 * 1024 * 1024
_ALWAYS: Final = 4
# What one of them may add before it is asked again: what aiohttp has read of it.
_PIECE: Final = 512 * 1024
# A body of which so much does not come in so many seconds loses its turn; if there is no memory, all of it.
_STEP: Final = 64 * 1024
_TURN: Final = 0.1
_PATIENCE: Final = 1.0
_ROUND: Final = 0.05


class BodyTooLargeError(Exception):
    """A body is larger than it may be; it was not read any further."""


class BodyTimeoutError(Exception):
    """A body did not come, or came too slowly."""


class BodyBrokenError(Exception):
    """A body is not framed as its request says."""


class TransferTimeout:
    """How long a peer may let a transfer wait: ``seconds``, and as much again only by moving bytes.

    Args:
        seconds: Seconds without any progress; a second comes back with each 16 KiB.
    """

    def __init__(self, seconds: float) -> None:
        self._most = self._left = seconds

    @asynccontextmanager
    async def waiting(self) -> AsyncGenerator[None, None]:
        """Wait for the peer.

        Raises:
            TimeoutError: There is no time left.
        """
        begun = asyncio.get_running_loop().time()
        async with asyncio.timeout(self._left):
            yield
        self._left -= asyncio.get_running_loop().time() - begun

    def moved(self, size: int) -> None:
        """Count bytes that were moved."""
        self._left = min(self._left + size / _MIN_RATE, self._most)


async def body_of(request: web.BaseRequest, idle_timeout: float) -> AsyncIterator[bytes]:
    """Yield the body of a request, piece by piece.

    Args:
        request: The request.
        idle_timeout: Seconds to wait for a piece, or for pieces that come too slowly.

    Raises:
        BodyTimeoutError: It did not come in time.
        BodyBrokenError: It cannot be read.
    """
    await _continue(request)
    content, timeout = request.content, TransferTimeout(idle_timeout)
    while not content.at_eof():
        try:
            piece = content.read_nowait(-1)
            if not piece:
                async with timeout.waiting():
                    piece = await content.readany()
        except TimeoutError:
            raise BodyTimeoutError from None
        except web.RequestPayloadError:
            raise BodyBrokenError from None
        timeout.moved(len(piece))
        yield piece


async def _continue(request: web.BaseRequest) -> None:
    """Tell a client that waits for it that its body is wanted: RFC 9110, section 10.1.1."""
    if request.headers.get("Expect", "").strip().lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # It is no part of the reply.
        request.writer.output_size = 0


@attrs.define(eq=False)
class _Held:
    """What is held of one body.

    Attributes:
        connection: Where it comes from.
        moved_at: When it was last seen to go on.
        mark: How much had come on the connection by then.
        size: Its bytes.
        is_read: Whether it is there as a whole.
        turn: What it waits for, if it waits.
    """

    connection: Connection
    moved_at: float
    mark: int
    size: int = 0
    is_read: bool = False
    turn: asyncio.Future[None] | None = None

    def stalled(self, now: float) -> float:
        """Return for how many seconds its sender has let it wait."""
        received = self.connection.received
        if self.is_read or self.connection.is_full or received - self.mark >= _STEP:
            self.mark, self.moved_at = received, now
        return now - self.moved_at


class BodyMemory:
    """Reads bodies into memory, as much of it as all of them may take.

    Nobody takes a place by beginning: what counts is what has come. Small bodies are not counted. When the
    memory is taken, a few of those that go on may do so, the others wait: first come those of peers that have
    shown that they know a secret, then those that began first. A body whose sender lets it wait is then given
    up for the others.

    Args:
        idle_timeout: As that of ``body_of``.
    """

    def __init__(self, idle_timeout: float) -> None:
        self._idle_timeout = idle_timeout
        self._loop = asyncio.get_running_loop()
        # In the order in which they began.
        self._bodies: dict[_Held, None] = {}
        self._size = 0
        self._round: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def read(self, request: web.BaseRequest, most: int) -> AsyncGenerator[bytearray, None]:
        """Read the whole body of a request, which counts until the context is left.

        Raises:
            BodyTooLargeError: It has more than ``most`` bytes, or says so.
            BodyTimeoutError: It did not come in time.
            BodyBrokenError: It cannot be read.
        """
        if (request.content_length or 0) > most:
            raise BodyTooLargeError
        body = bytearray()
        connection = connection_of(request)
        held = _Held(connection, self._loop.time(), connection.received)
        try:
            if request.content_length is None or request.content_length > _SMALL:
                await self._hold(held, 0)
            async for piece in body_of(request, self._idle_timeout):
                if len(body) + len(piece) > most:
                    raise BodyTooLargeError
                body += piece
                if len(body) > _SMALL:
                    await self._hold(held, len(body))
            held.is_read = True
            yield body
        finally:
            self._let_go(held)

    async def _hold(self, held: _Held, size: int) -> None:
        """Count a body, and wait until it may go on."""
        self._bodies[held] = None
        self._size += size - held.size
        held.size = size
        if self._size <= _LIMIT or held in self._first():
            return
        held.turn = self._loop.create_future()
        self._look_again(_ROUND)
        try:
            await held.turn
        finally:
            held.turn = None

    def _first(self) -> list[_Held]:
        """Return those that may go on whatever is held."""
        now = self._loop.time()
        moving = [held for held in self._bodies if held.stalled(now) <= _TURN]
        return sorted(moving, key=lambda held: not held.connection.is_trusted)[:_ALWAYS]

    def _look_again(self, seconds: float) -> None:
        if self._round is None or self._round.when() > self._loop.time() + seconds:
            self._cancel_round()
            self._round = self._loop.call_later(seconds, self._give_turns)

    def _cancel_round(self) -> None:
        if self._round is not None:
            self._round.cancel()
            self._round = None

    def _give_turns(self) -> None:
        """Let those go on who may, and look again while others wait."""
        self._round = None
        if self._size > _LIMIT:
            self._give_up_stalled()
        first = self._first()
        room = _LIMIT - self._size
        waiting = [
            (held, turn) for held in self._bodies if (turn := held.turn) is not None and not turn.done()
        ]
        for held, turn in waiting:
            if held in first or room > 0:
                room -= _PIECE
                turn.set_result(None)
        if waiting:
            self._look_again(_ROUND)

    def _give_up_stalled(self) -> None:
        """Hang up on those who let their bodies wait, until there is memory for the others."""
        now = self._loop.time()
        stalled = [held for held in self._bodies if held.stalled(now) > _PATIENCE]
        for held in sorted(stalled, key=lambda held: (held.connection.is_trusted, held.moved_at)):
            if self._size <= _LIMIT:
                return
            self._let_go(held)
            held.connection.abort()

    def _let_go(self, held: _Held) -> None:
        if held in self._bodies:
            del self._bodies[held]
            self._size -= held.size
            held.size = 0
            if held.turn is not None and not held.turn.done():
                held.turn.set_result(None)
            if self._round is not None:
                # Somebody waits.
                self._look_again(0)
