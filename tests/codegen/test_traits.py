"""What other services need beside a signed POST of JSON: generated from small models, and sent."""

from __future__ import annotations

import gzip
import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from multidict import CIMultiDict

from aioecrpublic import ConfigurationError, ValidationError
from aioecrpublic._runtime.transport import Reply
from aioecrpublic.codegen.errors import GeneratorError
from aioecrpublic.codegen.model import load_service, read_service
from aioecrpublic.codegen.traits import KNOWN, unknown_keys
from tests.codegen.services import json_services
from tests.support import oracle
from tests.support.generated import generate, install, model
from tests.support.recording import CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.generated import Generated

STRING = {"type": "string"}
HTTP = {"method": "POST", "requestUri": "/"}


def operation(name: str = "Do", **traits: Any) -> dict[str, Any]:
    return {"name": name, "http": HTTP, "input": {"shape": "DoRequest"}, **traits}


def request(members: Mapping[str, Any], **traits: Any) -> dict[str, Any]:
    return {"type": "structure", "members": members, **traits}


def one(folder: Path, patch: pytest.MonkeyPatch, members: Mapping[str, Any], /, **traits: Any) -> Generated:
    """A package with one operation, ``Do``, that takes these members and has these traits."""
    shapes = {"DoRequest": request(members), "Name": STRING}
    return generate(folder, patch, model({"Do": operation(**traits)}, shapes))


# The host


@pytest.mark.parametrize(
    ("endpoint_url", "url"),
    [
        ("https://example.com", "https://sync-example.com/"),
        ("https://example.com:8443/a/b", "https://sync-example.com:8443/a/b/"),
        ("http://127.0.0.1:4566", "http://127.0.0.1:4566/"),
        ("http://[2001:db8::1]:4566", "http://[2001:db8::1]:4566/"),
        ("http://localhost:4566", "http://localhost:4566/"),
    ],
)
async def test_a_host_is_prefixed_where_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint_url: str, url: str
) -> None:
    package = one(tmp_path, monkeypatch, {}, endpoint={"hostPrefix": "sync-"})
    client, wire = await package.client(endpoint_url, credentials=CREDENTIALS)
    await client.do()
    assert wire.sent[0].url == url
    assert url.startswith(
        (f"https://{wire.sent[0].headers['Host']}/", f"http://{wire.sent[0].headers['Host']}/")
    )
    signer = oracle.auth.SigV4Auth(
        oracle.credentials.ReadOnlyCredentials(
            CREDENTIALS.access_key_id, CREDENTIALS.secret_access_key, CREDENTIALS.session_token
        ),
        "made-up",
        "us-east-1",
    )
    assert wire.sent[0].headers["Authorization"] == signed_by(signer, wire.sent[0])


def signed_by(signer: Any, sent: Any) -> str:
    """What botocore's signer makes of a request that was sent."""
    headers = {
        name: value
        for name, value in sent.headers.items()
        if name.lower() in sent.headers["Authorization"].partition("SignedHeaders=")[2].partition(",")[0]
    }
    asked = oracle.awsrequest.AWSRequest("POST", sent.url, headers, sent.body)
    asked.context["timestamp"] = sent.headers["X-Amz-Date"]
    canonical = signer.canonical_request(asked)
    signature = signer.signature(signer.string_to_sign(asked, canonical), asked)
    return f"{sent.headers['Authorization'].partition('Signature=')[0]}Signature={signature}"


async def test_the_members_in_a_prefix_are_put_into_it_and_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    label = {"theLabel": {"shape": "Name", "hostLabel": True}}
    package = one(tmp_path, monkeypatch, label, endpoint={"hostPrefix": "foo.{theLabel}."})
    client, wire = await package.client(credentials=CREDENTIALS)
    await client.do(the_label="b-a.r")
    assert (wire.sent[0].url, wire.sent[0].json) == ("https://foo.b-a.r.example.com/", {"theLabel": "b-a.r"})
    for wrong in (None, "", "a/b", "a@b", "a:b", "a\n", "ä", "x" * 64):
        with pytest.raises(ValidationError, match="do: the_label must be a valid label of a host name"):
            await client.do(the_label=wrong)
    assert len(wire.sent) == 1


