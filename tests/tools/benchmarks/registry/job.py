"""What a child process is told to do, and what it tells then."""

from __future__ import annotations

from typing import Final

import attrs

PUSH: Final = "push"
PULL: Final = "pull"
# How often each image is pulled: once takes too little time for figures.
PULLS: Final = 3


@attrs.frozen(kw_only=True)
class Job:
    """Push images to a registry and pull them, while it is watched.

    Attributes:
        contestant: Whose name it is.
        url: Where the registry answers.
        pid: The registry's process.
        warm: The directory of the layout to begin with, unmeasured.
        layouts: The directories of those that are measured.
        clients: How many clients share them.
        at_once: How many layers a client has under way at once.
    """

    contestant: str
    url: str
    pid: int
    warm: str
    layouts: list[str]
    clients: int
    at_once: int


@attrs.frozen(kw_only=True)
class Taken:
    """What pushing or pulling took.

    Attributes:
        wall: Seconds.
        images_per_s: Images a second.
        mib_per_s: MiB a second, manifests included.
        cpu: Seconds of CPU of the registry.
        client_cpu: Seconds of CPU of the clients' process.
        peak_mib: MiB of resident memory of the registry, above what it had just before, at the most.
    """

    wall: float
    images_per_s: float
    mib_per_s: float
    cpu: float
    client_cpu: float
    peak_mib: float
