class BotoCoreError(Exception):
    fmt: str
    kwargs: dict[str, object]
    def __init__(self, **kwargs: object) -> None: ...

class ConfigParseError(BotoCoreError): ...
class ProfileNotFound(BotoCoreError): ...  # noqa: N818 - botocore's name
