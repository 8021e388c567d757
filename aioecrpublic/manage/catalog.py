"""A repository's page in the Amazon ECR Public Gallery, kept as files: what differs first, then all of it."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import aiohttp
import attrs
import yarl

from aioecrpublic._generated.errors import RepositoryCatalogDataNotFoundException
from aioecrpublic._generated.types import RepositoryCatalogData
from aioecrpublic._runtime.errors import BrokenReplyError
from aioecrpublic.images import ImageError
from aioecrpublic.images.registry_http import Http, check_transient, failure, read_body
from aioecrpublic.manage.catalog_files import plain, read_page

if TYPE_CHECKING:
    import os

    from aioecrpublic.client import ECRPublicClient
    from aioecrpublic.manage.catalog_files import CatalogPage

CatalogValue: TypeAlias = str | tuple[str, ...] | None
"""Text, a list, or ``None`` for nothing; a logo is ``sha256:…``."""

_OK = 200
_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10)
_ATTEMPTS = 3
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
        dry_run: Whether it was left at that.
        changes: What differed; empty if nothing did, and then nothing was sent.
        notes: What is allowed and yet hardly meant, such as an architecture that the gallery does not know.
        unsettled: The members that the service shows differently after it has taken what was sent.
    """

    repository_name: str
    dry_run: bool
    changes: tuple[CatalogChange, ...]
    notes: tuple[str, ...] = ()
    unsettled: tuple[str, ...] = ()

    @property
    def sent(self) -> bool:
        """Whether anything was sent."""
        return bool(self.changes) and not self.dry_run


async def sync_catalog(
    client: ECRPublicClient,
    repository_name: str,
    directory: str | os.PathLike[str],
    dry_run: bool = False,  # noqa: FBT001, FBT002 - as in prune
    *,
    registry_id: str | None = None,
) -> CatalogResult:
    """Make a repository's page in the gallery what a directory says.

    The directory holds ``about.md`` and ``usage.md``, a logo as ``logo.png``, ``logo.jpg`` or ``logo.jpeg``,
    and ``catalog.toml``::

        description = "An example"
        architectures = ["x86-64", "ARM 64"]
        operating_systems = ["Linux"]

    It is the whole truth: what is not in it is removed from the page. Returns and blanks at the end of a text
    and the order of a list are no difference. The service tells a logo's URL, not its content, so the logo is
    read back and compared by digest; one that cannot be read counts as another.

    Args:
        client: An open client.
        repository_name: The repository's name, without registry or tag.
        directory: The directory. Files in it of other names are nobody's business.
        dry_run: Whether to leave it at saying what differs.
        registry_id: The account that the repository belongs to, if it is not the caller's.

    Returns:
        What differed, and whether it was sent.

    Raises:
        ConfigurationError: The directory or something in it cannot be used, or breaks a limit of the service
            model; nothing was sent.
        ValidationError: The repository's name cannot be; nothing was sent.
        ServiceError: The service refuses it, such as ``RepositoryNotFoundException``.
    """
    page = await asyncio.to_thread(read_page, Path(directory), repository_name)
    shown = await _shown(client, repository_name, registry_id)
    changes = _compare(page, shown, await _logo(shown.logo_url))
    result = CatalogResult(
        repository_name=repository_name, dry_run=dry_run, changes=changes, notes=page.notes
    )
    if not result.sent:
        return result
    response = await client.put_repository_catalog_data(
        repository_name=repository_name, registry_id=registry_id, catalog_data=page.to_input()
    )
    if response.catalog_data is None:
        raise BrokenReplyError("PutRepositoryCatalogData: the answer holds no catalog data")
    return attrs.evolve(result, unsettled=_unsettled(page, response.catalog_data))


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


def _unsettled(page: CatalogPage, shown: RepositoryCatalogData) -> tuple[str, ...]:
    """What the service's answer shows differently; of a logo it says no more than that there is one."""
    logo = _digest(page.logo) if page.logo is not None and shown.logo_url else shown.logo_url
    return tuple(change.member for change in _compare(page, shown, logo))


def _list(items: list[str] | tuple[str, ...]) -> CatalogValue:
    return tuple(sorted(items)) or None


def _digest(logo: bytes) -> str:
    return f"sha256:{hashlib.sha256(logo).hexdigest()}"


async def _logo(url: str | None) -> str | None:
    """The digest of what a URL shows, the URL itself if it shows nothing."""
    if not url:
        return None
    try:
        return _digest(await _fetch(yarl.URL(url, encoded=True)))
    except (ImageError, ValueError):
        return url


async def _fetch(url: yarl.URL) -> bytes:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        http = Http(session, _TIMEOUT, _ATTEMPTS, use_proxies=True)

        async def attempt() -> bytes:
            response = await http.send("GET", url, headers={})
            try:
                check_transient(response)
                if response.status != _OK:
                    raise ImageError(f"logo: {await failure(response)}")
                return await read_body(response, _LARGEST_LOGO, "logo")
            finally:
                response.release()

        return await http.retry(attempt, "logo")
