"""The generator: what is committed, a model small enough to read, other services, and what it refuses."""

from __future__ import annotations

import asyncio
import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from aioecrpublic import Credentials, ECRPublicClient
from aioecrpublic._generated import errors, types
from aioecrpublic._generated.service import OPERATIONS, SERVICE, SHAPES
from aioecrpublic._runtime.serde import Serde
from aioecrpublic._runtime.shapes import Structure
from aioecrpublic.codegen import __main__ as command
from aioecrpublic.codegen.docs import lines
from aioecrpublic.codegen.errors import GeneratorError
from aioecrpublic.codegen.model import load_service, read_service
from aioecrpublic.codegen.names import constant_case, snake_case
from aioecrpublic.codegen.patterns import is_python_pattern
from aioecrpublic.codegen.render import Target, render_package
from tests.support import oracle
from tests.support.soak import SOAK
from tests.support.wire import Wire, answer, error

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GOLDEN = HERE / "golden"


# What is committed


def test_what_is_committed_is_what_the_generator_writes(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--check"]) == 0, capsys.readouterr().err


def test_a_stale_file_is_named_with_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "generated"
    assert command.main(["--out", str(out)]) == 0
    assert command.main(["--out", str(out), "--check"]) == 0
    (out / "types.py").write_text("# edited\n")
    assert command.main(["--out", str(out), "--check"]) == 1
    assert f"{out / 'types.py'} is not what the generator writes; run: python -m aioecrpublic.codegen" in (
        capsys.readouterr().err
    )


def theirs() -> Any:
    return oracle.session.Session().get_service_model("ecr-public")


def test_every_operation_of_the_model_is_a_method() -> None:
    model = theirs()
    assert list(OPERATIONS) == sorted(model.operation_names)
    assert len(OPERATIONS) == 23
    for name, operation in OPERATIONS.items():
        method = getattr(ECRPublicClient, operation.method)
        assert asyncio.iscoroutinefunction(method), name
        assert method.__doc__, name
        known = {shape.name for shape in model.operation_model(name).error_shapes}
        assert {cls.default_code for cls in operation.errors} == known


def test_every_shape_has_the_models_members_and_constraints() -> None:
    model = theirs()
    for name in SHAPES:
        shape, ours = model.shape_for(name) if name in model.shape_names else None, SHAPES[name]
        if shape is None or not isinstance(ours, Structure):
            continue
        assert [member.wire for member in ours.members] == list(shape.members), name
        assert {member.wire for member in ours.members if member.required} == set(shape.required_members), (
            name
        )


def test_every_error_of_the_model_is_a_class() -> None:
    known = {shape.name for shape in theirs().error_shapes}
    assert set(errors.__all__) == set(SERVICE.errors) == known


def test_enums_have_the_models_values() -> None:
    model = theirs()
    enums = {name for name in model.shape_names if getattr(model.shape_for(name), "enum", None)}
    assert enums == {"ImageFailureCode", "LayerAvailability", "LayerFailureCode", "RegistryAliasStatus"}
    for name in enums:
        assert [value.value for value in getattr(types, name)] == model.shape_for(name).enum


def test_every_paginator_of_the_model_is_a_method() -> None:
    paged = {name for name, operation in OPERATIONS.items() if operation.pagination}
    assert paged == {"DescribeImageTags", "DescribeImages", "DescribeRegistries", "DescribeRepositories"}
    assert all(hasattr(ECRPublicClient, f"paginate_{OPERATIONS[name].method}") for name in paged)


def test_no_markup_is_left_in_the_documentation() -> None:
    for module in (types, errors):
        for name in module.__all__:
            doc = getattr(module, name).__doc__
            assert doc
            assert "<p>" not in doc
            assert "</" not in doc


# A model small enough to read


def mini() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((HERE / "mini.json").read_text())
    return loaded


def rendered(raw: Mapping[str, Any], paginators: Mapping[str, Any] | None = None) -> dict[str, str]:
    model = read_service("mini", raw, paginators=paginators or {})
    return render_package(model, Target(package="mini", command="python -m aioecrpublic.codegen"))


def test_the_golden_model_is_rendered_as_it_always_was() -> None:
    raw = mini()
    files = rendered(raw["model"], raw["pagination"])
    for name, text in files.items():
        golden = (GOLDEN / f"{name}.txt").read_text()
        assert text == golden, "if it is meant: python -m tests.codegen.write_golden"
    assert {path.name.removesuffix(".txt") for path in GOLDEN.iterdir()} == set(files)


def changed(**shapes: Any) -> dict[str, Any]:
    raw: dict[str, Any] = mini()["model"]
    raw["shapes"] |= shapes
    return raw


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (changed(Odd={"type": "colour"}), "Odd: unknown type 'colour'"),
        (changed(Name={"type": "string", "documentation": "ok"}), None),
        (changed(Odd={"type": "timestamp", "timestampFormat": "lunar"}), "Odd: unknown timestamp format"),
        (mini()["model"] | {"metadata": {"protocol": "rest-xml"}}, "mini speaks rest-xml"),
    ],
)
def test_a_model_that_is_not_understood_is_refused(raw: dict[str, Any], message: str | None) -> None:
    if message is None:
        assert rendered(raw)
        return
    with pytest.raises(GeneratorError, match=message):
        rendered(raw)


