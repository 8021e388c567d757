"""Whom TLS trusts, and that the service and registries trust the same."""

from __future__ import annotations

import hashlib
import os
import shutil
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest
import trustme

from aioecrpublic import ConfigurationError, Credentials, ECRPublicClient
from aioecrpublic._common.tls import CABundle, CABundleError, client_context
from aioecrpublic.images import ImageError, RegistryImage
from tests.support.wire import Wire, answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.wire import Received

MANIFEST = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "bundle.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def directory(bundle: Path, tmp_path: Path) -> Path:
    """A directory of certificates as ``openssl rehash`` prepares it."""
    path = tmp_path / "certificates"
    path.mkdir()
    shutil.copy(bundle, path / "authority.pem")
    subprocess.run(["openssl", "rehash", str(path)], check=True, capture_output=True)
    return path


@pytest.fixture
async def server(authority: trustme.CA) -> AsyncIterator[Wire]:
    """The service and a registry in one."""

    def answered(request: Received) -> bytes:
        if request.method == "POST":
            return answer()
        digest = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"
        kind = {"Content-Type": "application/vnd.oci.image.index.v1+json", "Docker-Content-Digest": digest}
        return answer(data=MANIFEST, headers=kind)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with Wire(context) as made:
        made.default = answered
        yield made


async def call(server: Wire) -> None:
    """Reach the server as the service and as a registry."""
    async with ECRPublicClient(
        "us-east-1", server.url, Credentials("AKID", "secret"), max_attempts=1
    ) as client:
        await client.describe_registries()
    reference = f"127.0.0.1:{server.port}/app:1"
    async with RegistryImage(reference, insecure=False, anonymous=True, max_attempts=1):
        pass


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
@pytest.mark.parametrize("others", [False, True])
async def test_a_file_of_the_environment_is_trusted(
    server: Wire,
    bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    others: bool,  # noqa: FBT001 - cases
) -> None:
    monkeypatch.setenv(variable, str(bundle))
    for name in {"AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"} - {variable}:
        if others:
            monkeypatch.setenv(name, "")
    await call(server)


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR"])
async def test_a_directory_of_the_environment_is_trusted(
    server: Wire, directory: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(directory))
    await call(server)


async def test_one_of_several_directories_is_enough(
    server: Wire, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join([str(tmp_path / "nowhere"), str(directory)]))
    await call(server)


async def test_the_first_of_several_counts(
    server: Wire, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(str(stranger))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(stranger))
    await call(server)


def unusable(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("no certificate")
    (tmp_path / "broken").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    os.mkfifo(tmp_path / "fifo")
    with (tmp_path / "large").open("wb") as large:
        large.truncate(2**40)
    (tmp_path / "directory").mkdir()
    names = ("nowhere", "empty", "text", "broken", "fifo", "large", "directory")
    return {name: str(tmp_path / name) for name in names} | {"device": "/dev/zero"}


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
@pytest.mark.parametrize(
    "kind", ["nowhere", "empty", "text", "broken", "fifo", "large", "directory", "device"]
)
async def test_what_is_no_bundle_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, kind: str
) -> None:
    path = unusable(tmp_path)[kind]
    monkeypatch.setenv(variable, path)
    with pytest.raises(ConfigurationError, match=rf"'{path}' \({variable}\)"):
        await ECRPublicClient("us-east-1", "https://example.com", anonymous=True).open()
    with pytest.raises(ImageError, match=rf"'{path}' \({variable}\)"):
        await RegistryImage("example.com/app:1", anonymous=True).open()


def test_directories_of_which_none_exists_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path}/a:{tmp_path}/b")
    with pytest.raises(CABundleError, match="SSL_CERT_DIR"):
        client_context()


def test_an_argument_comes_before_the_environment(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "nowhere"))
    assert len(client_context(CABundle(str(bundle), "ca_file")).get_ca_certs()) == 1
    with pytest.raises(CABundleError, match=r"'' \(ca_file\)"):
        client_context(CABundle("", "ca_file"))
    with pytest.raises(CABundleError, match=r"null (byte|character)"):
        client_context(CABundle("a\0b", "ca_file"))


def test_a_context_is_shared_until_its_file_changes(bundle: Path) -> None:
    first = client_context(CABundle(str(bundle), "ca_file"))
    assert client_context(CABundle(str(bundle), "ca_file")) is first
    trustme.CA().cert_pem.write_to_path(str(bundle), append=True)
    assert len(client_context(CABundle(str(bundle), "ca_file")).get_ca_certs()) == 2


@pytest.mark.parametrize("empty", [False, True])
def test_without_a_choice_it_is_the_system_that_is_trusted(
    monkeypatch: pytest.MonkeyPatch,
    empty: bool,  # noqa: FBT001 - cases
) -> None:
    if empty:
        monkeypatch.setenv("SSL_CERT_FILE", "")
        monkeypatch.setenv("SSL_CERT_DIR", "")
    ours = {tuple(sorted(found.items())) for found in map(flat, client_context().get_ca_certs())}
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    theirs = {
        tuple(sorted(found.items())) for found in map(flat, ssl.create_default_context().get_ca_certs())
    }
    assert ours == theirs


def flat(certificate: object) -> dict[str, str]:
    assert isinstance(certificate, dict)
    return {str(key): repr(value) for key, value in certificate.items()}


def test_a_system_without_certificates_trusts_botocores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nowhere = str(tmp_path / "nowhere")
    paths = ssl.get_default_verify_paths()._replace(openssl_cafile=nowhere, openssl_capath=str(tmp_path))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    assert client_context().cert_store_stats()["x509_ca"] > 50
