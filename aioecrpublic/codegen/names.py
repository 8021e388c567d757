"""Names: the model's words as Python identifiers."""

from __future__ import annotations

import keyword
import re

from botocore import xform_name

# Names that the generated modules use for something else at class level, where a member would shadow them.
_TAKEN = frozenset({
    "attrs", "bool", "bytes", "dict", "dt", "float", "int", "list", "self", "str",
    "BlobInput", "Mapping", "Sequence",
})  # fmt: skip


def snake_case(name: str) -> str:
    """The member or operation name in snake_case, changed by an underscore where Python needs the word."""
    snake = re.sub(r"\W", "_", xform_name(name))
    return f"{snake}_" if keyword.iskeyword(snake) or snake in _TAKEN else snake


def constant_case(value: str) -> str:
    """An enum value as the name of its constant: ``ImageNotFound`` becomes ``IMAGE_NOT_FOUND``."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", value))
    name = re.sub(r"\W+", "_", words).strip("_").upper() or "EMPTY"
    return f"_{name}" if name[0].isdigit() or keyword.iskeyword(name) else name
