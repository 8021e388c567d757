"""Docker's configuration file: one entry changed, everything else left as it is."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aioecrpublic._runtime.errors import ConfigurationError
from aioecrpublic.images.docker_config import default_config
from aioecrpublic.manage.token import registry_token

if TYPE_CHECKING:
    from collections.abc import Callable

    from aioecrpublic.client import ECRPublicClient
    from aioecrpublic.manage.token import RegistryToken

REGISTRY = "public.ecr.aws"
HELPER = "aioecrpublic"
_PRIVATE = 0o600


async def login(
    client: ECRPublicClient,
    config_path: str | os.PathLike[str] | None = None,
    *,
    registry: str = REGISTRY,
) -> RegistryToken:
    """Log docker, skopeo, buildah and everything else that reads docker's configuration in, for 12 hours.

    The file is replaced in one step; its other entries, its owner and permissions, and a symbolic link to it
    stay.

    Args:
        client: An open client of us-east-1.
        config_path: Docker's configuration file, made if it is not there; ``None`` is ``config.json`` in
            ``DOCKER_CONFIG`` or ``~/.docker``.
        registry: The registry that the entry is for; another one than ``public.ecr.aws`` is for tests.

    Returns:
        The token that was written.

    Raises:
        ConfigurationError: The file is malformed or cannot be written, or it names a credential helper that
            would be asked instead.
        ServiceError: The service refuses it.
    """
    path = default_config() if config_path is None else Path(config_path)
    # A file that cannot take the token is better found out before one is asked for.
    await asyncio.to_thread(lambda: _refuse_helpers(_read(path), registry, path))
    token = await registry_token(client)

    def enter(config: dict[str, Any]) -> None:
        _refuse_helpers(config, registry, path)
        _table(config, "auths", path)[registry] = {"auth": token.basic()}

    await asyncio.to_thread(_change, path, enter)
    return token


async def use_credential_helper(
    config_path: str | os.PathLike[str] | None = None, *, registry: str = REGISTRY
) -> None:
    """Have docker ask ``docker-credential-aioecrpublic`` for the registry: a login that never runs out.

    Args:
        config_path: As for ``login``.
        registry: As for ``login``.

    Raises:
        ConfigurationError: The file is malformed or cannot be written.
    """
    path = default_config() if config_path is None else Path(config_path)

    def enter(config: dict[str, Any]) -> None:
        _table(config, "credHelpers", path)[registry] = HELPER

    await asyncio.to_thread(_change, path, enter)


def _refuse_helpers(config: dict[str, Any], registry: str, path: Path) -> None:
    named = config.get("credHelpers")
    helper = (named.get(registry) if isinstance(named, dict) else None) or config.get("credsStore")
    if not helper:
        return
    instead = "" if helper == HELPER else f"; use_credential_helper (login --helper) makes that {HELPER}"
    raise ConfigurationError(
        f"{path}: credentials for {registry} come from docker-credential-{helper}, so that an entry in "
        f"the file would not be used{instead}"
    )


def _change(path: Path, enter: Callable[[dict[str, Any]], None]) -> None:
    """Replace the file by a changed one in one step; blocks."""
    # A symbolic link, as people who keep their configuration elsewhere have, stays one.
    target = path.resolve()
    config = _read(target)
    enter(config)
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(target, json.dumps(config, indent="\t") + "\n", target.stat() if target.exists() else None)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written: {error.strerror}") from error


def _replace(target: Path, text: str, before: os.stat_result | None) -> None:
    descriptor, name = tempfile.mkstemp(prefix=".config-", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if before is not None and before.st_uid != os.geteuid():
                # Root, who logs somebody else in.
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
            os.fchmod(file.fileno(), _PRIVATE if before is None else before.st_mode & 0o777)
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    try:
        config = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: not JSON: {error}") from error
    if not isinstance(config, dict):
        raise ConfigurationError(f"{path}: not a JSON object")
    return config


def _table(config: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    table = config.get(name)
    if table is None:
        table = config[name] = {}
    if not isinstance(table, dict):
        raise ConfigurationError(f"{path}: {name} is not a JSON object")
    return table
