from __future__ import annotations

import base64
import json
import logging
from typing import TYPE_CHECKING

import pytest

from aioecrpublic.images import ImageError, RegistryCredentials
from aioecrpublic.images import docker_config as module
from aioecrpublic.images.docker_config import find_credentials

if TYPE_CHECKING:
    from pathlib import Path

SOMEONE = RegistryCredentials(username="someone", password="pass:word")
ENTRY = {"auth": base64.b64encode(b"someone:pass:word").decode()}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


def write(config: Path, document: object) -> None:
    config.write_bytes(json.dumps(document).encode())


def helper(directory: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a credential helper on the path."""
    path = directory / "bin" / f"docker-credential-{name}"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("ghcr.io", "ghcr.io"),
        ("https://ghcr.io", "ghcr.io"),
        ("https://ghcr.io/v2/", "ghcr.io"),
        ("localhost:5000", "localhost:5000"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
    ],
)
def test_entries_are_found_by_any_of_the_registrys_names(config: Path, key: str, host: str) -> None:
    write(config, {"auths": {key: ENTRY, "other.example": {}}})
    assert find_credentials(host) == SOMEONE
    assert find_credentials("elsewhere.example") is None
    assert find_credentials("other.example") is None


def test_the_file_may_be_elsewhere_or_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_credentials("ghcr.io") is None
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(json.dumps({"auths": {"ghcr.io": ENTRY}}))
    assert find_credentials("ghcr.io") == SOMEONE
    (tmp_path / "other.json").write_text("{}")
    assert find_credentials("ghcr.io", tmp_path / "other.json") is None
    assert find_credentials("ghcr.io", tmp_path / "other.json" / "nothing") is None


def test_other_ways_of_saying_it(config: Path) -> None:
    write(
        config,
        (
            {
                "auths": {
                    "plain.example": {"username": "someone", "password": "pass:word"},
                    "token.example": {**ENTRY, "identitytoken": "abc"},
                    "padded.example": {"auth": base64.b64encode(b"someone:pass:word\0\0").decode()},
                    "empty.example": {"auth": ""},
                }
            }
        ),
    )
    assert find_credentials("plain.example") == SOMEONE
    assert find_credentials("padded.example") == SOMEONE
    assert find_credentials("empty.example") is None
    token = find_credentials("token.example")
    assert token is not None
    assert token.identity_token == "abc"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "not an object"),
        ('{"auths": []}', "auths is a list"),
        ('{"auths": {"ghcr.io": 1}}', "auths: ghcr.io is a number"),
        ('{"auths": {"ghcr.io": {"auth": "!"}}}', "auth is not base64 of USER:PASSWORD"),
        ('{"auths": {"ghcr.io": {"auth": "eA=="}}}', "auth is not base64 of USER:PASSWORD"),
        ('{"credHelpers": {"ghcr.io": "../../bin/sh"}}', "'../../bin/sh' is no name of a credential helper"),
        ('{"credHelpers": {"ghcr.io": "not-installed"}}', "docker-credential-not-installed, which"),
    ],
)
def test_a_bad_file_is_named(config: Path, content: str, message: str) -> None:
    config.write_bytes(content.encode())
    with pytest.raises(ImageError) as caught:
        find_credentials("ghcr.io")
    assert message in str(caught.value)
    assert str(config) in str(caught.value)


def test_a_file_that_cannot_be_read(config: Path) -> None:
    config.mkdir()
    with pytest.raises(ImageError, match="Is a directory"):
        find_credentials("ghcr.io")
    config.rmdir()
    config.write_bytes(b" " * (1024 * 1024 + 1))
    with pytest.raises(ImageError, match="larger than 1048576 bytes"):
        find_credentials("ghcr.io")


def test_helpers_are_asked_for_their_registry(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(config, {"credHelpers": {"ghcr.io": "test"}, "auths": {"quay.io": ENTRY}})
    helper(
        config.parent,
        "test",
        'read server; [ "$1 $server" = "get ghcr.io" ] && '
        'echo \'{"ServerURL": "ghcr.io", "Username": "someone", "Secret": "pass:word"}\'',
        monkeypatch,
    )
    assert find_credentials("ghcr.io") == SOMEONE
    assert find_credentials("quay.io") == SOMEONE


def test_the_store_is_asked_first_for_all_registries(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(config, {"credsStore": "test", "auths": {"quay.io": ENTRY, "docker.io": {}}})
    helper(
        config.parent,
        "test",
        'read server; case "$server" in https://index.docker.io/v1/)'
        ' echo \'{"Username": "<token>", "Secret": "identity"}\';;'
        " *) echo credentials not found in native keychain; exit 1;; esac",
        monkeypatch,
    )
    assert find_credentials("docker.io") == RegistryCredentials(identity_token="identity")
    assert find_credentials("quay.io") == SOMEONE
    assert find_credentials("ghcr.io") is None


def test_public_images_can_be_read_without_the_store(config: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "aioecrpublic")
    write(config, {"credsStore": "not-installed"})
    assert find_credentials("docker.io") is None
    assert "going on without credentials: docker-credential-not-installed, which" in caplog.text


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 3", "docker-credential-test failed with exit status 3"),
        ("echo secret; exit 3", "docker-credential-test failed with exit status 3"),
        ("echo secret", "docker-credential-test has answered something that is no credential"),
        ("echo '[]'", "is no credential"),
        ('echo \'{"Username": "secret"}\'', "is no credential"),
        ('echo \'{"Username": "secret", "Secret": 1}\'', "is no credential"),
        ("exec sleep 20", "docker-credential-test has not answered for 0.2 s"),
    ],
)
def test_a_helper_that_does_not_work(
    config: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    monkeypatch.setattr(module, "_HELPER_TIMEOUT", 0.2 if "sleep" in script else 30.0)
    write(config, {"credHelpers": {"ghcr.io": "test"}})
    helper(config.parent, "test", script, monkeypatch)
    with pytest.raises(ImageError, match=message) as caught:
        find_credentials("ghcr.io")
    assert "secret" not in str(caught.value)


def test_secrets_are_in_no_repr() -> None:
    credentials = RegistryCredentials(username="someone", password="hidden", identity_token="hidden")
    assert "hidden" not in repr(credentials)
    assert credentials.basic == "Basic " + base64.b64encode(b"someone:hidden").decode()
