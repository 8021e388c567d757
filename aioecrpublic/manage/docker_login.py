"""Docker's configuration file: one entry changed, everything else left as it is."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from aioecrpublic._common.cancellation import call_in_thread
from aioecrpublic._runtime.errors import ConfigurationError
from aioecrpublic.images.docker_config import MAX_CONFIG, Subject, docker_config_file, parse_config
from aioecrpublic.images.errors import ImageError
from aioecrpublic.images.registry_urls import is_authority
from aioecrpublic.manage.json_edit import set_member
from aioecrpublic.manage.registry_hosts import PUBLIC_HOSTS
from aioecrpublic.manage.shared_file import change_file, read_file
from aioecrpublic.manage.token import registry_token

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from aioecrpublic.client import ECRPublicClient
    from aioecrpublic.images.docker_config import ConfigFile
    from aioecrpublic.manage.token import RegistryToken

REGISTRY = PUBLIC_HOSTS[0]
HELPER = "aioecrpublic"


async def login(
    client: ECRPublicClient,
    config_path: str | os.PathLike[str] | None = None,
    *,
    registry: str = REGISTRY,
) -> RegistryToken:
    """Log docker, skopeo, buildah and everything else that reads docker's configuration in, for 12 hours.

    Nothing else in the file changes, not even its order or its indentation. Its owner, its permissions and a
    symbolic link to it stay. Several logins at once, in whatever processes, all have their effect.

    Args:
        client: An open client of us-east-1.
        config_path: Docker's configuration file, made if it is not there; ``None`` is ``config.json`` in
            ``DOCKER_CONFIG`` or ``~/.docker``.
        registry: The registry that the entry is for; another one than ``public.ecr.aws`` is for tests.

    Returns:
        The token that was written.

    Raises:
        ConfigurationError: The file is malformed or cannot be changed, it names a credential helper that
            would be asked instead, or ``registry`` is not a host.
        ServiceError: The service refuses it.
    """
    path, changed = _path(config_path), partial(_with_login, registry=_checked(registry))
    # A file that cannot take the token is better found out before one is asked for.
    await call_in_thread(lambda _: changed(read_file(path, MAX_CONFIG), path=path, auth=""))
    token = await registry_token(client)
    change = partial(changed, path=path, auth=token.basic())
    await call_in_thread(lambda cancellation: change_file(path, change, MAX_CONFIG, cancellation))
    return token


async def use_credential_helper(
    config_path: str | os.PathLike[str] | None = None, *, registry: str | None = None
) -> None:
    """Have docker ask ``docker-credential-aioecrpublic`` for registries: a login that never runs out.

    Args:
        config_path: As for ``login``.
        registry: The only registry to ask it for; ``None`` is every host of ECR Public, ``public.ecr.aws``
            and ``ecr-public.aws.com``, which is the same registry by IPv4 and IPv6.

    Raises:
        ConfigurationError: The file is malformed or cannot be changed, or ``registry`` is not a host.
    """
    path = _path(config_path)
    hosts = PUBLIC_HOSTS if registry is None else (_checked(registry),)
    change = partial(_with_helper, path=path, hosts=hosts)
    await call_in_thread(lambda cancellation: change_file(path, change, MAX_CONFIG, cancellation))


def _path(given: str | os.PathLike[str] | None) -> Path:
    path = docker_config_file() if given is None else Path(given)
    if path is None:
        raise ConfigurationError(
            "docker's configuration file has no place, because the user has no home directory: "
            "name the file, or set HOME or DOCKER_CONFIG"
        )
    return path


def _checked(registry: str) -> str:
    if not is_authority(registry):
        raise ConfigurationError(f"registry must be a host, with a port or without (got {registry!r})")
    return registry


def _with_login(raw: bytes, *, path: Path, registry: str, auth: str) -> bytes:
    config = _parse(raw, path)
    own = config.own_helper(Subject(registry))
    helper = config.store if own is None else own[0]
    if helper:
        instead = "" if helper == HELPER else f"; use_credential_helper (login --helper) makes that {HELPER}"
        raise ConfigurationError(
            f"{path}: credentials for {registry} come from docker-credential-{helper}, so that an entry in "
            f"the file would not be used{instead}"
        )
    return _edit(raw, path, "auths", {registry: {"auth": auth}})


def _with_helper(raw: bytes, *, path: Path, hosts: tuple[str, ...]) -> bytes:
    _parse(raw, path)
    return _edit(raw, path, "credHelpers", dict.fromkeys(hosts, HELPER))


def _parse(raw: bytes, path: Path) -> ConfigFile:
    """Read the file as Docker does, so that nothing is written that Docker would not find."""
    try:
        return parse_config(raw, str(path))
    except ImageError as error:
        raise ConfigurationError(str(error)) from error


def _edit(raw: bytes, path: Path, table: str, members: Mapping[str, object]) -> bytes:
    # Bytes that are not UTF-8 stay; a byte order mark, which Docker does not read, goes.
    text = raw.decode("utf-8-sig", "surrogateescape")
    if text.strip() in {"", "null"}:
        text = "{}\n"
    try:
        for name, value in members.items():
            text = set_member(text, [table, name], value)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: not valid JSON: {error}") from error
    return text.encode("utf-8", "surrogateescape")
