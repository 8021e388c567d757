"""The API reference is made without a warning and leaves nothing public out."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import TYPE_CHECKING

from aioecrpublic._generated.service import SERVICE
from tests.tools.reference import MODULES, write

if TYPE_CHECKING:
    from pathlib import Path


def test_it_has_everything_public(tmp_path: Path) -> None:
    write(tmp_path)
    pages = {name: (tmp_path / f"{name.replace('.', '/')}.html").read_text("utf-8") for name in MODULES}
    for name, page in pages.items():
        module = import_module(name)
        for member in getattr(module, "__all__", ()):
            value = getattr(module, member)
            if inspect.isclass(value) or inspect.isfunction(value):
                assert f'id="{member}"' in page, f"{name}.{member}"
    operations = pages["aioecrpublic._generated.operations"]
    for operation in SERVICE.operations.values():
        assert f'id="Operations.{operation.method}"' in operations


def test_every_page_is_reached_from_the_first(tmp_path: Path) -> None:
    write(tmp_path)
    first = tmp_path / "aioecrpublic.html"
    found, todo = {first}, [first]
    while todo:
        page = todo.pop()
        links = re.findall(r'href="([^"#:]+\.html)', page.read_text("utf-8"))
        linked = {(page.parent / link).resolve() for link in links} - found
        found |= linked
        todo += linked
    assert found == {tmp_path / f"{name.replace('.', '/')}.html" for name in MODULES}
