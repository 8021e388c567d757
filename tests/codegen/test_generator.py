"""The generator: a model small enough to read, names and documentation, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from aioecrpublic.codegen import __main__ as command
from aioecrpublic.codegen.docs import lines
from aioecrpublic.codegen.errors import GeneratorError
from aioecrpublic.codegen.model import read_service
from aioecrpublic.codegen.names import constant_case, snake_case
from aioecrpublic.codegen.patterns import is_python_pattern
from aioecrpublic.codegen.render import Target, render_package

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GOLDEN = HERE / "golden"


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
    assert "    all: list[Model_] = attrs.field(factory=AbsentList)" in files["types.py"]
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


def test_a_missing_extra_is_a_line() -> None:
    program = "import sys, runpy; sys.modules['jinja2'] = None; runpy.run_module('aioecrpublic.codegen')"
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    line = "codegen: jinja2 is not installed; run: pip install 'aioecrpublic[codegen]'\n"
    assert (done.returncode, done.stderr) == (1, line)


def test_a_stale_file_is_named_with_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "generated"
    assert command.main(["--out", str(out)]) == 0
    assert command.main(["--out", str(out), "--check"]) == 0
    (out / "types.py").write_text("# edited\n")
    assert command.main(["--out", str(out), "--check"]) == 1
    assert f"{out / 'types.py'} is not what the generator writes; run: python -m aioecrpublic.codegen" in (
        capsys.readouterr().err
    )
