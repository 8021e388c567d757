"""Keep many repositories the same as their originals elsewhere: ``python mirror_bot.py FILE [SECONDS]``.

Each line of FILE is ``docker://HOST/REPOSITORY:TAG TARGET``; with SECONDS it is done again and again, so long
apart. Layers that are there are not read, so a round that finds nothing new costs a few small requests an
image. Without arguments one local registry is mirrored to another.
"""

import asyncio
import sys
import tempfile
from collections.abc import Iterable
from itertools import starmap
from pathlib import Path

from tiny_image import write_image

from aioecrpublic import ECRPublicClient, ECRPublicError, copy_image, push_image
from aioecrpublic.local import LocalECRPublic

AT_ONCE = 8


async def mirror(client: ECRPublicClient, pairs: Iterable[tuple[str, str]]) -> int:
    """Copy every image that its target lacks; the number of those that could not be copied.

    A failure of one image does not hold up the others, and the next round tries it again.
    """
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(source: str, target: str) -> bool:
        async with turns:
            try:
                result = await copy_image(client, source, target, create_repository=True)
            except ECRPublicError as error:
                print(f"failed   {source}: {error}")
                return False
        if result.layers_uploaded:
            print(
                f"copied   {result.image_uri}: {result.layers_uploaded} layers, {result.bytes_uploaded} bytes"
            )
        else:
            print(f"the same {result.image_uri}")
        return True

    done = await asyncio.gather(*starmap(one, pairs))
    return done.count(False)


async def demonstrate() -> None:
    names = [f"app-{number}" for number in range(5)]
    with tempfile.TemporaryDirectory() as directory:
        async with LocalECRPublic() as theirs, LocalECRPublic() as ours:
            await fill(theirs, names, Path(directory))
            host = theirs.registry_url.removeprefix("http://")
            pairs = [(f"docker://{host}/local/{name}:1.0", f"mirror/{name}") for name in names]
            pairs.append((f"docker://{host}/local/withdrawn:1.0", "mirror/withdrawn"))
            async with ECRPublicClient(
                endpoint_url=ours.endpoint_url, credentials=ours.credentials
            ) as client:
                for turn in ("first", "second"):
                    print(f"{turn} round")
                    failed = await mirror(client, pairs)
                    print(f"{failed} of {len(pairs)} failed")


async def fill(server: LocalECRPublic, names: Iterable[str], directory: Path) -> None:
    async with ECRPublicClient(endpoint_url=server.endpoint_url, credentials=server.credentials) as client:
        for name in names:
            write_image(directory / name, "every image has this layer\n", f"only {name} has this one\n")
            await push_image(client, f"oci:{directory / name}", name, ["1.0"], create_repository=True)


def read_pairs(path: str) -> list[tuple[str, str]]:
    lines = Path(path).read_text("utf-8").splitlines()
    return [(source, target) for source, target in map(str.split, lines)]


async def main() -> None:
    if len(sys.argv) == 1:
        await demonstrate()
        return
    pairs = read_pairs(sys.argv[1])
    async with ECRPublicClient() as client:
        failed = await mirror(client, pairs)
        while len(sys.argv) > 2:
            await asyncio.sleep(float(sys.argv[2]))
            failed = await mirror(client, pairs)
    sys.exit(failed > 0)


if __name__ == "__main__":
    asyncio.run(main())