def test_a_service_that_speaks_json_among_others_is_spoken_to_in_json() -> None:
    raw = mini()["model"]
    raw["metadata"] |= {"protocol": "smithy-rpc-v2-cbor", "protocols": ["smithy-rpc-v2-cbor", "json"]}
    assert 'content_type="application/x-amz-json-1.1"' in rendered(raw)["service.py"]


def test_documents_and_written_timestamps_are_known() -> None:
    raw = changed(
        Thing={"type": "structure", "members": {"free": {"shape": "Free"}, "made": {"shape": "Made"}}},
        Free={"type": "structure", "members": {}, "document": True},
        Made={"type": "timestamp", "timestampFormat": "iso8601"},
    )
    files = rendered(raw)
    assert "    free: JSON | None = None" in files["types.py"]
    assert '"Free": Document(),' in files["service.py"]
    assert '"Made": Timestamp("iso8601"),' in files["service.py"]


def test_a_shape_with_a_name_of_ours_is_renamed() -> None:
    raw = changed(
        Thing={"type": "structure", "members": {"all": {"shape": "Models"}, "ACLs": {"shape": "Name"}}},
        Models={"type": "list", "member": {"shape": "Model"}},
        Model={"type": "structure", "members": {"name": {"shape": "Name"}}},
    )
    files = rendered(raw)
    assert "class Model_(Model):" in files["types.py"]
    assert "    all: list[Model_] = attrs.field(factory=list)" in files["types.py"]
    assert "    acls: str | None = None" in files["types.py"]
    assert '"Models": ListOf("Model_"),' in files["service.py"]


def test_members_of_errors_do_not_hide_what_errors_have() -> None:
    members = {"code": {"shape": "Name"}, "Status": {"shape": "Limit"}, "message": {"shape": "Name"}}
    raw = changed(ThingMissingException={"type": "structure", "exception": True, "members": members})
    text = rendered(raw)["errors.py"]
    assert 'members: ClassVar[tuple[str, ...]] = ("code_", "status_")' in text
    assert "    code_: str | None = None" in text


def test_operations_that_stream_are_left_out_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--service", "kinesis", "--out", str(tmp_path / "kinesis")]) == 0
    assert "codegen: SubscribeToShard is left out" in capsys.readouterr().err
    text = (tmp_path / "kinesis" / "operations.py").read_text()
    assert "def subscribe_to_shard(" not in text
    assert "def put_record(" in text


def json_services() -> list[str]:
    """Services with something that others have not; in a soak, all that speak JSON."""
    if not SOAK:
        return ["b2bi", "codecommit", "cognito-idp", "frauddetector", "health", "logs", "memorydb", "mturk"]
    session = oracle.session.Session()
    found = {name: session.get_service_model(name).metadata for name in session.get_available_services()}
    return [name for name, meta in found.items() if "json" in meta.get("protocols", [meta["protocol"]])]


