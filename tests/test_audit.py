"""The audit: all that it can find, made up; and what it finds of that which is installed here."""

from __future__ import annotations

import json
from importlib.metadata import Distribution, distributions
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name

from tests.tools.audit.__main__ import conclude, tell
from tests.tools.audit.advisories import Advisories, read
from tests.tools.audit.closure import closure
from tests.tools.audit.environment import Environment, everything, make, run, succeed, yanked
from tests.tools.audit.licences import is_accepted, unaccepted
from tests.tools.audit.records import altered
from tests.tools.audit.sbom import incomplete, unexpected

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tools.audit.sbom import Component

HERE: dict[str, Distribution] = {canonicalize_name(found.name): found for found in distributions()}


def distribution(site: Path, name: str, *lines: str) -> Distribution:
    """An installed distribution with these lines of metadata, and no files."""
    directory = site / f"{name}-1.0.dist-info"
    directory.mkdir(parents=True)
    told = "\n".join(["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *lines])
    (directory / "METADATA").write_text(told + "\n")
    return Distribution.at(directory)


def shipped() -> set[str]:
    """What a user gets here, by the extras that our metadata names."""
    return closure(everything(HERE), HERE)


# What is needed.


def test_what_we_ship_needs_is_there_and_nothing_of_the_tests_is_among_it() -> None:
    needed = shipped()
    assert {"aiohttp", "botocore", "yarl", "click", "jinja2", "urllib3"} <= needed <= HERE.keys()
    assert not needed & {"pytest", "hypothesis", "boto3", "aiobotocore", "twine", "pip"}


def test_a_closure_follows_extras_and_markers_and_comes_back_from_circles(tmp_path: Path) -> None:
    required = {
        "first": ('Second[fast]>1; python_version > "3"', 'no; python_version < "3"', 'later; extra == "x"'),
        "second": ("third", 'quick-one[deep]; extra == "fast"', 'unwanted; extra == "slow"'),
        "third": ("first",),
        "quick_one": ('absent; extra == "deep"',),
    }
    installed: dict[str, Distribution] = {
        canonicalize_name(name): distribution(tmp_path, name, *(f"Requires-Dist: {line}" for line in lines))
        for name, lines in required.items()
    }
    assert closure("First", installed) == {"first", "second", "third", "quick-one", "absent"}
    assert closure("first[x]==1.0", installed) == {
        "first", "second", "third", "quick-one", "absent", "later",
    }  # fmt: skip


# Licences.


def test_the_licences_of_what_we_ship_are_accepted() -> None:
    assert [line for name in shipped() for line in unaccepted(HERE[name])] == []


@pytest.mark.parametrize(
    "expression",
    [
        "MIT",
        "apache-2.0",
        "Apache-2.0 AND MIT",
        "GPL-3.0-only OR MIT",
        "Apache-2.0 AND (MIT OR GPL-3.0-only)",
        "MIT OR GPL-3.0-only AND GPL-2.0-only",
        "Apache-2.0 WITH LLVM-exception",
        "(Apache-2.0 WITH LLVM-exception) AND MIT",
    ],
)
def test_accepted(expression: str) -> None:
    assert is_accepted(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "GPL-3.0-only OR MIT AND GPL-2.0-only",
        "(GPL-3.0-only OR MIT) AND GPL-2.0-only",
        "GPL-3.0-only WITH GCC-exception-3.1",
        "MITNFA",
        "LicenseRef-MIT",
        "MIT+",
        "MIT AND",
        "MIT License",
        "",
    ],
)
def test_not_accepted(expression: str) -> None:
    assert not is_accepted(expression)


MIT = "Classifier: License :: OSI Approved :: MIT License"
GPL = "Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["License-Expression: MIT", GPL], []),
        (["License: MIT"], []),
        (["License: whatever it says inside", MIT], []),
        ([MIT, "Classifier: License :: OSI Approved", "Classifier: Typing :: Typed"], []),
        (["License-Expression: AGPL-3.0-only", MIT], ["it 1.0: AGPL-3.0-only is not accepted"]),
        (["License: GPL-2.0-only", MIT], ["it 1.0: GPL-2.0-only is not accepted"]),
        ([MIT, GPL], [f"it 1.0: {GPL.removeprefix('Classifier: ')} is not accepted"]),
        (["License: whatever it says inside"], ["it 1.0 tells no licence"]),
        ([], ["it 1.0 tells no licence"]),
    ],
)
def test_every_licence_that_metadata_tells_counts(lines: list[str], said: list[str], tmp_path: Path) -> None:
    assert unaccepted(distribution(tmp_path, "it", *lines)) == said


