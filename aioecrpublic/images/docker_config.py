"""Credentials for registries, as ``docker login``, ``podman login`` and their like have left them.

The files are read as Go's readers do it (docker/cli, containers/image); tests hold all of them to one table.
"""

from __future__ import annotations

import base64
import os
import pwd
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from aioecrpublic._common.cancellation import CancellationToken, call_in_thread
from aioecrpublic._common.fileio import read_regular
from aioecrpublic._common.logs import get_logger
from aioecrpublic.images.credential_helpers import HelperError, ask_helper
from aioecrpublic.images.errors import ImageError, shown
from aioecrpublic.images.go_json import as_object, as_text, object_member, parse_object, text_member
from aioecrpublic.images.reference import DOCKER_HUB, HUB_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aioecrpublic.images.go_json import GoJSON

_log = get_logger("aioecrpublic.images")

MAX_CONFIG: Final = 1024 * 1024
"""Bytes of a configuration file that are read."""

# Under what names helpers keep the credentials of Docker Hub; the first is Docker's.
_HUB_SERVERS: Final = ("https://index.docker.io/v1/", "index.docker.io", DOCKER_HUB)
_HELPER_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#]*@)?([^/?#]+)")
_LINE_BREAKS: Final = str.maketrans("", "", "\r\n")
# What helpers give as the user name of an identity token.
_TOKEN_USER: Final = "<token>"  # noqa: S105 - not a secret but the sign of one


# As in Go, a password that is not UTF-8 keeps its bytes.
_BYTES: Final = "surrogateescape"


def _encodable(_: object, field: attrs.Attribute[Any], value: str | None) -> None:
    try:
        (value or "").encode("utf-8", "strict" if field.name == "identity_token" else _BYTES)
    except UnicodeEncodeError:
        raise ImageError(f"{field.name} must be text that can be written as UTF-8") from None


