"""Count calls, retries and errors with a hook; runs against a local ECR Public that cuts a reply off."""

import asyncio
from collections import Counter

from aioecrpublic import ECRPublicClient
from aioecrpublic.errors import RepositoryNotFoundException
from aioecrpublic.hooks import ErrorEvent, ResponseEvent, RetryEvent
from aioecrpublic.local import Fault, FaultKind, LocalECRPublic


class Metrics:
    """A hook: any of the four methods may be there."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.retries: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.slowest: dict[str, float] = {}

    async def after_response(self, event: ResponseEvent) -> None:
        self.calls[event.operation] += 1
        self.slowest[event.operation] = max(event.elapsed, self.slowest.get(event.operation, 0.0))

    async def on_retry(self, event: RetryEvent) -> None:
        self.retries[event.operation] += 1

    async def on_error(self, event: ErrorEvent) -> None:
        self.errors[f"{event.operation}: {type(event.error).__name__}"] += 1


async def main() -> None:
    metrics = Metrics()
    async with (
        LocalECRPublic(faults=[Fault(kind=FaultKind.CUT, operation="DescribeRepositories")]) as server,
        ECRPublicClient(
            endpoint_url=server.endpoint_url, credentials=server.credentials, hooks=[metrics]
        ) as client,
    ):
        for name in ("team/one", "team/two"):
            await client.create_repository(repository_name=name)
        names = [repository.repository_name async for repository in client.paginate_describe_repositories()]
        print("repositories:", *names)
        try:
            await client.describe_images(repository_name="team/three")
        except RepositoryNotFoundException as error:
            print(error.message)
    for operation, calls in metrics.calls.items():
        print(f"{operation}: {calls} calls, {metrics.retries[operation]} retries, "
              f"{metrics.slowest[operation] * 1000:.1f} ms at the most")  # fmt: skip
    print("errors:", dict(metrics.errors))


if __name__ == "__main__":
    asyncio.run(main())
