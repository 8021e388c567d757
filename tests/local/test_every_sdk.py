"""All operations through SDKs that we did not write; they must not notice where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.local.scenario import tell
from tests.local.sdks import aiobotocore_client, aws_cli, boto3_client, javascript

if TYPE_CHECKING:
    from aioecrpublic.local import LocalECRPublic


def test_boto3(server: LocalECRPublic) -> None:
    with boto3_client(server) as call:
        tell(call)


# aiohttp advises aiobotocore against the way it sends large bodies.
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
def test_aiobotocore(server: LocalECRPublic) -> None:
    with aiobotocore_client(server) as call:
        tell(call)


@pytest.mark.interop
def test_the_aws_cli(server: LocalECRPublic) -> None:
    with aws_cli(server) as call:
        tell(call)


@pytest.mark.interop
def test_the_javascript_sdk(server: LocalECRPublic) -> None:
    with javascript(server) as call:
        tell(call)
