"""What the tests with other programs have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aioecrpublic import ECRPublicClient

if TYPE_CHECKING:
    from aioecrpublic.local import LocalECRPublic


def client_of(server: LocalECRPublic) -> ECRPublicClient:
    """A client of the registry."""
    return ECRPublicClient(
        region="us-east-1", endpoint_url=server.endpoint_url, credentials=server.credentials
    )


def docker(server: LocalECRPublic, name: str) -> str:
    """What skopeo calls an image in the registry."""
    return f"docker://{server.registry_url.removeprefix('http://')}/local/{name}"
