"""The hosts of ECR Public's registry: whose passwords the credential helper gives, and who is to ask it."""

from __future__ import annotations

import os
from typing import Final

from aioecrpublic._common.addresses import REGISTRY_URL
from aioecrpublic._runtime.errors import ConfigurationError
from aioecrpublic.images.docker_config import host_of
from aioecrpublic.images.registry_urls import is_authority

PUBLIC_HOSTS: Final = ("public.ecr.aws", "ecr-public.aws.com")
"""The registry by IPv4, and by IPv4 and IPv6 (Amazon ECR Public user guide, "Making requests")."""

_ENDPOINT_URL: Final = "AWS_ENDPOINT_URL_ECR_PUBLIC"


def configured_host() -> str | None:
    """Return the host of the registry that the environment says images are pulled from, if it says one.

    Raises:
        ConfigurationError: What it says has no host.
    """
    url = os.environ.get(REGISTRY_URL)
    if not url:
        return None
    host = host_of(url)
    if not is_authority(host):
        raise ConfigurationError(f"{REGISTRY_URL} must be a URL with a host (got {url!r})")
    return host


def helper_hosts() -> tuple[str, ...]:
    """Return the hosts that the credential helper answers for.

    They are those of ECR Public and, where the environment leads to another service that speaks its language
    such as a local registry, that one's.
    """
    found = (host_of(os.environ.get(name, "")) for name in (_ENDPOINT_URL, REGISTRY_URL))
    return tuple(dict.fromkeys([*PUBLIC_HOSTS, *(host for host in found if is_authority(host))]))
