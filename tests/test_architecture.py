"""The arrows of the house: which part may import which, held for every module there is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import aioecrpublic

ROOT = Path(aioecrpublic.__file__).parent
# The leaf that everybody may import.
LEAVES = {"_base", "_version"}
ALLOWED: dict[str, set[str]] = {
    "_runtime": set(),
    "_generated": {"_runtime"},
    "images": set(),
    "codegen": set(),
    "client": {"_generated", "_runtime"},
    "errors": {"_generated", "_runtime", "images", "push"},
    "types": {"_generated", "_runtime"},
    "hooks": {"_runtime"},
    "push": {"client", "_generated", "_runtime", "images"},
    "local": {"client", "_generated", "_runtime"},
    "manage": {"client", "_generated", "_runtime", "images"},
    "cli": {"manage", "push", "local", "client", "errors", "types", "_generated", "_runtime", "images"},
    "pytest_plugin": {"local", "client", "_runtime"},
    "__main__": {"cli"},
    "__init__": {"client", "errors", "types", "push", "images", "manage", "_runtime"},
}


def modules() -> list[Path]:
    return [path for path in sorted(ROOT.rglob("*.py")) if path.stem not in LEAVES]


def part_of(path: Path) -> str:
    relative = path.relative_to(ROOT)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported_parts(path: Path) -> set[str]:
    """The parts of the package that a module imports, anywhere in it, for types too."""
    parts = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from aioecrpublic import x` names a part only in x.
            bare = node.module == "aioecrpublic"
            names = [f"{node.module}.{alias.name}" for alias in node.names] if bare else [node.module]
        else:
            continue
        parts |= {name.split(".")[1] for name in names if name.startswith("aioecrpublic.")}
    return parts - LEAVES


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_arrows(path: Path) -> None:
    part = part_of(path)
    assert part in ALLOWED, f"{part} is not on the map"
    assert imported_parts(path) <= ALLOWED[part] | {part}


def test_the_map_names_only_what_exists() -> None:
    existing = {part_of(path) for path in modules()}
    assert existing <= set(ALLOWED)


def test_no_relative_imports() -> None:
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: relative import"


def test_the_map_has_no_cycle() -> None:
    done: set[str] = set()
    while len(done) < len(ALLOWED):
        free = {part for part, uses in ALLOWED.items() if part not in done and uses <= done}
        assert free, f"a cycle among {sorted(set(ALLOWED) - done)}"
        done |= free


def test_public_names_are_sorted_and_exist() -> None:
    names = aioecrpublic.__all__
    assert list(names) == sorted(names)
    assert len(set(names)) == len(names)
    for name in names:
        assert getattr(aioecrpublic, name) is not None
