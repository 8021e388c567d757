"""Typed async client SDK for Amazon ECR Public.

``ECRPublicClient`` speaks to the service, ``push_image`` brings container images into it, and
``aioecrpublic.local`` is a registry of the same behaviour on your own machine, which
``aioecrpublic.pytest_plugin`` starts for tests. Requests, responses and the structures in them are in
``aioecrpublic.types``, errors in ``aioecrpublic.errors``, what a push tells in ``aioecrpublic.push``, where
images come from in ``aioecrpublic.images``, what hooks are told in ``aioecrpublic.hooks``; pruning, logins
and the gallery's page are in ``aioecrpublic.manage``.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from aioecrpublic._version import __version__

if TYPE_CHECKING:
    from aioecrpublic._common.errors import ECRPublicError
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
    from aioecrpublic.client import ECRPublicClient
    from aioecrpublic.images import (
        DockerArchive,
        ImageError,
        ImageSource,
        OCIArchive,
        OCILayout,
        RegistryImage,
        open_image,
    )
    from aioecrpublic.manage import (
        CatalogChange,
        CatalogResult,
        PlannedImage,
        PruneFailure,
        PrunePlan,
        PruneResult,
        PruneRules,
        RegistryToken,
        execute_prune,
        login,
        plan_prune,
        prune,
        registry_token,
        sync_catalog,
        use_credential_helper,
    )
    from aioecrpublic.push import (
        ImageJob,
        LayerResult,
        PushError,
        PushEvent,
        PushResult,
        copy_image,
        push_image,
        push_images,
        upload_layer,
    )

__all__ = [
    "CatalogChange",
    "CatalogResult",
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
    "PlannedImage",
    "PruneFailure",
    "PrunePlan",
    "PruneResult",
    "PruneRules",
    "PushError",
    "PushEvent",
    "PushResult",
    "RegistryImage",
    "RegistryToken",
    "ServiceError",
    "TransportError",
    "ValidationError",
    "WaiterError",
    "__version__",
    "copy_image",
    "execute_prune",
    "login",
    "open_image",
    "plan_prune",
    "prune",
    "push_image",
    "push_images",
    "registry_token",
    "sync_catalog",
    "upload_layer",
    "use_credential_helper",
]

# Loaded when first used: who only calls the service does not pay for reading and pushing images, and who only
# has the package installed, such as a run of pytest that finds its plugin, pays for nothing.
_LAZY = {
    name: module
    for module, names in {
        "_common.errors": ("ECRPublicError",),
        "_runtime.credentials": ("Credentials",),
        "_runtime.errors": (
            "ClientStateError",
            "ConfigurationError",
            "CredentialsError",
            "ServiceError",
            "TransportError",
            "ValidationError",
            "WaiterError",
        ),
        "_runtime.hooks": ("Hook",),
        "client": ("ECRPublicClient",),
        "images": (
            "DockerArchive",
            "ImageError",
            "ImageSource",
            "OCIArchive",
            "OCILayout",
            "RegistryImage",
            "open_image",
        ),
        "manage": (
            "CatalogChange",
            "CatalogResult",
            "PlannedImage",
            "PruneFailure",
            "PrunePlan",
            "PruneResult",
            "PruneRules",
            "RegistryToken",
            "execute_prune",
            "login",
            "plan_prune",
            "prune",
            "registry_token",
            "sync_catalog",
            "use_credential_helper",
        ),
        "push": (
            "ImageJob",
            "LayerResult",
            "PushError",
            "PushEvent",
            "PushResult",
            "copy_image",
            "push_image",
            "push_images",
            "upload_layer",
        ),
    }.items()
    for name in names
}


def __getattr__(name: str) -> object:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
