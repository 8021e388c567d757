from collections.abc import Mapping
from http.client import HTTPMessage
from typing import Any

class AWSRequest:
    method: str | None
    url: str | None
    headers: HTTPMessage
    data: Any
    params: dict[str, str]
    context: dict[str, Any]
    def __init__(
        self,
        method: str | None = None,
        url: str | None = None,
        headers: Mapping[str, str] | None = None,
        data: object = None,
        params: Mapping[str, str] | None = None,
        auth_path: str | None = None,
        stream_output: bool = False,
    ) -> None: ...
    @property
    def body(self) -> bytes | None: ...
