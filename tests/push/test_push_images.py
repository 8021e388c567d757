from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import attrs
import pytest

from aioecrpublic import ImageError, push_image, push_images
from aioecrpublic.errors import ClientStateError, RepositoryNotFoundException, ValidationError
from aioecrpublic.images import OCILayout
from aioecrpublic.push import ImageJob, LayerCompleted, LayerStarted
from aioecrpublic.push.budget import budget_of
from tests.push.helpers import (
    REPOSITORY,
    Wire,
    assert_is_there,
    assert_nothing_is_open,
    assert_nothing_runs,
    connect,
    tags_of,
)
from tests.support.oci import LayoutBuilder, random_layer, write_image, write_index
from tests.support.secrets import assert_hidden
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from aioecrpublic import ECRPublicClient
    from aioecrpublic.local import LocalECRPublic
    from aioecrpublic.push import PushEvent
    from tests.support.oci import BuiltImage

MIB = 1024 * 1024


def _sharing(path: Path, count: int, size: int = 100_000) -> list[BuiltImage]:
    """Images that have one layer in common and one of their own."""
    builder = LayoutBuilder(path)
    shared = random_layer(size, 1)
    return [
        builder.tag(builder.image([shared, random_layer(1000, 100 + number)]), f"n{number}")
        for number in range(count)
    ]


async def test_a_layer_in_ten_images_is_uploaded_once_for_each_repository(
    client: ECRPublicClient, tmp_path: Path
) -> None:
    images = _sharing(tmp_path, 10)
    wire = Wire()
    jobs = [
        ImageJob(source=f"oci:{tmp_path}:n{number}", repository_name=name, tags=[f"n{number}"])
        for name in ("many/one", "many/two")
        for number in range(10)
    ]
    results = await push_images(client.with_options(hooks=[wire]), jobs, create_repository=True, jobs=8)
    assert [result.digest for result in results] == [image.digest for image in images] * 2
    assert wire.count("InitiateLayerUpload") == 2 * (1 + 10 + 10)
    for name in ("many/one", "many/two"):
        assert await tags_of(client, name) == {
            image.digest: [f"n{number}"] for number, image in enumerate(images)
        }


