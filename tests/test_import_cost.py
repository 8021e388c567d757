"""What is loaded by importing the parts of the package that programs start with, and nothing more."""

from __future__ import annotations

import subprocess
import sys

import attrs
import pytest

# What we depend on, by the names it is imported by, but Zstandard, which aiohttp looks for by itself.
OTHERS = frozenset(
    (
        *("aiohttp", "attrs", "botocore", "cattrs", "click", "isal", "jinja2", "multidict", "packaging"),
        *("pybase64", "rich", "yarl"),
    )
)
# What takes longest of the standard library.
SLOW = frozenset({"asyncio", "email", "http", "json", "logging", "socket", "sqlite3", "ssl", "subprocess"})


@attrs.frozen
class Loaded:
    """What an import loads: parts of this package, what it depends on, and whether anything slow."""

    parts: frozenset[str]
    others: frozenset[str]
    slow: bool


def loads(parts: str, others: str, *, slow: bool) -> Loaded:
    return Loaded(frozenset(parts.split()), frozenset(others.split()), slow)


CLIENT = "_common _generated _runtime _version client"
ITS_OTHERS = "aiohttp attrs cattrs multidict pybase64 yarl"
CASES = {
    "import aioecrpublic": loads("_version", "", slow=False),
    "import aioecrpublic.cli": loads("_version cli", "", slow=False),
    "from aioecrpublic import ECRPublicError": loads("_common _version", "", slow=False),
    "import aioecrpublic.errors": loads("_common _generated _runtime _version errors", "", slow=False),
    "import aioecrpublic.types": loads("_common _generated _runtime _version types", "attrs", slow=False),
    "from aioecrpublic import Credentials": loads("_common _runtime _version", "attrs", slow=True),
    "from aioecrpublic import ECRPublicClient": loads(CLIENT, ITS_OTHERS, slow=True),
    "from aioecrpublic import push_image": loads(
        "_common _generated _runtime _version images push",
        "aiohttp attrs isal multidict pybase64 yarl",
        slow=True,
    ),
    "import aioecrpublic.manage.credential_helper": loads(
        f"{CLIENT} images manage", f"{ITS_OTHERS} isal", slow=True
    ),
    "import aioecrpublic.cli.app": loads("_version cli", "click", slow=False),
    "import aioecrpublic.cli.login": loads(
        f"{CLIENT} cli images manage", f"{ITS_OTHERS} click isal", slow=True
    ),
    # Everything that is public at the top, and still no botocore.
    "from aioecrpublic import *": loads(f"{CLIENT} images manage push", f"{ITS_OTHERS} isal", slow=True),
}


def loaded(statement: str) -> Loaded:
    program = f"import sys; before = set(sys.modules); exec({statement!r}); print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    modules = frozenset(done.stdout.split())
    parts = frozenset(name.split(".")[1] for name in modules if name.startswith("aioecrpublic."))
    return Loaded(parts, modules & OTHERS, slow=bool(modules & SLOW))


@pytest.mark.parametrize("statement", CASES)
def test_an_import_loads_what_it_needs(statement: str) -> None:
    assert loaded(statement) == CASES[statement]
