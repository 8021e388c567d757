from __future__ import annotations

import pytest

from aioecrpublic._common.oci import NONDISTRIBUTABLE
from aioecrpublic.images import Descriptor, ImageError, Platform
from aioecrpublic.images.descriptor import parse_descriptor
from tests.support.oci import JSON, OCI_LAYER_GZIP, Document

DIGEST = "sha256:" + "0" * 64
GOOD: Document = {"mediaType": OCI_LAYER_GZIP, "digest": DIGEST, "size": 12}


@pytest.mark.parametrize(
    "text",
    [
        "linux/amd64",
        "linux/arm/v7",
        "linux/arm64/v8",
        "windows/amd64",
        "windows(10.0.17763.1234)/amd64",
        "windows(10.0.17763+win32k+other)/amd64",
        "linux(+feature)/arm64/v8",
    ],
)
def test_platforms_print_as_they_are_written(text: str) -> None:
    assert str(Platform.parse(text)) == text


def test_platforms_are_read_in_any_case_and_by_the_kernels_names() -> None:
    assert str(Platform.parse("Linux/x86_64")) == "linux/amd64"
    assert str(Platform.parse("linux/aarch64")) == "linux/arm64"


def test_a_version_may_come_last() -> None:
    """As crane writes it (go-containerregistry, pkg/v1/platform.go)."""
    assert Platform.parse("Windows/amd64:10.0.17763.1") == Platform.parse("windows(10.0.17763.1)/amd64")
    assert str(Platform.parse("linux/arm/v7:5.10")) == "linux(5.10)/arm/v7"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "linux",
        "linux/",
        "/amd64",
        "linux//v8",
        "linux/arm/v7/x",
        "a/b/",
        "windows(10/amd64",
        "windows(10)x/amd64",
        "(10)/amd64",
        "windows(10)/amd64:10",
        "windows/amd64:",
        "windows(+)/amd64",
    ],
)
def test_malformed_platforms_are_refused(text: str) -> None:
    with pytest.raises(ImageError, match="expected OS/ARCHITECTURE"):
        Platform.parse(text)


@pytest.mark.parametrize(
    ("wanted", "image", "matches"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/amd64", "windows/amd64", False),
        ("linux/amd64", "linux/arm64", False),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm64/v9", "linux/arm64", False),
        ("linux/arm", "linux/arm/v6", True),
        ("linux/arm/v7", "linux/arm", True),
        ("linux/arm/v6", "linux/arm", False),
        ("linux/arm/v6", "linux/arm/v7", False),
        ("linux/amd64", "linux/amd64/v3", True),
        ("linux/amd64/v1", "linux/amd64", True),
        ("linux/amd64/v2", "linux/amd64", False),
    ],
)
def test_platform_matching(wanted: str, image: str, matches: object) -> None:
    assert Platform.parse(wanted).matches(Platform.parse(image)) is matches


def test_os_versions_match_when_asked_for() -> None:
    image = Platform(os="windows", architecture="amd64", os_version="10.0.17763.1")
    assert Platform.parse("windows/amd64").matches(image)
    assert image.matches(image)
    for version, matches in {
        "10.0.17763.1": True,
        "10.0.17763": True,
        "10.0": True,
        "10.0.2": False,
        "10.0.1776": False,
        "10.0.17763.11": False,
    }.items():
        wanted = Platform(os="windows", architecture="amd64", os_version=version)
        assert wanted.matches(image) is matches
        assert not wanted.matches(Platform(os="windows", architecture="amd64"))


def test_os_features_match_when_asked_for() -> None:
    image = Platform(os="windows", architecture="amd64", os_features=("Win32k", "x"))
    for features, matches in {"": True, "(+win32k)": True, "(+x+win32k)": True, "(+y)": False}.items():
        assert Platform.parse(f"windows{features}/amd64").matches(image) is matches


def test_a_descriptor_is_read_with_all_its_members() -> None:
    descriptor = parse_descriptor(
        {
            **GOOD,
            "platform": {
                "os": "windows",
                "architecture": "arm64",
                "variant": "v8",
                "os.version": "10.0",
                "os.features": ["win32k"],
            },
            "annotations": {"a": "b"},
            "urls": ["https://example.com/layer"],
            "artifactType": "application/example",
            "data": "unknown members are ignored",
        },
        "here",
    )
    assert descriptor == Descriptor(
        media_type=OCI_LAYER_GZIP,
        digest=DIGEST,
        size=12,
        platform=Platform(
            os="windows", architecture="arm64", variant="v8", os_version="10.0", os_features=("win32k",)
        ),
        annotations={"a": "b"},
        urls=("https://example.com/layer",),
        artifact_type="application/example",
    )
    assert {descriptor: 1}[descriptor] == 1


def test_null_members_are_absent_ones() -> None:
    nulls: Document = dict.fromkeys(["platform", "annotations", "urls", "artifactType"])
    assert parse_descriptor({**GOOD, **nulls}, "here") == parse_descriptor(GOOD, "here")


def test_a_platform_that_says_nothing_is_unknown() -> None:
    descriptor = parse_descriptor({**GOOD, "platform": {"os": "", "architecture": None}}, "here")
    assert descriptor.platform is not None
    assert descriptor.platform.is_unknown
    assert str(descriptor.platform) == "unknown/unknown"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": "12"}, "size is the text '12', not a whole number"),
        ({"size": True}, "size is a truth value"),
        ({"size": 12.0}, "size is the number 12.0, not a whole number"),
        ({"size": None}, "size is missing"),
        ({"size": -1}, "size is negative"),
        ({"size": 2**63}, "size is larger than"),
        ({"size": 10**4000}, "size is larger than"),
        ({"digest": "sha256:../../x"}, "digest: 'sha256:../../x' is no digest"),
        ({"digest": None}, "digest: None is no digest"),
        ({"mediaType": None}, "mediaType is missing"),
        ({"mediaType": ""}, "mediaType '' is no media type"),
        ({"mediaType": "text/\x1b[31m"}, r"mediaType 'text/\\x1b\[31m' is no media type"),
        ({"mediaType": 4}, "mediaType is a number"),
        ({"mediaType": "\ud800"}, "is no media type"),
        ({"annotations": {"a": 1}}, "annotations holds a value that is not text"),
        ({"annotations": []}, "annotations is a list, not an object"),
        ({"urls": "https://example.com"}, "urls is the text .*, not a list"),
        ({"urls": [1]}, "urls holds something that is not text"),
        ({"platform": "linux/amd64"}, "platform is the text 'linux/amd64', not an object"),
        ({"platform": {"os": 1}}, "platform: os is a number"),
        ({"platform": {"os.features": "win32k"}}, "platform: os.features is the text 'win32k', not a list"),
        ({"artifactType": {}}, "artifactType is an object"),
    ],
)
def test_a_bad_member_is_named(change: Document, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        parse_descriptor({**GOOD, **change}, "here")
    assert str(caught.value).startswith("here")
    str(caught.value).encode()


@pytest.mark.parametrize("value", [None, [], "x", 1, 1.5, True])
def test_a_descriptor_is_an_object(value: JSON) -> None:
    with pytest.raises(ImageError, match=r"here is .*, not an object"):
        parse_descriptor(value, "here")


def test_layers_from_elsewhere_are_not_distributable() -> None:
    assert parse_descriptor(GOOD, "").is_distributable
    assert parse_descriptor({**GOOD, "urls": ["https://example.com"]}, "").is_distributable
    for media_type in NONDISTRIBUTABLE:
        assert not parse_descriptor({**GOOD, "mediaType": media_type}, "").is_distributable