async def test_prefixes_of_hosts_are_left_out_where_that_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DISABLE_HOST_PREFIX_INJECTION", "true")
    package = one(tmp_path, monkeypatch, {}, endpoint={"hostPrefix": "sync-"})
    client, wire = await package.client(credentials=CREDENTIALS)
    await client.do()
    assert wire.sent[0].url == "https://example.com/"


async def test_a_member_may_be_the_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = install(tmp_path, monkeypatch, load_service("machinelearning"))
    client, wire = await package.client(credentials=CREDENTIALS)
    asked = {"ml_model_id": "m", "record": {"a": "b"}}
    await client.predict(**asked, predict_endpoint="https://realtime.amazonaws.com")
    assert wire.sent[0].url == "https://realtime.amazonaws.com/"
    unchecked = client.with_options(validate=False)
    with pytest.raises(
        ValidationError, match=r"predict_endpoint: endpoint_url .* is not an http or https URL"
    ):
        await unchecked.predict(**asked, predict_endpoint="ftp://example.org")


async def test_an_endpoint_that_has_to_be_discovered_is_said_and_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = one(tmp_path, monkeypatch, {}, endpointdiscovery={"required": True})
    assert package.notices == (
        "Do: the endpoint must be asked of the service; without endpoint_url a call is refused",
    )
    client, wire = await package.client(credentials=CREDENTIALS)
    await client.do()
    assert wire.sent[0].url == "https://example.com/"


def test_an_endpoint_that_may_be_discovered_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = one(tmp_path, monkeypatch, {}, endpointdiscovery={})
    assert package.notices == ("Do: an endpoint may be asked of the service; the region's is used instead",)


# The request


async def test_a_token_is_filled_in_once_a_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members = {"clientToken": {"shape": "Name", "idempotencyToken": True}}
    raw = model(
        {"Do": operation()}, {"DoRequest": request(members, required=["clientToken"]), "Name": STRING}
    )
    package = generate(tmp_path, monkeypatch, raw)
    client, wire = await package.client(credentials=CREDENTIALS)
    wire.replies = [Reply(500, CIMultiDict(), b""), Reply(200, CIMultiDict(), b"{}")]
    await client.do()
    asked = package.types.DoRequest()
    await client.send(asked)
    await client.send(asked)
    await client.do(client_token="mine")
    tokens = [sent.json["clientToken"] for sent in wire.sent]
    assert tokens[0] == tokens[1]
    assert len({*tokens}) == 4
    assert tokens[-1] == "mine"
    assert all(uuid.UUID(token).version == 4 for token in tokens[:-1])
    assert asked.client_token is None
    assert "A random one if it is ``None``." in client.do.__doc__


async def test_an_operation_may_be_unsigned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ways: list[dict[str, Any]] = [{"authtype": "none"}, {"auth": ["smithy.api#noAuth"]}]
    for number, traits in enumerate(ways):
        folder = tmp_path / str(number)
        folder.mkdir()
        package = one(folder, monkeypatch, {}, **traits)
        client, wire = await package.client(credentials=CREDENTIALS)
        await client.do()
        assert not {"Authorization", "X-Amz-Date", "X-Amz-Security-Token"} & set(wire.sent[0].headers)
        without, wire = await package.client()
        await without.do()
        assert len(wire.sent) == 1


@pytest.mark.parametrize(("size", "compressed"), [(10_240, True), (10_239, False)])
async def test_a_large_body_is_compressed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    compressed: bool,  # noqa: FBT001 - cases
) -> None:
    package = one(
        tmp_path, monkeypatch, {"name": {"shape": "Name"}}, requestcompression={"encodings": ["gzip"]}
    )
    client, wire = await package.client(credentials=CREDENTIALS)
    name = "x" * (size - len('{"name":""}'))
    await client.do(name=name)
    sent = wire.sent[0]
    body = gzip.decompress(sent.body) if compressed else sent.body
    assert json.loads(body) == {"name": name}
    assert sent.headers.get("Content-Encoding") == ("gzip" if compressed else None)
    assert ("content-encoding;" in sent.headers["Authorization"]) == compressed


