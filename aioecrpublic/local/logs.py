"""What the registry logs: one line for each thing, harmless whatever a peer has put into it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from aiohttp.abc import AbstractAccessLogger

from aioecrpublic._common.logs import get_logger

if TYPE_CHECKING:
    from aiohttp import web

log: Final[logging.Logger] = get_logger("aioecrpublic.local")
ACCESS_LOG: Final[logging.Logger] = get_logger("aioecrpublic.local.access")


def log_failure(what: str, error: BaseException) -> None:
    """Log a failure of the registry's own, with its traceback."""
    log.error("%s", what, exc_info=error)


class AccessLogger(AbstractAccessLogger):
    """Logs each request that was answered."""

    @property
    def enabled(self) -> bool:
        """Whether anything is logged."""
        return self.logger.isEnabledFor(logging.INFO)

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Log a request and its response."""
        line = f"{request.method} {request.path_qs} HTTP/{request.version.major}.{request.version.minor}"
        agent = request.headers.get("User-Agent", "-")
        self.logger.info(
            '%s "%s" %d %d "%s" %.6f',
            request.remote,
            line,
            response.status,
            response.body_length,
            agent,
            time,
        )
