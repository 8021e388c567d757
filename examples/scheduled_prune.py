"""Remove old nightly builds, every night at three: ``python scheduled_prune.py REPOSITORY [--once]``.

The plan is made first. One that would remove more than half of the repository is somebody's mistake, and is
left for people to look at. Without arguments three nights pass on a local ECR Public.
"""

import asyncio
import datetime as dt
import sys
import tempfile
from pathlib import Path

from tiny_image import write_image

from aioecrpublic import ECRPublicClient, push_image
from aioecrpublic.local import LocalECRPublic
from aioecrpublic.manage import PruneRules, execute_prune, plan_prune

RULES = PruneRules(remove_tags=["nightly-*"], keep_newest=2, keep_tags=["*-pinned"])
LARGEST_SHARE = 0.5
AT = dt.time(3, 0, tzinfo=dt.UTC)


async def clean(client: ECRPublicClient, repository: str, registry_url: str | None = None) -> bool:
    """One run of the job; whether all that was to go has gone."""
    plan = await plan_prune(client, repository, RULES, registry_url=registry_url)
    total = len(plan.images) + len(plan.keep)
    print(f"{repository}: {len(plan.images)} of {total} images are to go, {plan.bytes} bytes")
    for image in plan.images:
        print(f"  {', '.join(image.tags)}: {image.reason}")
    if len(plan.images) > LARGEST_SHARE * total:
        print("  that is more than half of them: nothing was removed")
        return False
    result = await execute_prune(client, plan)
    for failure in result.failures:
        print(f"  {failure.image.digest} is still there: {failure.reason}")
    for failure in result.unconfirmed:
        print(f"  {failure.image.digest} may be there or not: {failure.reason}")
    return not result.failures and not result.unconfirmed


def seconds_until(at: dt.time, now: dt.datetime) -> float:
    today = dt.datetime.combine(now.date(), at)
    return ((today if today > now else today + dt.timedelta(days=1)) - now).total_seconds()


async def build(client: ECRPublicClient, tag: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        write_image(Path(directory), f"this is {tag}\n")
        await push_image(client, f"oci:{directory}", "team/app", [tag], create_repository=True)


async def demonstrate() -> None:
    async with (
        LocalECRPublic() as server,
        ECRPublicClient(endpoint_url=server.endpoint_url, credentials=server.credentials) as client,
    ):
        for tag in ("1.0", "nightly-1-pinned", "nightly-2", "nightly-3"):
            await build(client, tag)
        for night in (4, 5, 6):
            await build(client, f"nightly-{night}")
            await clean(client, "team/app", server.registry_url)
        images = client.paginate_describe_images(repository_name="team/app")
        print("left:", *sorted([image.image_tags[0] async for image in images]))


async def main() -> None:
    if len(sys.argv) == 1:
        await demonstrate()
        return
    while True:
        async with ECRPublicClient() as client:
            done = await clean(client, sys.argv[1])
        if "--once" in sys.argv:
            sys.exit(not done)
        await asyncio.sleep(seconds_until(AT, dt.datetime.now(dt.UTC)))


if __name__ == "__main__":
    asyncio.run(main())