@pytest.mark.timeout(600)
def test_any_json_service_of_botocore_can_be_generated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in json_services():
        package = f"any_{name.replace('-', '_')}"
        assert command.main(["--service", name, "--out", str(tmp_path / package)]) == 0
        service = importlib.import_module(f"{package}.service").SERVICE
        importlib.import_module(f"{package}.operations")
        serde = Serde(service)
        for operation in service.operations.values():
            assert serde.decode_response(operation, b"{}") == serde.decode_response(operation, b"")


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>A <blink>new</blink> thing.</p>", ["A new thing."]),
        ("<p>One<br/>two<br>three</p>", ["One", "", "two", "", "three"]),
        ("A</a> b</code></fullname>.</ul></nothing>", ["A b."]),
        ("<table><tr><td>a</td> <td>b</td></tr><tr><td>c</td></tr></table>", ["a b", "", "c"]),
        ("1 < 2 & <!-- no --> &lt;b&gt; <![CDATA[x]]>", ["1 < 2 & <b>"]),
    ],
)
def test_tags_that_are_not_known_leave_their_words(html: str, text: list[str]) -> None:
    assert lines(html, 80) == text
    raw = mini()["model"]
    raw["operations"]["GetThing"]["documentation"] = html
    assert text[0] in rendered(raw)["operations.py"]


def test_an_unknown_service_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command.main(["--service", "nothing", "--out", str(tmp_path / "x")]) == 1
    assert "botocore has no service 'nothing'" in capsys.readouterr().err
    assert command.main(["--service", "s3", "--out", str(tmp_path / "x")]) == 1
    assert "s3 speaks rest-xml" in capsys.readouterr().err
    assert command.main(["--service", "kms"]) == 1
    assert "needs --out DIR" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "snake"),
    [
        ("repositoryName", "repository_name"),
        ("KMSKeyId", "kms_key_id"),
        ("class", "class_"),
        ("from", "from_"),
        ("list", "list_"),
        ("service", "service_"),
        ("ACLs", "acls"),
        ("datetime", "datetime"),
        ("a.b", "a_b"),
    ],
)
def test_names_are_pythons(name: str, snake: str) -> None:
    assert snake_case(name) == snake


@pytest.mark.parametrize(
    ("value", "constant"),
    [
        ("ImageNotFound", "IMAGE_NOT_FOUND"),
        ("KmsError", "KMS_ERROR"),
        ("a-b c", "A_B_C"),
        ("2xl", "_2XL"),
        ("", "EMPTY"),
    ],
)
def test_enum_values_become_constants(value: str, constant: str) -> None:
    assert constant_case(value) == constant


def test_documentation_becomes_text() -> None:
    html = (
        "<fullname>Name</fullname><p>Use <code>docker</code>, see <a href='https://x.y'>it</a>.</p>"
        "<note><p>Mind this.</p></note><ul><li><p>One</p></li><li><p>Two <i>and</i> three</p></li></ul>"
    )
    assert lines(html, 80) == [
        "Use ``docker``, see it (https://x.y).",
        "",
        "Note: Mind this.",
        "",
        "- One",
        "- Two and three",
    ]


@pytest.mark.parametrize(
    ("pattern", "readable"),
    [
        (r"[a-z]+", True),
        (r"[\p{L}]*", False),
        (r"[[:alpha:]]", False),
        (r"(", False),
        (r"a{2,1}", False),
        (r"\S+", True),
    ],
)
def test_patterns_of_other_engines_are_left_to_the_service(pattern: str, readable: bool) -> None:  # noqa: FBT001 - cases
    assert is_python_pattern(pattern) is readable


