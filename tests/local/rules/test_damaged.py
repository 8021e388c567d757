"""Requests, manifests and policies that are almost right: each is refused or taken, and none is a failure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aioecrpublic._generated.service import SERVICE
from aioecrpublic.local import DEFAULT_CREDENTIALS, LocalECRPublic
from tests.local.rules.helpers import (
    OTHER,
    OTHER_ACCOUNT,
    boto,
    descriptor,
    index_of,
    manifest_of,
    running,
    signed,
)
from tests.local.rules.test_hostile import members, prepared
from tests.local.v2.helpers import MANIFEST, Registry, logged_in
from tests.support.exchange import exchange
from tests.support.soak import SOAK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypothesis.strategies import DrawFn

    from aioecrpublic import Credentials

MANY = settings(max_examples=3000 if SOAK else 150)
# Whatever JSON can say, halves of surrogate pairs and numbers of any size among it.
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
IMAGE = json.loads(manifest_of(b"{}", b"layer", artifactType="x", subject=descriptor(MANIFEST, b"{}")))
INDEX = json.loads(index_of(manifest_of(b"{}", b"layer"))) | {"annotations": {"a": "b"}}
STATEMENT = {"Effect": "Allow", "Principal": {"AWS": [OTHER_ACCOUNT]}, "Action": ["ecr-public:*"]}
POLICY = {"Version": "2012-10-17", "Statement": [STATEMENT | {"Condition": {}}, STATEMENT]}


@st.composite
def damaged(draw: DrawFn, document: Any) -> Any:
    """A document with something in it replaced, left out or there twice."""
    if not document or not isinstance(document, (dict, list)) or draw(st.integers(0, 5)) == 0:
        return draw(ANYTHING)
    changed = document.copy()
    key = draw(st.sampled_from(list(document) if isinstance(document, dict) else range(len(document))))
    if draw(st.integers(0, 5)) == 0:
        del changed[key]
    else:
        changed[key] = draw(damaged(document[key]))
    return changed


@attrs.frozen
class Target:
    """A registry with an image, what valid requests would say, and who asks on the v2 side."""

    server: LocalECRPublic
    valid: dict[str, Any]
    registry: Registry

    def call(self, operation: str, message: Any, who: Credentials = DEFAULT_CREDENTIALS) -> None:
        """Send what may be anything; it must be answered as a call is."""
        body = json.dumps(message).encode()
        headers = signed(self.server, operation, body, credentials=who)
        reply = exchange(self.server.endpoint_url, "POST", "/", headers, body)
        assert reply.status in {200, 400}, (operation, body, reply)
        assert reply.status == 200 or reply.code != "ServerException"


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with running(accounts={OTHER_ACCOUNT: OTHER}) as server:
        valid = prepared(server)
        yield Target(server, valid, logged_in(server, boto(server)))


@pytest.mark.slow
@MANY
@given(data=st.data(), operation=st.sampled_from(sorted(SERVICE.operations.keys() - {"DeleteRepository"})))
def test_requests(target: Target, data: st.DataObject, operation: str) -> None:
    target.call(operation, data.draw(damaged(members(operation, target.valid))))


@pytest.mark.slow
@MANY
@given(manifest=damaged(IMAGE) | damaged(INDEX))
@example(manifest=IMAGE | {"layers": [IMAGE["layers"][0] | {"mediaType": []}]})
@example(manifest=IMAGE | {"artifactType": "\ud800"})
def test_manifests(target: Target, manifest: Any) -> None:
    text = json.dumps(manifest)
    target.call("PutImage", {"repositoryName": "team/app", "imageManifest": text})
    kind = str(manifest.get("mediaType")) if isinstance(manifest, dict) else MANIFEST
    headers = {"Content-Type": kind if kind.isascii() and kind.isprintable() else MANIFEST}
    assert target.registry.call("PUT", "manifests/x", text.encode(), headers).status in {201, 400}
    assert target.registry.call("GET", "manifests/x").status in {200, 404}


@pytest.mark.slow
@MANY
@given(policy=damaged(POLICY))
def test_policies(target: Target, policy: Any) -> None:
    where = {"repositoryName": "team/app", "registryId": "123456789012"}
    target.call("SetRepositoryPolicy", {**where, "policyText": json.dumps(policy)})
    target.call("DescribeImages", where, OTHER)
