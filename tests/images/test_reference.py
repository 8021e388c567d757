from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioecrpublic.images import ImageError, open_image
from aioecrpublic.images.reference import familiar_name, parse_reference
from tests.support.secrets import assert_hidden

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("alpine", "docker.io/library/alpine:latest"),
        ("alpine:3.19", "docker.io/library/alpine:3.19"),
        ("team/app", "docker.io/team/app:latest"),
        ("docker.io/alpine", "docker.io/library/alpine:latest"),
        ("index.docker.io/library/alpine", "docker.io/library/alpine:latest"),
        ("registry-1.docker.io/library/alpine", "docker.io/library/alpine:latest"),
        ("docker://public.ecr.aws/docker/library/python:3.12", "public.ecr.aws/docker/library/python:3.12"),
        ("ghcr.io/a/b-c/d_e:v1.0_x-y", "ghcr.io/a/b-c/d_e:v1.0_x-y"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app:1", "localhost:5000/app:1"),
        ("host:5000/app", "host:5000/app:latest"),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
        ("docker://[2001:db8::1]/team/app:1", "[2001:db8::1]/team/app:1"),
        (f"quay.io/x/y@{DIGEST}", f"quay.io/x/y@{DIGEST}"),
        (f"quay.io/x/y:1@{DIGEST}", f"quay.io/x/y:1@{DIGEST}"),
    ],
)
def test_names_are_read_as_docker_reads_them(text: str, full: str) -> None:
    assert str(parse_reference(text)) == full


def test_a_digest_wins_over_a_tag() -> None:
    assert parse_reference(f"quay.io/x/y:1@{DIGEST}").reference == DIGEST
    assert parse_reference("quay.io/x/y:1").reference == "1"
    assert parse_reference("quay.io/x/y").reference == "latest"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no repository name"),
        ("docker://", "is no repository name"),
        ("Alpine", "'library/Alpine' is no repository name"),
        ("ghcr.io/", "'' is no repository name"),
        ("ghcr.io//a", "'/a' is no repository name"),
        ("ghcr.io/a/../b", "is no repository name"),
        ("ghcr.io/a b", "is no repository name"),
        ("ghcr.io/a?x=y", "is no repository name"),
        ("ghcr.io/" + "a" * 256, "is no repository name"),
        ("a..b/c", "'a..b' is no host"),
        ("user@host.example/a", "a user name or password has no place in it"),
        ("user:password@host.example/a", "a user name or password has no place in it"),
        ("host.example/a@b@c", "'c' is no digest"),
        ("[fe80::1%eth0]:5000/a", "is no host (zone ids of IPv6 addresses are not supported)"),
        ("[::g]/a", "'[::g]' is no host"),
        ("host:99999/a", "'host:99999' is no host"),
        ("host:0/a", "'host:0' is no host"),
        ("https://ghcr.io/a", "'https:' is no host"),
        ("host:port/a", "'host:port' is no host"),
        ("ghcr.io/a:", "'' is no tag"),
        ("ghcr.io/a:-x", "'-x' is no tag"),
        ("ghcr.io/a:" + "x" * 129, "is no tag"),
        ("ghcr.io/a@", "'' is no digest"),
        ("ghcr.io/a@sha256:abc", "'sha256:abc' is no digest"),
        ("ghcr.io/a\n", "is no repository name"),
    ],
)
def test_other_names_are_refused(text: str, message: str) -> None:
    with pytest.raises(ImageError, match=r"expected docker://HOST/REPOSITORY:TAG or …@DIGEST") as caught:
        parse_reference(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "user:hunter2hunter2@host.example/a:1",
        "docker://user:hunter2hunter2@host.example/a",
        "user:hunter2/hunter2@host.example/a",
        "user:hunter2@hunter2@host.example/a",
        f"user:hunter2hunter2@host.example/a@{DIGEST}",
        "hunter2hunter2@host.example/a",
        "https://user:hunter2hunter2@host.example/a",
        "user:hunter2hunter2@host.example",
    ],
)
async def test_a_password_in_a_name_is_not_repeated(text: str) -> None:
    with pytest.raises(ImageError) as caught:
        parse_reference(text)
    assert_hidden(caught.value, ["hunter2"])
    if "://" in text or ":" in text.partition("@")[0]:
        with pytest.raises(ImageError) as caught:
            await open_image(text).open()
        assert_hidden(caught.value, ["hunter2"])


@given(st.text(st.sampled_from("aZ0./:@-_[] \n"), max_size=30))
def test_what_is_read_prints_as_something_that_is_read_the_same(text: str) -> None:
    try:
        reference = parse_reference(text)
    except ImageError:
        return
    assert parse_reference(str(reference)) == reference
    assert familiar_name(str(reference)) == str(reference).replace(f":{reference.tag}@", "@")


def test_familiar_names() -> None:
    assert familiar_name("app") == "docker.io/library/app:latest"
    assert familiar_name("localhost:5000/app:1") == "localhost:5000/app:1"
    assert familiar_name(f"app@{DIGEST}") == f"docker.io/library/app@{DIGEST}"
