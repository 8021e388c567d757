"""A repository to prune, and how it is filled."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from aioecrpublic.manage import PruneRules, prune
from aioecrpublic.push import push_image
from tests.push.helpers import REPOSITORY, tags_of
from tests.support.oci import BuiltImage, LayoutBuilder, random_layer, write_index

if TYPE_CHECKING:
    from pathlib import Path

    from aioecrpublic import ECRPublicClient
    from aioecrpublic.local import LocalECRPublic


class Repository:
    """The repository under test, and how it is filled and pruned."""

    def __init__(self, server: LocalECRPublic, client: ECRPublicClient, path: Path) -> None:
        self.client = client
        self.path = path
        self.builder = LayoutBuilder(path)
        self.read = partial(server.read_manifest, REPOSITORY)
        self._count = 0

    async def push(self, image: BuiltImage, *tags: str) -> BuiltImage:
        self._count += 1
        self.builder.tag(image, f"push{self._count}")
        await push_image(self.client, f"oci:{self.path}:push{self._count}", REPOSITORY, tags)
        return image

    async def image(self, *tags: str) -> BuiltImage:
        self._count += 1
        return await self.push(self.builder.image([random_layer(100, self._count)]), *tags)

    async def index(self, *tags: str) -> BuiltImage:
        self._count += 1
        return await self.push(write_index(self.path, seed=self._count, layer_size=100), *tags)

    async def prune(self, **rules: Any) -> set[str]:
        """Prune for good and return the digests of what went."""
        before = await tags_of(self.client)
        result = await prune(
            self.client, REPOSITORY, PruneRules(**rules), apply=True, read_manifest=self.read
        )
        gone = before.keys() - (await tags_of(self.client)).keys()
        assert not result.failures
        assert gone == {image.digest for image in result.deleted} == {i.digest for i in result.plan.images}
        return gone
