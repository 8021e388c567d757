"""Write ``assertions.py``: what type each operation, paginator and error has, for type checkers to confirm.

``python -m tests.typing.write_assertions``
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from aioecrpublic._generated import errors
from aioecrpublic._generated.service import OPERATIONS, SHAPES
from aioecrpublic._runtime.shapes import Boolean, ListOf, Number, String, Structure
from aioecrpublic.codegen.names import snake_case

TARGET = Path(__file__).with_name("assertions.py")
COMMAND = "python -m tests.typing.write_assertions"


def example(name: str) -> str:
    """An expression of the type that the shape called ``name`` takes."""
    match SHAPES[name]:
        case String():
            return '""'
        case Number():
            return "0"
        case Boolean():
            return "True"
        case ListOf(element):
            return f"[{example(element)}]"
        case Structure(cls):
            return f"types.{cls.__name__}()"
        case _:
            return 'b""'


def required(shape: str) -> str:
    """The arguments that a request must have."""
    structure = SHAPES[shape]
    assert isinstance(structure, Structure)
    return ", ".join(
        f"{member.name}={example(member.shape)}" for member in structure.members if member.required
    )


def element(shape: str, result: str) -> str:
    """The class of the items that a paginator yields."""
    structure = SHAPES[shape]
    assert isinstance(structure, Structure)
    listed = SHAPES[next(member.shape for member in structure.members if member.name == result)]
    assert isinstance(listed, ListOf)
    return listed.element


def annotation(shape: str) -> str:
    """The type of an error's member."""
    match SHAPES[shape]:
        case Number():
            return "int | None"
        case ListOf(inner):
            return f"list[{annotation(inner).removesuffix(' | None')}]"
        case _:
            return "str | None"


def text() -> str:
    """The whole module."""
    calls, pages, caught = [], [], []
    for operation in OPERATIONS.values():
        response, request = f"types.{operation.response.__name__}", f"types.{operation.request.__name__}"
        arguments = required(operation.request_shape)
        calls += [
            f"    assert_type(await client.{operation.method}({arguments}), {response})",
            f"    assert_type(await client.send({request}({arguments})), {response})",
        ]
        if operation.pagination:
            paginator = f"client.paginate_{operation.method}({arguments})"
            item = f"types.{element(operation.response_shape, operation.pagination.result)}"
            pages += [
                f"    assert_type({paginator}, types.Paginator[{response}, {item}])",
                f"    assert_type([item async for item in {paginator}], list[{item}])",
                f"    assert_type([page async for page in {paginator}.pages()], list[{response}])",
                f"    assert_type(await {paginator}.collect(limit=1), list[{item}])",
            ]
    for name in errors.__all__:
        shape = SHAPES[name]
        assert isinstance(shape, Structure)
        caught += [
            f"\ndef {snake_case(name)}(error: errors.{name}) -> None:",
            "    assert_type(error.code, str)",
            *(
                f"    assert_type(error.{member.name}, {annotation(member.shape)})"
                for member in shape.members
                if member.name != "message"
            ),
        ]
    parts = [
        f'"""What type everything has, for type checkers to read.\n\nWritten by ``{COMMAND}``.\n"""',
        "from __future__ import annotations",
        "from typing import TYPE_CHECKING, assert_type",
        "from aioecrpublic import errors, types",
        "if TYPE_CHECKING:\n    from aioecrpublic import ECRPublicClient",
        "\n".join(["", "async def operations(client: ECRPublicClient) -> None:", *calls]),
        "\n".join(["", "async def paginators(client: ECRPublicClient) -> None:", *pages]),
        "\n".join(caught),
    ]
    return formatted("\n\n".join(parts) + "\n")


def formatted(source: str) -> str:
    """The source in the form that everything here has."""
    command: list[str] = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(TARGET), "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=True)
    return done.stdout


if __name__ == "__main__":
    TARGET.write_text(text())
