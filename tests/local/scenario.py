"""One life of a repository, told in AWS's words: every operation, its successes and its refusals.

It is told to a ``Speak``, which is one SDK or another; what it hears back must be the same from all of them.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from aioecrpublic._generated.service import SERVICE
from tests.support.oci import random_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1024 * 1024
NAME = "team/app"
REGISTRY = "123456789012"
ARN = f"arn:aws:ecr-public::{REGISTRY}:repository/{NAME}"
# A whole PNG of one pixel.
LOGO = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "push",
                "Effect": "Allow",
                "Principal": {"AWS": "999999999999"},
                "Action": "ecr-public:PutImage",
            }
        ],
    }
)


class Refused(Exception):  # noqa: N818 - what the service did
    """The service answered with an error."""

    def __init__(self, code: str, message: str, members: dict[str, Any]) -> None:
        super().__init__(code, message, members)
        self.code = code
        self.message = message
        self.members = members


class Speak(Protocol):
    """One way to call the service."""

    # Whether blobs may be any bytes, and errors have members.
    complete: bool

    def __call__(self, operation: str, **params: Any) -> Any: ...


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def refusal(call: Speak, operation: str, **params: Any) -> Refused:
    with pytest.raises(Refused) as raised:
        call(operation, **params)
    return raised.value


def pages(call: Speak, operation: str, **params: Any) -> Iterator[Any]:
    token: dict[str, str] = {}
    while True:
        page = call(operation, **params, **token)
        yield page
        if not page.get("nextToken"):
            return
        token = {"nextToken": page["nextToken"]}


class Every:
    """Remembers which operations were called."""

    def __init__(self, call: Speak) -> None:
        self._call = call
        self.called: set[str] = set()
        self.complete = call.complete

    def __call__(self, operation: str, **params: Any) -> Any:
        self.called.add(operation)
        return self._call(operation, **params)


def tell(call: Speak) -> None:
    """The whole story."""
    every = Every(call)
    registries(every)
    repositories(every)
    catalog(every)
    policies(every)
    resource_tags(every)
    layers = [upload(every, data) for data in contents(every)]
    images(every, layers)
    the_end(every)
    assert every.called == set(SERVICE.operations)


def registries(call: Speak) -> None:
    (registry,) = call("DescribeRegistries")["registries"]
    assert registry["registryId"] == REGISTRY
    assert registry["registryUri"] == "public.ecr.aws/local"
    assert [alias["name"] for alias in registry["aliases"]] == ["local"]
    data = {"displayName": "Ünïcode & <friends>"}
    assert call("PutRegistryCatalogData", **data)["registryCatalogData"] == data
    assert call("GetRegistryCatalogData")["registryCatalogData"] == data
    found = call("GetAuthorizationToken")["authorizationData"]
    assert base64.b64decode(found["authorizationToken"]).startswith(b"AWS:")
    assert found["expiresAt"]


def repositories(call: Speak) -> None:
    made = call("CreateRepository", repositoryName=NAME, tags=[{"Key": "team", "Value": "a"}])
    assert made["repository"]["repositoryArn"] == ARN
    assert made["repository"]["repositoryUri"] == f"public.ecr.aws/local/{NAME}"
    assert made["repository"]["registryId"] == REGISTRY
    again = refusal(call, "CreateRepository", repositoryName=NAME)
    assert again.code == "RepositoryAlreadyExistsException"
    assert (
        again.message
        == f"The repository with name '{NAME}' already exists in the registry with id '{REGISTRY}'"
    )
    bad = refusal(call, "CreateRepository", repositoryName="Not/A/Name")
    assert bad.code == "InvalidParameterException"
    assert bad.message.startswith("Invalid parameter at 'repositoryName' failed to satisfy constraint: '")
    for number in range(3):
        call("CreateRepository", repositoryName=f"other-{number}")
    found = [page["repositories"] for page in pages(call, "DescribeRepositories", maxResults=3)]
    assert [[each["repositoryName"] for each in page] for page in found] == [
        ["other-0", "other-1", "other-2"],
        [NAME],
    ]
    (only,) = call("DescribeRepositories", repositoryNames=[NAME])["repositories"]
    assert only == made["repository"]
    missing = refusal(call, "DescribeRepositories", repositoryNames=["nobody"])
    assert missing.code == "RepositoryNotFoundException"
    assert missing.message == (
        f"The repository with name 'nobody' does not exist in the registry with id '{REGISTRY}'"
    )


def catalog(call: Speak) -> None:
    nothing = refusal(call, "GetRepositoryCatalogData", repositoryName=NAME)
    assert nothing.code == "RepositoryCatalogDataNotFoundException"
    logo = {"logoImageBlob": LOGO} if call.complete else {}
    shown = {
        "description": "An app",
        "architectures": ["ARM 64"],
        "aboutText": "# About\n",
        "usageText": "run it",
    }
    put = call("PutRepositoryCatalogData", repositoryName=NAME, catalogData={**shown, **logo})["catalogData"]
    assert shown.items() <= put.items()
    assert ("logoUrl" in put) == call.complete
    assert call("GetRepositoryCatalogData", repositoryName=NAME)["catalogData"] == put


def policies(call: Speak) -> None:
    none = refusal(call, "GetRepositoryPolicy", repositoryName=NAME)
    assert none.code == "RepositoryPolicyNotFoundException"
    broken = refusal(call, "SetRepositoryPolicy", repositoryName=NAME, policyText="{")
    assert broken.code == "InvalidParameterException"
    put = call("SetRepositoryPolicy", repositoryName=NAME, policyText=POLICY)
    assert json.loads(put["policyText"]) == json.loads(POLICY)
    assert call("GetRepositoryPolicy", repositoryName=NAME) == put
    assert call("DeleteRepositoryPolicy", repositoryName=NAME) == put
    assert refusal(call, "DeleteRepositoryPolicy", repositoryName=NAME).code == none.code


def resource_tags(call: Speak) -> None:
    call("TagResource", resourceArn=ARN, tags=[{"Key": "team", "Value": "b"}, {"Key": "stage", "Value": ""}])
    assert {tag["Key"]: tag["Value"] for tag in call("ListTagsForResource", resourceArn=ARN)["tags"]} == {
        "team": "b",
        "stage": "",
    }
    call("UntagResource", resourceArn=ARN, tagKeys=["team", "never-there"])
    assert call("ListTagsForResource", resourceArn=ARN)["tags"] == [{"Key": "stage", "Value": ""}]
    many = [{"Key": f"key-{number}", "Value": ""} for number in range(50)]
    assert refusal(call, "TagResource", resourceArn=ARN, tags=many).code == "TooManyTagsException"
    reserved = [{"Key": "aws:mine", "Value": ""}]
    assert refusal(call, "TagResource", resourceArn=ARN, tags=reserved).code == "InvalidTagParameterException"


def contents(call: Speak) -> tuple[bytes, bytes]:
    """A config and a layer; the layer takes two parts where blobs may be anything."""
    config = json.dumps({"architecture": "amd64", "os": "linux"}).encode()
    return config, random_bytes(5 * MIB + 7) if call.complete else b"a layer in ASCII" * 64


def upload(call: Speak, data: bytes) -> bytes:
    """Bring a layer there, not without every mistake on the way."""
    digest = digest_of(data)
    where = {"repositoryName": NAME}
    check = call("BatchCheckLayerAvailability", **where, layerDigests=[digest])
    assert [layer["layerAvailability"] for layer in check["layers"]] == ["UNAVAILABLE"]
    begun = call("InitiateLayerUpload", **where)
    here = {**where, "uploadId": begun["uploadId"]}
    assert begun["partSize"] >= 5 * MIB
    assert refusal(call, "CompleteLayerUpload", **here, layerDigests=[digest]).code == "EmptyUploadException"
    parts = [data[first : first + 5 * MIB] for first in range(0, len(data), 5 * MIB)]
    sent = 0
    for part in parts:
        span = {"partFirstByte": sent, "partLastByte": sent + len(part) - 1}
        assert (
            call("UploadLayerPart", **here, **span, layerPartBlob=part)["lastByteReceived"]
            == span["partLastByte"]
        )
        sent += len(part)
        # As a client does that never heard the answer.
        twice = refusal(call, "UploadLayerPart", **here, **span, layerPartBlob=part)
        assert twice.code == "InvalidLayerPartException"
        if call.complete:
            assert twice.members["lastValidByteReceived"] == sent - 1
    wrong = refusal(call, "CompleteLayerUpload", **here, layerDigests=[digest_of(b"something else")])
    assert wrong.code == "InvalidLayerException"
    assert wrong.message == "None of the provided layer digests match the calculated layer digest"
    assert call("CompleteLayerUpload", **here, layerDigests=[digest])["layerDigest"] == digest
    assert (
        refusal(call, "CompleteLayerUpload", **here, layerDigests=[digest]).code == "UploadNotFoundException"
    )
    (there,) = call("BatchCheckLayerAvailability", **where, layerDigests=[digest])["layers"]
    assert (there["layerAvailability"], there["layerSize"]) == ("AVAILABLE", len(data))
    return data


def manifest_of(config: bytes, *layers: bytes, **members: Any) -> str:
    kind = "application/vnd.oci.image"
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{kind}.manifest.v1+json",
            "config": {
                "mediaType": f"{kind}.config.v1+json",
                "digest": digest_of(config),
                "size": len(config),
            },
            "layers": [
                {"mediaType": f"{kind}.layer.v1.tar+gzip", "digest": digest_of(layer), "size": len(layer)}
                for layer in layers
            ],
            **members,
        },
        indent=2,
    )


def index_of(*manifests: str) -> str:
    kind = "application/vnd.oci.image"
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{kind}.index.v1+json",
            "manifests": [
                {
                    "mediaType": f"{kind}.manifest.v1+json",
                    "digest": digest_of(manifest.encode()),
                    "size": len(manifest.encode()),
                }
                for manifest in manifests
            ],
        }
    )


def images(call: Speak, layers: list[bytes]) -> None:
    image = manifest_of(*layers)
    index = index_of(image)
    refused_images(call, image, index)
    put_images(call, image, index)
    shown_images(call, image, index, sum(len(layer) for layer in layers))
    deleted_images(call, image, index)


def refused_images(call: Speak, image: str, index: str) -> None:
    where = {"repositoryName": NAME}
    lost = refusal(call, "PutImage", **where, imageManifest=manifest_of(b"nothing", b"nowhere"))
    assert lost.code == "LayersNotFoundException"
    assert digest_of(b"nowhere") in lost.message
    orphan = refusal(call, "PutImage", **where, imageManifest=index)
    assert orphan.code == "ReferencedImagesNotFoundException"
    assert digest_of(image.encode()) in orphan.message
    unlike = refusal(call, "PutImage", **where, imageManifest=image, imageDigest=digest_of(b""))
    assert unlike.code == "ImageDigestDoesNotMatchException"
    assert refusal(call, "PutImage", **where, imageManifest="no JSON").code == "InvalidParameterException"


def put_images(call: Speak, image: str, index: str) -> None:
    where, digest = {"repositoryName": NAME}, digest_of(image.encode())
    put = call("PutImage", **where, imageManifest=image, imageTag="1.0", imageDigest=digest)["image"]
    assert put["imageId"] == {"imageDigest": digest, "imageTag": "1.0"}
    assert put["imageManifest"] == image
    same = refusal(call, "PutImage", **where, imageManifest=image, imageTag="1.0")
    assert same.code == "ImageAlreadyExistsException"
    call("PutImage", **where, imageManifest=image, imageTag="latest")
    call("PutImage", **where, imageManifest=index, imageTag="latest")


def shown_images(call: Speak, image: str, index: str, size: int) -> None:
    where = {"repositoryName": NAME}
    digest, index_digest = digest_of(image.encode()), digest_of(index.encode())
    found = [page["imageDetails"] for page in pages(call, "DescribeImages", **where, maxResults=1)]
    shown = {detail["imageDigest"]: detail for (detail,) in found}
    assert {key: value.get("imageTags", []) for key, value in shown.items()} == {
        digest: ["1.0"],
        index_digest: ["latest"],
    }
    assert shown[digest]["imageSizeInBytes"] == size
    assert shown[digest]["imageManifestMediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert shown[digest]["artifactMediaType"] == "application/vnd.oci.image.config.v1+json"
    tags = call("DescribeImageTags", **where)["imageTagDetails"]
    assert {tag["imageTag"]: tag["imageDetail"]["imageDigest"] for tag in tags} == {
        "1.0": digest,
        "latest": index_digest,
    }


def deleted_images(call: Speak, image: str, index: str) -> None:
    where = {"repositoryName": NAME}
    digest, index_digest = digest_of(image.encode()), digest_of(index.encode())
    ids = [
        {"imageDigest": digest},
        {"imageTag": "nothing"},
        {},
        {"imageTag": "latest", "imageDigest": digest},
    ]
    done = call("BatchDeleteImage", **where, imageIds=ids)
    assert done["imageIds"] == []
    assert [failure["failureCode"] for failure in done["failures"]] == [
        "ImageReferencedByManifestList",
        "ImageNotFound",
        "MissingDigestAndTag",
        "ImageTagDoesNotMatchDigest",
    ]
    gone = call("BatchDeleteImage", **where, imageIds=[{"imageTag": "latest"}])
    assert gone["imageIds"] == [{"imageDigest": index_digest, "imageTag": "latest"}]
    assert gone["failures"] == []
    missing = refusal(call, "DescribeImages", **where, imageIds=[{"imageTag": "latest"}])
    assert missing.code == "ImageNotFoundException"


def the_end(call: Speak) -> None:
    full = refusal(call, "DeleteRepository", repositoryName=NAME)
    assert full.code == "RepositoryNotEmptyException"
    assert call("DeleteRepository", repositoryName=NAME, force=True)["repository"]["repositoryName"] == NAME
    assert refusal(call, "DescribeImages", repositoryName=NAME).code == "RepositoryNotFoundException"