@pytest.mark.parametrize(
    ("variable", "value", "compressed"),
    [
        ("AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", "1", True),
        ("AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", "1000", False),
        ("AWS_DISABLE_REQUEST_COMPRESSION", "true", False),
    ],
)
async def test_compression_is_configured_as_everywhere(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    compressed: bool,  # noqa: FBT001 - cases
) -> None:
    if variable.startswith("AWS_DISABLE"):
        monkeypatch.setenv("AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", "1")
    monkeypatch.setenv(variable, value)
    package = one(tmp_path, monkeypatch, {}, requestcompression={"encodings": ["gzip"]})
    client, wire = await package.client(credentials=CREDENTIALS)
    await client.do()
    assert ("Content-Encoding" in wire.sent[0].headers) == compressed


@pytest.mark.parametrize("value", ["0", "-1", "much", "1048577", "1.5"])
async def test_a_size_of_compression_that_cannot_be_is_refused_where_it_matters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", value)
    ways: list[dict[str, Any]] = [{}, {"requestcompression": {"encodings": ["gzip"]}}]
    for number, traits in enumerate(ways):
        folder = tmp_path / str(number)
        folder.mkdir()
        package = one(folder, monkeypatch, {}, **traits)
        if traits:
            with pytest.raises(
                ConfigurationError, match="request_min_compression_size_bytes must be from 1 to"
            ):
                await package.client(credentials=CREDENTIALS)
        else:
            await package.client(credentials=CREDENTIALS)


# Errors


async def test_what_the_model_says_of_errors_decides_on_retries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def error(**traits: Any) -> dict[str, Any]:
        return {"type": "structure", "exception": True, "members": {}, **traits}

    names = ["Again", "Slower", "Final"]
    raw = model(
        {"Do": operation(errors=[{"shape": name} for name in names]), "Other": operation("Other")},
        {
            "DoRequest": request({}),
            "Again": error(retryable={"throttling": False}, error={"httpStatusCode": 409}),
            "Slower": error(retryable={"throttling": True}),
            "Final": error(),
        },
    )
    package = generate(tmp_path, monkeypatch, raw)
    client, wire = await package.client(credentials=CREDENTIALS, max_attempts=2)
    monkeypatch.setattr("aioecrpublic._runtime.call.backoff", lambda *_: 0.0)
    judged = []
    for method in ("do", "other"):
        for name in names:
            wire.status, wire.data = 400, json.dumps({"__type": name}).encode()
            with pytest.raises(package.errors.ServiceError) as caught:
                await getattr(client, method)()
            judged.append((caught.value.attempts, caught.value.retryable, caught.value.throttling))
    # The same where the operation does not name the error.
    assert judged == 2 * [(2, True, False), (2, True, True), (1, False, False)]
    assert package.errors.Again.default_status == 409


async def test_a_service_that_spoke_query_has_its_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = model(
        {"Do": operation(errors=[{"shape": "QueueMissing"}])},
        {
            "DoRequest": request({}),
            "Name": STRING,
            "QueueMissing": request(
                {"message": {"shape": "Name"}, "queue": {"shape": "Name"}}, exception=True
            ),
        },
        awsQueryCompatible={},
    )
    package = generate(tmp_path, monkeypatch, raw)
    client, wire = await package.client(credentials=CREDENTIALS)
    await client.do()
    assert wire.sent[0].headers["x-amzn-query-mode"] == "true"
    assert "x-amzn-query-mode" in wire.sent[0].headers["Authorization"]
    wire.status = 400
    wire.data = b'{"__type": "com.amazonaws.sqs#QueueMissing", "message": "no", "queue": "q"}'
    for header, code in [
        ("AWS.SimpleQueueService.NonExistentQueue;Sender", "AWS.SimpleQueueService.NonExistentQueue"),
        ("", "QueueMissing"),
        ("odd", "QueueMissing"),
    ]:
        wire.headers = {"x-amzn-query-error": header}
        with pytest.raises(package.errors.QueueMissing) as caught:
            await client.do()
        assert (caught.value.code, caught.value.queue) == (code, "q")


# Types


