"""The paths of the registry API, each with its name: distribution-spec, "Endpoints"."""

from __future__ import annotations

import re
from typing import Final

import attrs

from aioecrpublic.local.accounts import ALIAS

# distribution-spec, "Pulling manifests": names of repositories and tags.
_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME: Final = rf"(?P<name>{_PART}(?:/{_PART})*)"
_DIGEST: Final = r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[A-Za-z0-9=_-]+"
_TAG: Final = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
_LONGEST_NAME: Final = 256
_ROUTES: Final = {
    kind: re.compile(rf"/v2/{_NAME}/{rest}")
    for kind, rest in {
        "manifest": rf"manifests/(?P<what>{_DIGEST}|{_TAG})",
        "uploads": r"blobs/uploads/?(?P<what>)",
        "upload": r"blobs/uploads/(?P<what>[A-Za-z0-9-]+)",
        "blob": rf"blobs/(?P<what>{_DIGEST})",
        "tags": r"tags/list(?P<what>)",
        "referrers": rf"referrers/(?P<what>{_DIGEST})",
    }.items()
}


@attrs.frozen
class Route:
    """Where a request goes.

    Attributes:
        kind: ``manifest``, ``uploads``, ``upload``, ``blob``, ``tags`` or ``referrers``.
        repository: The repository's name as the API has it.
        what: The tag, digest or upload id.
    """

    kind: str
    repository: str
    what: str

    @property
    def path(self) -> str:
        """The path of the repository."""
        return f"/v2/{ALIAS}/{self.repository}"


def route(path: str) -> Route | None:
    """The route of a path; ``None`` if it leads nowhere."""
    for kind, pattern in _ROUTES.items():
        match = pattern.fullmatch(path)
        if match is not None and len(match["name"]) <= _LONGEST_NAME:
            repository = repository_of(match["name"])
            return None if repository is None else Route(kind, repository, match["what"])
    return None


def repository_of(name: str) -> str | None:
    """The name that the API has for what v2 calls by its alias too."""
    alias, _, repository = name.partition("/")
    return repository if alias == ALIAS and repository else None


def is_digest(what: str) -> bool:
    """Whether a reference is a digest, not a tag."""
    return ":" in what
