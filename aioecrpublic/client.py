"""The client of Amazon ECR Public."""

from __future__ import annotations

import asyncio
import re
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, TypeVar

from aioecrpublic._generated.errors import ImageNotFoundException, RepositoryNotFoundException
from aioecrpublic._generated.operations import Operations
from aioecrpublic._generated.types import ImageDetail, ImageIdentifier, Repository
from aioecrpublic._runtime.arguments import check_limit, check_positive
from aioecrpublic._runtime.errors import ServiceError, ValidationError, WaiterError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from aioecrpublic._runtime.validate import Hint

__all__ = ["ECRPublicClient"]

_T = TypeVar("_T")


def _explain_repository_name(value: str) -> str | None:
    """The classic mistake in words of its own: an image's URI where a repository's name belongs."""
    match = re.fullmatch(r"(?:https?://)?public\.ecr\.aws/[^/]+/(?P<name>[^:@]+)(?:[:@].*)?", value)
    if match:
        return f"{value!r} is an image URI; the repository's name is {match['name']!r}"
    match = re.fullmatch(r"(?P<name>[^:@]+)[:@].+", value)
    if match:
        return f"{value!r} has a tag or digest; the repository's name is {match['name']!r}"
    return None


class ECRPublicClient(Operations):
    """An async client of Amazon ECR Public: a coroutine method for each operation, paginators, waiters.

    ::

        async with ECRPublicClient() as client:
            await client.create_repository(repository_name="team/app")
            async for image in client.paginate_describe_images(repository_name="team/app"):
                print(image.image_tags)

    Regions, credentials and everything else are found as every AWS SDK finds them. A configured region that
    does not serve ECR Public gives way to us-east-1; one that is asked for by argument is an error. All that
    it takes is listed at ``aioecrpublic._runtime.client.BaseClient``.
    """

    hints: ClassVar[Mapping[str, Hint]] = MappingProxyType({"RepositoryName": _explain_repository_name})

    async def wait_until_repository_exists(
        self,
        *,
        repository_name: str,
        registry_id: str | None = None,
        timeout: float = 60.0,  # noqa: ASYNC109 - its error names what was waited for
        poll_interval: float = 2.0,
    ) -> Repository:
        """Wait for a repository to be there.

        Args:
            repository_name: Its name.
            registry_id: The account that it belongs to, if it is not the caller's.
            timeout: Seconds to wait at the most.
            poll_interval: Seconds between two looks.

        Returns:
            The repository.

        Raises:
            ConfigurationError: The timeout or the interval is not a number of seconds.
            WaiterError: It did not come in time; the service's last answer is its cause.
            ECRPublicError: As ``describe_repositories``, but for its not being there.
        """

        async def look() -> Repository | None:
            response = await self.describe_repositories(
                repository_names=[repository_name], registry_id=registry_id
            )
            return next(iter(response.repositories), None)

        what = f"repository {repository_name!r}"
        return await _poll(look, (RepositoryNotFoundException,), what, timeout, poll_interval)

    async def wait_until_image_exists(
        self,
        *,
        repository_name: str,
        image_tag: str | None = None,
        image_digest: str | None = None,
        registry_id: str | None = None,
        timeout: float = 60.0,  # noqa: ASYNC109 - its error names what was waited for
        poll_interval: float = 2.0,
    ) -> ImageDetail:
        """Wait for an image to be there, by tag, by digest, or both.

        Args:
            repository_name: The repository's name.
            image_tag: The tag that it is to have.
            image_digest: Its digest.
            registry_id: The account that the repository belongs to, if it is not the caller's.
            timeout: Seconds to wait at the most.
            poll_interval: Seconds between two looks.

        Returns:
            The image.

        Raises:
            ValidationError: Neither a tag nor a digest is given.
            ConfigurationError: The timeout or the interval is not a number of seconds.
            WaiterError: It did not come in time; the service's last answer is its cause.
            ECRPublicError: As ``describe_images``, but for its not being there.
        """
        if image_tag is None and image_digest is None:
            raise ValidationError("wait_until_image_exists", ("image_tag or image_digest is required",))

        async def look() -> ImageDetail | None:
            response = await self.describe_images(
                repository_name=repository_name,
                registry_id=registry_id,
                image_ids=[ImageIdentifier(image_tag=image_tag, image_digest=image_digest)],
            )
            return next(iter(response.image_details), None)

        what = f"image {image_tag or image_digest!r} in {repository_name!r}"
        missing = (ImageNotFoundException, RepositoryNotFoundException)
        return await _poll(look, missing, what, timeout, poll_interval)


async def _poll(
    look: Callable[[], Awaitable[_T | None]],
    missing: tuple[type[ServiceError], ...],
    what: str,
    timeout: float,  # noqa: ASYNC109 - the last answer is to be the error's cause
    interval: float,
) -> _T:
    check_positive("poll_interval", interval)
    deadline = time.monotonic() + check_limit("timeout", timeout)
    while True:
        answer: ServiceError | None = None
        try:
            if (found := await look()) is not None:
                return found
        except missing as error:
            answer = error
        left = deadline - time.monotonic()
        if left <= 0:
            raise WaiterError(f"{what} did not come within {timeout:g} s") from answer
        await asyncio.sleep(min(interval, left))
