"""A repository's page in the Amazon ECR Public Gallery, kept as files: what differs first, then all of it."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import attrs
import yarl

from aioecrpublic._common.http import Timeouts
from aioecrpublic._generated.errors import RepositoryCatalogDataNotFoundException
from aioecrpublic._generated.types import RepositoryCatalogData
from aioecrpublic._runtime.errors import BrokenReplyError, ServiceError, TransportError
from aioecrpublic.images import ImageError
from aioecrpublic.images.registry_http import Http, check_transient, failure, open_connections, read_body
from aioecrpublic.manage.catalog_files import plain, read_page

if TYPE_CHECKING:
    import os

    from aioecrpublic.client import ECRPublicClient
    from aioecrpublic.manage.catalog_files import CatalogPage

CatalogValue: TypeAlias = str | tuple[str, ...] | None
"""Text, a list, or ``None`` for nothing; a logo is ``sha256:…``."""

_OK = 200
_SERVER_ERROR = 500
_SHA256 = "sha256:"
_TIMEOUTS = Timeouts(connect=10.0, read=60.0)
_ATTEMPTS = 3
_LOGO_TIMEOUT = 90.0
"""Seconds for reading a logo back, all attempts together."""
# More than any logo that is allowed, so that one from other times is still read.
_LARGEST_LOGO = 4 * 1024 * 1024
_TEXTS = ("description", "about_text", "usage_text")
_LISTS = ("architectures", "operating_systems")


@attrs.frozen(kw_only=True)
class CatalogChange:
    """One part of the page that is to be another.

    Attributes:
        member: ``description``, ``about_text``, ``usage_text``, ``architectures``, ``operating_systems`` or
            ``logo``.
        file: The name of the file that says so, by being there or by not being there.
        before: What the page shows; of a logo that cannot be read back, its URL.
        after: What the directory says.
    """

    member: str
    file: str
    before: CatalogValue
    after: CatalogValue


@attrs.frozen(kw_only=True)
class CatalogResult:
    """What differed between a directory and a repository's page, and what came of it.

    Attributes:
        repository_name: The repository.
        applied: Whether the page was to be put, if anything differed.
        changes: What differed; empty if nothing did, and then nothing was sent.
        notes: What is allowed and yet hardly meant, such as an architecture that the gallery does not know.
        unconfirmed: The members that the service has not shown to be as they were sent: it shows another
            value, or it is not known what it has taken, and then ``failure`` says why.
        failure: Why it is not known what the service has taken, if it is not.
    """

    repository_name: str
    applied: bool
    changes: tuple[CatalogChange, ...]
    notes: tuple[str, ...] = ()
    unconfirmed: tuple[str, ...] = ()
    failure: str | None = None

    @property
    def sent(self) -> bool:
        """Whether anything was sent."""
        return bool(self.changes) and self.applied


async def sync_catalog(
    client: ECRPublicClient,
    repository_name: str,
    directory: str | os.PathLike[str],
    *,
    apply: bool = False,
    registry_id: str | None = None,
) -> CatalogResult:
    """Make a repository's page in the gallery what a directory says; without ``apply=True`` only compare.

    The directory holds ``about.md`` and ``usage.md``, a logo as ``logo.png``, ``logo.jpg`` or ``logo.jpeg``,
    and ``catalog.toml``::

        description = "An example"
        architectures = ["x86-64", "ARM 64"]
        operating_systems = ["Linux"]

    It is the whole truth: what is not in it is removed from the page. Symbolic links in it are followed as
    long as they do not lead out of it, for the page is public. Returns and blanks at the end of a text
    and the order of a list are no difference. The service tells a logo's URL, not its content, so the logo is
    read back and compared by digest; one that cannot be read counts as another.

    Args:
        client: An open client.
        repository_name: The repository's name, without registry or tag.
        directory: The directory. Files in it of other names are nobody's business.
        apply: Put the page if anything differs.
        registry_id: The account that the repository belongs to, if it is not the caller's.

    Returns:
        What differed, and what came of it. If the service's answer is lost, the page is read again to see.

    Raises:
        ConfigurationError: The directory or something in it cannot be used, or breaks a limit of the service
            model; nothing was sent.
        ValidationError: The repository's name cannot be; nothing was sent.
        ServiceError: The service refuses it, such as ``RepositoryNotFoundException``; the page is as it was.
        TransportError: The service does not answer; the page is as it was.
    """
    page = await asyncio.to_thread(read_page, Path(directory), repository_name)
    shown = await _shown(client, repository_name, registry_id)
    changes = _compare(page, shown, await _logo(shown.logo_url))
    result = CatalogResult(repository_name=repository_name, applied=apply, changes=changes, notes=page.notes)
    if not result.sent:
        return result
    try:
        response = await client.put_repository_catalog_data(
            repository_name=repository_name, registry_id=registry_id, catalog_data=page.to_input()
        )
    except (ServiceError, TransportError) as error:
        if not _may_be_done(error):
            raise
        return await _looked_at_again(client, page, result, registry_id, error)
    if response.catalog_data is None:
        broken = BrokenReplyError("PutRepositoryCatalogData: the answer holds no catalog data")
        return await _looked_at_again(client, page, result, registry_id, broken)
    return attrs.evolve(result, unconfirmed=_unconfirmed(page, response.catalog_data))


def _may_be_done(error: ServiceError | TransportError) -> bool:
    """Whether the service may have done what it was asked, by this attempt or one before."""
    return isinstance(error, TransportError) or error.status >= _SERVER_ERROR or error.attempts > 1


async def _looked_at_again(
    client: ECRPublicClient,
    page: CatalogPage,
    result: CatalogResult,
    registry_id: str | None,
    error: ServiceError | TransportError,
) -> CatalogResult:
    """The result by what the page shows after its putting had no answer.

    Raises:
        ServiceError, TransportError: ``error``, if nothing was put.
    """
    try:
        shown = await _shown(client, result.repository_name, registry_id)
    except (ServiceError, TransportError):
        members = tuple(change.member for change in result.changes)
        return attrs.evolve(result, unconfirmed=members, failure=str(error))
    left = _compare(page, shown, await _logo(shown.logo_url))
    if not left:
        return result
    # A page is put as a whole: where one thing is seen to be as it was, all is.
    if any(change in result.changes and _is_seen(change) for change in left):
        raise error
    return attrs.evolve(result, unconfirmed=tuple(change.member for change in left), failure=str(error))


def _is_seen(change: CatalogChange) -> bool:
    """Whether it is known what the page shows; a logo that cannot be read back is not."""
    return change.member != "logo" or change.before is None or str(change.before).startswith(_SHA256)


async def _shown(
    client: ECRPublicClient, repository_name: str, registry_id: str | None
) -> RepositoryCatalogData:
    try:
        response = await client.get_repository_catalog_data(
            repository_name=repository_name, registry_id=registry_id
        )
    except RepositoryCatalogDataNotFoundException:
        return RepositoryCatalogData()
    return response.catalog_data or RepositoryCatalogData()


def _compare(
    page: CatalogPage, shown: RepositoryCatalogData, logo: CatalogValue
) -> tuple[CatalogChange, ...]:
    pairs: list[tuple[str, CatalogValue, CatalogValue]] = [
        (member, plain(getattr(shown, member) or "") or None, getattr(page, member) or None)
        for member in _TEXTS
    ]
    pairs += [(member, _list(getattr(shown, member)), _list(getattr(page, member))) for member in _LISTS]
    pairs.append(("logo", logo, None if page.logo is None else _digest(page.logo)))
    return tuple(
        CatalogChange(member=member, file=page.files[member], before=before, after=after)
        for member, before, after in pairs
        if before != after
    )


def _unconfirmed(page: CatalogPage, shown: RepositoryCatalogData) -> tuple[str, ...]:
    """What the service's answer shows differently; of a logo it says no more than that there is one."""
    logo = _digest(page.logo) if page.logo is not None and shown.logo_url else shown.logo_url
    return tuple(change.member for change in _compare(page, shown, logo))


def _list(items: list[str] | tuple[str, ...]) -> CatalogValue:
    return tuple(sorted(items)) or None


def _digest(logo: bytes) -> str:
    return f"{_SHA256}{hashlib.sha256(logo).hexdigest()}"


async def _logo(url: str | None) -> str | None:
    """The digest of what a URL shows, the URL itself if it shows nothing."""
    if not url:
        return None
    try:
        async with asyncio.timeout(_LOGO_TIMEOUT):
            return _digest(await _fetch(yarl.URL(url, encoded=True)))
    except (ImageError, ValueError, TimeoutError):
        return url


async def _fetch(url: yarl.URL) -> bytes:
    connections = await open_connections("logo")
    try:
        http = Http(connections, _TIMEOUTS, _ATTEMPTS, use_proxies=True)

        async def attempt() -> bytes:
            response = await http.send("GET", url, headers={})
            try:
                await check_transient(response)
                if response.status != _OK:
                    raise ImageError(f"logo: {await failure(response)}")
                return await read_body(response, _LARGEST_LOGO, "logo")
            finally:
                response.close()

        return await http.retry(attempt, "logo")
    finally:
        await connections.close()
