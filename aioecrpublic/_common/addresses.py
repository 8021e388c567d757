"""What more than one part knows about addresses."""

from __future__ import annotations

import ipaddress

import yarl

REGISTRY_URL = "AIOECRPUBLIC_REGISTRY_URL"
"""The variable that says where images are pulled from, for an ECR Public that is not AWS's."""


def is_this_machine(authority: str) -> bool:
    """Say whether `HOST` or `HOST:PORT` is a name or an address of this machine."""
    host = yarl.URL(f"http://{authority}/").host or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
