"""An ECR Public of your own: the API, its store and its rules, in this process or as a command.

It verifies signatures, part order and digests as the service does, so that what works here works there.
"""

from aioecrpublic.local.accounts import DEFAULT_CREDENTIALS, REGISTRY_ID
from aioecrpublic.local.background import BackgroundECRPublic
from aioecrpublic.local.faults import Fault, FaultKind
from aioecrpublic.local.server import LocalECRPublic
from aioecrpublic.local.state import Settings

__all__ = [
    "DEFAULT_CREDENTIALS",
    "REGISTRY_ID",
    "BackgroundECRPublic",
    "Fault",
    "FaultKind",
    "LocalECRPublic",
    "Settings",
]
