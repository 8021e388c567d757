"""Who takes part, by name."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

_PUSHERS = "tests.tools.benchmarks.pushers"
OURS: Final = "ours"
FLOOR: Final = "floor"


@attrs.frozen(kw_only=True)
class Contestant:
    """One who pushes.

    Attributes:
        name: As it is called on the command line and in tables.
        where: ``module:function`` of what opens it.
        event_loop: ``asyncio`` or ``uvloop``; ``None`` if it is not asynchronous.
        only_small: Takes part where layers are small only: elsewhere it would be the same as another.
    """

    name: str
    where: str
    event_loop: str | None = None
    only_small: bool = False

    def opener(self) -> Callable[..., Any]:
        """What opens it; importing it may take a while."""
        module, _, function = self.where.partition(":")
        opener: Callable[..., Any] = getattr(importlib.import_module(module), function)
        return opener


CONTESTANTS: Final = (
    Contestant(name=FLOOR, where=f"{_PUSHERS}.floor:plain"),
    Contestant(name="floor+digest", where=f"{_PUSHERS}.floor:checked"),
    Contestant(name=OURS, where=f"{_PUSHERS}.ours:unpaced", event_loop="asyncio"),
    Contestant(name="ours-uvloop", where=f"{_PUSHERS}.ours:unpaced", event_loop="uvloop"),
    Contestant(name="ours-paced", where=f"{_PUSHERS}.ours:paced", event_loop="asyncio", only_small=True),
    Contestant(name="boto3-4", where=f"{_PUSHERS}.boto:threaded"),
    Contestant(name="boto3", where=f"{_PUSHERS}.boto:sequential"),
    Contestant(name="aiobotocore", where=f"{_PUSHERS}.aioboto:gathered", event_loop="asyncio"),
    Contestant(name="capo", where=f"{_PUSHERS}.capo:gathered", event_loop="asyncio"),
)
NAMES: Final = tuple(contestant.name for contestant in CONTESTANTS)


def find(name: str) -> Contestant:
    """The contestant called ``name``; a ``module:function`` is an asynchronous one from elsewhere."""
    for contestant in CONTESTANTS:
        if contestant.name == name:
            return contestant
    if ":" not in name:
        raise KeyError(name)
    where, _, loop = name.partition("@")
    return Contestant(name=name, where=where, event_loop=loop or "asyncio")
