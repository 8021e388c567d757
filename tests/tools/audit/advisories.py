"""Known vulnerabilities, by pip-audit, which calls an environment clean that it could not ask about."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, TypedDict

import attrs

from tests.tools.audit.environment import run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# Where pip-audit knows to ask; what the first does not answer is asked of the next.
SERVICES = ("pypi", "osv")
_SILENT = "pip-audit told nothing of it"


class _Vulnerability(TypedDict):
    id: str
    fix_versions: list[str]
    aliases: list[str]


class _Dependency(TypedDict, total=False):
    name: str
    version: str
    vulns: list[_Vulnerability]
    skip_reason: str


@attrs.frozen
class Advisories:
    """What advisories say.

    Attributes:
        vulnerable: A sentence for each known vulnerability.
        unchecked: Why nothing is known, for each name for which it is not.
    """

    vulnerable: tuple[str, ...]
    unchecked: dict[str, str]


def ask(site: Path, names: Iterable[str]) -> Advisories:
    """Ask the services in turn about ``names`` of what is installed in ``site``, until all are checked."""
    answer = Advisories((), dict.fromkeys(names, "nobody was asked"))
    for service in SERVICES:
        if answer.unchecked:
            done = run(
                *(sys.executable, "-m", "pip_audit", "--path", site, "--vulnerability-service", service),
                *("--format", "json", "--progress-spinner", "off", "--desc", "off"),
            )
            now = read(done.stdout, done.stderr, answer.unchecked)
            answer = Advisories((*answer.vulnerable, *now.vulnerable), now.unchecked)
    return answer


def read(output: str, errors: str, names: Iterable[str]) -> Advisories:
    """Read what pip-audit wrote, whose status and summary are the same for clean and for not asked.

    Args:
        output: Its standard output, JSON unless it failed.
        errors: Its standard error, for the reason if it failed.
        names: The normalised names that an answer is wanted for.
    """
    try:
        dependencies: list[_Dependency] = json.loads(output)["dependencies"]
    except json.JSONDecodeError:
        reason = errors.strip().rpartition("\n")[2] or _SILENT
        return Advisories((), dict.fromkeys(names, reason))
    told = {dependency["name"]: dependency for dependency in dependencies}
    wanted: dict[str, _Dependency] = {name: told.get(name, {}) for name in names}
    return Advisories(
        tuple(_sentence(found, each) for found in wanted.values() for each in found.get("vulns", ())),
        {name: found.get("skip_reason", _SILENT) for name, found in wanted.items() if "vulns" not in found},
    )


def _sentence(dependency: _Dependency, vulnerability: _Vulnerability) -> str:
    names = ", ".join([vulnerability["id"], *vulnerability["aliases"]])
    mended = " or ".join(vulnerability["fix_versions"])
    what = f"{dependency['name']} {dependency['version']}: {names}"
    return f"{what}, mended in {mended}" if mended else f"{what}, not mended yet"
