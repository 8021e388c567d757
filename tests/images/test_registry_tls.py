"""Registries that speak TLS: whom to trust, and what happens to those whom nobody does."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING

import aiohttp
import pytest
import trustme

from aioecrpublic.images import ImageError, RegistryImage, registry_http
from tests.images.fake_registry import FakeRegistry
from tests.images.helpers import assert_holds, error_of
from tests.support.oci import write_index

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.oci import BuiltImage


@pytest.fixture(autouse=True)  # ruff: ignore[pytest-fixture-autouse] - nobody's own configuration counts
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "no-docker-config"))
    monkeypatch.setattr(registry_http, "_FIRST_DELAY", 0.001)


@pytest.fixture
def image(tmp_path: Path) -> BuiltImage:
    return write_index(tmp_path / "layout", layer_size=1000)


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return made


@pytest.fixture
def context(authority: trustme.CA) -> ssl.SSLContext:
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1", "::1").configure_cert(made)
    return made


@pytest.fixture
async def registry(image: BuiltImage, context: ssl.SSLContext) -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry(context) as registry:
        registry.add(image)
        yield registry


async def test_a_file_of_certificates_is_trusted(
    registry: FakeRegistry, image: BuiltImage, tmp_path: Path
) -> None:
    for ca_file in (tmp_path / "ca.pem", str(tmp_path / "ca.pem")):
        async with RegistryImage(registry.image, ca_file=ca_file) as source:
            await assert_holds(source, image)


async def test_a_registry_at_an_ipv6_address(
    context: ssl.SSLContext, image: BuiltImage, tmp_path: Path
) -> None:
    async with FakeRegistry(context, "::1") as registry:
        registry.add(image)
        registry.behaviour.location = (
            f"https://{registry.host}/store/{image.layers[0]}?X-Sig=a%2Fb%2B%3D&x=%20"
        )
        async with RegistryImage(registry.image, ca_file=tmp_path / "ca.pem") as source:
            assert (await source.open()).digest == image.digest


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
async def test_the_environment_names_whom_to_trust(
    registry: FakeRegistry,
    image: BuiltImage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "ca.pem"))
    async with RegistryImage(registry.image, insecure=False) as source:
        await assert_holds(source, image)
    another = tmp_path / "another.pem"
    trustme.CA().cert_pem.write_to_path(str(another))
    assert "certificate verify failed" in await error_of(
        RegistryImage(registry.image, insecure=False, ca_file=another)
    )


async def test_nobody_else_is_trusted_and_nothing_is_said_to_him(registry: FakeRegistry) -> None:
    error = await error_of(RegistryImage(registry.image, insecure=False))
    assert "certificate verify failed" in error
    assert error.endswith("(1 attempts)")
    assert not registry.requests


async def test_any_certificate_is_taken_on_request(registry: FakeRegistry, image: BuiltImage) -> None:
    for insecure in (None, False):
        async with RegistryImage(registry.image, verify_tls=False, insecure=insecure) as source:
            await assert_holds(source, image)


async def test_without_verification_a_registry_on_this_machine_may_be_plain(image: BuiltImage) -> None:
    async with FakeRegistry() as registry:
        registry.add(image)
        async with RegistryImage(registry.image, verify_tls=False) as source:
            await assert_holds(source, image)
        assert "SSL" in await error_of(
            RegistryImage(registry.image, verify_tls=False, insecure=False, max_attempts=1)
        )


async def test_certificates_that_cannot_be_used(
    registry: FakeRegistry, tmp_path: Path, image: BuiltImage
) -> None:
    (tmp_path / "text.pem").write_text("no certificate")
    os.mkfifo(tmp_path / "fifo.pem")
    for name in ("text.pem", "fifo.pem", "missing.pem", ""):
        error = await error_of(RegistryImage(registry.image, ca_file=tmp_path / name if name else ""))
        assert f"{tmp_path / name if name else ''}' (ca_file) cannot be used" in error
    assert not registry.requests


async def test_arguments_that_exclude_each_other(registry: FakeRegistry) -> None:
    async with aiohttp.ClientSession() as session:
        for ca_file, verify_tls in (("x", True), (None, False)):
            with pytest.raises(ImageError, match="cannot be used with a session of your own"):
                RegistryImage(registry.image, session=session, ca_file=ca_file, verify_tls=verify_tls)
    with pytest.raises(ImageError, match="ca_file cannot be used with verify_tls=False"):
        RegistryImage(registry.image, ca_file="x", verify_tls=False)
