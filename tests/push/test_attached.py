"""Signatures, attestations and SBOMs that lie beside an image, pushed with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs
import pytest

from aioecrpublic import ConfigurationError, ImageError, push_image, push_images
from aioecrpublic.images import OCILayout
from aioecrpublic.images.source import SourceLifecycle
from aioecrpublic.push import ImageJob, PushCompleted, attached
from tests.push.helpers import REPOSITORY, Wire, tags_of
from tests.support.oci import LayoutBuilder, random_layer, tar_layout, write_index

if TYPE_CHECKING:
    from pathlib import Path

    from aioecrpublic import ECRPublicClient
    from aioecrpublic.images import Blob, Descriptor
    from aioecrpublic.local import LocalECRPublic
    from aioecrpublic.push import PushEvent
    from tests.support.oci import BuiltImage


@attrs.frozen
class Signed:
    """An index, an SBOM of one of its images, a signature of that SBOM, and what cosign says of the index."""

    image: BuiltImage
    sbom: BuiltImage
    signature: BuiltImage
    cosign: BuiltImage

    @property
    def cosign_tag(self) -> str:
        return f"{self.image.digest.replace(':', '-')}.sig"


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    directory = tmp_path / "layout"
    builder = LayoutBuilder(directory)
    image = write_index(directory)
    child = json.loads(image.read(image.digest))["manifests"][0]
    subject = attrs.evolve(image, digest=child["digest"], descriptor=child)
    sbom = builder.artifact(subject, b"sbom", "application/spdx+json")
    made = Signed(
        image=image,
        sbom=sbom,
        signature=builder.artifact(sbom, b"signature", "application/x-signature"),
        cosign=builder.image([random_layer(100, 7)]),
    )
    builder.tag(made.sbom, None)
    builder.tag(made.signature, None)
    builder.tag(made.cosign, made.cosign_tag)
    return made


@pytest.mark.parametrize("form", ["oci:{layout}", "oci-archive:{archive}", "{layout}", "{archive}"])
async def test_what_is_attached_comes_along_on_request(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path, signed: Signed, form: str
) -> None:
    layout = signed.image.directory
    archive = tar_layout(layout, tmp_path / "archive.tar")
    source = f"{form.format(layout=layout, archive=archive)}:1.0"
    plain = await push_image(client, source, REPOSITORY, ["1.0"])
    assert (await tags_of(client)).keys() == set(signed.image.manifests)
    events: list[PushEvent] = []
    result = await push_image(client, source, REPOSITORY, ["1.0"], referrers=True, on_event=events.append)
    assert (result.digest, result.tags) == (plain.digest, plain.tags)
    there = await tags_of(client)
    added = (signed.sbom, signed.signature, signed.cosign)
    assert there.keys() - set(signed.image.manifests) == {image.digest for image in added}
    assert {digest: tags for digest, tags in there.items() if tags} == {
        signed.image.digest: ["1.0"],
        signed.cosign.digest: [signed.cosign_tag],
    }
    for image in added:
        assert await server.read_manifest(REPOSITORY, image.digest) == image.read(image.digest)
    completed = [event.result for event in events if isinstance(event, PushCompleted)]
    assert completed[0].digest == signed.image.digest
    assert {push.digest for push in completed[1:]} == {image.digest for image in added}
    assert result.layers_uploaded == sum(push.layers_uploaded for push in completed) > 0


async def test_many_images_with_what_is_attached(client: ECRPublicClient, signed: Signed) -> None:
    source = f"oci:{signed.image.directory}:1.0"
    jobs = [ImageJob(source=source, repository_name=f"many/{number}") for number in range(2)]
    await push_images(client, jobs, create_repository=True, referrers=True)
    for job in jobs:
        assert len(await tags_of(client, job.repository_name)) == len(signed.image.manifests) + 3


async def test_more_than_can_be_meant(
    client: ECRPublicClient, signed: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attached, "MAX_ATTACHED", 2)
    with pytest.raises(ImageError, match="more than 2 manifests are attached"):
        await push_image(client, f"oci:{signed.image.directory}:1.0", REPOSITORY, referrers=True)


class Plain(SourceLifecycle):
    """A source of somebody else's, which knows only its image."""

    name = "plain"

    def __init__(self, layout: OCILayout) -> None:
        self._layout = layout

    async def open(self) -> Descriptor:
        return await self._layout.open()

    async def read_manifest(self, descriptor: Descriptor) -> bytes:
        return await self._layout.read_manifest(descriptor)

    async def open_blob(self, descriptor: Descriptor) -> Blob:
        return await self._layout.open_blob(descriptor)

    async def check_blob(self, descriptor: Descriptor) -> None:
        await self._layout.check_blob(descriptor)

    async def close(self) -> None:
        await self._layout.close()


async def test_a_source_that_cannot_list_them_is_refused_before_anything_is_sent(
    client: ECRPublicClient, signed: Signed
) -> None:
    wire = Wire()
    hooked = client.with_options(hooks=[wire])
    with pytest.raises(ConfigurationError, match="plain: Plain cannot list"):
        await push_image(hooked, Plain(OCILayout(signed.image.directory, "1.0")), REPOSITORY, referrers=True)
    assert wire.sent == []
    result = await push_image(client, Plain(OCILayout(signed.image.directory, "1.0")), REPOSITORY)
    assert result.digest == signed.image.digest
