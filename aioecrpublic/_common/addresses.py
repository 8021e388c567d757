"""What more than one part knows about addresses."""

from __future__ import annotations

import ipaddress

import yarl

REGISTRY_URL = "AIOECRPUBLIC_REGISTRY_URL"
"""The variable that says where images are pulled from, for an ECR Public that is not AWS's."""


def is_this_machine(authority: str) -> bool:
    """Say whether ``HOST`` or ``HOST:PORT`` is a name or an address of this machine."""
    try:
        return is_loopback(yarl.URL(f"http://{authority}/").raw_host or "")
    except (ValueError, IndexError):  # the latter for "[]", by yarl before 1.18
        return False


def is_loopback(host: str) -> bool:
    """Say whether a host, an IPv6 address without its brackets, is a name or an address of this machine."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
