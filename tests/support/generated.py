"""Clients generated from a model at hand, imported from a folder of the test's own."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import attrs

from aioecrpublic._runtime.shapes import AbsentDict, AbsentList, ListOf, MapOf, Structure
from aioecrpublic.codegen.model import read_service
from aioecrpublic.codegen.render import Target, render_package
from tests.support.recording import record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

    from aioecrpublic._runtime.shapes import Service
    from aioecrpublic.codegen.endpoints import EndpointRules
    from tests.support.recording import RecordingTransport

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
        self, endpoint_url: str | None = "https://example.com", region: str = "us-east-1", **options: Any
    ) -> tuple[Any, RecordingTransport]:
        """An open client of it that records what it would send."""
        client = self.operations.Operations(region, endpoint_url, **options)
        return client, await record(client)

    def instance(self, shape: str, value: Any) -> Any:
        """An instance of the shape from botocore's form of it."""
        known = self.service.shapes[shape]
        match known:
            case Structure():
                wires = {member.wire: member for member in known.members}
                return known.cls(
                    **{
                        wires[name].name: self.instance(wires[name].shape, inner)
                        for name, inner in value.items()
                    }
                )
            case ListOf():
                return [self.instance(known.element, inner) for inner in value]
            case MapOf():
                return {key: self.instance(known.value, inner) for key, inner in value.items()}
            case _:
                return value

    def plain(self, shape: str, value: Any) -> Any:
        """The reverse: without members that are absent; lists and maps of responses are empty instead."""
        known = self.service.shapes[shape]
        match known:
            case Structure():
                return {
                    member.wire: self.plain(member.shape, inner)
                    for member in known.members
                    if not _is_nothing(inner := getattr(value, member.name, None))
                }
            case ListOf():
                return [None if inner is None else self.plain(known.element, inner) for inner in value]
            case MapOf():
                return {
                    key: None if inner is None else self.plain(known.value, inner)
                    for key, inner in value.items()
                }
            case _:
                return value


def _is_nothing(value: Any) -> bool:
    return value is None or (type(value) in {list, dict, AbsentList, AbsentDict} and not value)


def generate(
    folder: Path,
    patch: pytest.MonkeyPatch,
    raw: Mapping[str, Any],
    *,
    name: str = "made_up",
    rules: EndpointRules | None = None,
) -> Generated:
    """Write a package of a model into ``folder`` and import it; names of packages are not used twice."""
    package = f"{name}_{abs(hash(folder)):x}"
    service = read_service(name.replace("_", "-"), raw, paginators={}, rules=rules)
    files = render_package(service, Target(package=package, command="a test"))
    (folder / package).mkdir()
    for file, text in files.items():
        (folder / package / file).write_text(text)
    patch.syspath_prepend(str(folder))
    types, errors, operations, tables = (
        importlib.import_module(f"{package}.{part}") for part in ("types", "errors", "operations", "service")
    )
    return Generated(types, errors, operations, tables.SERVICE, service.notices)
