"""What concurrent pushes know together about one repository."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@attrs.define
class KnownLayers:
    """The layers that are known to be in a repository, and those that somebody is bringing there.

    Attributes:
        there: Digests of layers that are in the repository.
    """

    there: set[str] = attrs.field(factory=set)
    _locks: dict[str, asyncio.Lock] = attrs.field(factory=dict)

    @asynccontextmanager
    async def claim(self, digest: str) -> AsyncGenerator[bool]:
        """Whether the layer still has to be brought; nobody else brings it meanwhile."""
        async with self._locks.setdefault(digest, asyncio.Lock()):
            yield digest not in self.there
