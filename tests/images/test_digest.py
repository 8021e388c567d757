from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioecrpublic.images import ImageError
from aioecrpublic.images.digest import check_digest, is_digest, new_hash, sha256_digest, verify

HEX = "0123456789abcdef"


@given(st.binary())
def test_digests_made_here_pass_and_match(data: bytes) -> None:
    sha512 = "sha512:" + hashlib.sha512(data).hexdigest()
    for digest in (sha256_digest(data), sha512):
        assert check_digest(digest, "here") == digest
        verify(data, digest, "here")
        with pytest.raises(ImageError, match="here: the content has the digest sha"):
            verify(data + b"x", digest, "here")


@given(st.sampled_from(["sha256", "sha512"]), st.text(HEX + "AFg/.\n\u0660", max_size=130))
def test_only_the_right_number_of_lowercase_hex_digits_is_a_digest(algorithm: str, digits: str) -> None:
    right = len(digits) == {"sha256": 64, "sha512": 128}[algorithm] and set(digits) <= set(HEX)
    assert is_digest(f"{algorithm}:{digits}") is right


@pytest.mark.parametrize(
    "value",
    [
        "sha256:../../../../etc/passwd",
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 64 + "\n",
        "sha256:" + "A" * 64,
        "sha512:" + "a" * 64,
        "sha1:" + "a" * 40,
        "SHA256:" + "a" * 64,
        "sha256" + "a" * 64,
        "",
        None,
        7,
        ["sha256:" + "a" * 64],
        "x" * 5000,
    ],
)
def test_anything_else_is_refused_in_one_short_line(value: object) -> None:
    with pytest.raises(ImageError, match=r"there: .* is no digest") as caught:
        check_digest(value, "there")  # type: ignore[arg-type]
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_new_hash_is_of_the_algorithm_of_the_digest() -> None:
    assert new_hash("sha256:" + "0" * 64).name == "sha256"
    assert new_hash("sha512:" + "0" * 128).name == "sha512"
