"""One call's journey, a module a step; nothing here knows a particular service."""
