"""Whatever a repository holds, and whatever happens meanwhile, prune keeps its promises.

The promises are stated here, by a model that knows the manifests and looks into the registry before and after
every request that prune makes:

- The plan removes what the rules say, and keeps what belongs to anything kept.
- What goes was planned, has no tag that was not, is the image that was planned and not one pushed later, is
  listed by no index that is there, and is attached to no image that is there.
- A tag goes only with the plan.
- What is reported as deleted has gone, what is reported as failed is there, what is reported as missing was
  not deleted by prune; what is not known is called so, and only where nobody answered.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import itertools
import json
from contextlib import AsyncExitStack, suppress
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st

from aioecrpublic import upload_layer
from aioecrpublic.errors import ServiceError, TransportError
from aioecrpublic.local import Fault, LocalECRPublic
from aioecrpublic.manage import PruneRules, execute_prune, plan_prune
from aioecrpublic.types import ImageIdentifier
from tests.push.helpers import connect
from tests.support.soak import SOAK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aioecrpublic import ECRPublicClient
    from aioecrpublic.hooks import SendEvent
    from aioecrpublic.manage import PrunePlan, PruneResult

OCI = "application/vnd.oci.image"
CONFIG = b"{}"
LOOK, DELETE = "DescribeImages", "BatchDeleteImage"
MOST = 7
NAMES = itertools.count()
NOW = dt.datetime.now(dt.UTC)
TAGS = (("old",), ("old",), ("old",), ("old",), (), (), (), ("keep",), ("old", "keep"))
RULES: tuple[dict[str, Any], ...] = (
    {"remove_tags": ["old-*"]},
    {"remove_tags": ["old-*"], "keep_newest": 1},
    {"keep_newest": 0},
    {"keep_newest": 1},
    {"untagged_only": True},
)


@attrs.frozen
class Spec:
    """One image of a scenario; others are meant by their numbers.

    Attributes:
        kind: ``image``, ``artifact`` or ``index``.
        there: Whether it is in the repository from the beginning.
        children: What it lists, as an index.
        subject: What it is attached to by its manifest.
        signs: What it is attached to by a tag.
        tags: What its other tags begin with.
    """

    kind: str
    there: bool
    children: frozenset[int]
    subject: int | None
    signs: int | None
    tags: tuple[str, ...]


@attrs.frozen
class Act:
    """What somebody else does before one of prune's requests, mostly to an image that is to go."""

    call: int
    what: str
    number: int


@attrs.frozen
class Scenario:
    specs: Sequence[Spec]
    rules: Mapping[str, Any]
    acts: Sequence[Act]
    faults: Mapping[int, str]
    attempts: int


@st.composite
def specs(draw: st.DrawFn) -> list[Spec]:
    count = draw(st.integers(2, MOST))
    made: list[Spec] = []
    for number in range(count):
        earlier = st.integers(0, number - 1)
        kind = draw(st.sampled_from(["image", "artifact", "index"])) if number else "image"
        children = draw(st.frozensets(earlier, min_size=1, max_size=3)) if kind == "index" else ()
        # What cosign attaches by a tag has the form of an image that runs, and no subject.
        ways = ["no", "by subject", "by tag"] if kind == "image" else ["no", "by subject", "by tag", "both"]
        attached = draw(st.sampled_from(ways)) if number else "no"
        there = draw(st.sampled_from([True, True, True, True, False]))
        made.append(
            Spec(
                kind=kind,
                there=there and all(made[child].there for child in children),
                children=frozenset(children),
                subject=draw(earlier) if attached in {"by subject", "both"} else None,
                signs=draw(st.integers(0, count - 1)) if attached in {"by tag", "both"} else None,
                tags=draw(st.sampled_from(TAGS)),
            )
        )
    return made


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    made = draw(specs())
    acts = st.builds(
        Act,
        call=st.integers(0, 3),
        what=st.sampled_from(["tag", "tag", "delete", "list", "attach", "push", "push again"]),
        number=st.integers(0, 2 * MOST),
    )
    faults = st.dictionaries(
        st.integers(0, 3), st.sampled_from(["error", "lost", "reset", "cut"]), min_size=1, max_size=2
    )
    disturbed = draw(st.sampled_from(["by acts", "by acts", "by faults", "by both", "not"]))
    return Scenario(
        specs=made,
        rules=draw(st.sampled_from(RULES)) | draw(st.sampled_from([{}, {"keep_tags": ["keep-*"]}])),
        acts=draw(st.lists(acts, min_size=2, max_size=6)) if disturbed in {"by acts", "by both"} else [],
        faults=draw(faults) if disturbed in {"by faults", "by both"} else {},
        attempts=draw(st.integers(1, 2)),
    )


