"""The SDKs that talk to the local registry in its tests, each as a ``Speak``."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import os
import re
import subprocess
from contextlib import AsyncExitStack, ExitStack, closing, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import boto3
from aiobotocore.session import get_session

from tests.local.scenario import Refused
from tests.support import oracle
from tests.support.tools import node_package, python_of, require

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from aioecrpublic import Credentials
    from aioecrpublic.local import LocalECRPublic

HERE = Path(__file__).parent
NO_RETRIES = oracle.config.Config(retries={"total_max_attempts": 1, "mode": "standard"})


def arguments(
    server: LocalECRPublic, credentials: Credentials | None = None, **others: Any
) -> dict[str, Any]:
    """What boto3 and aiobotocore make a client from."""
    keys = credentials or server.credentials
    return {
        "service_name": "ecr-public",
        "region_name": "us-east-1",
        "endpoint_url": server.endpoint_url,
        "aws_access_key_id": keys.access_key_id,
        "aws_secret_access_key": keys.secret_access_key,
        "aws_session_token": keys.session_token,
        "config": NO_RETRIES,
        **others,
    }


@functools.cache
def session() -> Any:
    """One for all: reading the model takes longer than most tests."""
    return boto3.Session()


def method(operation: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", operation).lower()


def refused(error: Any) -> Refused:
    """botocore's ``ClientError`` as ours."""
    answer = error.response
    members = {key: value for key, value in answer.items() if key not in {"Error", "ResponseMetadata"}}
    return Refused(answer["Error"]["Code"], answer["Error"]["Message"], members)


class Boto3:
    """boto3 as it is."""

    complete = True

    def __init__(self, server: LocalECRPublic, credentials: Credentials | None = None, **others: Any) -> None:
        self.client: Any = session().client(**arguments(server, credentials, **others))

    def __call__(self, operation: str, **params: Any) -> Any:
        try:
            response = getattr(self.client, method(operation))(**params)
        except oracle.exceptions.ClientError as error:
            raise refused(error) from error
        del response["ResponseMetadata"]
        return response

    def close(self) -> None:
        self.client.close()


class AioBotocore:
    """aiobotocore on a loop of its own."""

    complete = True

    def __init__(self, run: Callable[[Any], Any], client: Any) -> None:
        self._run = run
        self._client = client

    def __call__(self, operation: str, **params: Any) -> Any:
        try:
            response = self._run(getattr(self._client, method(operation))(**params))
        except oracle.exceptions.ClientError as error:
            raise refused(error) from error
        del response["ResponseMetadata"]
        return response


class Lines:
    """A program that takes a call and gives an answer a line."""

    def __init__(
        self, process: subprocess.Popen[str], stdin: IO[str], stdout: IO[str], *, complete: bool
    ) -> None:
        self._process = process
        self._stdin = stdin
        self._stdout = stdout
        self.complete = complete

    def __call__(self, operation: str, **params: Any) -> Any:
        # The command line takes no bytes but text.
        blob = (lambda b: {"$blob": base64.b64encode(b).decode()}) if self.complete else bytes.decode
        self._stdin.write(json.dumps({"operation": operation, "params": params}, default=blob) + "\n")
        self._stdin.flush()
        answer = json.loads(self._stdout.readline())
        if "code" in answer:
            raise Refused(answer["code"], answer["message"], answer["members"])
        return answer["response"]


@contextmanager
def boto3_client(server: LocalECRPublic) -> Generator[Boto3, None, None]:
    with closing(Boto3(server)) as client:
        yield client


@contextmanager
def aiobotocore_client(server: LocalECRPublic) -> Generator[AioBotocore, None, None]:
    with asyncio.Runner() as runner, ExitStack() as stack:
        opening = AsyncExitStack()
        stack.callback(lambda: runner.run(opening.aclose()))
        client = runner.run(
            opening.enter_async_context(get_session().create_client(**arguments(server, config=None)))
        )
        yield AioBotocore(runner.run, client)


@contextmanager
def program(server: LocalECRPublic, *command: str, complete: bool) -> Generator[Lines, None, None]:
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": server.credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": server.credentials.secret_access_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_ECR_PUBLIC": server.endpoint_url,
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_PAGER": "",
    }
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Lines(process, process.stdin, process.stdout, complete=complete)
    assert process.returncode == 0


@contextmanager
def aws_cli(server: LocalECRPublic) -> Generator[Lines, None, None]:
    with program(server, python_of("aws"), str(HERE / "drive_cli.py"), complete=False) as lines:
        yield lines


@contextmanager
def javascript(server: LocalECRPublic) -> Generator[Lines, None, None]:
    directory = node_package("@aws-sdk/client-ecr-public")
    with program(
        server, require("node"), str(HERE / "drive.mjs"), directory, server.endpoint_url, complete=True
    ) as lines:
        yield lines
