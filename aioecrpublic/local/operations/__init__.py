"""What the registry does for each operation: functions from a request to a response."""

from aioecrpublic.local.operations.table import FREEING_ROOM, HANDLERS, TAKING_ROOM, Handler

__all__ = ["FREEING_ROOM", "HANDLERS", "TAKING_ROOM", "Handler"]
