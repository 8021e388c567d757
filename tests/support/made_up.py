"""A service that is made up for a test."""

from __future__ import annotations

from typing import Any

from aioecrpublic._runtime.shapes import Service


def service(**facts: Any) -> Service:
    """Return a service of which a test says only what it is about."""
    usual: dict[str, Any] = {
        "name": "made-up",
        "service_id": "Made Up",
        "api_version": "2026-01-01",
        "content_type": "application/x-amz-json-1.1",
        "target_prefix": "MadeUp",
        "signing_name": "made-up",
        "regions": (),
        "endpoints": {},
        "shapes": {},
        "operations": {},
        "errors": {},
    }
    return Service(**usual | facts)
