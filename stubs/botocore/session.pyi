from collections.abc import Mapping
from typing import Any

from botocore.credentials import Credentials

class Session:
    def __init__(
        self,
        session_vars: Mapping[str, tuple[Any, ...]] | None = None,
        event_hooks: object | None = None,
        include_builtin_handlers: bool = True,
        profile: str | None = None,
    ) -> None: ...
    @property
    def full_config(self) -> dict[str, Any]: ...
    def get_scoped_config(self) -> dict[str, Any]: ...
    def get_config_variable(self, logical_name: str, methods: object | None = None) -> object: ...
    def get_credentials(self) -> Credentials | None: ...
