"""One function for each structure of a service, made when it is first needed."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeAlias

from aioecrpublic._runtime.shapes import Structure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aioecrpublic._runtime.shapes import Shape

    Convert: TypeAlias = Callable[[Any], Any]


class Compiled(ABC):
    """The functions for one service's shapes.

    Args:
        shapes: The shapes by their names.
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
            made = self._functions[name] = self._compile(shape)
        return made

    def nested(self, name: str) -> Convert:
        """The same for use in another one; looked up when called, for structures may contain themselves."""
        return functools.partial(self._call, name)

    def _call(self, name: str, value: Any) -> Any:
        return self.function(name)(value)

    @abstractmethod
    def _compile(self, shape: Structure) -> Convert:
        """The function for a structure."""
