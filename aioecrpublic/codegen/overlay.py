"""The overlay: facts about a service that its model does not have."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping  # noqa: TC003 - cattrs resolves the annotations
from pathlib import Path

import attrs
import cattrs

from aioecrpublic.codegen.errors import GeneratorError

_DIRECTORY = Path(__file__).parent / "overlays"


@attrs.frozen
class ErrorFacts:
    """What is known of a modelled error.

    Attributes:
        status: The HTTP status that it comes with.
        retryable: Whether trying again may help; ``None`` leaves it to the code and the status.
        throttling: Whether it asks to slow down.
    """

    status: int = 400
    retryable: bool | None = None
    throttling: bool = False


@attrs.frozen
class Overlay:
    """The overlay of one service; an empty one where there is no file.

    Attributes:
        regions: The only regions that serve it, the default first.
        secrets: Members that must never be shown.
        operation_regions: The only regions that serve an operation.
        quotas: Requests per second by operations.
        errors: What is known of modelled errors.
        endpoint_urls: By operations, the member that is the URL of the endpoint.
    """

    regions: tuple[str, ...] = ()
    secrets: frozenset[str] = frozenset()
    operation_regions: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    quotas: Mapping[str, float] = attrs.field(factory=dict)
    errors: Mapping[str, ErrorFacts] = attrs.field(factory=dict)
    endpoint_urls: Mapping[str, str] = attrs.field(factory=dict)


def load_overlay(service: str) -> Overlay:
    """The overlay of ``service``, strictly read: an unknown key is an error."""
    path = _DIRECTORY / f"{service}.toml"
    if not path.exists():
        return Overlay()
    try:
        return cattrs.Converter(forbid_extra_keys=True).structure(
            tomllib.loads(path.read_text("utf-8")), Overlay
        )
    except (tomllib.TOMLDecodeError, cattrs.BaseValidationError) as error:
        raise GeneratorError(f"{path.name}: {error}") from error
