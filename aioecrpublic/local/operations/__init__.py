"""What the registry does for each operation: functions from a request to a response."""

from aioecrpublic.local.operations.table import HANDLERS, Handler

__all__ = ["HANDLERS", "Handler"]
