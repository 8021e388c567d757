"""Being somebody else for a while, where a test is about what one may not do."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

_NOBODY = 54321


@contextmanager
def without_rights() -> Generator[None]:
    """Give root's rights up; who has none keeps what he has. Import what is needed before."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


@contextmanager
def public_directory() -> Generator[Path]:
    """Yield a directory that everybody may enter and that belongs to whom ``without_rights`` makes us."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        path.chmod(0o755)
        if os.geteuid() == 0:
            os.chown(path, _NOBODY, _NOBODY)
        yield path
