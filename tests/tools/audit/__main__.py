"""Audit what a user installs: ``python -m tests.tools.audit DIRECTORY``.

The wheel is built and installed with all its extras into a virtual environment of its own, whose bill of
materials is written and held to what is declared. Once everything is installed, only advisories need a
network. Where none are to be had, that is said, and the other checks decide.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.tools.audit import sbom
from tests.tools.audit.advisories import ask
from tests.tools.audit.closure import closure
from tests.tools.audit.environment import PACKAGE, Environment, broken, everything, inconsistent, make
from tests.tools.audit.licences import unaccepted
from tests.tools.audit.records import altered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tests.tools.audit.advisories import Advisories


def main(arguments: Sequence[str]) -> int:
    """Audit, and say what is found; the exit status."""
    parser = argparse.ArgumentParser(
        "python -m tests.tools.audit", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("directory", type=Path, help="the virtual environment, made anew")
    parser.add_argument("--sbom", type=Path, default=Path("build", "sbom.json"), help="where the bill goes")
    parser.add_argument("--as-is", action="store_true", help="audit the environment that is there instead")
    options = parser.parse_args(arguments)
    found = 0
    if not options.as_is:
        found += tell("the index has withdrawn nothing that was installed", make(options.directory))
    audited = Environment(options.directory)
    for what, findings in offline(audited, options.sbom):
        found += tell(what, findings)
    others = audited.distributions().keys() - {PACKAGE}
    return conclude(found, len(others), ask(audited.site, others))


def offline(audited: Environment, path: Path) -> Iterator[tuple[str, Iterable[str]]]:
    """Each check that needs no network: what has to be so, and where it is not."""
    installed = audited.distributions()
    components = sbom.write(audited, path)
    asked_for = closure(everything(installed), installed)
    yield f"{path} tells all of each of {len(components)} components", sbom.incomplete(components)
    yield "they are what the dependencies ask for", sbom.unexpected(components, asked_for)
    yield "their licences are accepted", (line for each in installed.values() for line in unaccepted(each))
    yield "their files are as recorded", (line for each in installed.values() for line in altered(each))
    yield "their versions go together", inconsistent(audited)
    yield "every module can be imported, and the commands run", broken(audited)


def tell(what: str, findings: Iterable[str]) -> int:
    """Say whether something is as it has to be; the number of findings."""
    lines = list(findings)
    sys.stdout.write(f"{'NOT SO' if lines else 'ok'}: {what}\n" + "".join(f"    {line}\n" for line in lines))
    return len(lines)


def conclude(found: int, asked: int, answer: Advisories) -> int:
    """Say what advisories tell, and how it ends; the exit status.

    Args:
        found: How much was found without advisories.
        asked: Of how many components advisories were wanted.
        answer: What they tell.
    """
    unchecked = len(answer.unchecked)
    if unchecked < asked:
        what = f"{asked - unchecked} of {asked} components have no known vulnerability"
        found += tell(what, answer.vulnerable)
    if unchecked:
        name, reason = min(answer.unchecked.items())
        sys.stdout.write(f"NOT CHECKED: advisories for {unchecked} of {asked} components; {name}: {reason}\n")
    but = f", but advisories were not checked for {unchecked} of {asked} components" if unchecked else ""
    sys.stdout.write(f"{found or 'no'} finding{'' if found == 1 else 's'}{but}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
