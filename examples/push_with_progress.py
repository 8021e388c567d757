"""Push an image and print what happens: ``python push_with_progress.py SOURCE REPOSITORY TAG``.

Without arguments it pushes a tiny image to a local ECR Public.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from tiny_image import write_image

from aioecrpublic import ECRPublicClient, PushEvent, push_image
from aioecrpublic.local import LocalECRPublic
from aioecrpublic.push import LayerCompleted, LayerProgress, LayerSkipped, PushCompleted


def show(event: PushEvent) -> None:
    match event:
        case LayerProgress():
            print(f"{event.digest[:19]}  {event.bytes_confirmed:>10} of {event.size} bytes")
        case LayerCompleted():
            print(f"{event.digest[:19]}  uploaded")
        case LayerSkipped():
            print(f"{event.digest[:19]}  is there")
        case PushCompleted():
            print(f"pushed {event.result.image_uri} in {event.result.elapsed:.2f} s")


async def push(client: ECRPublicClient, source: str, repository: str, tag: str) -> None:
    await push_image(client, source, repository, [tag], create_repository=True, on_event=show)


async def main() -> None:
    if len(sys.argv) == 4:
        async with ECRPublicClient() as client:
            await push(client, *sys.argv[1:])
        return
    with tempfile.TemporaryDirectory() as directory:
        write_image(Path(directory), "hello, registry\n")
        async with (
            LocalECRPublic() as server,
            ECRPublicClient(endpoint_url=server.endpoint_url, credentials=server.credentials) as client,
        ):
            await push(client, f"oci:{directory}", "team/greeting", "1.0")
            await push(client, f"oci:{directory}", "team/greeting", "again")


if __name__ == "__main__":
    asyncio.run(main())
