import datetime as dt
from collections.abc import Callable, Mapping
from typing import NamedTuple

class ReadOnlyCredentials(NamedTuple):
    access_key: str | None
    secret_key: str | None
    token: str | None
    account_id: str | None = ...

class Credentials:
    access_key: str
    secret_key: str
    token: str | None
    method: str
    account_id: str | None
    def __init__(
        self,
        access_key: str,
        secret_key: str,
        token: str | None = None,
        method: str | None = None,
        account_id: str | None = None,
    ) -> None: ...
    def get_frozen_credentials(self) -> ReadOnlyCredentials: ...

class RefreshableCredentials(Credentials):
    def __init__(
        self,
        access_key: str,
        secret_key: str,
        token: str | None,
        expiry_time: dt.datetime | None,
        refresh_using: Callable[[], Mapping[str, str]],
        method: str,
        time_fetcher: Callable[[], dt.datetime] = ...,
        advisory_timeout: int | None = None,
        mandatory_timeout: int | None = None,
        account_id: str | None = None,
    ) -> None: ...
    _advisory_refresh_timeout: int
    _frozen_credentials: ReadOnlyCredentials | None
    _mandatory_refresh_timeout: int
    def refresh_needed(self, refresh_in: float | None = None) -> bool: ...
