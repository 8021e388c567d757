"""botocore as an oracle: more of it than the package itself uses, so untyped."""

from __future__ import annotations

import importlib
from typing import Any
from unittest import mock

auth: Any = importlib.import_module("botocore.auth")
awsrequest: Any = importlib.import_module("botocore.awsrequest")
config: Any = importlib.import_module("botocore.config")
credentials: Any = importlib.import_module("botocore.credentials")
exceptions: Any = importlib.import_module("botocore.exceptions")
parsers: Any = importlib.import_module("botocore.parsers")
session: Any = importlib.import_module("botocore.session")
utils: Any = importlib.import_module("botocore.utils")


def sent_request(client: Any, method: str, **parameters: Any) -> Any:
    """The request that a botocore client would send; it is answered with an empty object instead."""
    seen: list[Any] = []

    def catch(request: Any, **_: object) -> Any:
        seen.append(request)
        raw = mock.Mock(stream=lambda *_: iter([b"{}"]))
        return awsrequest.AWSResponse(request.url, 200, {}, raw)

    client.meta.events.register("before-send", catch)
    try:
        getattr(client, method)(**parameters)
    finally:
        client.meta.events.unregister("before-send", catch)
    return seen[0]


def module(name: str) -> Any:
    """One more module of botocore."""
    return importlib.import_module(name)
