"""Push an OCI layout and print what happens: ``python push_with_progress.py LAYOUT REPOSITORY TAG``.

Without arguments it makes a tiny image and pushes it to a local ECR Public.
"""

import asyncio
import hashlib
import json
import sys
import tempfile
from pathlib import Path

from aioecrpublic import ECRPublicClient, PushEvent, push_image
from aioecrpublic.local import LocalECRPublic
from aioecrpublic.push import LayerProgress, LayerSkipped, PushCompleted


def show(event: PushEvent) -> None:
    match event:
        case LayerProgress():
            print(f"{event.digest[:19]}  {event.bytes_confirmed:>10} of {event.size} bytes")
        case LayerSkipped():
            print(f"{event.digest[:19]}  is there")
        case PushCompleted():
            print(f"pushed {event.result.image_uri} in {event.result.elapsed:.2f} s")


async def push(client: ECRPublicClient, layout: str, repository: str, tag: str) -> None:
    await push_image(client, f"oci:{layout}", repository, [tag], create_repository=True, on_event=show)


def write_tiny_image(directory: Path) -> None:
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def add(media_type: str, data: bytes) -> dict[str, str | int]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    kind = "application/vnd.oci.image"
    artifact = {
        "schemaVersion": 2,
        "mediaType": f"{kind}.manifest.v1+json",
        "artifactType": "application/vnd.example.greeting",
        "config": add("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [add("text/plain", b"hello, registry\n")],
    }
    manifest = add(f"{kind}.manifest.v1+json", json.dumps(artifact).encode())
    index = {"schemaVersion": 2, "mediaType": f"{kind}.index.v1+json", "manifests": [manifest]}
    (directory / "index.json").write_text(json.dumps(index))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


async def main() -> None:
    if len(sys.argv) == 4:
        async with ECRPublicClient() as client:
            await push(client, *sys.argv[1:])
        return
    with tempfile.TemporaryDirectory() as directory:
        write_tiny_image(Path(directory))
        async with (
            LocalECRPublic() as server,
            ECRPublicClient(endpoint_url=server.endpoint_url, credentials=server.credentials) as client,
        ):
            await push(client, directory, "team/greeting", "1.0")


if __name__ == "__main__":
    asyncio.run(main())
