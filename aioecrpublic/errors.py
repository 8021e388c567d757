"""Every error that this package raises; the modelled ones keep the names of the service model.

::

    ECRPublicError
    ├── ConfigurationError      an argument, variable or file that cannot be used
    ├── ClientStateError        a client used before it was opened or after it was closed
    ├── ValidationError         a request the model forbids; nothing was sent
    ├── CredentialsError        no credentials, or they cannot be refreshed
    ├── TransportError          no reply, or one that is not a reply
    │   ├── ConnectError        no connection
    │   ├── TimeoutError        no answer in time
    │   └── BrokenReplyError    cut short, or not what the protocol says
    ├── WaiterError             what was waited for did not come in time
    ├── ServiceError            the service said no
    │   └── …                   every modelled exception, by the model's name
    ├── ImageError              an image that cannot be read as it says it is
    └── PushError               a push that could not be finished
"""

from typing import TYPE_CHECKING

from aioecrpublic._common.errors import ECRPublicError
from aioecrpublic._generated.errors import (
    EmptyUploadException,
    ImageAlreadyExistsException,
    ImageDigestDoesNotMatchException,
    ImageNotFoundException,
    ImageTagAlreadyExistsException,
    InvalidLayerException,
    InvalidLayerPartException,
    InvalidParameterException,
    InvalidTagParameterException,
    LayerAlreadyExistsException,
    LayerPartTooSmallException,
    LayersNotFoundException,
    LimitExceededException,
    ReferencedImagesNotFoundException,
    RegistryNotFoundException,
    RepositoryAlreadyExistsException,
    RepositoryCatalogDataNotFoundException,
    RepositoryNotEmptyException,
    RepositoryNotFoundException,
    RepositoryPolicyNotFoundException,
    ServerException,
    TooManyTagsException,
    UnsupportedCommandException,
    UploadNotFoundException,
)
from aioecrpublic._runtime.errors import (
    BrokenReplyError,
    ClientStateError,
    ConfigurationError,
    ConnectError,
    CredentialsError,
    ServiceError,
    TimeoutError,  # noqa: A004 - a subclass of the builtin
    TransportError,
    ValidationError,
    WaiterError,
)

if TYPE_CHECKING:
    from aioecrpublic.images import ImageError
    from aioecrpublic.push import PushError

__all__ = [
    "BrokenReplyError",
    "ClientStateError",
    "ConfigurationError",
    "ConnectError",
    "CredentialsError",
    "ECRPublicError",
    "EmptyUploadException",
    "ImageAlreadyExistsException",
    "ImageDigestDoesNotMatchException",
    "ImageError",
    "ImageNotFoundException",
    "ImageTagAlreadyExistsException",
    "InvalidLayerException",
    "InvalidLayerPartException",
    "InvalidParameterException",
    "InvalidTagParameterException",
    "LayerAlreadyExistsException",
    "LayerPartTooSmallException",
    "LayersNotFoundException",
    "LimitExceededException",
    "PushError",
    "ReferencedImagesNotFoundException",
    "RegistryNotFoundException",
    "RepositoryAlreadyExistsException",
    "RepositoryCatalogDataNotFoundException",
    "RepositoryNotEmptyException",
    "RepositoryNotFoundException",
    "RepositoryPolicyNotFoundException",
    "ServerException",
    "ServiceError",
    "TimeoutError",
    "TooManyTagsException",
    "TransportError",
    "UnsupportedCommandException",
    "UploadNotFoundException",
    "ValidationError",
    "WaiterError",
]


def __getattr__(name: str) -> type[ECRPublicError]:
    # Reading and pushing images are packages of their own, which who only calls the service need not load.
    if name == "ImageError":
        from aioecrpublic.images import ImageError

        return ImageError
    if name == "PushError":
        from aioecrpublic.push import PushError

        return PushError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
