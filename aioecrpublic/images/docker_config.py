"""Credentials for registries, as `docker login` has left them."""

from __future__ import annotations

import base64
import binascii
import json
import logging
import os
import re
import subprocess  # noqa: S404 - credential helpers are programs
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from aioecrpublic.images import jsondoc
from aioecrpublic.images.errors import ImageError, shown
from aioecrpublic.images.reference import DOCKER_HUB

if TYPE_CHECKING:
    from aioecrpublic.images.jsondoc import JSONObject

_log = logging.getLogger("aioecrpublic.images")

_HUB_KEY = "https://index.docker.io/v1/"
_HELPER_NAME = re.compile(r"[A-Za-z0-9._-]+")
_HELPER_TIMEOUT = 30.0
_MAX_CONFIG = 1024 * 1024
# What helpers give as the user name of an identity token.
_TOKEN_USER = "<token>"  # noqa: S105 - not a secret but the sign of one


@attrs.frozen(kw_only=True)
class RegistryCredentials:
    """What a registry, or its token service, wants to know.

    Either user name and password, or an identity token that is exchanged by OAuth 2.
    """

    username: str = ""
    password: str = attrs.field(default="", repr=False)
    identity_token: str | None = attrs.field(default=None, repr=False)

    @property
    def basic(self) -> str:
        """The value of a Basic `Authorization` header."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode("ascii")


def find_credentials(host: str, config: Path | None = None) -> RegistryCredentials | None:
    """Return what Docker would use for a registry; blocks, as it may run a credential helper.

    Args:
        host: the registry, with its port if it has one.
        config: the configuration file; None: `config.json` in `DOCKER_CONFIG` or `~/.docker`.

    Returns:
        The credentials, None if there are none for this registry.

    Raises:
        ImageError: the file is malformed, or the helper it names for this registry does not work.
    """
    path = config or default_config()
    try:
        if path.stat().st_size > _MAX_CONFIG:
            raise ImageError(f"{path}: larger than {_MAX_CONFIG} bytes")
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror}") from error
    return _from_config(jsondoc.parse_object(raw, str(path)), host, str(path))


def default_config() -> Path:
    """Return where Docker's configuration file is: `config.json` in `DOCKER_CONFIG` or `~/.docker`."""
    directory = os.environ.get("DOCKER_CONFIG")
    return (Path(directory) if directory else Path.home() / ".docker") / "config.json"


def _from_config(config: JSONObject, host: str, where: str) -> RegistryCredentials | None:
    keys = _keys(host)
    helpers = jsondoc.text_map(config, "credHelpers", where)
    for key in keys:
        if key in helpers:
            return _ask_helper(helpers[key], key, where)
    store = jsondoc.text(config, "credsStore", where)
    if store:
        found = _ask_store(store, keys, where)
        if found is not None:
            return found
    auths = jsondoc.sub_object(config, "auths", where) or {}
    for key in keys:
        if key in auths:
            entry = jsondoc.as_object(auths[key], f"{where}: auths: {key}")
            return _from_entry(entry, f"{where}: auths: {key}")
    return None


def _keys(host: str) -> list[str]:
    """Return the names under which Docker and others keep the credentials of a registry."""
    if host == DOCKER_HUB:
        return [_HUB_KEY, "index.docker.io", DOCKER_HUB]
    return [host, f"https://{host}", f"https://{host}/", f"https://{host}/v1/", f"https://{host}/v2/"]


def _from_entry(entry: JSONObject, where: str) -> RegistryCredentials | None:
    token = jsondoc.text(entry, "identitytoken", where)
    username = jsondoc.text(entry, "username", where) or ""
    password = jsondoc.text(entry, "password", where) or ""
    auth = jsondoc.text(entry, "auth", where)
    if auth:
        try:
            decoded = base64.b64decode(auth, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise ImageError(f"{where}: auth is not base64 of USER:PASSWORD") from None
        username, colon, password = decoded.partition(":")
        if not colon:
            raise ImageError(f"{where}: auth is not base64 of USER:PASSWORD")
        # Docker pads what it once encoded with a fixed length.
        password = password.rstrip("\0")
    if token:
        return RegistryCredentials(username=username, identity_token=token)
    return RegistryCredentials(username=username, password=password) if username else None


def _ask_store(store: str, keys: list[str], where: str) -> RegistryCredentials | None:
    """Ask the store for all registries; without it, public images can still be read."""
    for key in keys[:2]:
        try:
            found = _ask_helper(store, key, where)
        except ImageError as error:
            _log.warning("going on without credentials: %s", error)
            return None
        if found is not None:
            return found
    return None


def _ask_helper(helper: str, key: str, where: str) -> RegistryCredentials | None:
    """Run `docker-credential-HELPER get` (docker-credential-helpers, "Development")."""
    if _HELPER_NAME.fullmatch(helper) is None:
        raise ImageError(f"{where}: {shown(helper)} is no name of a credential helper")
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(  # noqa: S603 - the name was checked, and it is the user's own configuration
            [program, "get"], input=key.encode(), capture_output=True, timeout=_HELPER_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise ImageError(f"{program} has not answered for {_HELPER_TIMEOUT:g} s") from None
    except OSError as error:
        raise ImageError(f"{program}, which {where} names, cannot be run: {error.strerror}") from error
    if done.returncode:
        # The helpers' only word for it is this sentence.
        if b"credentials not found" in done.stdout + done.stderr:
            return None
        raise ImageError(f"{program} failed with exit status {done.returncode}")
    return _from_helper(done.stdout, program)


def _from_helper(output: bytes, program: str) -> RegistryCredentials | None:
    try:
        answer = json.loads(output)
        username, secret = answer["Username"], answer["Secret"]
    except (ValueError, KeyError, TypeError):
        # Not said why: the output may hold a secret.
        raise ImageError(f"{program} has answered something that is no credential") from None
    if not isinstance(username, str) or not isinstance(secret, str):
        raise ImageError(f"{program} has answered something that is no credential")
    if username == _TOKEN_USER:
        return RegistryCredentials(identity_token=secret)
    return RegistryCredentials(username=username, password=secret) if username or secret else None
