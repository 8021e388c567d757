"""Signatures, attestations and SBOMs that lie beside an image, pushed with it."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING

import attrs
import pytest

from aioecrpublic import ConfigurationError, ImageError, PushError, push_image, push_images
from aioecrpublic.images import Descriptor, OCILayout
from aioecrpublic.images.source import SourceLifecycle
from aioecrpublic.local.faults import Fault, FaultKind
from aioecrpublic.push import ImageJob, PushCompleted, PushStarted, ReferrerFailure, attached
from tests.push.helpers import REPOSITORY, Wire, tags_of
from tests.support.oci import (
    OCI_CONFIG,
    OCI_MANIFEST,
    LayoutBuilder,
    encode,
    random_layer,
    tar_layout,
    write_index,
)

if TYPE_CHECKING:
    from pathlib import Path

    from aioecrpublic import ECRPublicClient
    from aioecrpublic.images import Blob
    from aioecrpublic.local import LocalECRPublic
    from aioecrpublic.push import PushEvent
    from tests.support.oci import BuiltImage, Document


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
    result = await push_image(client, f"oci:{signed.image.directory}:1.0", REPOSITORY, referrers=True)
    reason = "more than 2 manifests are attached to it"
    assert result.referrers_failed == (ReferrerFailure(digest=signed.image.digest, reason=reason),)
    assert len(await tags_of(client)) == len(signed.image.manifests) + 2
    monkeypatch.setattr(attached, "MAX_ATTACHED", 3)
    result = await push_image(client, f"oci:{signed.image.directory}:1.0", REPOSITORY, referrers=True)
    assert result.referrers_failed == ()


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


class Odd(Plain):
    """A layout that also lists what is odd, in front of all else."""

    def __init__(self, layout: OCILayout, *odd: Document) -> None:
        super().__init__(layout)
        self._odd = tuple(
            Descriptor(
                media_type=str(each["mediaType"]), digest=str(each["digest"]), size=int(str(each["size"]))
            )
            for each in odd
        )
        self.failing: Exception | None = None

    async def referrers(self, digest: str) -> tuple[Descriptor, ...]:
        if self.failing is not None:
            raise self.failing
        return (*self._odd, *await self._layout.referrers(digest))

    async def cosign_tags(self, digest: str) -> dict[str, Descriptor]:
        return await self._layout.cosign_tags(digest)


OLD = "application/vnd.oci.artifact.manifest.v1+json"
LACKING: Document = {
    "schemaVersion": 2,
    "config": {"mediaType": OCI_CONFIG, "digest": f"sha256:{'1' * 64}", "size": 7},
    "layers": [],
}
# The media type, the bytes, what the descriptor says else, and what is said of it.
ODD: dict[str, tuple[str, bytes, Document, str]] = {
    "gone": (OCI_MANIFEST, b"gone", {"digest": f"sha256:{'0' * 64}"}, "is missing"),
    "wrong size": (OCI_MANIFEST, b"wrong size", {"size": 5}, "has 10 bytes"),
    "wrong digest": (OCI_MANIFEST, b"before", {}, "have the digest|has digest|sha256:.* not sha256:"),
    "no JSON": (OCI_MANIFEST, b"\x1b[2J", {}, "JSON"),
    "too large": (OCI_MANIFEST, b" " * (4 * 1024 * 1024 + 1), {}, "4194304"),
    "no manifest": (OCI_MANIFEST, b'{"schemaVersion": 2, "layers": {}}', {}, "config"),
    "a withdrawn type": (OLD, encode({"mediaType": OLD, "blobs": []}), {}, re.escape(OLD)),
    "a layer is gone": (OCI_MANIFEST, encode(LACKING), {}, "1111"),
}


def odd_manifest(builder: LayoutBuilder, kind: str) -> tuple[Document, str]:
    """The descriptor of something that cannot be pushed, and what is said of it."""
    media_type, data, more, says = ODD[kind]
    descriptor = builder.descriptor(data, media_type)
    if kind == "wrong digest":
        path = builder.directory / "blobs" / "sha256" / str(descriptor["digest"]).removeprefix("sha256:")
        path.write_bytes(b"after!")
    return {**descriptor, **more}, says


@pytest.mark.parametrize("odd", [*((kind,) for kind in ODD), tuple(ODD)])
async def test_what_is_odd_is_told_and_the_others_go_on(
    client: ECRPublicClient, signed: Signed, odd: tuple[str, ...]
) -> None:
    builder = LayoutBuilder(signed.image.directory)
    manifests = [odd_manifest(builder, kind) for kind in odd]
    source = Odd(OCILayout(signed.image.directory, "1.0"), *(manifest for manifest, _ in manifests))
    result = await push_image(client, source, REPOSITORY, ["1.0"], referrers=True)
    assert (await tags_of(client)).keys() == {
        *signed.image.manifests,
        *(image.digest for image in (signed.sbom, signed.signature, signed.cosign)),
    }
    failures: dict[str, str] = {each.digest: each.reason for each in result.referrers_failed}
    assert failures.keys() == {str(manifest["digest"]) for manifest, _ in manifests}
    for manifest, says in manifests:
        assert re.search(says, failures[str(manifest["digest"])])
        assert failures[str(manifest["digest"])].isprintable()


async def test_what_several_manifests_list_is_tried_once(client: ECRPublicClient, signed: Signed) -> None:
    manifest, _ = odd_manifest(LayoutBuilder(signed.image.directory), "gone")
    source = Odd(OCILayout(signed.image.directory, "1.0"), manifest)
    events: list[PushEvent] = []
    result = await push_image(client, source, REPOSITORY, referrers=True, on_event=events.append)
    assert len(signed.image.manifests) > 1
    assert [failure.digest for failure in result.referrers_failed] == [manifest["digest"]]
    assert sum(isinstance(event, PushCompleted) for event in events) == 4


async def test_what_the_service_refuses_is_told(
    server: LocalECRPublic, client: ECRPublicClient, signed: Signed
) -> None:
    source = f"oci:{signed.image.directory}:1.0"
    await push_image(client, source, REPOSITORY)
    refusal = Fault(
        kind=FaultKind.ERROR,
        operation="PutImage",
        skip=len(signed.image.manifests),
        code="InvalidParameterException",
        status=400,
        message="of no use",
    )
    server.inject(refusal)
    result = await push_image(client, source, REPOSITORY, referrers=True)
    (failure,) = result.referrers_failed
    assert "InvalidParameterException (PutImage): of no use" in failure.reason
    assert failure.digest not in await tags_of(client)
    # What is attached to what failed is not asked for.
    assert len(await tags_of(client)) >= len(signed.image.manifests) + 1


async def test_what_cannot_be_listed_is_told(client: ECRPublicClient, signed: Signed) -> None:
    source = Odd(OCILayout(signed.image.directory, "1.0"))
    source.failing = ImageError("the registry is\nnot well")
    result = await push_image(client, source, REPOSITORY, referrers=True)
    pushed = [*signed.image.manifests, signed.cosign.digest]
    assert [failure.digest for failure in result.referrers_failed] == pushed
    assert {failure.reason for failure in result.referrers_failed} == {"the registry is not well"}
    # What cosign has stored is asked for in another way.
    assert signed.cosign.digest in await tags_of(client)


async def test_a_registry_that_has_gone_away_is_not_waited_for_again_and_again(
    client: ECRPublicClient, signed: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attached, "MAX_LOST", 0.0)
    source = Odd(OCILayout(signed.image.directory, "1.0"))
    source.failing = ImageError("no answer")
    result = await push_image(client, source, REPOSITORY, referrers=True)
    assert [failure.reason for failure in result.referrers_failed] == [
        "no answer",
        "what failed of what is attached to it took more than 0 s",
    ]


@pytest.mark.parametrize("error", [LookupError("of the user's own"), ConfigurationError("no more")])
async def test_what_is_nobodys_fault_here_ends_the_push(
    client: ECRPublicClient, signed: Signed, error: Exception
) -> None:
    source = Odd(OCILayout(signed.image.directory, "1.0"))
    source.failing = error
    with pytest.raises(type(error)):
        await push_image(client, source, REPOSITORY, referrers=True)


async def test_a_callback_that_waits_for_something_cancelled_is_no_referrers_failure(
    client: ECRPublicClient, signed: Signed
) -> None:
    pushes = 0

    async def tell(event: PushEvent) -> None:
        nonlocal pushes
        pushes += isinstance(event, PushStarted)
        if pushes > 1:
            cancelled = asyncio.get_running_loop().create_future()
            cancelled.cancel()
            await cancelled

    source = f"oci:{signed.image.directory}:1.0"
    with pytest.raises(PushError, match="callback or a hook"):
        await push_image(client, source, REPOSITORY, referrers=True, on_event=tell)
