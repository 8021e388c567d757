"""Whom TLS trusts: one rule for the service and for registries; everything here blocks.

The first of these that is given counts: a bundle that the caller names, ``AWS_CA_BUNDLE``,
``REQUESTS_CA_BUNDLE``, and then what OpenSSL trusts: the file ``SSL_CERT_FILE`` and the directory
``SSL_CERT_DIR``, each in place of the system's own. An empty variable counts as unset. A bundle is a file of
certificates in PEM, or a directory of them as ``openssl rehash`` prepares it.
"""

from __future__ import annotations

import errno
import functools
import importlib.util
import os
import re
import ssl
import stat
from pathlib import Path
from typing import Final, TypedDict

import attrs

from aioecrpublic._common.fileio import open_regular

_VARIABLES: Final = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
_MAX_BUNDLE: Final = 32 * 1024 * 1024
# How OpenSSL names a certificate in a directory: by the hash of its subject.
_HASHED: Final = re.compile(r"[0-9a-f]{8}\.[0-9]+")


class CABundleError(ValueError):
    """A bundle that cannot be used; the message names it, and what named it."""


@attrs.frozen
class CABundle:
    """A file or directory of certificates that somebody has named.

    Attributes:
        path: Where it is.
        named_by: The argument or variable that names it, for messages.
    """

    path: str
    named_by: str


@attrs.frozen
class _Place:
    """A file or directory of certificates.

    Attributes:
        path: Where it is.
        named_by: The argument or variable that names it; ``None`` for the system's own.
        is_directory: Whether it is a directory.
        version: What is another once it was changed or replaced.
    """

    path: str
    named_by: str | None
    is_directory: bool
    version: tuple[int, int, int]

    @property
    def locations(self) -> _Locations:
        """The arguments of ``ssl`` that name it."""
        return {"capath": self.path} if self.is_directory else {"cafile": self.path}


class _Locations(TypedDict, total=False):
    cafile: str
    capath: str


def environment_bundle() -> CABundle | None:
    """Return the bundle that ``AWS_CA_BUNDLE`` or ``REQUESTS_CA_BUNDLE`` names."""
    variable = next((name for name in _VARIABLES if os.environ.get(name)), None)
    return None if variable is None else CABundle(os.environ[variable], variable)


def client_context(bundle: CABundle | None = None) -> ssl.SSLContext:
    """Return the context for connections to servers; it is shared, so do not change it.

    It is made once, and again when a file has changed or the environment names another.

    Args:
        bundle: What to trust; ``None`` is what the environment names, or else what the system trusts.

    Raises:
        CABundleError: A bundle that somebody has named cannot be used.
    """
    bundle = bundle or environment_bundle()
    if bundle is None:
        return _context(_default_places())
    return _context((_named_place(bundle),))


def _default_places() -> tuple[_Place, ...]:
    """Return what OpenSSL trusts by itself, or botocore's list where the system has none."""
    defaults = ssl.get_default_verify_paths()
    file = os.environ.get(defaults.openssl_cafile_env)
    directories = os.environ.get(defaults.openssl_capath_env)
    listed = (directories or defaults.openssl_capath).split(os.pathsep)
    found = [place for path in listed if (place := _place(path, None)) is not None]
    if directories and not found:
        raise _unusable(directories, defaults.openssl_capath_env, "there is no such directory")
    if file:
        return (_named_place(CABundle(file, defaults.openssl_cafile_env)), *found)
    own = _place(defaults.openssl_cafile, None)
    places = found if own is None else [own, *found]
    if directories or any(_trusts_anyone(place) for place in places):
        return tuple(places)
    botocores = _place(_botocore_bundle(), None)
    return () if botocores is None else (botocores,)


def _named_place(bundle: CABundle) -> _Place:
    place = _place(bundle.path, bundle.named_by)
    if place is None or not _trusts_anyone(place):
        raise _unusable(bundle.path, bundle.named_by, "it has no certificates (see 'openssl rehash')")
    return place


def _place(path: str, named_by: str | None) -> _Place | None:
    """Look at a file or directory; ``None`` for one that nobody has named and that cannot be used."""
    try:
        if not path:
            raise ValueError("the path is empty")  # noqa: TRY301 - one refusal for all
        status = Path(path).stat()
        if not stat.S_ISDIR(status.st_mode):
            os.close(open_regular(path))
            if status.st_size > _MAX_BUNDLE:
                raise OSError(errno.EFBIG, f"larger than {_MAX_BUNDLE} bytes")  # noqa: TRY301 - one refusal for all
    except (OSError, ValueError) as error:
        if named_by is None:
            return None
        raise _unusable(path, named_by, error) from error
    return _Place(
        path,
        named_by,
        stat.S_ISDIR(status.st_mode),
        (status.st_ino, status.st_size, status.st_mtime_ns),
    )


@functools.lru_cache(maxsize=8)
def _context(places: tuple[_Place, ...]) -> ssl.SSLContext:
    context = None
    for place in places:
        try:
            if context is None:
                context = ssl.create_default_context(**place.locations)
            else:
                context.load_verify_locations(**place.locations)
        except OSError as error:
            # A file of the system's own that is broken trusts nobody, as OpenSSL has it.
            if place.named_by is not None:
                raise _unusable(place.path, place.named_by, error) from error
    return context or ssl.create_default_context()


def _trusts_anyone(place: _Place) -> bool:
    if not place.is_directory:
        return True
    # The certificates in a directory are read when they are needed, so a context cannot count them.
    try:
        return any(_HASHED.fullmatch(entry.name) for entry in Path(place.path).iterdir())
    except OSError:
        return False


def _unusable(path: str, named_by: str, reason: object) -> CABundleError:
    reason = getattr(reason, "strerror", None) or reason
    return CABundleError(f"CA bundle {path!r} ({named_by}) cannot be used: {reason}")


def _botocore_bundle() -> str:
    found = importlib.util.find_spec("botocore")
    return "" if found is None or found.origin is None else str(Path(found.origin).with_name("cacert.pem"))