@attrs.frozen
class There:
    """An image that is in the repository."""

    tags: frozenset[str]
    pushed_at: dt.datetime | None


class Model:
    """A repository of its own, what its manifests say, and what is in it."""

    def __init__(self, client: ECRPublicClient, made: Sequence[Spec]) -> None:
        self.client = client
        self.name = f"team/app{next(NAMES)}"
        self.raw: dict[str, bytes] = {}
        self.children: dict[str, set[str]] = {}
        self.subject: dict[str, str | None] = {}
        self.digests: list[str] = []
        self.specs = made
        for spec in made:
            children = {self.digests[child] for child in spec.children}
            subject = None if spec.subject is None else self.digests[spec.subject]
            self.digests.append(self.add(spec.kind, children, subject))

    def add(self, kind: str, children: Iterable[str] = (), subject: str | None = None) -> str:
        """Make a manifest of its own; its digest."""
        document: dict[str, Any] = {"schemaVersion": 2, "annotations": {"n": str(len(self.raw))}}
        if kind == "index":
            listed = [self.descriptor(child) for child in sorted(children)]
            document |= {"mediaType": f"{OCI}.index.v1+json", "manifests": listed}
        else:
            media_type = f"{OCI}.config.v1+json" if kind == "image" else "application/vnd.test.v1+json"
            digest = f"sha256:{hashlib.sha256(CONFIG).hexdigest()}"
            config = {"mediaType": media_type, "digest": digest, "size": len(CONFIG)}
            document |= {"mediaType": f"{OCI}.manifest.v1+json", "config": config, "layers": []}
        if subject is not None:
            document["subject"] = self.descriptor(subject)
        raw = json.dumps(document).encode()
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        self.raw[digest], self.children[digest], self.subject[digest] = raw, {*children}, subject
        return digest

    def descriptor(self, digest: str) -> dict[str, Any]:
        raw = self.raw[digest]
        return {"mediaType": json.loads(raw)["mediaType"], "digest": digest, "size": len(raw)}

    def tags(self, digest: str) -> list[str]:
        """The tags that an image has at the beginning."""
        number = self.digests.index(digest)
        spec = self.specs[number]
        signs = [] if spec.signs is None else [f"{self.digests[spec.signs].replace(':', '-')}.sig"]
        return [*(f"{tag}-{number}" for tag in spec.tags), *signs]

    async def fill(self) -> None:
        await self.client.create_repository(repository_name=self.name)
        await upload_layer(self.client, self.name, CONFIG)
        for number, spec in enumerate(self.specs):
            if spec.there:
                await self.put(self.digests[number], *self.tags(self.digests[number]))

    async def put(self, digest: str, *tags: str) -> None:
        for tag in tags or (None,):
            await self.client.put_image(
                repository_name=self.name, image_manifest=self.raw[digest].decode(), image_tag=tag
            )

    async def delete(self, digest: str) -> None:
        await self.client.batch_delete_image(
            repository_name=self.name, image_ids=[ImageIdentifier(image_digest=digest)]
        )

    async def read(self, digest: str) -> bytes:
        await asyncio.sleep(0)
        return self.raw[digest]

    async def there(self) -> dict[str, There]:
        images = await self.client.paginate_describe_images(repository_name=self.name).collect()
        return {
            str(image.image_digest): There(frozenset(image.image_tags), image.image_pushed_at)
            for image in images
        }

    def owners(self, digest: str, tags: Iterable[str]) -> set[str]:
        """What an image with these tags belongs to, there or not."""
        listing = {index for index, children in self.children.items() if digest in children}
        signed = {f"sha256:{tag[7:71]}" for tag in tags if tag.startswith("sha256-")}
        return (listing | signed | {self.subject[digest] or digest}) - {digest}


