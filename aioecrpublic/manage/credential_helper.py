"""``docker-credential-aioecrpublic``: what docker, skopeo and buildah run to learn a password.

The protocol is that of docker-credential-helpers: one word as argument, a registry on standard input, JSON
or a message on standard output, and an exit status.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from urllib.parse import urlsplit

from aioecrpublic._common.errors import ECRPublicError
from aioecrpublic.client import ECRPublicClient
from aioecrpublic.manage.docker_login import REGISTRY
from aioecrpublic.manage.token import TOKEN_REGION, registry_token

_USAGE = "usage: docker-credential-aioecrpublic get|store|erase|list"
# The sentence by which clients know that they may go on without credentials.
_NOT_FOUND = "credentials not found in native keychain"
_USERNAME = "AWS"


def main() -> None:
    """Do what the argument says, for the registry on standard input; exit with 1 if it cannot be done."""
    try:
        answer = _answer(sys.argv[1:])
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except (ECRPublicError, OSError) as error:
        # Clients show what comes on standard output.
        sys.stdout.write(" ".join(str(error).split()) + "\n")
        raise SystemExit(1) from None
    sys.stdout.write(answer)


def _answer(arguments: list[str]) -> str:
    match arguments:
        case ["get"]:
            return asyncio.run(_get(sys.stdin.read().strip()))
        case ["list"]:
            return json.dumps(dict.fromkeys(sorted(_registries()), _USERNAME)) + "\n"
        case ["erase"]:
            # There is nothing to forget: every password is asked for when it is needed.
            sys.stdin.read()
            return ""
        case ["store"]:
            sys.stdin.read()
            raise ECRPublicError("nothing was stored: passwords for ECR Public come from AWS credentials")
        case _:
            raise ECRPublicError(_USAGE)


async def _get(server: str) -> str:
    if _host(server) not in _registries():
        raise ECRPublicError(_NOT_FOUND)
    async with ECRPublicClient(region=TOKEN_REGION, user_agent_extra="md/credential-helper") as client:
        token = await registry_token(client)
    return json.dumps({"ServerURL": server, "Username": token.username, "Secret": token.password}) + "\n"


def _registries() -> set[str]:
    """``public.ecr.aws``, and the local registry if the environment leads to one."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_ECR_PUBLIC")
    return {REGISTRY, _host(endpoint)} if endpoint else {REGISTRY}


def _host(server: str) -> str:
    return urlsplit(server if "://" in server else f"//{server}").netloc
