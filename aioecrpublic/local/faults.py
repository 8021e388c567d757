"""Faults that a test schedules: errors, lost replies, broken connections, slowness."""

from __future__ import annotations

import threading
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import attrs

from aioecrpublic._generated.service import SERVICE
from aioecrpublic._runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

V2_REQUESTS: Final = frozenset({
    "v2.base",
    "v2.blob",
    "v2.manifest",
    "v2.referrers",
    "v2.tags",
    "v2.token",
    "v2.upload",
    "v2.uploads",
})  # fmt: skip
"""What requests of the registry API are called in a schedule, after the parts of their paths."""
_STREAM: Final = "v2.blob"


class FaultKind(StrEnum):
    """What happens to a request."""

    ERROR = "error"
    """It is answered with an error and nothing is done."""
    LOST = "lost"
    """It is done, and the connection is closed instead of a reply."""
    RESET = "reset"
    """The connection is closed and nothing is done."""
    CUT = "cut"
    """It is done, and the connection is closed in the middle of the reply's body; not for ``v2.blob``."""
    DELAY = "delay"
    """It is done after ``delay`` seconds."""


@attrs.frozen(kw_only=True)
class Fault:
    """One entry of a schedule.

    Attributes:
        kind: What happens.
        operation: Which requests it concerns: an operation of the API by the model's name, requests of the
            registry API (``v2.manifest``, ``v2.blob``, ``v2.uploads``, ``v2.upload``, ``v2.tags``,
            ``v2.referrers``, ``v2.token``, ``v2.base``), or ``None`` for all.
        skip: How many of them pass before it strikes.
        times: How many it strikes then, one after another.
        code: Of ``ERROR``: the error's code.
        status: Of ``ERROR``: the HTTP status.
        message: Of ``ERROR``: the error's message.
        delay: Of ``DELAY``: seconds.
    """

    kind: FaultKind = attrs.field(converter=FaultKind)
    operation: str | None = None
    skip: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    times: int = attrs.field(default=1, validator=attrs.validators.ge(1))
    code: str = "ServerException"
    status: int = 500
    message: str = "Internal failure"
    delay: float = attrs.field(default=0.0, validator=attrs.validators.ge(0))


class FaultSchedule:
    """Decides what happens to each request; entries are tried in their order, the first that strikes does.

    Args:
        faults: The entries.

    Raises:
        ConfigurationError: An entry concerns nothing.
    """

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._entries: list[_Entry] = []
        self.add(tuple(faults))

    def add(self, faults: Sequence[Fault]) -> None:
        """Append entries; they begin to count now.

        Raises:
            ConfigurationError: An entry concerns nothing.
        """
        for fault in faults:
            if fault.operation is not None and fault.operation not in {*SERVICE.operations, *V2_REQUESTS}:
                raise ConfigurationError(f"fault: there is no operation {fault.operation!r}")
            if fault.kind is FaultKind.CUT and fault.operation == _STREAM:
                raise ConfigurationError(f"fault: the replies of {_STREAM} cannot be cut")
        with self._lock:
            self._entries += [_Entry(fault) for fault in faults]

    def strike(self, operation: str) -> Fault | None:
        """The fault that befalls a request that begins now, if one does."""
        with self._lock:
            for entry in self._entries:
                if entry.concerns(operation) and entry.count():
                    self._entries = [each for each in self._entries if each.left]
                    return entry.fault
        return None


@attrs.define
class _Entry:
    """A fault, and how often it is still to come."""

    fault: Fault
    skip: int = attrs.field(init=False)
    left: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.skip = self.fault.skip
        self.left = self.fault.times

    def concerns(self, operation: str) -> bool:
        if self.fault.kind is FaultKind.CUT and operation == _STREAM:
            return False
        return self.fault.operation in {None, operation}

    def count(self) -> bool:
        """Count a request; whether it is struck."""
        if self.skip:
            self.skip -= 1
            return False
        self.left -= 1
        return True
