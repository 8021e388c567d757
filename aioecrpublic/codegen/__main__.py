"""The generator's command: ``python -m aioecrpublic.codegen [--service NAME --out DIR] [--check]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from aioecrpublic._common.text import printable
from aioecrpublic.codegen.errors import GeneratorError

try:
    from aioecrpublic.codegen.model import load_service
    from aioecrpublic.codegen.render import Target, render_package
except ModuleNotFoundError as _missing:
    raise SystemExit(
        f"codegen: {_missing.name} is not installed; run: pip install 'aioecrpublic[codegen]'"
    ) from None

_OWN_SERVICE = "ecr-public"
_OWN_PACKAGE = "aioecrpublic._generated"
_COMMAND = "python -m aioecrpublic.codegen"


def main(arguments: list[str] | None = None) -> int:
    """Write, or with ``--check`` compare, the generated package; the exit status."""
    options = _parser().parse_args(arguments)
    try:
        files = generate(options.service, options.out, options.package)
        out = options.out or Path(__file__).parents[1] / "_generated"
        return _check(out, files) if options.check else _write(out, files)
    except (GeneratorError, OSError) as error:
        sys.stderr.write(f"codegen: {printable(str(error))}\n")
        return 1


def generate(service: str, out: Path | None, package: str | None = None) -> dict[str, str]:
    """The text of every generated module of ``service`` by file name.

    Raises:
        GeneratorError: See ``load_service``; or ``--out`` is missing for a service not this package's.
    """
    if out is None:
        if service != _OWN_SERVICE:
            raise GeneratorError(f"--service {service} needs --out DIR")
        target = Target(package=_OWN_PACKAGE, command=_COMMAND)
    else:
        command = f"{_COMMAND} --service {service} --out {out.name}"
        target = Target(package=package or out.resolve().name, command=command)
    model = load_service(service)
    for notice in model.notices:
        sys.stderr.write(f"codegen: {notice}\n")
    return render_package(model, target)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_COMMAND, description="Generate a typed client from a service model."
    )
    parser.add_argument(
        "--service", default=_OWN_SERVICE, help="botocore's name of the service (%(default)s)"
    )
    parser.add_argument(
        "--out", type=Path, help="the folder of the package to write; this package's own if absent"
    )
    parser.add_argument("--package", help="its dotted name if it is not the folder's name")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file would change")
    return parser


def _write(out: Path, files: dict[str, str]) -> int:
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (out / name).write_text(text, "utf-8")
    return 0


def _check(out: Path, files: dict[str, str]) -> int:
    stale = [name for name, text in files.items() if not _same(out / name, text)]
    for name in stale:
        sys.stderr.write(f"{out / name} is not what the generator writes; run: {_COMMAND}\n")
    return 1 if stale else 0


def _same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text("utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