def expected(model: Model, there: Mapping[str, There], rules: Mapping[str, Any]) -> set[str]:
    """What the rules remove, worked out by going over everything again and again."""
    owners = {digest: model.owners(digest, there[digest].tags) & there.keys() for digest in there}

    def matches(tag: str, name: str) -> bool:
        return any(fnmatchcase(tag, pattern) for pattern in rules.get(name, ()))

    def dependent(digest: str) -> bool:
        return bool(owners[digest]) and all(
            tag.startswith("sha256-") and not matches(tag, "keep_tags") for tag in there[digest].tags
        )

    def goes(digest: str) -> bool:
        tags = there[digest].tags
        if any(matches(tag, "keep_tags") for tag in tags) or (rules.get("untagged_only") and tags):
            return False
        removable = bool(tags) and all(matches(tag, "remove_tags") for tag in tags)
        return removable or "remove_tags" not in rules

    judged = {digest for digest in there if not dependent(digest)}

    def newest_first(digest: str) -> tuple[dt.timedelta, str]:
        return NOW - (there[digest].pushed_at or NOW), digest

    going = sorted(filter(goes, judged), key=newest_first)
    removed = set(going[rules.get("keep_newest", 0) :])
    kept = judged - removed
    # What depends on something is reached from what is judged, or nobody asked for it to go.
    reached = set(judged)
    for _ in there:
        reached |= {digest for digest in there if owners[digest] & reached}
    kept |= there.keys() - reached
    for _ in there:
        kept |= {digest for digest in there if owners[digest] & kept}
    left = there.keys() - kept
    # What comes after itself never comes.
    for _ in there:
        left -= {digest for digest in left if not owners[digest] & left}
    return there.keys() - kept - left