# Files.


def test_the_files_of_what_we_ship_are_as_recorded() -> None:
    assert [line for name in shipped() for line in altered(HERE[name])] == []


# The SHA-256 of nothing.
EMPTY = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"


def recorded(site: Path, *rows: str) -> Distribution:
    found = distribution(site, "it")
    (site / "it-1.0.dist-info" / "RECORD").write_text("".join(f"{row}\n" for row in rows))
    return found


def test_a_file_is_found_that_is_not_as_recorded(tmp_path: Path) -> None:
    (tmp_path / "same.py").touch()
    (tmp_path / "a, b.py").touch()
    (tmp_path / "other.py").write_text("x")
    found = recorded(
        tmp_path,
        f"same.py,{EMPTY},0",
        f'"a, b.py",{EMPTY},0',
        f"other.py,{EMPTY},0",
        f"gone.py,{EMPTY},0",
        "free.py,,",
        "__pycache__/same.cpython-311.pyc,,",
        "it-1.0.dist-info/RECORD,,",
    )
    assert list(altered(found)) == [
        "it: other.py is not as it was recorded",
        "it: gone.py is missing",
        "it: free.py has no hash",
    ]


def test_what_has_no_record_is_found(tmp_path: Path) -> None:
    assert list(altered(distribution(tmp_path, "it"))) == ["it has no record of its files"]


# The bill of materials.


def component(name: str) -> Component:
    licence: dict[str, object] = {"license": {"id": "MIT", "acknowledgement": "declared"}}
    return {"name": name, "version": "1.0", "purl": f"pkg:pypi/{name}@1.0", "licenses": [licence]}


def test_a_component_has_to_tell_all() -> None:
    assert list(incomplete([component("one")])) == []
    without_purl = component("two")
    del without_purl["purl"]
    unlicensed: Component = {**component("three"), "licenses": []}
    assert list(incomplete([component("one"), without_purl, unlicensed])) == [
        "two 1.0 has no purl",
        "three 1.0 has no licenses",
    ]


def test_components_are_held_to_what_is_asked_for() -> None:
    components = [component("Jinja2"), component("typing_extensions")]
    assert unexpected(components, {"jinja2", "typing-extensions"}) == []
    assert unexpected(components, {"jinja2", "six"}) == [
        "typing-extensions is there and nothing asks for it",
        "six is asked for and not there",
    ]


def test_what_was_yanked_is_found_in_pips_report() -> None:
    entries = [("good", "1.0", False), ("bad", "2.0", True)]
    assert yanked({
        "install": [
            {"is_yanked": withdrawn, "metadata": {"name": name, "version": version}}
            for name, version, withdrawn in entries
        ]
    }) == ["bad 2.0"]  # fmt: skip


# Advisories, in what pip-audit 2.10 writes.

CLEAN = {"name": "attrs", "version": "26.1.0", "vulns": []}
VULNERABLE = {
    "name": "jinja2",
    "version": "3.1.2",
    "vulns": [
        {"id": "CVE-2024-22195", "fix_versions": ["3.1.3"], "aliases": ["GHSA-h5c8-rqwp-cp95"]},
        {"id": "PYSEC-2099-1", "fix_versions": [], "aliases": []},
    ],
}
REASON = "Dependency not found on PyPI and could not be audited: rich (15.0.0)"
SKIPPED = {"name": "rich", "skip_reason": REASON}
SENTENCES = (
    "jinja2 3.1.2: CVE-2024-22195, GHSA-h5c8-rqwp-cp95, mended in 3.1.3",
    "jinja2 3.1.2: PYSEC-2099-1, not mended yet",
)
NAMES = ("attrs", "jinja2", "rich")


def by_pip_audit(*dependencies: object) -> str:
    return json.dumps({"dependencies": dependencies, "fixes": []}) + "\n"


