"""Mutation testing: the code is changed a little, again and again, to see whether the tests notice.

``python -m tests.tools.mutation [NAME ...]`` does it to the modules of ``TARGETS`` with those names, or to
all of them, by mutmut and with the quick tests that are theirs; ``--again`` tries only what survived the run
before.
Each module has a directory below ``build/mutation``, where ``mutmut show MUTANT`` shows what a mutant is.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
# What pytest and mutmut exit with: a test failed, or the mutant never came to an end.
_KILLED = frozenset({1, 3, 24, 36, 152, 255, -24})
# A line of SQL in which nothing is quoted.
_SQL = re.compile(r"^[^']*\b(?:PRAGMA|SELECT|INSERT|UPDATE|DELETE|WHERE|journal_mode|foreign_keys)\b[^']*$")
_SETTINGS = """
[tool.mutmut]
source_paths = ["aioecrpublic"]
only_mutate = {files}
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-p", "no:cacheprovider", "--timeout=30"]
use_git_change_detection = false
on_dependency_change = "ignore"
timeout_constant = 2.0
# From a process that has run nothing: what the code keeps for later would hide mutants.
process_isolation = "forkserver"
"""


@attrs.frozen
class Target:
    """Modules, and the tests that are quick and exercise them."""

    files: tuple[str, ...]
    tests: tuple[str, ...]


def _runtime(name: str, *tests: str) -> Target:
    return Target((f"_runtime/{name}.py",), tuple(f"runtime/test_{test}.py" for test in tests))


def _push(name: str, *tests: str) -> Target:
    return Target((f"push/{name}.py",), tuple(f"push/test_{test}.py" for test in tests))


def _local(name: str, *tests: str) -> Target:
    return Target((f"local/{name}.py",), tuple(f"local/{test}.py" for test in tests))


TARGETS = {
    "signing": _runtime("signing", "signing"),
    "retry": _runtime("retry", "retries"),
    "decode": _runtime("decode", "decode", "kinds"),
    "encode": _runtime("encode", "serde", "kinds"),
    "parse": _runtime("parse", "parse"),
    "serde": _runtime("serde", "serde", "protocol"),
    "body": _runtime("body", "body"),
    "routing": _runtime("routing", "routing"),
    "layer": _push("layer", "layer"),
    "parts": _push("parts", "parts", "layer"),
    "prefetch": _push("prefetch", "prefetch"),
    "upload": _push("upload", "upload", "layer"),
    "patience": _push("patience", "patience"),
    "journal": _push("journal", "journal"),
    "sizes": _push("sizes", "sizes"),
    "budget": _push("budget", "budget"),
    "blobs": _local("blobs", "test_blobs"),
    "database": _local("database", "test_database"),
    "layers": _local("operations/layers", "test_layers"),
}


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        "python -m tests.tools.mutation", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TARGETS)}; all if none")
    parser.add_argument("--again", action="store_true", help="try only what survived the last run")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at a time")
    options = parser.parse_args(arguments)
    for name in options.names or TARGETS:
        if name not in TARGETS:
            parser.error(f"there is no target {name}")
        directory = ROOT / "build" / "mutation" / name
        left = survivors(verdicts(directory)) if options.again else []
        if not left:
            shutil.rmtree(directory, ignore_errors=True)
        prepare(directory, TARGETS[name])
        mutmut(directory, "run", "--max-children", str(options.jobs), *left)
        report(name, directory)


def prepare(directory: Path, target: Target) -> None:
    """Copy the project there, with settings of its own."""
    for folder in ("aioecrpublic", "tests"):
        shutil.copytree(ROOT / folder, directory / folder, dirs_exist_ok=True)
    settings = _SETTINGS.format(
        files=json.dumps([f"aioecrpublic/{file}" for file in target.files]),
        tests=json.dumps([f"tests/{test}" for test in target.tests]),
    )
    (directory / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + settings)


def mutmut(directory: Path, *arguments: str, quiet: bool = False) -> str:
    command = [str(Path(sys.executable).with_name("mutmut")), *arguments]
    done = subprocess.run(
        command, cwd=directory, check=True, text=True, stdout=subprocess.PIPE if quiet else None
    )
    return done.stdout if quiet else ""


def verdicts(directory: Path) -> dict[str, bool]:
    """Each mutant that was tried, and whether it was killed."""
    found: dict[str, bool] = {}
    for path in sorted((directory / "mutants").rglob("*.meta")):
        codes: dict[str, int | None] = json.loads(path.read_text())["exit_code_by_key"]
        found |= {mutant: code in _KILLED for mutant, code in codes.items() if code is not None}
    return found


def survivors(found: dict[str, bool]) -> list[str]:
    return [mutant for mutant, killed in found.items() if not killed]


def is_the_same_sql(directory: Path, mutant: str) -> bool:
    """Whether nothing is changed but the case of SQL's words, which have none outside of quotes."""
    shown = mutmut(directory, "show", mutant, quiet=True).splitlines()
    changed = [line[1:] for line in shown if line[:1] in {"-", "+"} and line[:3] not in {"---", "+++"}]
    return len({line.lower() for line in changed}) == 1 and _SQL.search(changed[0]) is not None


def report(name: str, directory: Path) -> None:
    found = verdicts(directory)
    for mutant in survivors(found):
        if is_the_same_sql(directory, mutant):
            del found[mutant]
        else:
            sys.stdout.write(f"survived: {mutant}\n")
    share = 100 * sum(found.values()) / max(len(found), 1)
    sys.stdout.write(f"{name}: {sum(found.values())} of {len(found)} killed, {share:.1f} %\n")


if __name__ == "__main__":
    main(sys.argv[1:])
