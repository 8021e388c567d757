"""Name resolution that cannot keep the process from exiting."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult

from aioecrpublic._common.threads import DaemonThreads

_THREADS: Final = 8
_NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
_ZONE: Final = 3
"""Where an IPv6 address of ``socket`` has its zone."""


class DaemonResolver(AbstractResolver):
    """The system's resolver, in threads of its own.

    asyncio calls it in the default executor, whose threads are joined at the end of the program: a resolver
    that never answers would keep the process alive.
    """

    def __init__(self) -> None:
        self._threads = DaemonThreads(_THREADS, "aioecrpublic-names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of ``host``.

        Raises:
            OSError: It has none.
        """
        return await asyncio.wrap_future(self._threads.submit(_resolve, host, port, family))

    async def close(self) -> None:
        """Resolve nothing more."""
        self._threads.shutdown(cancel_futures=True)


def _resolve(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    try:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except (UnicodeError, ValueError) as error:
        # Such as a label of more than 63 characters.
        raise socket.gaierror(socket.EAI_NONAME, f"not a host name: {error}") from error
    return [
        ResolveResult(
            hostname=host,
            host=_numeric(address),
            port=int(address[1]),
            family=family,
            proto=protocol,
            flags=_NUMERIC,
        )
        for family, _, protocol, _, address in found
    ]


def _numeric(address: tuple[Any, ...]) -> str:
    """Return the address with its zone, where it has one: a link-local IPv6 address is of no use without."""
    host = str(address[0])
    zone = address[_ZONE] if len(address) > _ZONE else 0
    return f"{host}%{zone}" if zone and "%" not in host else host
