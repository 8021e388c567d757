"""Which licences of dependencies are accepted, and which ones a distribution has by its metadata."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

if TYPE_CHECKING:
    from importlib.metadata import Distribution

# Permissive, or no further than the files they came with.
ACCEPTED = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "MIT",
        "MPL-2.0",
        "PSF-2.0",
    }
)
# The classifiers that metadata without an SPDX expression tell a licence by; BSD is one of the two above.
CLASSIFIERS = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
}


def unaccepted(distribution: Distribution) -> list[str]:
    """What is wrong with the licences of a distribution, all of which have to be accepted."""
    who = f"{distribution.name} {distribution.version}"
    found = licences(distribution)
    if not found:
        return [f"{who} tells no licence"]
    return [f"{who}: {licence} is not accepted" for licence in found if not is_accepted(licence)]


def licences(distribution: Distribution) -> list[str]:
    """SPDX expressions, and the classifiers for which there is none here."""
    metadata = distribution.metadata
    if "License-Expression" in metadata:
        return [metadata["License-Expression"]]
    classifiers = [
        CLASSIFIERS.get(line, line)
        for line in metadata.get_all("Classifier", [])
        if line.startswith("License ::") and line != "License :: OSI Approved"
    ]
    # An old field of free text, in which some tell an expression and some the whole licence.
    text = "".join(metadata.get_all("License", []))
    return [text, *classifiers] if normalised(text) else classifiers


def is_accepted(expression: str) -> bool:
    """Whether an SPDX expression leaves us a choice of nothing but accepted licences."""
    known = normalised(expression)
    if known is None:
        return False
    tokens = known.replace("(", "( ").replace(")", " )").split()
    names = {f"n{index}": token for index, token in enumerate(tokens)}
    words = {"AND": "and", "OR": "or", "(": "(", ")": ")"}
    # SPDX's operators bind as Python's do. An exception, after WITH, only permits more.
    python = [
        words.get(token, name)
        for before, (name, token) in zip(["", *tokens], names.items(), strict=False)
        if "WITH" not in {before, token}
    ]
    return _holds(ast.parse(" ".join(python), mode="eval").body, names)


def normalised(expression: str) -> str | None:
    """The SPDX expression in its normal form; ``None`` if it is none."""
    try:
        return canonicalize_license_expression(expression)
    except InvalidLicenseExpression:
        return None


def _holds(node: ast.expr, names: dict[str, str]) -> bool:
    match node:
        case ast.BoolOp(ast.And(), values):
            return all(_holds(value, names) for value in values)
        case ast.BoolOp(ast.Or(), values):
            return any(_holds(value, names) for value in values)
        case ast.Name(name):
            return names[name] in ACCEPTED
        case _:
            raise AssertionError(ast.dump(node))
