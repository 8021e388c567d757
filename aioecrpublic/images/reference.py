"""Names of images as people and tools write them."""

from __future__ import annotations

import re

import attrs

from aioecrpublic._common.oci import TAG
from aioecrpublic.images.digest import check_digest, is_digest
from aioecrpublic.images.errors import ImageError, shown
from aioecrpublic.images.registry_urls import is_authority

DOCKER_HUB = "docker.io"
HUB_NAMES = frozenset({DOCKER_HUB, "index.docker.io", "registry-1.docker.io"})
_MAX_REPOSITORY = 255

# OCI distribution specification, "Pulling manifests".
_STEP = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_STEP}(?:/{_STEP})*")
_ALGORITHM = re.compile(r"sha[0-9]+:")
_COSIGN_SUFFIXES = ("sig", "att", "sbom")


@attrs.frozen(kw_only=True)
class RegistryReference:
    """An image in a registry."""

    host: str
    """With the port, if one is given; `docker.io` for Docker Hub by any of its names."""
    repository: str
    tag: str | None = None
    digest: str | None = None
    """It wins over a tag."""

    @property
    def reference(self) -> str:
        """What the registry is asked for: the digest if there is one, else the tag."""
        return self.digest or self.tag or "latest"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.host}/{self.repository}{tag}{digest}"


def parse_reference(text: str) -> RegistryReference:
    """Parse `[docker://][HOST/]REPOSITORY[:TAG][@DIGEST]`.

    As in Docker, a name without a host is one of Docker Hub's, and a name with neither tag nor digest means
    the tag `latest`.

    Raises:
        ImageError: it has another form.
    """
    name, at, digest = text.removeprefix("docker://").partition("@")
    host, repository, tag = _split(name)
    problem = None
    if at and not is_digest(digest):
        last = digest.rpartition("@")[2]
        problem = f"{shown(last)} is no digest"
        if "/" in digest:
            text = f"…@{last}"
            problem = "a user name or password has no place in it; 'docker login' is for them"
    elif not is_authority(host):
        hint = " (zone ids of IPv6 addresses are not supported)" if "%" in host else ""
        problem = f"{shown(host)} is no host{hint}"
    elif _REPOSITORY.fullmatch(repository) is None or len(repository) > _MAX_REPOSITORY:
        problem = f"{shown(repository)} is no repository name"
    elif tag is not None and TAG.fullmatch(tag) is None:
        problem = f"{shown(tag)} is no tag"
    if problem is not None:
        raise ImageError(
            f"{shown(hide_user(text))}: {problem}; expected docker://HOST/REPOSITORY:TAG or …@DIGEST"
        )
    if tag is None and not at:
        tag = "latest"
    return RegistryReference(host=host, repository=repository, tag=tag, digest=digest or None)


def hide_user(text: str) -> str:
    """Return text that may be USER:PASSWORD@HOST/REPOSITORY as it may be shown: from the ``@`` on.

    A path or reference with an ``@`` in it, but no colon before that, is returned as it is.
    """
    user, at, rest = text.rpartition("@")
    secret = ":" in user.removeprefix("docker://") and ("@" in user or _ALGORITHM.match(rest) is None)
    return f"…@{rest}" if at and secret else text


def familiar_name(name: str) -> str:
    """Return the full form of a Docker image name: `app:1` is `docker.io/library/app:1`.

    A name without a tag or digest gets `latest`, as in Docker. Nothing is checked.
    """
    rest, at, digest = name.partition("@")
    host, repository, tag = _split(rest)
    if at:
        return f"{host}/{repository}@{digest}"
    return f"{host}/{repository}:{tag or 'latest'}"


def _split(name: str) -> tuple[str, str, str | None]:
    """Return host, repository and tag; whatever has no host is Docker Hub's."""
    first, slash, rest = name.partition("/")
    if slash and (any(character in first for character in ".:[") or first == "localhost"):
        host, path = first, rest
    else:
        host, path = DOCKER_HUB, name
    directory, slash, last = path.rpartition("/")
    base, colon, tag = last.partition(":")
    repository = f"{directory}{slash}{base}"
    if host in HUB_NAMES:
        host = DOCKER_HUB
        repository = repository if "/" in repository else f"library/{repository}"
    return host, repository, tag if colon else None


def cosign_names(digest: str, where: str) -> list[str]:
    """Return the tags under which cosign stores signatures, attestations and SBOMs of a manifest.

    Raises:
        ImageError: the digest is none.
    """
    stem = check_digest(digest, f"{where}: cosign").replace(":", "-")
    return [f"{stem}.{suffix}" for suffix in _COSIGN_SUFFIXES]