# Other services


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("others")
    for service in ("ecr", "kms", "ssm", "dynamodb", "firehose", "b2bi"):
        assert command.main(["--service", service, "--out", str(folder / f"other_{service}")]) == 0
    return folder


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_other_services_pass_mypy_strict(others: Path) -> None:
    settings = others / "mypy.ini"
    settings.write_text(
        f"[mypy]\nstrict = true\nmypy_path = {ROOT}:{ROOT / 'stubs'}\ncache_dir = {ROOT}/.mypy_cache\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", settings, *sorted(others.glob("other_*"))],
        capture_output=True,
        text=True,
        check=False,
        cwd=others,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("service", "method", "arguments", "reply"),
    [
        ("ecr", "describe_repositories", {"max_results": 5}, {"repositories": [{"repositoryName": "a"}]}),
        ("kms", "generate_random", {"number_of_bytes": 8}, {"Plaintext": "AAEC"}),
        (
            "ssm",
            "get_parameter",
            {"name": "n", "with_decryption": True},
            {"Parameter": {"Name": "n", "Version": 2}},
        ),
        (
            "dynamodb",
            "get_item",
            {"table_name": "t", "key": {}},
            {"Item": {"a": {"M": {"b": {"L": [{"S": "x"}, {"B": "AAEC"}]}}}}},
        ),
    ],
)
async def test_other_services_talk(
    others: Path,
    monkeypatch: pytest.MonkeyPatch,
    service: str,
    method: str,
    arguments: dict[str, Any],
    reply: dict[str, Any],
) -> None:
    monkeypatch.syspath_prepend(str(others))
    operations = importlib.import_module(f"other_{service}.operations")
    async with Wire() as wire:
        wire.answers = [answer(reply), error("ValidationException")]
        async with operations.Operations("eu-west-1", wire.url, Credentials("a", "b")) as client:
            response = await getattr(client, method)(**arguments)
            with pytest.raises(Exception, match="ValidationException"):
                await getattr(client, method)(**arguments)
    request = wire.requests[0]
    model = oracle.session.Session().get_service_model(service)
    assert request.headers["X-Amz-Target"] == f"{model.metadata['targetPrefix']}.{request.operation}"
    assert request.headers["Content-Type"] == f"application/x-amz-json-{model.metadata['jsonVersion']}"
    assert (
        f"/eu-west-1/{model.metadata.get('signingName', model.metadata['endpointPrefix'])}/aws4_request"
        in (request.headers["Authorization"])
    )
    parser = oracle.parsers.create_parser("json")
    shape = model.operation_model(request.operation).output_shape
    parsed = parser.parse({"body": json.dumps(reply).encode(), "headers": {}, "status_code": 200}, shape)
    parsed.pop("ResponseMetadata")
    assert camel(response) == parsed


def camel(response: Any) -> Any:
    """A response of a generated package in the model's words, without what is absent."""
    if isinstance(response, list):
        return [camel(item) for item in response]
    if isinstance(response, dict):
        return {key: camel(item) for key, item in response.items()}
    if not hasattr(response, "__attrs_attrs__"):
        return response
    service = importlib.import_module(f"{type(response).__module__.partition('.')[0]}.service")
    shape = service.SHAPES[type(response).__name__]
    found = {member.wire: camel(getattr(response, member.name)) for member in shape.members}
    return {name: value for name, value in found.items() if value not in (None, [], {})}


def test_endpoints_of_a_service_of_many_regions_are_botocores() -> None:
    model = load_service("kms")
    for region, fips, dualstack in [
        ("eu-west-1", False, False),
        ("us-east-1", True, False),
        ("cn-north-1", False, False),
    ]:
        config = oracle.config.Config(use_fips_endpoint=fips, use_dualstack_endpoint=dualstack)
        client = oracle.session.Session().create_client(
            "kms", region, config=config, aws_access_key_id="a", aws_secret_access_key="b"
        )
        assert (
            f"{model.endpoints.urls[region, fips, dualstack]}/"
            == oracle.sent_request(client, "list_keys").url
        )


def test_a_missing_extra_is_a_line() -> None:
    program = "import sys, runpy; sys.modules['jinja2'] = None; runpy.run_module('aioecrpublic.codegen')"
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    line = "codegen: jinja2 is not installed; run: pip install 'aioecrpublic[codegen]'\n"
    assert (done.returncode, done.stderr) == (1, line)
