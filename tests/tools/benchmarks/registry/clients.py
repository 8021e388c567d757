"""The clients of a sample: opened and let in, each with connections and a repository of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import aiohttp
import attrs

from aioecrpublic import ECRPublicClient, push_image
from aioecrpublic.local import DEFAULT_CREDENTIALS
from tests.tools.benchmarks.registry.contestants import find
from tests.tools.benchmarks.registry.v2 import V2Client

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AsyncExitStack

    from tests.tools.benchmarks.registry.job import Job
    from tests.tools.benchmarks.registry.v2 import Image

    Push: TypeAlias = Callable[[Image], Awaitable[object]]

# The alias of ours, which its paths begin with; to docker-registry it is a word like any other.
_ALIAS = "local"


@attrs.frozen
class Client:
    """One client.

    Attributes:
        push: Pushes an image.
        v2: Pulls.
    """

    push: Push
    v2: V2Client


async def open_clients(job: Job, stack: AsyncExitStack) -> list[Client]:
    """As many as the job wants, which have been let in."""
    contestant = find(job.contestant)
    clients = []
    for number in range(job.clients):
        repository = f"team/app-{number}"
        session = await stack.enter_async_context(aiohttp.ClientSession())
        v2 = V2Client(session, f"{job.url}/v2/{_ALIAS}/{repository}", job.at_once)
        if contestant.docker:
            clients.append(Client(v2.push, v2))
            continue
        api = await stack.enter_async_context(
            ECRPublicClient(
                region="us-east-1",
                endpoint_url=job.url,
                credentials=DEFAULT_CREDENTIALS,
                rate_limits=False,
            )
        )
        session.headers["Authorization"] = await _let_in(api, repository)
        push = _pushing_by_api(api, repository, job.at_once) if contestant.api else v2.push
        clients.append(Client(push, v2))
    return clients


async def _let_in(api: ECRPublicClient, repository: str) -> str:
    """Make a repository; the header that allows to push to it."""
    await api.create_repository(repository_name=repository)
    found = (await api.get_authorization_token()).authorization_data
    assert found is not None
    return f"Bearer {found.authorization_token}"


def _pushing_by_api(api: ECRPublicClient, repository: str, at_once: int) -> Push:
    async def push(image: Image) -> object:
        return await push_image(api, f"oci:{image.layout}", repository, [image.tag], jobs=at_once)

    return push
