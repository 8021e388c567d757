"""Reading container images from anywhere; nothing in here knows AWS.

A source (`OCILayout`, `OCIArchive`, `DockerArchive`, `DirectoryImage`, `RegistryImage`, or what `open_image`
makes of a string) is opened, `load_image` walks it into an `ImageGraph`, and blobs are then read range by
range.
"""

from aioecrpublic.images.archive import OCIArchive
from aioecrpublic.images.blobs import FileBlob
from aioecrpublic.images.compressing import CompressedImage
from aioecrpublic.images.descriptor import Descriptor, Platform
from aioecrpublic.images.directory import DirectoryImage
from aioecrpublic.images.docker_archive import DockerArchive
from aioecrpublic.images.docker_config import RegistryCredentials
from aioecrpublic.images.errors import ImageError
from aioecrpublic.images.graph import ImageGraph, ManifestNode, load_image
from aioecrpublic.images.handles import FileRange
from aioecrpublic.images.layout import OCILayout
from aioecrpublic.images.opening import open_image
from aioecrpublic.images.registry import RegistryImage
from aioecrpublic.images.source import Blob, BlobReader, ImageSource

__all__ = [
    "Blob",
    "BlobReader",
    "CompressedImage",
    "Descriptor",
    "DirectoryImage",
    "DockerArchive",
    "FileBlob",
    "FileRange",
    "ImageError",
    "ImageGraph",
    "ImageSource",
    "ManifestNode",
    "OCIArchive",
    "OCILayout",
    "Platform",
    "RegistryCredentials",
    "RegistryImage",
    "load_image",
    "open_image",
]
