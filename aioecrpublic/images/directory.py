"""Directories as skopeo and podman write them for ``dir:``: ``manifest.json``, and blobs by their digests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from aioecrpublic._common.oci import DOCKER_CONFIG, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from aioecrpublic.images import jsondoc
from aioecrpublic.images.digest import check_digest
from aioecrpublic.images.errors import ImageError, shown
from aioecrpublic.images.files import DirectoryFiles
from aioecrpublic.images.layout import LayoutSource
from aioecrpublic.images.manifest import MAX_MANIFEST_SIZE

if TYPE_CHECKING:
    from aioecrpublic.images.descriptor import Descriptor
    from aioecrpublic.images.handles import FileRange
    from aioecrpublic.images.jsondoc import JSONObject

MANIFEST_FILE: Final = "manifest.json"
_VERSION_FILE: Final = "version"
_VERSION: Final = b"Directory Transport Version: 1."
_MAX_VERSION_FILE: Final = 1024


class DirectoryImage(LayoutSource):
    """An image in a directory as ``skopeo copy … dir:DIR`` writes it.

    There is one image in it, or with ``--all`` one index: ``manifest.json``. Every other file is named by the
    hexadecimal digits of its digest, those of manifests that an index lists followed by ``.manifest.json``
    (containers/image, directory/directory_transport.go). Files are opened below the directory only.

    Args:
        path: The directory.
    """

    _KIND = "directory that skopeo has written"

    def __init__(self, path: str | os.PathLike[str]) -> None:
        path = os.fspath(path)
        super().__init__(DirectoryFiles(path, f"dir:{path}"), None)

    def _read_root(self) -> Descriptor:
        self._check_version()
        raw = self._read_file(MANIFEST_FILE, MAX_MANIFEST_SIZE)
        where = f"{self.name}: {MANIFEST_FILE}"
        document = jsondoc.parse_object(raw, where)
        return self._keep(raw, jsondoc.text(document, "mediaType", where) or _guessed_type(document))

    def _check_version(self) -> None:
        content = self._files.find(_VERSION_FILE)
        if content is None:
            # Nobody asks for it, and it is not always there.
            return
        try:
            version = content.read_at(0, min(len(content), _MAX_VERSION_FILE))
        finally:
            self._files.release(content)
        if not version.startswith(_VERSION):
            raise ImageError(
                f"{self.name}: {_VERSION_FILE} says {shown(version.decode('utf-8', 'replace'))}, "
                f"not {shown(_VERSION.decode())}…"
            )

    def _find_content(self, digest: str, where: str) -> FileRange | None:
        name = check_digest(digest, where).partition(":")[2]
        content = self._files.find(name)
        return self._files.find(f"{name}.{MANIFEST_FILE}") if content is None else content


def _guessed_type(document: JSONObject) -> str:
    """Return the media type of a manifest that states none."""
    if "manifests" in document:
        return OCI_INDEX
    config = document.get("config")
    is_docker = isinstance(config, dict) and config.get("mediaType") == DOCKER_CONFIG
    return DOCKER_MANIFEST if is_docker else OCI_MANIFEST
