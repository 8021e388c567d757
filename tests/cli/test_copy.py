"""``aioecrpublic copy`` from registries with TLS and without."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme

from aioecrpublic.local import LocalECRPublic
from tests.images.fake_registry import FakeRegistry
from tests.support.oci import write_image
from tests.support.processes import environment, run

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = ("-m", "aioecrpublic", "copy")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--src-ca", "ca.pem"], None),
        (["--src-tls-verify=false"], None),
        (["--no-src-tls-verify"], None),
        (["--src-ca", "ca.pem", "--src-tls-verify=true"], None),
        (["--src-ca", "other.pem"], "certificate verify failed"),
        (["--src-ca", "none.pem"], "CA bundle 'none.pem' (ca_file) cannot be used"),
        (["--src-ca", "ca.pem", "--no-src-tls-verify"], "ca_file cannot be used with verify_tls=False"),
    ],
)
async def test_a_registry_with_tls(options: list[str], says: str | None, tmp_path: Path) -> None:
    image = write_image(tmp_path / "image")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with FakeRegistry(context) as registry, LocalECRPublic() as server:
        registry.add(image)
        finished = await run(
            *COMMAND, *options, registry.image, "team/app", "--create", "--json",
            cwd=tmp_path, env=environment(tmp_path, server),
        )  # fmt: skip
    if says is None:
        assert finished.status == 0, finished.errors
        assert json.loads(finished.output)["digest"] == image.digest
    else:
        assert finished.status in {1, 2}
        assert says in finished.errors.splitlines()[-1]


async def test_a_registry_without_tls(tmp_path: Path) -> None:
    image = write_image(tmp_path / "image")
    async with FakeRegistry() as registry, LocalECRPublic() as server:
        registry.add(image)
        for options in ([], ["--src-plain-http"], ["--src-plain-http", "--src-tls-verify=false"]):
            finished = await run(
                *COMMAND, registry.image, "team/app", "--create", "--json", *options,
                cwd=tmp_path, env=environment(tmp_path, server),
            )  # fmt: skip
            assert finished.status == 0, finished.errors
        finished = await run(
            *COMMAND, registry.image.replace("docker://", "oci:"), "team/app", "--src-plain-http",
            cwd=tmp_path, env=environment(tmp_path, server),
        )  # fmt: skip
        assert finished.status == 2
        assert "is not docker://HOST/REPOSITORY:TAG" in finished.errors
