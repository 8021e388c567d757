"""The services of the installed botocore that speak JSON."""

from __future__ import annotations

import functools
from typing import Any

from tests.support import oracle


@functools.cache
def json_services() -> tuple[str, ...]:
    """The names of all of them."""
    loader: Any = oracle.module("botocore.loaders").Loader()
    return tuple(
        name for name in loader.list_available_services("service-2") if "json" in _protocols(loader, name)
    )


def _protocols(loader: Any, name: str) -> list[str]:
    metadata = loader.load_service_model(name, "service-2")["metadata"]
    found: list[str] = metadata.get("protocols", [metadata["protocol"]])
    return found
