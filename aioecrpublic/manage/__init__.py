"""Whole jobs on top of the client."""

from aioecrpublic.manage.login import login, use_credential_helper
from aioecrpublic.manage.token import RegistryToken, registry_token

__all__ = [
    "RegistryToken",
    "login",
    "registry_token",
    "use_credential_helper",
]
