class BotoCoreError(Exception):
    fmt: str
    kwargs: dict[str, object]
    def __init__(self, **kwargs: object) -> None: ...
