"""What every test starts from: no AWS configuration, no proxies, hypothesis without deadlines, Ctrl-C."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

hypothesis.settings.register_profile("aioecrpublic", deadline=None, max_examples=15, derandomize=True)
hypothesis.settings.load_profile("aioecrpublic")


@pytest.fixture(scope="session", autouse=True)  # ruff: ignore[pytest-fixture-autouse] - all start so
def no_configuration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Take away what the machine has configured; a test sets what it wants to be there."""
    nowhere = tmp_path_factory.mktemp("no-aws")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            ours = name.startswith("AWS_") or name == "AIOECRPUBLIC_REGISTRY_URL"
            trusts = name.endswith("_CA_BUNDLE") or name.startswith("SSL_CERT_")
            if ours or trusts or name.lower().endswith("_proxy"):
                patch.delenv(name)
        patch.setenv("AWS_CONFIG_FILE", str(nowhere / "config"))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(nowhere / "credentials"))
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="session", autouse=True)  # ruff: ignore[pytest-fixture-autouse] - all start so
def interruptible() -> Iterator[None]:
    """Let the programs that tests start be interrupted, though a shell may have started us to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
