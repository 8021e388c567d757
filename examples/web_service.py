"""A web service that pushes images, with a page that shows each push while it runs.

``python web_service.py PORT DIRECTORY`` serves it: ``GET /`` is the page, ``POST /push/NAME`` pushes the OCI
layout ``DIRECTORY/NAME``, ``GET /push/NAME`` tells what happens, as server-sent events. Without arguments it
pushes a tiny image to a local ECR Public, and is its own visitor.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
from aiohttp import web
from tiny_image import write_image

from aioecrpublic import ECRPublicClient, ECRPublicError, PushEvent, push_image
from aioecrpublic.local import LocalECRPublic
from aioecrpublic.push import LayerCompleted, LayerProgress, LayerSkipped, PushCompleted

PAGE = """<!doctype html><title>Pushes</title>
<form onsubmit="start(image.value); return false">
  <input id="image" placeholder="name of an image"> <button>Push</button>
</form>
<pre id="log"></pre>
<script>
  async function start(name) {
    const log = document.getElementById("log");
    const answer = await fetch(`/push/${name}`, {method: "POST"});
    log.textContent = `${name}: ${await answer.text()}\\n`;
    if (!answer.ok) return;
    const events = new EventSource(`/push/${name}`);
    events.onmessage = event => log.textContent += event.data + "\\n";
    events.addEventListener("end", () => events.close());
  }
</script>
"""


class Push:
    """A push under way: what it has told so far, and a bell for those who wait for more."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.ended = False
        self._bell = asyncio.Condition()

    async def run(self, client: ECRPublicClient, source: Path, repository: str) -> None:
        try:
            await push_image(
                client, f"oci:{source}", repository, ["latest"], create_repository=True, on_event=self._tell
            )
        except ECRPublicError as error:
            self.lines.append(f"failed: {error}")
        finally:
            async with self._bell:
                self.ended = True
                self._bell.notify_all()

    async def follow(self) -> AsyncGenerator[str]:
        """Every line from the first on, as it comes."""
        seen = 0
        while not self.ended or seen < len(self.lines):
            async with self._bell:
                while not self.ended and seen == len(self.lines):
                    await self._bell.wait()
            for line in self.lines[seen:]:
                seen += 1
                yield line

    async def _tell(self, event: PushEvent) -> None:
        match event:
            case LayerProgress():
                line = f"{event.digest[:19]} {event.bytes_confirmed} of {event.size} bytes"
            case LayerCompleted() | LayerSkipped():
                line = f"{event.digest[:19]} is there"
            case PushCompleted():
                line = f"pushed {event.result.image_uri}"
            case _:
                return
        async with self._bell:
            self.lines.append(line)
            self._bell.notify_all()


class Service:
    """The routes, one client for all of them, and the pushes that were started."""

    def __init__(self, client: ECRPublicClient, directory: Path) -> None:
        self._client = client
        self._directory = directory
        self._pushes: dict[str, Push] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def page(self, _: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def start(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if not await asyncio.to_thread((self._directory / name).is_dir):
            raise web.HTTPNotFound(text=f"there is no image {name}")
        running = self._pushes.get(name)
        if running is None or running.ended:
            push = self._pushes[name] = Push()
            task = asyncio.create_task(push.run(self._client, self._directory / name, f"team/{name}"))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return web.Response(text="started", status=202)

    async def events(self, request: web.Request) -> web.StreamResponse:
        push = self._pushes.get(request.match_info["name"])
        if push is None:
            raise web.HTTPNotFound
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        async for line in push.follow():
            await response.write(f"data: {line}\n\n".encode())
        await response.write(b"event: end\ndata: end\n\n")
        return response

    async def stop(self, _: web.Application) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def serving(client: ECRPublicClient, directory: Path, port: int = 0) -> AsyncGenerator[str]:
    service = Service(client, directory)
    app = web.Application()
    app.router.add_get("/", service.page)
    app.router.add_post("/push/{name:[a-z0-9-]+}", service.start)
    app.router.add_get("/push/{name:[a-z0-9-]+}", service.events)
    app.on_shutdown.append(service.stop)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def visit(url: str) -> None:
    """Do what the page does in a browser."""
    async with aiohttp.ClientSession(url) as session:
        async with session.get("/") as page:
            print(page.status, page.content_type)
        for name in ("missing", "greeting"):
            async with session.post(f"/push/{name}") as answer:
                print(answer.status, await answer.text())
        async with session.get("/push/greeting") as events:
            async for line in events.content:
                print(line.decode(), end="")


async def main() -> None:
    if len(sys.argv) == 3:
        async with (
            ECRPublicClient() as client,
            serving(client, Path(sys.argv[2]), int(sys.argv[1])) as url,
        ):
            print(f"serving at {url}")
            await asyncio.Event().wait()
    with tempfile.TemporaryDirectory() as directory:
        write_image(Path(directory) / "greeting", "hello, registry\n")
        async with (
            LocalECRPublic() as server,
            ECRPublicClient(endpoint_url=server.endpoint_url, credentials=server.credentials) as client,
            serving(client, Path(directory)) as url,
        ):
            await visit(url)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
