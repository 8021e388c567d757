"""Names: the model's words as Python identifiers."""

from __future__ import annotations

import keyword
import re

from botocore import xform_name

# Names that the generated modules use for something else where members and arguments would shadow them.
_TAKEN = frozenset({
    "attrs", "bool", "bytes", "dict", "dt", "float", "int", "list", "self", "service", "str", "types",
    "BlobInput", "Mapping", "Sequence",
})  # fmt: skip
# And those that they give to something else at module level, where a class would shadow them.
_TAKEN_CLASSES = frozenset(
    {"JSON", "Mapping", "Model", "Request", "Response", "Sequence", "StrEnum", "BlobInput"}
)


def class_name(shape: str) -> str:
    """The shape's name as a class's, changed by an underscore where the generated modules need the word."""
    return f"{shape}_" if shape in _TAKEN_CLASSES else shape


def snake_case(name: str) -> str:
    """The member or operation name in snake_case, changed by an underscore where Python needs the word."""
    # attrs would take an underscore in front for a private member, and leave it out of the arguments.
    snake = re.sub(r"\W", "_", xform_name(name)).lstrip("_")
    return f"{snake}_" if keyword.iskeyword(snake) or snake in _TAKEN else snake


def constant_case(value: str) -> str:
    """An enum value as the name of its constant: ``ImageNotFound`` becomes ``IMAGE_NOT_FOUND``."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", value))
    name = re.sub(r"\W+", "_", words).strip("_").upper() or "EMPTY"
    return f"_{name}" if name[0].isdigit() or keyword.iskeyword(name) else name
