"""Calls of the AWS CLI, a line of JSON each, by the interpreter that the CLI is installed for.

Starting it once for each call would take seconds, so its driver is called as its script calls it.
"""

import contextlib
import io
import json
import re
import sys
import tempfile

import awscli  # type: ignore[import-not-found]
from awscli.clidriver import create_clidriver  # type: ignore[import-not-found]

driver = create_clidriver()
# Version 2 takes blobs in base64 unless told otherwise, version 1 takes them as they are.
RAW = ["--cli-binary-format", "raw-in-base64-out"] if awscli.__version__.startswith("2.") else []


def call(operation: str, params: dict[str, object]) -> dict[str, object]:
    command = re.sub(r"(?<!^)([A-Z])", r"-\1", operation).lower()
    output, errors = io.StringIO(), io.StringIO()
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".json") as file:
        json.dump(params, file)
        file.flush()
        arguments = [
            "ecr-public",
            command,
            "--cli-input-json",
            f"file://{file.name}",
            "--output",
            "json",
            *RAW,
        ]
        # Pages as the service cuts them, for those commands that would put them together.
        if operation in {"DescribeRepositories", "DescribeImages", "DescribeImageTags", "DescribeRegistries"}:
            arguments.append("--no-paginate")
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            status = driver.main(arguments)
    if status == 0:
        return {"response": json.loads(output.getvalue() or "{}")}
    found = re.search(
        r"An error occurred \((\w+)\) when calling the \w+ operation: (.*)", errors.getvalue(), re.DOTALL
    )
    if found is None:
        raise SystemExit(f"{arguments}: status {status}: {errors.getvalue()}")
    return {"code": found[1], "message": found[2].strip(), "members": {}}


for line in sys.stdin:
    asked = json.loads(line)
    answer = call(asked["operation"], asked["params"])
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
