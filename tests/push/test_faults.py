"""Whatever the network and the service do: the image arrives bit for bit, or a clear error does."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from aioecrpublic import push_image
from aioecrpublic._runtime import retry
from aioecrpublic.errors import ECRPublicError
from aioecrpublic.local import LocalECRPublic
from aioecrpublic.local.state import Settings
from aioecrpublic.push import events as events_module
from aioecrpublic.push import layer, patience
from aioecrpublic.push.budget import budget_of
from tests.push.helpers import REPOSITORY, assert_in_order, connect, small_parts, tags_of
from tests.support.fault_proxy import FAULTS, FaultProxy, fault_proxy
from tests.support.oci import LayoutBuilder, random_layer
from tests.support.soak import SOAK
from tests.support.waiting import until_blocking

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aioecrpublic.push import PushEvent
    from tests.support.oci import BuiltImage

PART = 80 * 1024
READ_TIMEOUT = 0.12
TAGS = ["1.0", "latest"]
# The slowest plan is a row of stalls; this is far beyond it.
NO_HANG = 60.0


@pytest.fixture(scope="module")
def quick_and_small() -> Iterator[None]:
    """Pauses that are over at once, and layers of many parts that are small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retry, "_TRANSIENT_SCALE", 0.001)
        patch.setattr(retry, "_THROTTLING_SCALE", 0.001)
        patch.setattr(patience, "_FIRST_PAUSE", 0.001)
        patch.setattr(patience, "_LONGEST_PAUSE", 0.005)
        # Progress is asked for between any two steps of a push.
        patch.setattr(events_module, "_TICK", 0.0005)
        patch.setattr(layer, "SHORTEST_PAUSE", 0.0)
        small_parts(patch, PART)
        yield


@pytest.fixture(scope="module")
def proxy(quick_and_small: None) -> Iterator[FaultProxy]:
    with fault_proxy() as proxy:
        yield proxy


@st.composite
def plans(draw: st.DrawFn) -> dict[int, str]:
    """Which requests meet which fault: single ones, or rows of the same."""
    plan: dict[int, str] = {}
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, 40))
        fault = draw(st.sampled_from(FAULTS))
        most = 3 if fault.startswith("stall") else 40
        for number in range(start, start + draw(st.one_of(st.integers(1, 3), st.integers(1, most)))):
            plan[number] = fault
    return plan


def _write(path: Path, *, index: bool) -> BuiltImage:
    builder = LayoutBuilder(path)
    shared = [random_layer(3 * PART + 11, 1), random_layer(PART + 1, 2)]
    one = builder.image([*shared, random_layer(1000, 3)])
    if not index:
        return builder.tag(one, "1")
    other = builder.image([*shared, random_layer(2 * PART, 4)], platform="linux/arm64")
    return builder.tag(builder.index([one, other]), "1")


async def _run(proxy: FaultProxy, plan: Mapping[int, str], *, index: bool, jobs: int, journal: bool) -> str:
    """One push through the faults of ``plan``, and one without if that failed; how the first ended."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        image = await asyncio.to_thread(_write, path / "layout", index=index)
        events: list[PushEvent] = []
        options = {
            "jobs": jobs,
            "journal": path / "journal" if journal else None,
            "on_event": events.append,
        }
        registry = LocalECRPublic(settings=Settings(part_size=PART, smallest_part=PART))
        async with registry as server, connect(server) as direct:
            await direct.create_repository(repository_name=REPOSITORY)
            port = int(server.endpoint_url.rpartition(":")[2])
            await asyncio.to_thread(proxy.plan, dict(plan), port)
            outcome = "pushed"
            async with connect(server, endpoint_url=proxy.url, read_timeout=READ_TIMEOUT) as client:
                before = asyncio.all_tasks()
                try:
                    await push_image(client, str(image.directory), REPOSITORY, TAGS, **options)  # type: ignore[arg-type]
                except ECRPublicError as error:
                    outcome = f"{type(error).__name__}: {error}"
                assert [task for task in asyncio.all_tasks() - before if _is_of_the_push(task)] == []
                assert budget_of(client).used == 0
            if events:
                assert_in_order(events, completed=outcome == "pushed")
            await asyncio.to_thread(proxy.plan, {}, port)
            await _hold_what_is_tagged(server, direct, image, complete=outcome == "pushed")
            if outcome != "pushed":
                events.clear()
                async with connect(server, endpoint_url=proxy.url) as client:
                    await push_image(client, str(image.directory), REPOSITORY, TAGS, **options)  # type: ignore[arg-type]
                assert_in_order(events)
                await _hold_what_is_tagged(server, direct, image, complete=True)
            assert not (path / "journal").exists()
        return outcome


def _is_of_the_push(task: asyncio.Task[object]) -> bool:
    return "aioecrpublic/push" in repr(task)


async def _hold_what_is_tagged(
    server: LocalECRPublic, client: object, image: BuiltImage, *, complete: bool
) -> None:
    """Only the image is tagged, and what is tagged is all there, bit for bit."""
    there = await tags_of(client)  # type: ignore[arg-type]
    tagged = {digest: tags for digest, tags in there.items() if tags}
    assert there.keys() <= set(image.manifests)
    assert tagged.keys() <= {image.digest}
    if complete:
        assert tagged == {image.digest: sorted(TAGS)}
        assert there.keys() == set(image.manifests)
    for digest in there:
        assert await server.read_manifest(REPOSITORY, digest) == image.read(digest)
    if tagged:
        for digest in (*image.configs, *image.layers):
            assert await server.read_blob(digest) == image.read(digest)


def _push(proxy: FaultProxy, plan: Mapping[int, str], *, index: bool, jobs: int, journal: bool) -> str:
    async def bounded() -> str:
        async with asyncio.timeout(NO_HANG):
            outcome = await _run(proxy, plan, index=index, jobs=jobs, journal=journal)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not [task for task in left if _is_of_the_push(task)]
        return outcome

    files = _open_files()
    outcome = asyncio.run(bounded())
    # The threads of calls that were cut off end on their own, and close what they read then.
    until_blocking(lambda: _open_files() <= files)
    return outcome


def _open_files() -> set[str]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.add(f"{entry.name} {entry.readlink()}")
        except FileNotFoundError:
            continue
    return found


@pytest.mark.timeout(0)
@pytest.mark.slow
@settings(
    max_examples=5000 if SOAK else 300,
    deadline=None,
    derandomize=not SOAK,
    print_blob=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]
    if SOAK
    else [Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(plan=plans(), index=st.booleans(), jobs=st.integers(1, 4), journal=st.booleans())
@pytest.mark.slow
def test_whatever_happens_the_image_is_right_or_an_error_is_clear(
    proxy: FaultProxy, plan: dict[int, str], *, index: bool, jobs: int, journal: bool
) -> None:
    _push(proxy, plan, index=index, jobs=jobs, journal=journal)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("index", [False, True])
def test_a_fault_here_and_there_is_mended(proxy: FaultProxy, fault: str, *, index: bool) -> None:
    plan = dict.fromkeys(range(1, 200, _distance(fault)), fault)
    assert _push(proxy, plan, index=index, jobs=3, journal=True) == "pushed"


def _distance(fault: str) -> int:
    """How far apart the faults are that a push can make its way through.

    An upload that is lost begins again: a check, and then, for the largest layer, six requests that must all
    be spared. Anything else costs one request.
    """
    return 12 if fault == "lost-upload" else 5