async def test_one_image_that_fails_does_not_stop_the_others(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    good = write_image(tmp_path / "good")
    bad = write_image(tmp_path / "bad", seed=50)
    bad.path(bad.layers[0]).write_bytes(bad.read(bad.layers[0])[::-1])
    jobs = [
        ImageJob(source=str(bad.directory), repository_name=REPOSITORY, tags=["bad"]),
        ImageJob(source=str(good.directory), repository_name="no/where", tags=["lost"]),
        ImageJob(source=str(good.directory), repository_name=REPOSITORY, tags=["good"]),
    ]
    expected = pytest.RaisesGroup(ImageError, RepositoryNotFoundException, match="2 of 3 images")
    with expected as caught:
        await push_images(client, jobs)
    first, _ = caught.value.exceptions
    assert first.__notes__ == [f"while pushing {bad.directory} to {REPOSITORY}"]
    await assert_is_there(server, client, good, ["good"])


async def test_names_are_checked_before_anything_is_sent(client: ECRPublicClient, tmp_path: Path) -> None:
    write_image(tmp_path)
    wire = Wire()
    jobs = [
        ImageJob(source=str(tmp_path), repository_name=REPOSITORY, tags=["fine"]),
        ImageJob(source=str(tmp_path), repository_name=REPOSITORY, tags=["not fine"]),
    ]
    with pytest.raises(ValueError, match="not fine"):
        await push_images(client.with_options(hooks=[wire]), jobs)
    assert wire.sent == []


async def test_a_tag_is_for_one_image(client: ECRPublicClient, tmp_path: Path) -> None:
    _sharing(tmp_path, 2)
    wire = Wire()
    first, second = (f"oci:{tmp_path}:n{number}" for number in range(2))
    jobs = [
        ImageJob(source=source, repository_name=REPOSITORY, tags=[tag, "latest"])
        for source, tag in ((first, "1"), (first, "2"), (second, "3"))
    ]
    with pytest.raises(ValidationError, match=f"'latest' of {REPOSITORY} is for both {first} and {second}"):
        await push_images(client.with_options(hooks=[wire]), jobs)
    assert wire.sent == []
    await push_images(client, jobs[:2])
    assert sorted((await tags_of(client)).popitem()[1]) == ["1", "2", "latest"]


async def test_platforms_of_one_source_are_images_of_their_own(
    client: ECRPublicClient, tmp_path: Path
) -> None:
    write_index(tmp_path)
    names = ["linux/amd64", "linux/arm64"]

    def jobs(*platforms: list[str] | None) -> list[ImageJob]:
        return [
            ImageJob(source=f"oci:{tmp_path}", repository_name=REPOSITORY, tags=["1"], platforms=each)
            for each in platforms
        ]

    message = rf"is for both oci:{tmp_path} \(linux/amd64\) and oci:{tmp_path} \(linux/arm64\)"
    with pytest.raises(ValidationError, match=message):
        await push_images(client, jobs(names[:1], names[1:]))
    with pytest.raises(ValidationError, match=rf"is for both oci:{tmp_path} and oci:{tmp_path} \("):
        await push_images(client, jobs(None, names))
    first, second = await push_images(client, jobs(names, names[::-1]))
    assert first.digest == second.digest


async def test_no_images_are_no_work(client: ECRPublicClient) -> None:
    assert await push_images(client, []) == []


async def test_one_source_for_several_repositories(client: ECRPublicClient, tmp_path: Path) -> None:
    image = write_image(tmp_path)
    source = OCILayout(tmp_path)
    jobs = [ImageJob(source=source, repository_name=f"same/n{number}", tags=["1"]) for number in range(3)]
    results = await push_images(client, jobs, create_repository=True)
    assert [result.digest for result in results] == [image.digest] * 3
    await assert_nothing_is_open(tmp_path)


@pytest.mark.parametrize("jobs", [1, 2, 5])
async def test_no_more_layers_are_in_flight_than_jobs(
    client: ECRPublicClient, tmp_path: Path, jobs: int
) -> None:
    images = [write_image(tmp_path / f"i{number}", layers=4, seed=10 * number) for number in range(3)]
    running, most = 0, 0

    async def tell(event: PushEvent) -> None:
        nonlocal running, most
        running += isinstance(event, LayerStarted)
        most = max(most, running)
        running -= isinstance(event, LayerCompleted)
        await asyncio.sleep(0)

    await push_images(
        client,
        [
            ImageJob(source=str(image.directory), repository_name=REPOSITORY, tags=[f"n{number}"])
            for number, image in enumerate(images)
        ],
        jobs=jobs,
        on_event=tell,
    )
    assert 1 <= most <= jobs


async def test_a_cancelled_push_of_many_leaves_nothing_running(
    client: ECRPublicClient, tmp_path: Path
) -> None:
    images = _sharing(tmp_path, 6, 12 * MIB)
    before = asyncio.all_tasks()
    begun = asyncio.Event()

    def tell(event: PushEvent) -> None:
        if isinstance(event, LayerStarted):
            begun.set()

    pushing = asyncio.ensure_future(
        push_images(
            client,
            [
                ImageJob(source=f"oci:{tmp_path}:n{number}", repository_name=REPOSITORY, tags=[f"n{number}"])
                for number in range(len(images))
            ],
            on_event=tell,
        )
    )
    await begun.wait()
    pushing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pushing
    await assert_nothing_runs(before)
    assert budget_of(client).used == 0
    await assert_nothing_is_open(tmp_path)


async def test_two_concurrent_pushes_of_one_image(
    server: LocalECRPublic, client: ECRPublicClient, tmp_path: Path
) -> None:
    image = write_image(tmp_path, layers=3, layer_size=6 * MIB)
    results = await asyncio.gather(
        *(push_image(client, str(tmp_path), REPOSITORY, [f"t{number}"]) for number in range(3))
    )
    assert {result.digest for result in results} == {image.digest}
    await assert_is_there(server, client, image, ["t0", "t1", "t2"])


async def test_closing_the_client_ends_pushes_that_wait_for_a_thread(
    server: LocalECRPublic, tmp_path: Path
) -> None:
    write_image(tmp_path, layers=1, layer_size=MIB)
    gate = threading.Event()
    async with connect(server) as client:
        await client.create_repository(repository_name=REPOSITORY)
        workers = client._core.opened().executor
        assert isinstance(workers, ThreadPoolExecutor)
        for _ in range(workers._max_workers):
            workers.submit(gate.wait, 60)
        await until(workers._work_queue.empty)
        pushing = asyncio.create_task(push_image(client, str(tmp_path), REPOSITORY))
        await until(lambda: not workers._work_queue.empty())
    gate.set()
    async with asyncio.timeout(60):
        with pytest.raises(ClientStateError):
            await pushing


async def test_neither_a_password_nor_controls_in_a_source_are_shown(client: ECRPublicClient) -> None:
    user = "releaser:p4ssw0rd-of-a-registry"
    jobs = [
        ImageJob(source=source, repository_name=REPOSITORY, tags=["1"])
        for source in (f"docker://{user}@127.0.0.1:1/team/app:1", "oci:\x1b]0;owned\x07")
    ]
    assert user not in repr(jobs)
    with pytest.raises(ValidationError, match="is for both") as refused:
        await push_images(client, jobs)
    with pytest.RaisesGroup(ImageError, ImageError) as failed:
        await push_images(client, [attrs.evolve(job, tags=[]) for job in jobs])
    for error in (refused.value, failed.value):
        assert_hidden(error, [user, user.partition(":")[2]])
    for each in failed.value.exceptions:
        (note,) = each.__notes__
        assert note.isprintable()
        assert note.endswith(f" to {REPOSITORY}")
