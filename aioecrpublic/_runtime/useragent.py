"""The ``User-Agent`` header, in the form that AWS's SDKs share."""

from __future__ import annotations

import functools
import platform
import re

import aiohttp

from aioecrpublic._version import __version__

# RFC 9110, section 5.6.2: what a token may be made of; "#" parts a name from its value.
_FORBIDDEN = re.compile(r"[^A-Za-z0-9!$%&'*+\-.^_`|~,#/ ]")


def user_agent(
    service_id: str, api_version: str, retry_mode: str, app_id: str | None, extra: str | None
) -> str:
    """The header's value."""
    parts = [
        f"aioecrpublic/{__version__}",
        f"md/aiohttp#{aiohttp.__version__}",
        "ua/2.1",
        *_machine(),
        f"api/{service_id.lower().replace(' ', '-')}#{api_version}",
        f"cfg/retry-mode#{retry_mode}",
    ]
    if app_id:
        parts.append(f"app/{_FORBIDDEN.sub('-', app_id)}")
    if extra:
        parts.append(_FORBIDDEN.sub("-", extra))
    return " ".join(parts)


@functools.cache
def _machine() -> tuple[str, ...]:
    return (
        f"os/{platform.system().lower()}#{platform.release()}",
        f"md/arch#{platform.machine()}",
        f"lang/python#{platform.python_version()}",
        f"md/pyimpl#{platform.python_implementation()}",
    )
