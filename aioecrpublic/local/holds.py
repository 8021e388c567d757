"""What only one thread at a time may work on, by name."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


class Holds:
    """A lock for each name, which is there only while it is used."""

    def __init__(self) -> None:
        self._held: set[str] = set()
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, name: str) -> Generator[None, None, None]:
        """Wait until nobody holds ``name``, and hold it."""
        with self._changed:
            self._changed.wait_for(lambda: name not in self._held)
            self._held.add(name)
        try:
            yield
        finally:
            self.release(name)

    def try_hold(self, name: str) -> bool:
        """Hold ``name`` until it is released, unless somebody does; whether it is held now."""
        with self._changed:
            free = name not in self._held
            self._held.add(name)
        return free

    def release(self, name: str) -> None:
        """Let the others have ``name``."""
        with self._changed:
            self._held.discard(name)
            self._changed.notify_all()
