"""Functions that are written for each structure of a service and compiled when they are first needed."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from aioecrpublic._runtime.shapes import Structure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aioecrpublic._runtime.shapes import Shape

    Convert: TypeAlias = Callable[[Any], Any]


class Compiled(ABC):
    """One function of one argument for each structure.

    Args:
        shapes: The service's shapes by their names.
    """

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self._shapes = shapes
        self._functions: dict[str, Convert] = {}

    def function(self, name: str) -> Convert:
        """The function for the structure called ``name``.

        Raises:
            TypeError: There is a shape of that name, but it is not a structure.
        """
        made = self._functions.get(name)
        if made is None:
            shape = self._shapes[name]
            if not isinstance(shape, Structure):
                raise TypeError(f"{name} is not a structure")
            scope: dict[str, Any] = {}
            # Nothing in the text comes from outside of the service's own tables.
            exec("\n".join(["def convert(value):", *self._lines(shape, scope)]), scope)  # noqa: S102
            made = self._functions[name] = cast("Convert", scope["convert"])
        return made

    def nested(self, name: str) -> Convert:
        """The same for use in another one; looked up when called, for structures may contain themselves."""
        return functools.partial(self._call, name)

    def _call(self, name: str, value: Any) -> Any:
        return self.function(name)(value)

    @abstractmethod
    def _lines(self, shape: Structure, scope: dict[str, Any]) -> Iterable[str]:
        """The body of the function, indented; what it uses is put into ``scope``."""
