"""Tests of code that talks to ECR Public, without an account and without a network.

``pytest test_release.py`` runs them; needs pytest and pytest-asyncio. The fixtures come with this package;
every test has a registry of its own.
"""

from pathlib import Path

import pytest
from tiny_image import write_image

from aioecrpublic import ECRPublicClient, TransportError, push_image
from aioecrpublic.errors import RepositoryNotFoundException
from aioecrpublic.local import Fault, FaultKind, LocalECRPublic


async def release(client: ECRPublicClient, image: Path, version: str) -> str:
    """The code under test: push a build under its version and as the latest."""
    result = await push_image(client, f"oci:{image}", "team/app", [version, "latest"])
    return result.digest


@pytest.fixture
def image(tmp_path: Path) -> Path:
    write_image(tmp_path, "the application\n")
    return tmp_path


@pytest.mark.asyncio
async def test_a_release_has_its_version_and_is_the_latest(
    ecr_public_server: LocalECRPublic, ecr_public_client: ECRPublicClient, image: Path
) -> None:
    await ecr_public_client.create_repository(repository_name="team/app")
    digest = await release(ecr_public_client, image, "1.0")
    described = await ecr_public_client.describe_images(repository_name="team/app")
    assert [sorted(detail.image_tags) for detail in described.image_details] == [["1.0", "latest"]]
    manifest = await ecr_public_server.read_manifest("team/app", digest)
    assert b"application/vnd.oci.image.layer.v1.tar+gzip" in manifest


@pytest.mark.asyncio
async def test_nothing_is_released_into_a_repository_that_is_not_there(
    ecr_public_client: ECRPublicClient, image: Path
) -> None:
    with pytest.raises(RepositoryNotFoundException, match="team/app"):
        await release(ecr_public_client, image, "1.0")


@pytest.mark.asyncio
async def test_a_reply_that_is_lost_does_no_harm(
    ecr_public_server: LocalECRPublic, ecr_public_client: ECRPublicClient, image: Path
) -> None:
    await ecr_public_client.create_repository(repository_name="team/app")
    ecr_public_server.inject(Fault(kind=FaultKind.LOST, operation="UploadLayerPart"))
    digest = await release(ecr_public_client, image, "1.0")
    found = await ecr_public_client.wait_until_image_exists(repository_name="team/app", image_tag="latest")
    assert found.image_digest == digest


@pytest.mark.asyncio
@pytest.mark.ecr_public(faults=[Fault(kind=FaultKind.RESET, times=1000)])
async def test_a_registry_that_is_down_is_an_error_of_transport(
    ecr_public_client: ECRPublicClient,
) -> None:
    with pytest.raises(TransportError):
        await ecr_public_client.with_options(max_attempts=1).describe_registries()
