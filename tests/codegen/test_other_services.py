"""Other services are generated, imported and typed, and talk; in a soak, all that speak JSON."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aioecrpublic import Credentials
from aioecrpublic._runtime.serde import Serde
from aioecrpublic.codegen import __main__ as command
from aioecrpublic.codegen.model import load_service
from tests.codegen.services import json_services
from tests.support import oracle
from tests.support.soak import SOAK
from tests.support.wire import Wire, answer, error

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parents[2]
# Each with something that others have not: odd names, unions, documents, tokens, unsigned operations,
# streams, endpoints that members choose.
SAMPLE = (
    "b2bi", "cognito-idp", "dynamodb", "ecr", "frauddetector", "glue", "kinesis", "kms", "logs", "memorydb",
    "mturk", "ssm",
)  # fmt: skip


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with a package for each of the services."""
    folder = tmp_path_factory.mktemp("others")
    for service in json_services() if SOAK else SAMPLE:
        assert command.main(["--service", service, "--out", str(folder / package(service))]) == 0
    return folder


def package(service: str) -> str:
    return f"other_{service.replace('-', '_')}"


def test_other_services_can_be_imported(others: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(others))
    for path in others.glob("other_*"):
        service = importlib.import_module(f"{path.name}.service").SERVICE
        importlib.import_module(f"{path.name}.operations")
        serde = Serde(service)
        for operation in service.operations.values():
            assert serde.decode_response(operation, b"{}") == serde.decode_response(operation, b"")


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