def test_advisories_are_clean_only_where_each_component_was_checked() -> None:
    answer = read(by_pip_audit(CLEAN), "No known vulnerabilities found\n", ["attrs"])
    assert answer == Advisories((), {})


def test_each_known_vulnerability_is_told() -> None:
    answer = read(by_pip_audit(CLEAN, VULNERABLE), "Found 2 known vulnerabilities in 1 package\n", NAMES[:2])
    assert answer == Advisories(SENTENCES, {})


def test_a_vulnerability_is_told_however_much_is_not_checked() -> None:
    answer = read(by_pip_audit(VULNERABLE, SKIPPED), "Found 2 known vulnerabilities in 1 package\n", NAMES)
    assert answer == Advisories(SENTENCES, {"attrs": "pip-audit told nothing of it", "rich": REASON})


def test_what_could_not_be_audited_is_not_clean_though_it_says_that_nothing_is_known() -> None:
    answer = read(by_pip_audit(SKIPPED), "No known vulnerabilities found\n", ["rich"])
    assert answer == Advisories((), {"rich": REASON})


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        ("Traceback (most recent call last):\n  …\nConnectionError: no route\n", "ConnectionError: no route"),
        ("/bin/python: No module named pip_audit\n", "/bin/python: No module named pip_audit"),
        ("", "pip-audit told nothing of it"),
    ],
)
def test_where_pip_audit_fails_nothing_is_checked(errors: str, reason: str) -> None:
    assert read("", errors, NAMES) == Advisories((), dict.fromkeys(NAMES, reason))


def test_only_what_is_asked_about_counts() -> None:
    assert read(by_pip_audit(CLEAN, VULNERABLE, SKIPPED), "", ["attrs"]) == Advisories((), {})


# How it ends.

UNCHECKED = "NOT CHECKED: advisories for 2 of 2 components; attrs: no\n"
IN_PART = (
    "NOT SO: 1 of 2 components have no known vulnerability\n    jinja2: bad\n"
    "NOT CHECKED: advisories for 1 of 2 components; rich: no\n"
)


@pytest.mark.parametrize(
    ("found", "answer", "status", "says"),
    [
        (0, Advisories((), {}), 0, "ok: 2 of 2 components have no known vulnerability\nno findings\n"),
        (
            0,
            Advisories(("jinja2: bad",), {}),
            1,
            "NOT SO: 2 of 2 components have no known vulnerability\n    jinja2: bad\n1 finding\n",
        ),
        (
            0,
            Advisories((), {"rich": REASON, "attrs": "no"}),
            0,
            f"{UNCHECKED}no findings, but advisories were not checked for 2 of 2 components\n",
        ),
        (
            1,
            Advisories((), {"rich": "no", "attrs": "no"}),
            1,
            f"{UNCHECKED}1 finding, but advisories were not checked for 2 of 2 components\n",
        ),
        (
            1,
            Advisories(("jinja2: bad",), {"rich": "no"}),
            1,
            f"{IN_PART}2 findings, but advisories were not checked for 1 of 2 components\n",
        ),
    ],
)
def test_it_ends_by_what_is_known(
    found: int, answer: Advisories, status: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert conclude(found, 2, answer) == status
    assert capsys.readouterr().out == says


def test_findings_are_told_below_what_they_contradict(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell("all is well", []) == 0
    assert tell("all is well", ["this is not", "nor this"]) == 2
    assert capsys.readouterr().out == (
        "ok: all is well\nNOT SO: all is well\n    this is not\n    nor this\n"
    )


# The environment.


def test_an_environment_is_looked_at_from_outside(tmp_path: Path) -> None:
    audited = Environment(tmp_path)
    distribution(audited.site, "Some_Thing")
    assert list(audited.distributions()) == ["some-thing"]


def test_no_directory_is_emptied_that_is_no_environment(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(SystemExit, match="is no virtual environment"):
        make(tmp_path)
    assert (tmp_path / "mine").is_file()


def test_a_tool_that_fails_ends_the_audit_with_what_it_said() -> None:
    succeed(run("true"))
    with pytest.raises(SystemExit, match=r"sh -c .* failed:\nthis\nthat\n"):
        succeed(run("sh", "-c", "echo this; echo that >&2; exit 3"))
