"""What is read from the process's surroundings: variables, AWS's shared files, and botocore's view of both.

An empty variable counts as unset, as AWS has it. A shared file counts as absent where it is not there, and
where nobody has named it and it cannot be read, as in a container with another user's home.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from aioecrpublic._common.fileio import open_regular, read_regular
from aioecrpublic._runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from typing import Any

    from botocore.session import Session

_PROFILES: Final = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")
_SECRETS: Final = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
)
_SECRET_FILES: Final = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE")
_MAX_SECRET: Final = 64 * 1024
_MAX_FILE: Final = 16 * 1024 * 1024


class _Environment(Mapping[str, str]):
    """The variables that are set to something, as they are now."""

    def __getitem__(self, name: str) -> str:
        value = os.environ[name]
        if not value:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return (name for name, value in os.environ.items() if value)

    def __len__(self) -> int:
        return sum(1 for _ in self)


ENVIRONMENT: Final[Mapping[str, str]] = _Environment()
# botocore's names of the shared files, the variables that name them, and where they are by default.
_FILES: Final = {
    "config_file": ("AWS_CONFIG_FILE", "~/.aws/config"),
    "credentials_file": ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
}


def named_profile(argument: str | None) -> tuple[str, str] | None:
    """Return the profile that was asked for and what named it, if one was."""
    if argument:
        return argument, "profile"
    variable = next((name for name in _PROFILES if name in ENVIRONMENT), None)
    return None if variable is None else (ENVIRONMENT[variable], variable)


def shared_files() -> dict[str, str]:
    """Return the shared files that there are, by botocore's names.

    Raises:
        ConfigurationError: A variable names a file that is there and cannot be read.
    """
    found = {name: _find(variable, default) for name, (variable, default) in _FILES.items()}
    return {name: path for name, path in found.items() if path is not None}


def variable_naming(path: str) -> str | None:
    """Return the variable that names a shared file, ``None`` if it is where it is by default."""
    return next(
        (
            variable
            for variable, default in _FILES.values()
            if variable in ENVIRONMENT and _find(variable, default) == path
        ),
        None,
    )


def missing_files() -> list[str]:
    """Return a few words for each shared file that a variable names and that is not there."""
    return [
        f"{variable} names {ENVIRONMENT[variable]!r}, which does not exist"
        for variable, default in _FILES.values()
        if variable in ENVIRONMENT and _find(variable, default) is None
    ]


def configured_secrets() -> list[str]:
    """Return the secrets that variables hold, or that are in files which variables name; blocks."""
    found = [ENVIRONMENT[name] for name in _SECRETS if name in ENVIRONMENT]
    for name in _SECRET_FILES:
        with contextlib.suppress(OSError, ValueError):
            found.append(read_regular(ENVIRONMENT.get(name, ""), _MAX_SECRET).decode())
    return [secret.strip() for secret in found]


def botocore_session(profile: str | None) -> Session:
    """Return a botocore session to which empty variables and unreadable files are absent.

    Raises:
        ConfigurationError: As ``shared_files``.
    """
    from botocore.session import Session

    files = shared_files()
    variables: dict[str, tuple[Any, ...]] = {
        name: (None, None, files.get(name, os.devnull), None) for name in _FILES
    }
    for name, (option, names, default, convert) in Session.SESSION_VARIABLES.items():
        if name not in _FILES:
            known = [names] if isinstance(names, str) else names or []
            present = [variable for variable in known if variable in ENVIRONMENT]
            variables[name] = (option, present or None, default, convert)
    return Session(profile=profile, session_vars=variables)


def hide_empty_variables(session: Session) -> None:
    """Keep empty variables from botocore's credential providers too, some of which ask whether one is set."""
    for provider in session.get_component("credential_provider").providers:
        if hasattr(provider, "_environ"):
            provider._environ = ENVIRONMENT  # noqa: SLF001 - it is made without a choice
        variables = getattr(provider, "_CONFIG_TO_ENV_VAR", None)
        if variables is not None:
            provider._CONFIG_TO_ENV_VAR = {  # noqa: SLF001 - the same
                option: variable for option, variable in variables.items() if variable in ENVIRONMENT
            }


def _find(variable: str, default: str) -> str | None:
    named = ENVIRONMENT.get(variable)
    path = _expanded(named or default)
    try:
        descriptor = open_regular(path)
        try:
            if os.fstat(descriptor).st_size > _MAX_FILE:
                raise OSError(errno.EFBIG, f"larger than {_MAX_FILE} bytes")
        finally:
            os.close(descriptor)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if named is None or path == os.devnull:
            return None
        raise ConfigurationError(f"{variable}: {path!r} cannot be read: {error.strerror}") from error
    return path


def _expanded(path: str) -> str:
    """A path with its variables and its home filled in, as by botocore; without a home, it stays as it is."""
    path = os.path.expandvars(path)
    if "HOME" in ENVIRONMENT or not path.startswith("~/"):
        return os.path.expanduser(path)  # noqa: PTH111 - pathlib's raises where there is no home
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(os.getuid()).pw_dir + path[1:]
    return path