async def test_a_union_has_exactly_one_member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = model(
        {"Do": operation(output={"shape": "DoResponse"})},
        {
            "DoRequest": request({"either": {"shape": "Either"}}),
            "DoResponse": request({"either": {"shape": "Either"}}),
            "Either": request({"name": {"shape": "Name"}, "names": {"shape": "Names"}}, union=True),
            "Name": STRING,
            "Names": {"type": "list", "member": {"shape": "Name"}},
        },
    )
    package = generate(tmp_path, monkeypatch, raw)
    client, wire = await package.client(credentials=CREDENTIALS)
    either = package.types.Either
    await client.do(either=either(names=[]))
    assert wire.sent[0].json == {"either": {"names": []}}
    for wrong in (either(), either(name="a", names=[])):
        with pytest.raises(ValidationError, match=r"do: either must have exactly one of name, names \(got"):
            await client.do(either=wrong)
    for reply, expected in [
        ('{"either": {"name": "a", "names": null}}', either(name="a")),
        ('{"either": {"__type": "x", "names": []}}', either(names=[])),
        ('{"either": {"ofTomorrow": 1}}', either()),
    ]:
        wire.data = reply.encode()
        assert (await client.do()).either == expected
    assert "Exactly one of its members is set" in either.__doc__


async def test_a_structure_that_comes_and_goes_tells_absent_from_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = model(
        {"Do": operation(output={"shape": "DoResponse"})},
        {
            "DoRequest": request({"thing": {"shape": "Thing"}}),
            "DoResponse": request({"thing": {"shape": "Thing"}}),
            "Thing": request({"names": {"shape": "Names"}, "table": {"shape": "Table"}}),
            "Name": STRING,
            "Names": {"type": "list", "member": {"shape": "Name"}, "min": 1},
            "Table": {"type": "map", "key": {"shape": "Name"}, "value": {"shape": "Name"}},
        },
    )
    package = generate(tmp_path, monkeypatch, raw)
    client, wire = await package.client(credentials=CREDENTIALS)
    wire.data = b'{"thing": {}}'
    thing = (await client.do()).thing
    assert (thing.names, thing.table) == ([], {})
    await client.do(thing=thing)
    thing.table = {}
    await client.do(thing=thing)
    assert [sent.json for sent in wire.sent[1:]] == [{"thing": {}}, {"thing": {"table": {}}}]
    with pytest.raises(ValidationError, match=r"do: thing\.names has 0 items, at least 1"):
        await client.do(thing=package.types.Thing(names=[]))


async def test_sparse_lists_and_maps_may_have_gaps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = model(
        {"Do": operation(output={"shape": "DoResponse"})},
        {
            "DoRequest": request({"names": {"shape": "Names"}, "table": {"shape": "Table"}}),
            "DoResponse": request({"names": {"shape": "Names"}, "table": {"shape": "Table"}}),
            "Name": STRING,
            "Names": {"type": "list", "member": {"shape": "Name"}, "sparse": True},
            "Table": {
                "type": "map", "key": {"shape": "Name"}, "value": {"shape": "Name"}, "sparse": True,
            },
        },
    )  # fmt: skip
    package = generate(tmp_path, monkeypatch, raw)
    client, wire = await package.client(credentials=CREDENTIALS)
    wire.data = b'{"names": ["a", null], "table": {"b": null}}'
    answer = await client.do(names=[None, "a"], table={"b": None})
    assert wire.sent[0].json == {"names": [None, "a"], "table": {"b": None}}
    assert (answer.names, answer.table) == (["a", None], {"b": None})


async def test_a_member_may_have_a_timestamp_format_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    formats = ("rfc822", "iso8601", "unixTimestamp")
    raw = model(
        {"Do": operation()},
        {
            "DoRequest": request(
                {form: {"shape": "Moment", "timestampFormat": form} for form in formats}
                | {"plain": {"shape": "Moment"}}
            ),
            "Moment": {"type": "timestamp", "timestampFormat": "iso8601"},
        },
    )
    package = generate(tmp_path, monkeypatch, raw)
    client, wire = await package.client(credentials=CREDENTIALS)
    moment = oracle.utils.parse_timestamp(946845296)
    await client.do(rfc822=moment, iso8601=moment, unix_timestamp=moment, plain=moment)
    assert wire.sent[0].json == {
        "rfc822": "Sun, 02 Jan 2000 20:34:56 GMT",
        "iso8601": "2000-01-02T20:34:56Z",
        "unixTimestamp": 946845296,
        "plain": "2000-01-02T20:34:56Z",
    }