class Watch:
    """A hook that looks at the repository before each of prune's requests, and does what others do."""

    def __init__(self, server: LocalECRPublic, model: Model, scenario: Scenario) -> None:
        self.server = server
        self.model = model
        self.scenario = scenario
        self.calls = 0
        self.before: dict[str, There] = {}
        self.planned: dict[str, Any] = {}
        self.gone: set[str] = set()
        self.absent: set[str] = set()
        self.pushed: set[str] = set()
        self.deleted: set[str] = set()
        self.unanswered = False

    async def begin(self, plan: PrunePlan) -> None:
        self.planned = {image.digest: image for image in plan.images}
        self.before = await self.model.there()

    async def before_send(self, event: SendEvent) -> None:
        await self.check()
        for act in self.scenario.acts:
            if act.call == self.calls:
                with suppress(ServiceError):
                    await self.act(act, event.operation)
        self.before = await self.model.there()
        self.absent |= self.planned.keys() - self.before.keys()
        if kind := self.scenario.faults.get(self.calls):
            self.unanswered = self.unanswered or event.operation == LOOK
            self.server.inject(Fault(kind=kind, operation=event.operation))
        self.calls += 1

    async def act(self, act: Act, operation: str) -> None:
        model = self.model
        concerned = [*self.planned, *model.digests]
        digest = concerned[act.number % len(concerned)]
        there = (await model.there()).get(digest)
        if operation == DELETE and (there is None or not there.tags) and act.what in {"tag", "push"}:
            # Between look and deletion, nothing can be done for what has no tag.
            return
        match act.what:
            case "tag" | "push":
                tags = [f"new-{act.call}"] if act.what == "tag" else model.tags(digest)
                await model.put(digest, *tags)
                self.pushed.add(digest)
            case "delete" if there is not None:
                await model.delete(digest)
                self.deleted.add(digest)
            case "push again" if operation == LOOK:
                await model.delete(digest)
                self.deleted.add(digest)
                await model.put(digest, *(there.tags if there else ()))
                self.pushed.add(digest)
            case "list" if there is not None:
                await model.put(model.add("index", [digest]), f"list-{act.call}")
            case "attach":
                await model.put(model.add("artifact", subject=digest))

    async def check(self) -> None:
        """Hold what prune's last request has done against its promises."""
        before, after = self.before, await self.model.there()
        assert after.keys() <= before.keys()
        for digest, was in before.items():
            image = self.planned.get(digest)
            lost = was.tags - (after[digest].tags if digest in after else set())
            assert image is not None or digest in after, "only what was planned goes"
            assert not lost or (image is not None and lost <= {*image.tags}), "a tag goes only with the plan"
            if digest in after or image is None:
                continue
            assert was.pushed_at == image.pushed_at
            held = self.model.owners(digest, image.tags) & before.keys()
            assert not held, f"{digest} went before {held}"
            self.gone.add(digest)
        self.before = after
        self.absent |= self.planned.keys() - after.keys()

    def check_report(self, result: PruneResult) -> None:
        deleted, missing = ({image.digest for image in each} for each in (result.deleted, result.missing))
        failed, unknown = (
            {each.image.digest for each in failures} for failures in (result.failures, result.unconfirmed)
        )
        there = self.before.keys()
        parts = (deleted, missing, failed, unknown)
        assert set.union(*parts) == self.planned.keys()
        assert sum(map(len, parts)) == len(self.planned), "each image is reported once"
        assert deleted <= self.absent
        assert not deleted & there - self.pushed, "what is deleted has gone"
        assert not (failed - self.deleted) - there, "what has failed is there"
        assert missing <= self.absent - self.gone
        assert self.gone <= deleted | unknown | (failed & self.pushed)
        assert not unknown or self.unanswered
        if (
            not self.scenario.acts
            and not self.unanswered
            and not {"error", "reset"} & {*self.scenario.faults.values()}
        ):
            assert deleted == self.planned.keys()


async def play(server: LocalECRPublic, client: ECRPublicClient, scenario: Scenario) -> None:
    model = Model(client, scenario.specs)
    await model.fill()
    there = await model.there()
    rules = PruneRules(**scenario.rules)
    plan = await plan_prune(client, model.name, rules, read_manifest=model.read)
    assert {image.digest for image in plan.images} == expected(model, there, scenario.rules)
    assert {image.digest for image in plan.keep} == there.keys() - {image.digest for image in plan.images}
    watch = Watch(server, model, scenario)
    await watch.begin(plan)
    pruning = client.with_options(hooks=[watch], max_attempts=scenario.attempts)
    try:
        result = await execute_prune(pruning, plan)
    except (ServiceError, TransportError):
        # The first look had no answer, and nothing was done.
        await watch.check()
        assert not watch.gone
        note("no first look")
        return
    await watch.check()
    watch.check_report(result)
    for name in ("deleted", "missing", "failures", "unconfirmed"):
        if getattr(result, name):
            note(name)
    if len(plan.remove) > 1 and watch.gone:
        note("more than one step")


@pytest.mark.slow
def test_prune_keeps_its_promises(monkeypatch: pytest.MonkeyPatch) -> None:
    # As many as the tags that an image of a scenario can have.
    monkeypatch.setattr("aioecrpublic.manage.prune_execution.BATCH", 3)
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def start() -> tuple[LocalECRPublic, ECRPublicClient]:
            server = await stack.enter_async_context(LocalECRPublic())
            return server, await stack.enter_async_context(connect(server))

        server, client = runner.run(start())

        @settings(max_examples=10_000 if SOAK else 100, deadline=None)
        @given(scenarios())
        def hold(scenario: Scenario) -> None:
            runner.run(play(server, client, scenario))

        try:
            hold()
        finally:
            runner.run(stack.aclose())
