"""Pushing images: plan, upload, put; with events, a memory budget, and recovery at the smallest scope."""

from aioecrpublic.push.api import push_image, push_images, upload_layer
from aioecrpublic.push.budget import DEFAULT_BUDGET
from aioecrpublic.push.copy import copy_image
from aioecrpublic.push.errors import PushError
from aioecrpublic.push.events import (
    LayerCompleted,
    LayerProgress,
    LayerResumed,
    LayerSkipped,
    LayerStarted,
    ManifestPut,
    OnEvent,
    PartRetried,
    PushCompleted,
    PushEvent,
    PushStarted,
)
from aioecrpublic.push.job import ImageJob
from aioecrpublic.push.result import LayerResult, PushResult, ReferrerFailure

__all__ = [
    "DEFAULT_BUDGET",
    "ImageJob",
    "LayerCompleted",
    "LayerProgress",
    "LayerResult",
    "LayerResumed",
    "LayerSkipped",
    "LayerStarted",
    "ManifestPut",
    "OnEvent",
    "PartRetried",
    "PushCompleted",
    "PushError",
    "PushEvent",
    "PushResult",
    "PushStarted",
    "ReferrerFailure",
    "copy_image",
    "push_image",
    "push_images",
    "upload_layer",
]
