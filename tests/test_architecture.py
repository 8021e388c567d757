"""The arrows of the house: which part may import which, held for every module there is."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import aioecrpublic

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(aioecrpublic.__file__).parent
# What everybody may import.
LEAVES = {"_common", "_version"}
ALLOWED: dict[str, set[str]] = {
    "_common": set(),
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
PROJECT = tomllib.loads((ROOT.parent / "pyproject.toml").read_text("utf-8"))["project"]
INSTALLED = packages_distributions()
# The part that may import what each extra brings.
EXTRAS = {"cli": "cli", "codegen": "codegen", "images": "zstd"}
# pytest loads its plugin, with what it has for coroutines.
HOSTS = {"pytest_plugin": {"pytest", "pytest-asyncio"}}
# Zstandard is in the standard library or beside it: what other Pythons than this one import it from.
OTHER_PYTHONS = "backports" if sys.version_info >= (3, 14) else "compression"


def modules() -> list[Path]:
    return [path for path in sorted(ROOT.rglob("*.py")) if path.stem not in LEAVES]


def ground_floor() -> list[Path]:
    return [path for path in sorted((ROOT / "_common").glob("*.py")) if path.stem != "__init__"]


def part_of(path: Path) -> str:
    relative = path.relative_to(ROOT)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(path: Path) -> Iterator[str]:
    """The dotted name of all that a module imports, anywhere in it, for types too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_parts(path: Path) -> set[str]:
    """The parts of the package that a module imports."""
    return {name.split(".")[1] for name in imports(path) if name.startswith("aioecrpublic.")} - LEAVES


def imported_distributions(path: Path) -> Iterator[set[str]]:
    """For each import from elsewhere, the distributions that may have it; its own name if there is none."""
    for name in {name.partition(".")[0] for name in imports(path)}:
        if name not in {*sys.stdlib_module_names, "aioecrpublic", OTHER_PYTHONS}:
            yield {canonicalize_name(owner) for owner in INSTALLED.get(name, [name])}


def allowed_distributions(part: str) -> set[str]:
    lines = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"].get(EXTRAS.get(part), ())]
    return {canonicalize_name(Requirement(line).name) for line in lines} | HOSTS.get(part, set())


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_arrows(path: Path) -> None:
    part = part_of(path)
    assert part in ALLOWED, f"{part} is not on the map"
    assert imported_parts(path) <= ALLOWED[part] | {part}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_imported_is_declared(path: Path) -> None:
    allowed = allowed_distributions(part_of(path))
    undeclared = [owners for owners in imported_distributions(path) if not owners & allowed]
    assert undeclared == []


def test_what_is_declared_is_imported() -> None:
    assert PROJECT["optional-dependencies"].keys() == set(EXTRAS.values())
    imported = {owner for path in modules() for owners in imported_distributions(path) for owner in owners}
    for part in ("client", *EXTRAS):
        absent = {"backports-zstd"} if sys.version_info >= (3, 14) else set()
        assert allowed_distributions(part) - absent <= imported


def test_the_map_names_only_what_exists() -> None:
    existing = {part_of(path) for path in modules()}
    assert existing <= set(ALLOWED)


@pytest.mark.parametrize("path", ground_floor(), ids=lambda path: path.name)
def test_the_ground_floor_stands_on_nothing_and_carries_two(path: Path) -> None:
    assert imported_parts(path) == set()
    name = f"aioecrpublic._common.{path.stem}"
    users = {
        part_of(user)
        for user in ROOT.rglob("*.py")
        if any(f"{one}.".startswith(f"{name}.") for one in imports(user))
    }
    own = users & {"_common"}  # used by a module there, which two use
    assert own or len(users) >= 2, f"{path.name} is used by {sorted(users)} alone"


# Who writes for people, and who makes loggers: what others have chosen is made harmless there.
WRITERS = {"_common/streams.py", "cli/output.py", "cli/main.py", "codegen/__main__.py"}
WRITERS |= {"manage/credential_helper.py"}
LOGGERS = {"_common/logs.py", "cli/output.py"}


def used_names(path: Path) -> Iterator[str]:
    """The names that a module uses, such as ``print`` and ``sys.stdout``."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Name):
            yield node.id


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_shown_is_made_harmless_in_one_place(path: Path) -> None:
    name, names = path.relative_to(ROOT).as_posix(), set(used_names(path))
    writing = names & {"print", "click.echo", "click.secho", "sys.stdout", "sys.stderr"}
    assert not writing or name in WRITERS, f"{writing}: cli/output.py writes"
    assert "logging.getLogger" not in names or name in LOGGERS, "_common/logs.py makes loggers"


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
