"""Typed async client SDK for Amazon ECR Public.

``ECRPublicClient`` speaks to the service, ``push_image`` brings container images into it, and
``aioecrpublic.local`` is a registry of the same behaviour on your own machine. Requests, responses and the
structures in them are in ``aioecrpublic.types``, errors in ``aioecrpublic.errors``.
"""

from aioecrpublic._base import ECRPublicError
from aioecrpublic._runtime.credentials import Credentials
from aioecrpublic._runtime.errors import (
    ClientStateError,
    ConfigurationError,
    CredentialsError,
    ServiceError,
    TransportError,
    ValidationError,
    WaiterError,
)
from aioecrpublic._runtime.hooks import Hook
from aioecrpublic._version import __version__
from aioecrpublic.client import ECRPublicClient
from aioecrpublic.images import (
    DockerArchive,
    ImageError,
    ImageSource,
    OCIArchive,
    OCILayout,
    open_image,
)
from aioecrpublic.push import (
    ImageJob,
    LayerResult,
    PushError,
    PushEvent,
    PushResult,
    push_image,
    push_images,
    upload_layer,
)

__all__ = [
    "ClientStateError",
    "ConfigurationError",
    "Credentials",
    "CredentialsError",
    "DockerArchive",
    "ECRPublicClient",
    "ECRPublicError",
    "Hook",
    "ImageError",
    "ImageJob",
    "ImageSource",
    "LayerResult",
    "OCIArchive",
    "OCILayout",
    "PushError",
    "PushEvent",
    "PushResult",
    "ServiceError",
    "TransportError",
    "ValidationError",
    "WaiterError",
    "__version__",
    "open_image",
    "push_image",
    "push_images",
    "upload_layer",
]