def test_what_is_sensitive_is_not_shown_however_deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = model(
        {"Do": operation()},
        {
            "DoRequest": request({"table": {"shape": "Table"}, "names": {"shape": "Names"}}),
            "Secret": {"type": "string", "sensitive": True},
            "Name": STRING,
            "Names": {"type": "list", "member": {"shape": "Secret"}},
            "Table": {"type": "map", "key": {"shape": "Name"}, "value": {"shape": "Names"}},
        },
    )
    package = generate(tmp_path, monkeypatch, raw)
    shown = repr(package.types.DoRequest(table={"a": ["hush"]}, names=["hush"]))
    assert "hush" not in shown


# What is not known


def test_every_key_of_every_json_service_is_known() -> None:
    loader = oracle.module("botocore.loaders").Loader()
    unknown = {name: unknown_keys(loader.load_service_model(name, "service-2")) for name in json_services()}
    assert {name: keys for name, keys in unknown.items() if keys} == {}


def test_every_known_key_says_how_it_is_treated() -> None:
    assert all(treatment for keys in KNOWN.values() for treatment in keys.values())


def test_a_key_that_is_not_known_is_said_and_the_rest_generated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = model(
        {
            "Do": operation(
                sparkling=True,
                http={**HTTP, "verb": "do"},
                endpoint={"suffix": "."},
                errors=[{"shape": "Refused", "when": "often"}],
            )
        },
        {
            "DoRequest": request({"name": {"shape": "Name", "loud": True}}),
            "Name": {**STRING, "lovely": True},
            "Names": {"type": "list", "member": {"shape": "Name", "soft": True}},
            "Refused": request({}, exception=True, error={"mood": "bad"}),
        },
        odour="faint",
    ) | {"extras": {}}
    package = generate(tmp_path, monkeypatch, raw)
    assert sorted(package.notices) == [
        "endpoint.suffix of Do is not known and ignored",
        "error.mood of Refused is not known and ignored",
        "http.verb of Do is not known and ignored",
        "member.loud of DoRequest.name is not known and ignored",
        "metadata.odour of the service is not known and ignored",
        "operation.sparkling of Do is not known and ignored",
        "reference.soft of Names is not known and ignored",
        "reference.when of Do is not known and ignored",
        "service.extras of the service is not known and ignored",
        "shape.lovely of Name is not known and ignored",
    ]
    assert hasattr(package.operations.Operations, "do")


@pytest.mark.parametrize(
    ("traits", "reason"),
    [
        (
            {"auth": ["smithy.api#httpBearerAuth"]},
            "it wants smithy.api#httpBearerAuth, not Signature Version 4",
        ),
        ({"authtype": "bearer"}, "it wants bearer, not Signature Version 4"),
        ({"http": {"method": "GET", "requestUri": "/a"}}, "it is a GET of /a, not a POST of /"),
        (
            {"endpoint": {"hostPrefix": "{nobody}."}},
            "the prefix of its host names ['nobody'], which it is not asked with",
        ),
        ({"output": {"shape": "Stream"}}, "it streams events, which is not JSON alone"),
    ],
)
def test_an_operation_that_cannot_be_called_is_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, traits: dict[str, Any], reason: str
) -> None:
    raw = model(
        {"Do": operation(**traits), "Other": operation("Other")},
        {"DoRequest": request({}), "Stream": request({}, eventstream=True)},
    )
    package = generate(tmp_path, monkeypatch, raw)
    assert package.notices == (f"Do is left out: {reason}",)
    assert list(package.service.operations) == ["Other"]


@pytest.mark.parametrize(
    "metadata", [{"auth": ["smithy.api#httpBearerAuth"]}, {"signatureVersion": "bearer"}]
)
def test_a_service_that_takes_no_signature_of_ours_is_refused(metadata: dict[str, Any]) -> None:
    raw = model({}, {}, **metadata)
    with pytest.raises(GeneratorError, match="only Signature Version 4 is generated"):
        read_service("made-up", raw, paginators={})
