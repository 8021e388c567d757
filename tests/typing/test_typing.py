"""Types: every operation's, the stubs of botocore, the public surface as pyright sees it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.tools import node_package
from tests.typing import write_assertions

ROOT = Path(__file__).parents[2]


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | environment,
    )


def test_the_types_of_everything_are_asserted() -> None:
    assert write_assertions.TARGET.read_text() == write_assertions.text(), f"run {write_assertions.COMMAND}"


def test_mypy_confirms_the_types_of_everything() -> None:
    done = python("-m", "mypy", "tests/typing/assertions.py")
    assert done.returncode == 0, done.stdout


def test_the_stubs_are_true_to_botocore() -> None:
    modules = sorted(
        "botocore" if path.stem == "__init__" else f"botocore.{path.stem}"
        for path in (ROOT / "stubs" / "botocore").glob("*.pyi")
    )
    # Modules that have no stub are what this package does not use, and so are names that a stub leaves out.
    done = python("-m", "mypy.stubtest", "--ignore-missing-stub", "--concise", *modules, MYPYPATH="stubs")
    wrong = [line for line in done.stdout.splitlines() if "failed to find stubs" not in line]
    assert [line for line in wrong if line.startswith("botocore")] == []
    assert len(modules) > 5


def test_the_stubs_have_nothing_that_is_not_used() -> None:
    sources = "\n".join(
        path.read_text()
        for folder in ("aioecrpublic", "tests/local")
        for path in (ROOT / folder).rglob("*.py")
    )
    for path in (ROOT / "stubs" / "botocore").glob("*.pyi"):
        module = "botocore" if path.stem == "__init__" else f"botocore.{path.stem}"
        assert f"{module} import" in sources, f"nothing imports {module}"


def test_the_public_surface_is_typed_to_the_last_name() -> None:
    pyright = Path(node_package("pyright")) / "node_modules" / "pyright" / "index.js"
    done = subprocess.run(
        [
            "node",
            pyright,
            "--ignoreexternal",
            "--verifytypes",
            "aioecrpublic",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        # With --verifytypes it asks the first python of PATH for its packages, whatever --pythonpath says.
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
    )
    assert "Type completeness score: 100%" in done.stdout, done.stdout