@attrs.frozen(kw_only=True)
class RegistryCredentials:
    """What a registry, or its token service, wants to know.

    Either user name and password, or an identity token that is exchanged by OAuth 2, or both.

    Raises:
        ImageError: One of them is not text that can be sent.
    """

    username: str = attrs.field(default="", validator=_encodable)
    password: str = attrs.field(default="", repr=False, validator=_encodable)
    identity_token: str | None = attrs.field(default=None, repr=False, validator=_encodable)

    @property
    def basic(self) -> str:
        """The value of a Basic ``Authorization`` header."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode("utf-8", _BYTES)).decode(
            "ascii"
        )


async def look_up_credentials(
    host: str, config: Path | None = None, *, repository: str = ""
) -> RegistryCredentials | None:
    """Return the credentials for a registry, as ``find_credentials``, without blocking.

    If the caller is cancelled, a credential helper that runs is killed.
    """
    return await call_in_thread(
        lambda cancellation: find_credentials(host, config, repository=repository, cancellation=cancellation)
    )


def find_credentials(
    host: str,
    config: Path | None = None,
    *,
    repository: str = "",
    cancellation: CancellationToken | None = None,
) -> RegistryCredentials | None:
    """Return the credentials for a registry, or for one repository of it; block, as a helper may be run.

    Where no file is named, these are read until one of them has credentials. It is the order of
    containers-auth.json(5), in which skopeo, Podman and Buildah read them:

    1. the file that ``REGISTRY_AUTH_FILE`` names; if it is not set, ``containers/auth.json`` in
       ``XDG_RUNTIME_DIR``; if that is not set either, ``/run/containers/UID/auth.json``
    2. ``containers/auth.json`` in ``XDG_CONFIG_HOME`` or ``~/.config``
    3. ``config.json`` in ``DOCKER_CONFIG`` or ``~/.docker``

    The first two exist only where one of Podman's tools has logged in; else what ``docker login`` has left is
    all there is. In a file, the registry's own helper (``credHelpers``) comes before the one for all
    registries (``credsStore``), and that before ``auths``. In ``auths``, the longest key that is the
    repository or a namespace above it wins; then the registry's own key; then one that is a URL of the
    registry.

    Nothing that was not asked for stops a pull that needs no credentials: a file that cannot be read and a
    helper that does not work are passed over with a warning.

    Args:
        host: The registry, with its port if it has one.
        config: The only file to read.
        repository: The repository, without the host.
        cancellation: Ends a helper when nobody waits for it any more.

    Returns:
        The credentials, None if there are none.

    Raises:
        ImageError: The file that ``config`` names is missing, cannot be read or is malformed.
    """
    subject, cancellation = Subject(host, repository), cancellation or CancellationToken()
    if config is not None:
        return _find_in(config, subject, cancellation)
    for path in _usual_files():
        try:
            found = _find_in(path, subject, cancellation)
        except ImageError as error:
            _warn(error)
            continue
        if found is not None:
            return found
    return None


def docker_config_file() -> Path | None:
    """Return where Docker's configuration file is, None for a user without a home.

    It is ``config.json`` in ``DOCKER_CONFIG`` or ``~/.docker``.
    """
    directory = os.environ.get("DOCKER_CONFIG")
    if directory:
        return Path(directory, "config.json")
    home = _home()
    return None if home is None else home / ".docker" / "config.json"


def host_of(address: str) -> str:
    """Return the host, with its port, of a registry's address, which may be a URL.

    It is the rule by which Docker compares addresses (docker/cli, ``ConvertToHostname``).
    """
    url = _URL.match(address)
    return url[1] if url else address.partition("/")[0]


def _home() -> Path | None:
    home = os.environ.get("HOME")
    if not home:
        try:
            home = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            return None  # in a container, the user may be a number that no file knows
    return Path(home)


def _usual_files() -> Iterator[Path]:
    """Yield the configuration files that are there; those below a closed directory are not."""
    named, home = os.environ.get("REGISTRY_AUTH_FILE"), _home()
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/containers/{os.getuid()}"
    settings = os.environ.get("XDG_CONFIG_HOME") or (home and home / ".config")
    if named:
        yield Path(named)  # even if it is not there: somebody who has named it wants to know
    for path in (
        None if named else Path(runtime, "containers/auth.json"),
        Path(settings, "containers/auth.json") if settings else None,
        docker_config_file(),
    ):
        if path is not None and os.path.exists(path):  # noqa: PTH110 - Path.exists raises for closed directories
            yield path


def _find_in(path: Path, subject: Subject, cancellation: CancellationToken) -> RegistryCredentials | None:
    found = read_config(path).find(subject, cancellation)
    if found is not None:
        _log.debug("the credentials for %s are those of %s", subject.host, path)
    return found


def _warn(error: ImageError) -> None:
    _log.warning("going on without the credentials of a file or helper that cannot be used: %s", error)


@attrs.frozen
class Subject:
    """What credentials are looked for: a registry, or one repository of it.

    Attributes:
        host: The registry, with its port if it has one.
        repository: The repository, without the host; empty for none in particular.
    """

    host: str
    repository: str = ""

    @property
    def servers(self) -> tuple[str, ...]:
        """The names under which helpers know the registry; Docker asks for the first."""
        return _HUB_SERVERS if self.host == DOCKER_HUB else (self.host,)

    def key(self, auths: Mapping[str, GoJSON]) -> str | None:
        """Return the key of ``auths`` that is meant for this registry and repository."""
        name = f"{self.host}/{self.repository}" if self.repository else self.host
        while name not in auths and name != self.host:
            name = name.rpartition("/")[0]
        if name in auths:
            return name
        hosts = HUB_NAMES if self.host == DOCKER_HUB else {self.host}
        return next((key for key in auths if not _is_namespace(key) and host_of(key) in hosts), None)


def _is_namespace(key: str) -> bool:
    """Say whether a key is for a part of a registry only (containers-auth.json(5)).

    What ends in a slash is none: only Docker takes it, for an address whose path does not matter.
    """
    return "/" in key and "://" not in key and not key.endswith("/")


@attrs.frozen
class ConfigFile:
    """What a configuration file says of credentials.

    Attributes:
        where: The file, for messages.
        auths: What stands in the file itself.
        helpers: The helpers of single registries.
        store: The helper for all others, empty if there is none.
    """

    where: str
    auths: dict[str, GoJSON] = attrs.field(repr=False)
    helpers: dict[str, GoJSON]
    store: str

    def own_helper(self, subject: Subject) -> tuple[str, str] | None:
        """Return the helper of a registry and the name by which it knows it, None if it has no helper.

        An empty name of a helper says that the registry is to have none, not even the one of all others.
        """
        for server in subject.servers:
            if server in self.helpers:
                where = f"{self.where}: credHelpers: {server}"
                return _checked(as_text(self.helpers[server] or "", where), where), server
        return None

    def find(self, subject: Subject, cancellation: CancellationToken) -> RegistryCredentials | None:
        """Return the credentials of the first place that is meant for the subject.

        Raises:
            ImageError: What the file says for the subject is malformed.
        """
        own = self.own_helper(subject)
        if own is not None and own[0]:
            # What also stands in the file is older than the helper, and does not count.
            return _ask(*own, self.where, cancellation)
        if own is None and self.store:
            store = _checked(self.store, f"{self.where}: credsStore")
            found = _ask(store, subject.servers[0], self.where, cancellation)
            if found is not None:
                return found
        key = subject.key(self.auths)
        if key is None:
            return None
        # A URL may have a password in it.
        name = host_of(key) if "://" in key else key
        return _from_entry(self.auths[key], f"{self.where}: auths: {name}")


def _checked(helper: str, where: str) -> str:
    if helper and _HELPER_NAME.fullmatch(helper) is None:
        raise ImageError(f"{where}: {shown(helper)} is not a valid name of a credential helper")
    return helper


def read_config(path: Path) -> ConfigFile:
    """Read a configuration file; block.

    Raises:
        ImageError: It is missing, cannot be read or is malformed.
    """
    try:
        raw = read_regular(path, MAX_CONFIG)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ImageError(f"{path}: cannot be read: {reason}") from error
    return parse_config(raw, str(path))


def parse_config(raw: bytes, where: str) -> ConfigFile:
    """Read a configuration file's content; an empty one says nothing.

    Raises:
        ImageError: It is not what Docker and Podman read.
    """
    document = parse_object(raw, where)
    return ConfigFile(
        where=where,
        auths=object_member(document, "auths", where),
        helpers=object_member(document, "credHelpers", where),
        store=text_member(document, "credsStore", where),
    )


def _from_entry(value: GoJSON, where: str) -> RegistryCredentials | None:
    if value is None:
        return None
    entry = as_object(value, where)
    username, password = text_member(entry, "username", where), text_member(entry, "password", where)
    auth = text_member(entry, "auth", where)
    if auth:
        username, password = _decoded(auth, where)
    token = text_member(entry, "identitytoken", where) or None
    if text_member(entry, "registrytoken", where) and not (username or password or token):
        _log.warning("%s: registrytoken is not supported; going on without credentials", where)
    return _credentials(username, password, token)


def _credentials(username: str, password: str, token: str | None = None) -> RegistryCredentials | None:
    if not (username or password or token):
        return None
    return RegistryCredentials(username=username, password=password, identity_token=token)


def _decoded(auth: str, where: str) -> tuple[str, str]:
    # Go's decoder skips line breaks. Missing padding only kubelet allows; it cannot mean anything else.
    text = auth.translate(_LINE_BREAKS).rstrip("=")
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        decoded = b""
    username, colon, password = decoded.decode("utf-8", _BYTES).partition(":")
    if not colon:
        raise ImageError(f"{where}: auth is not base64 of USER:PASSWORD")
    # Docker pads what it once encoded with a fixed length.
    return username, password.strip("\0")


def _ask(helper: str, server: str, where: str, cancellation: CancellationToken) -> RegistryCredentials | None:
    try:
        raw = ask_helper(helper, server, cancellation)
        return None if raw is None else _from_answer(raw, f"docker-credential-{helper}")
    except HelperError as error:
        _warn(HelperError(f"{where}: {error}"))
        return None


def _from_answer(raw: bytes, program: str) -> RegistryCredentials | None:
    try:
        answer = parse_object(raw, program)
        username, secret = text_member(answer, "Username", program), text_member(answer, "Secret", program)
    except ImageError:
        # Not said why: the answer may hold a secret.
        raise HelperError(f"{program} has answered with something else than credentials") from None
    if username == _TOKEN_USER:
        return _credentials("", "", secret)
    return _credentials(username, secret)
