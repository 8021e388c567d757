"""The repository that is pushed to: its calls, and what is known to be in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from aioecrpublic._generated import service
from aioecrpublic._generated.errors import (
    LimitExceededException,
    RepositoryAlreadyExistsException,
    RepositoryNotFoundException,
)
from aioecrpublic._generated.types import (
    BatchCheckLayerAvailabilityRequest,
    CreateRepositoryRequest,
    DescribeRepositoriesRequest,
    LayerAvailability,
)
from aioecrpublic._runtime.errors import ServiceError, TransportError
from aioecrpublic.push.errors import PushError
from aioecrpublic.push.patience import Patience

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from concurrent.futures import Executor

    from aioecrpublic._runtime.call import Call
    from aioecrpublic._runtime.shapes import Operation, RequestT, ResponseT
    from aioecrpublic.client import ECRPublicClient

BATCH = 100
"""Digests that one BatchCheckLayerAvailability takes (the model's ``BatchedOperationLayerDigestList``)."""


@attrs.define
class Destination:
    """A repository, and how many requests to it had to be sent again.

    Attributes:
        client: What it is reached through.
        repository_name: Its name.
        registry_id: The account or alias that it belongs to, if it is not the caller's.
        retries: Requests that the client sent again.
    """

    client: ECRPublicClient
    repository_name: str
    registry_id: str | None = None
    retries: int = 0

    @property
    def executor(self) -> Executor:
        """The client's worker threads."""
        return self.client._core.opened().executor  # noqa: SLF001 - shared with the client's calls

    async def call(self, operation: Operation[RequestT, ResponseT], request: RequestT) -> ResponseT:
        """Call ``operation``, counting what had to be sent again."""
        response: ResponseT = await self.make(self.prepare(operation, request))
        return response

    async def persist(
        self, operation: Operation[RequestT, ResponseT], request: RequestT, patience: Patience | None = None
    ) -> ResponseT:
        """Call ``operation`` until it is answered.

        Raises:
            PushError: It failed too often.
            ServiceError: The service refuses it.
        """
        if patience is not None:
            return await self._until_answered(operation, request, patience)
        own = Patience(f"repository {self.repository_name}")
        try:
            return await self._until_answered(operation, request, own)
        finally:
            self.retries += own.failures

    async def _until_answered(
        self, operation: Operation[RequestT, ResponseT], request: RequestT, patience: Patience
    ) -> ResponseT:
        while True:
            try:
                return await self.call(operation, request)
            except LimitExceededException:
                # Counted as throttling elsewhere; here it is a quota that waiting does not raise.
                raise
            except (ServiceError, TransportError) as error:
                await patience.outlast(error, f"{operation.name} again")

    def prepare(self, operation: Operation[RequestT, ResponseT], request: RequestT) -> Call:
        """A call to be made later."""
        return self.client._new_call(operation, request)  # noqa: SLF001 - the pipeline's own entrance

    async def make(self, call: Call) -> Any:
        """Make a call, counting what had to be sent again."""
        try:
            response = await call.make()
        except (ServiceError, TransportError) as error:
            self.retries += max(error.attempts - 1, 0)
            raise
        self.retries += response.metadata.attempts - 1
        return response

    async def missing(self, digests: Sequence[str], patience: Patience | None = None) -> set[str]:
        """Those of at most ``BATCH`` digests that are not in the repository.

        An unknown digest is answered as unavailable or as a failure; both mean the same.
        """
        response = await self.persist(
            service.BATCH_CHECK_LAYER_AVAILABILITY,
            BatchCheckLayerAvailabilityRequest(
                repository_name=self.repository_name, registry_id=self.registry_id, layer_digests=digests
            ),
            patience,
        )
        there = {
            layer.layer_digest
            for layer in response.layers
            if layer.layer_availability == LayerAvailability.AVAILABLE
        }
        return set(digests) - there

    async def missing_in_batches(
        self, digests: Sequence[str]
    ) -> AsyncIterator[tuple[Sequence[str], set[str]]]:
        """Each batch of ``digests`` with those of it that are missing."""
        for start in range(0, len(digests), BATCH):
            batch = digests[start : start + BATCH]
            yield batch, await self.missing(batch)

    async def has(self, digest: str, patience: Patience | None = None) -> bool:
        """Whether the repository has the layer."""
        return not await self.missing([digest], patience)

    async def create(self) -> None:
        """Make the repository, unless it is there."""
        try:
            await self.persist(
                service.CREATE_REPOSITORY, CreateRepositoryRequest(repository_name=self.repository_name)
            )
        except RepositoryAlreadyExistsException:
            return

    async def uri(self) -> str | None:
        """The repository's URI; ``None`` if the caller may not ask for it, or is not answered.

        Raises:
            RepositoryNotFoundException: There is no such repository.
        """
        # Only an account id can be asked about; an alias is part of the URI as it is.
        if self.registry_id is not None and not self.registry_id.isdigit():
            return f"public.ecr.aws/{self.registry_id}/{self.repository_name}"
        request = DescribeRepositoriesRequest(
            registry_id=self.registry_id, repository_names=[self.repository_name]
        )
        try:
            response = await self.persist(service.DESCRIBE_REPOSITORIES, request)
        except RepositoryNotFoundException:
            raise
        except (PushError, ServiceError):
            return None
        return response.repositories[0].repository_uri if response.repositories else None
