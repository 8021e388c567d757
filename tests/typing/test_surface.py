"""What the public modules offer says its types: none of them is ``Any``."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODULES = ("", ".types", ".errors", ".hooks", ".images", ".push", ".manage", ".local", ".client")


def members(made: type) -> Iterator[tuple[str, Callable[..., object]]]:
    """The constructor, methods and properties of a class that are this package's and public."""
    for owner in made.__mro__:
        if not owner.__module__.startswith("aioecrpublic"):
            continue
        for name, member in vars(owner).items():
            if name.startswith("_") and name != "__init__":
                continue
            function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            if inspect.isfunction(function):
                yield f"{made.__name__}.{name}", function


def annotated(name: str, offered: object) -> Iterator[tuple[str, str]]:
    functions: list[tuple[str, Callable[..., object]]] = []
    if inspect.isclass(offered):
        functions += members(offered)
        for field, annotation in inspect.get_annotations(offered).items():
            if not field.startswith("_"):
                yield f"{name}.{field}", str(annotation)
    elif inspect.isfunction(offered):
        functions.append((name, offered))
    for where, function in functions:
        signature = inspect.signature(function)
        yield f"{where} returns", str(signature.return_annotation)
        for parameter in signature.parameters.values():
            yield f"{where}({parameter.name})", str(parameter.annotation)


def is_any(annotation: str) -> bool:
    return "Any" in re.findall(r"\w+", annotation)


@pytest.mark.parametrize("module", MODULES)
def test_nothing_public_is_any(module: str) -> None:
    offering = import_module(f"aioecrpublic{module}")
    found = [
        place
        for name in offering.__all__
        for place, annotation in annotated(name, getattr(offering, name))
        if is_any(annotation)
    ]
    assert found == []


class Careless:
    size: dict[str, Any]

    def look(self, what: Any) -> Any:
        return what


def test_the_search_finds_what_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Careless, "__module__", "aioecrpublic")
    places = [place for place, annotation in annotated("Careless", Careless) if is_any(annotation)]
    assert places == ["Careless.size", "Careless.look returns", "Careless.look(what)"]
