"""Clients generated from a model at hand, imported from a folder of the test's own."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import attrs

from aioecrpublic._runtime.shapes import ListOf, MapOf, Structure
from aioecrpublic.codegen.model import read_service
from aioecrpublic.codegen.render import Target, render_package
from tests.support.recording import record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import TypeAlias

    import pytest

    from aioecrpublic._runtime.shapes import Service, Shape
    from aioecrpublic.codegen.model import ServiceModel
    from tests.support.recording import RecordingTransport

    Scalar: TypeAlias = Callable[[Shape, Any], Any]

# What a model of a service has, and one made up for a test need not have.
_METADATA = {
    "apiVersion": "2026-01-02",
    "endpointPrefix": "made-up",
    "jsonVersion": "1.1",
    "protocol": "json",
    "serviceFullName": "Made Up",
    "serviceId": "Made Up",
    "signingName": "made-up",
    "targetPrefix": "MadeUp",
}


def model(operations: Mapping[str, Any], shapes: Mapping[str, Any], **metadata: Any) -> dict[str, Any]:
    """A whole model around operations and shapes."""
    return {"metadata": {**_METADATA, **metadata}, "operations": operations, "shapes": shapes}


@attrs.frozen
class Generated:
    """A package that was generated: its modules, and what the generator said."""

    types: Any
    errors: Any
    operations: Any
    service: Service
    notices: tuple[str, ...]

    async def client(
        self,
        endpoint_url: str | None = "https://example.com",
        region: str | None = "us-east-1",
        **options: Any,
    ) -> tuple[Any, RecordingTransport]:
        """An open client of it that records what it would send."""
        client = self.operations.Operations(region, endpoint_url, **options)
        return client, await record(client)

    def instance(self, shape: str, value: Any, scalar: Scalar) -> Any:
        """A value of the shape from botocore's form of it; ``scalar`` converts what is not made of others."""
        known = self.service.shapes[shape]
        match known:
            case Structure() if value is not None:
                wires = {member.wire: member for member in known.members}
                return known.cls(
                    **{
                        wires[name].name: self.instance(wires[name].shape, inner, scalar)
                        for name, inner in value.items()
                    }
                )
            case ListOf():
                return [self.instance(known.element, inner, scalar) for inner in value]
            case MapOf():
                return {key: self.instance(known.value, inner, scalar) for key, inner in value.items()}
            case _:
                return scalar(known, value)

    def plain(self, shape: str, value: Any, scalar: Scalar) -> Any:
        """The reverse, without members that are absent or empty, which in a reply is the same."""
        known = self.service.shapes[shape]
        match known:
            case Structure():
                found = {
                    member.wire: self.plain(member.shape, inner, scalar)
                    for member in known.members
                    if (inner := getattr(value, member.name, None)) is not None
                }
                return {name: inner for name, inner in found.items() if inner not in ([], {})}
            case ListOf():
                return [self.plain(known.element, inner, scalar) for inner in value]
            case MapOf():
                return {key: self.plain(known.value, inner, scalar) for key, inner in value.items()}
            case _:
                return scalar(known, value)


def generate(folder: Path, patch: pytest.MonkeyPatch, raw: Mapping[str, Any]) -> Generated:
    """A package of a model at hand."""
    return install(folder, patch, read_service("made-up", raw, paginators={}))


def install(folder: Path, patch: pytest.MonkeyPatch, service: ServiceModel) -> Generated:
    """Write a package of a service into ``folder``, which becomes part of its name, and import it."""
    package = f"{service.name.replace('-', '_')}_{abs(hash(folder)):x}"
    files = render_package(service, Target(package=package, command="a test"))
    (folder / package).mkdir()
    for file, text in files.items():
        (folder / package / file).write_text(text)
    patch.syspath_prepend(str(folder))
    types, errors, operations, tables = (
        importlib.import_module(f"{package}.{part}") for part in ("types", "errors", "operations", "service")
    )
    return Generated(types, errors, operations, tables.SERVICE, service.notices)
