"""Random lives of a registry, told by boto3, beside a model of it that fits on a page."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from aioecrpublic.local import BackgroundECRPublic, LocalECRPublic
from tests.local.scenario import Refused, digest_of, index_of, manifest_of
from tests.local.sdks import Boto3
from tests.support.soak import SOAK

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = st.sampled_from(["team/app", "team/app", "team/app", "b1"])
TAGS = st.sampled_from(["1.0", "latest"])
# Small, so that sequences meet the same things again and again.
BLOBS = [f"blob {number}".encode() for number in range(3)]
MANIFESTS = [manifest_of(BLOBS[0], BLOBS[1]), manifest_of(BLOBS[0], BLOBS[2])]
INDEXES = [index_of(*MANIFESTS)]
POLICY = json.dumps(
    {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": ["ecr-public:DescribeImages"]}]}
)
CHILDREN = {digest_of(INDEXES[0].encode()): [digest_of(manifest.encode()) for manifest in MANIFESTS]}
LAYERS = {
    digest_of(MANIFESTS[0].encode()): [digest_of(BLOBS[0]), digest_of(BLOBS[1])],
    digest_of(MANIFESTS[1].encode()): [digest_of(BLOBS[0]), digest_of(BLOBS[2])],
}
# Counted, not named: an upload's id is another in each run, and a choice has to mean the same again.
ANY_UPLOAD = st.integers(0, 5)
ANY_MANIFEST = st.sampled_from([*MANIFESTS, *INDEXES])


@attrs.define
class Upload:
    """A layer on its way."""

    repository: str
    data: bytes = b""
    short: bool = False


@attrs.define
class Repository:
    """What the model knows of a repository."""

    layers: dict[str, int] = attrs.field(factory=dict)
    images: set[str] = attrs.field(factory=set)
    tags: dict[str, str] = attrs.field(factory=dict)
    resource_tags: dict[str, str] = attrs.field(factory=dict)
    policy: str | None = None
    about: str | None = None

    def parents(self, digest: str) -> set[str]:
        return {image for image in self.images if digest in CHILDREN.get(image, [])}

    def tags_of(self, digest: str) -> set[str]:
        return {tag for tag, image in self.tags.items() if image == digest}


class Registry(RuleBasedStateMachine):
    """Does the same to the service and to the model, and compares what they say."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        self.repositories: dict[str, Repository] = {}
        self.uploads: dict[str, Upload] = {}

    @initialize()
    def start(self) -> None:
        server = self.stack.enter_context(BackgroundECRPublic(LocalECRPublic())).registry
        self.call = self.stack.enter_context(contextlib.closing(Boto3(server)))
        # Where most lives go through, so that random steps begin where it becomes interesting.
        self.create_repository("team/app")
        for blob in BLOBS[:2]:
            self.upload_whole("team/app", blob)
        self.put_image("team/app", MANIFESTS[0], "1.0")
        self.begin_upload("team/app")

    def teardown(self) -> None:
        self.stack.close()

    def expect(self, code: str | None, operation: str, **params: Any) -> Any:
        """Call; the outcome must be the error, or none."""
        response, answered = None, None
        try:
            response = self.call(operation, **params)
        except Refused as refused:
            answered = refused.code
        assert answered == code, f"{operation}({params}): {answered or response}, not {code}"
        return response

    def in_repository(self, name: str, otherwise: Callable[[Repository], str | None]) -> str | None:
        """The error that is to be expected: of a missing repository, or what the model says."""
        found = self.repositories.get(name)
        return "RepositoryNotFoundException" if found is None else otherwise(found)

    def nth_upload(self, which: int) -> tuple[str, Upload]:
        """One of the uploads, in the order in which they were begun."""
        return list(self.uploads.items())[which % len(self.uploads)]

    @rule(name=NAMES)
    def create_repository(self, name: str) -> None:
        there = name in self.repositories
        self.expect(
            "RepositoryAlreadyExistsException" if there else None, "CreateRepository", repositoryName=name
        )
        self.repositories.setdefault(name, Repository())

    @rule(name=NAMES, force=st.sampled_from([False, False, False, True]))
    def delete_repository(self, name: str, *, force: bool) -> None:
        error = self.in_repository(
            name, lambda found: "RepositoryNotEmptyException" if found.images and not force else None
        )
        self.expect(error, "DeleteRepository", repositoryName=name, force=force)
        if error is None:
            del self.repositories[name]
            self.uploads = {key: each for key, each in self.uploads.items() if each.repository != name}

    @rule(name=NAMES)
    def begin_upload(self, name: str) -> None:
        begun = self.expect(
            self.in_repository(name, lambda _: None), "InitiateLayerUpload", repositoryName=name
        )
        if begun:
            self.uploads[begun["uploadId"]] = Upload(name)

    @precondition(lambda self: self.uploads)
    @rule(
        which=ANY_UPLOAD,
        blob=st.sampled_from(BLOBS),
        gap=st.sampled_from([0, 0, 0, 1]),
        name=st.none() | NAMES,
    )
    def send_part(self, which: int, blob: bytes, gap: int, name: str | None) -> None:
        upload_id, upload = self.nth_upload(which)
        name = name or upload.repository
        first = len(upload.data) + gap
        if name != upload.repository:
            error = self.in_repository(name, lambda _: "UploadNotFoundException")
        else:
            error = "InvalidLayerPartException" if gap else None
        self.expect(
            error,
            "UploadLayerPart",
            repositoryName=name,
            uploadId=upload_id,
            partFirstByte=first,
            partLastByte=first + len(blob) - 1,
            layerPartBlob=blob,
        )
        if error is None:
            # Every part but the last has at least 5 MiB, and these are all shorter.
            upload.short = bool(upload.data)
            upload.data += blob

    @precondition(lambda self: self.uploads)
    @rule(which=ANY_UPLOAD, honest=st.sampled_from([True, True, False]))
    def complete_upload(self, which: int, *, honest: bool) -> None:
        upload_id, upload = self.nth_upload(which)
        layers = self.repositories[upload.repository].layers
        digest = digest_of(upload.data if honest else b"something else")
        if not upload.data:
            error: str | None = "EmptyUploadException"
        elif upload.short:
            error = "LayerPartTooSmallException"
        elif not honest:
            error = "InvalidLayerException"
        else:
            error = "LayerAlreadyExistsException" if digest in layers else None
        self.expect(
            error,
            "CompleteLayerUpload",
            repositoryName=upload.repository,
            uploadId=upload_id,
            layerDigests=[digest],
        )
        if error in {None, "LayerAlreadyExistsException"}:
            layers[digest] = len(upload.data)
            del self.uploads[upload_id]

    @rule(name=NAMES, blob=st.sampled_from(BLOBS))
    def upload_whole(self, name: str, blob: bytes) -> None:
        """The usual way, which random steps seldom find."""
        found = self.repositories.get(name)
        if found is None or digest_of(blob) in found.layers:
            return
        where = {"repositoryName": name}
        where["uploadId"] = self.expect(None, "InitiateLayerUpload", **where)["uploadId"]
        span = {"partFirstByte": 0, "partLastByte": len(blob) - 1}
        self.expect(None, "UploadLayerPart", **where, **span, layerPartBlob=blob)
        self.expect(None, "CompleteLayerUpload", **where, layerDigests=[digest_of(blob)])
        found.layers[digest_of(blob)] = len(blob)

    @rule(name=NAMES, manifest=ANY_MANIFEST, tag=st.none() | TAGS)
    def put_image(self, name: str, manifest: str, tag: str | None) -> None:
        digest = digest_of(manifest.encode())

        def outcome(found: Repository) -> str | None:
            if not found.layers.keys() >= set(LAYERS.get(digest, [])):
                return "LayersNotFoundException"
            if not found.images >= set(CHILDREN.get(digest, [])):
                return "ReferencedImagesNotFoundException"
            same = digest in found.images and (tag is None or found.tags.get(tag) == digest)
            return "ImageAlreadyExistsException" if same else None

        error = self.in_repository(name, outcome)
        tagged = {"imageTag": tag} if tag else {}
        self.expect(error, "PutImage", repositoryName=name, imageManifest=manifest, **tagged)
        if error is None:
            self.repositories[name].images.add(digest)
            if tag:
                self.repositories[name].tags[tag] = digest

    @rule(name=NAMES, tag=TAGS)
    def delete_tag(self, name: str, tag: str) -> None:
        error = self.in_repository(name, lambda _: None)
        done = self.expect(error, "BatchDeleteImage", repositoryName=name, imageIds=[{"imageTag": tag}])
        if error is not None:
            return
        found = self.repositories[name]
        digest = found.tags.get(tag)
        last = digest is not None and found.tags_of(digest) == {tag}
        if digest is None:
            assert [each["failureCode"] for each in done["failures"]] == ["ImageNotFound"]
        elif last and found.parents(digest):
            assert [each["failureCode"] for each in done["failures"]] == ["ImageReferencedByManifestList"]
        else:
            assert done["imageIds"] == [{"imageDigest": digest, "imageTag": tag}]
            del found.tags[tag]
            found.images -= {digest} if last else set()

    @rule(name=NAMES, manifest=ANY_MANIFEST)
    def delete_image(self, name: str, manifest: str) -> None:
        error, digest = self.in_repository(name, lambda _: None), digest_of(manifest.encode())
        done = self.expect(error, "BatchDeleteImage", repositoryName=name, imageIds=[{"imageDigest": digest}])
        if error is not None:
            return
        found = self.repositories[name]
        if digest not in found.images:
            assert [each["failureCode"] for each in done["failures"]] == ["ImageNotFound"]
        elif found.parents(digest):
            assert [each["failureCode"] for each in done["failures"]] == ["ImageReferencedByManifestList"]
        else:
            untagged: set[str | None] = {None}
            assert {each.get("imageTag") for each in done["imageIds"]} == (found.tags_of(digest) or untagged)
            assert {each["imageDigest"] for each in done["imageIds"]} == {digest}
            found.images.discard(digest)
            found.tags = {tag: image for tag, image in found.tags.items() if image != digest}

    @rule(name=NAMES, key=st.sampled_from(["k", "stage"]), value=st.none() | st.text("ab :/", max_size=4))
    def change_resource_tags(self, name: str, key: str, value: str | None) -> None:
        error = self.in_repository(name, lambda _: None)
        tags = self.repositories.get(name, Repository()).resource_tags
        if value is None:
            self.expect(error, "UntagResource", resourceArn=arn(name), tagKeys=[key])
            tags.pop(key, None)
        else:
            self.expect(error, "TagResource", resourceArn=arn(name), tags=[{"Key": key, "Value": value}])
            tags[key] = value

    @rule(name=NAMES, text=st.sampled_from([POLICY, None]))
    def change_policy(self, name: str, text: str | None) -> None:
        def outcome(found: Repository) -> str | None:
            return "RepositoryPolicyNotFoundException" if text is None and found.policy is None else None

        error = self.in_repository(name, outcome)
        if text is None:
            self.expect(error, "DeleteRepositoryPolicy", repositoryName=name)
        else:
            self.expect(error, "SetRepositoryPolicy", repositoryName=name, policyText=text)
        if error is None:
            self.repositories[name].policy = text

    @rule(name=NAMES, about=st.text(max_size=8))
    def put_catalog_data(self, name: str, about: str) -> None:
        error = self.in_repository(name, lambda _: None)
        self.expect(error, "PutRepositoryCatalogData", repositoryName=name, catalogData={"aboutText": about})
        if error is None:
            self.repositories[name].about = about

    def the_same_repositories(self) -> None:
        found = self.expect(None, "DescribeRepositories")["repositories"]
        assert [each["repositoryName"] for each in found] == sorted(self.repositories)

    @rule(size=st.integers(1, 3))
    def compare(self, size: int) -> None:
        self.the_same_repositories()
        self.the_same_images(size)
        self.the_same_layers()
        self.the_same_rest()

    def the_same_images(self, size: int) -> None:
        for name, repository in self.repositories.items():
            shown: dict[str, set[str]] = {}
            for page in self.pages("DescribeImages", name, size):
                shown |= {
                    each["imageDigest"]: set(each.get("imageTags", [])) for each in page["imageDetails"]
                }
            assert shown == {digest: repository.tags_of(digest) for digest in repository.images}
            tags: dict[str, str] = {}
            for page in self.pages("DescribeImageTags", name, size):
                tags |= {
                    each["imageTag"]: each["imageDetail"]["imageDigest"] for each in page["imageTagDetails"]
                }
            assert tags == repository.tags

    def the_same_layers(self) -> None:
        digests = [digest_of(blob) for blob in BLOBS]
        for name, repository in self.repositories.items():
            found = self.expect(
                None, "BatchCheckLayerAvailability", repositoryName=name, layerDigests=digests
            )["layers"]
            sizes = {each["layerDigest"]: each.get("layerSize") for each in found}
            assert sizes == {digest: repository.layers.get(digest) for digest in digests}

    def the_same_rest(self) -> None:
        for name, repository in self.repositories.items():
            tags = self.expect(None, "ListTagsForResource", resourceArn=arn(name))["tags"]
            assert {tag["Key"]: tag["Value"] for tag in tags} == repository.resource_tags
            error = None if repository.policy else "RepositoryPolicyNotFoundException"
            policy = self.expect(error, "GetRepositoryPolicy", repositoryName=name)
            assert (policy or {}).get("policyText") == repository.policy
            error = "RepositoryCatalogDataNotFoundException" if repository.about is None else None
            catalog = self.expect(error, "GetRepositoryCatalogData", repositoryName=name)
            assert (catalog or {}).get("catalogData", {}).get("aboutText") == repository.about

    def pages(self, operation: str, name: str, size: int) -> list[Any]:
        found = [self.expect(None, operation, repositoryName=name, maxResults=size)]
        while token := found[-1].get("nextToken"):
            found.append(self.expect(None, operation, repositoryName=name, maxResults=size, nextToken=token))
        return found


def arn(name: str) -> str:
    return f"arn:aws:ecr-public::123456789012:repository/{name}"


TestRegistry = Registry.TestCase
TestRegistry.settings = settings(max_examples=500 if SOAK else 30, stateful_step_count=50, deadline=None)
