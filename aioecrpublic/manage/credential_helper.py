"""``docker-credential-aioecrpublic``: what docker, skopeo and buildah run to learn a password.

The protocol is that of docker-credential-helpers (README, "Development", and its package ``credentials``):
one word as argument, a registry on standard input, JSON or a message on standard output, an exit status.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Final

from aioecrpublic._common.errors import ECRPublicError
from aioecrpublic._common.streams import tolerate_any_text
from aioecrpublic._common.text import printable
from aioecrpublic._runtime.errors import NoCredentialsError
from aioecrpublic._version import __version__
from aioecrpublic.client import ECRPublicClient
from aioecrpublic.images.docker_config import host_of
from aioecrpublic.manage.registry_hosts import helper_hosts
from aioecrpublic.manage.token import TOKEN_REGION, registry_token

_PROGRAM: Final = "docker-credential-aioecrpublic"
_USAGE: Final = f"usage: {_PROGRAM} get|store|erase|list|version"
# The sentence by which clients know that they may go on without credentials.
_NOT_FOUND: Final = "credentials not found in native keychain"
_NO_SERVER: Final = "no credentials server URL"
_USERNAME: Final = "AWS"
_MAX_INPUT: Final = 64 * 1024


class _RefusedError(ECRPublicError):
    """What clients are to be told in the words of the protocol."""


def main() -> None:
    """Do what the argument says, for the registry on standard input; exit with 1 if it cannot be done."""
    tolerate_any_text()
    try:
        answer = _answer(sys.argv[1:])
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except (ECRPublicError, OSError) as error:
        # Clients show what comes on standard output.
        sys.stdout.write(f"{printable(str(error))}\n")
        raise SystemExit(1) from None
    sys.stdout.write(answer)


def _answer(arguments: list[str]) -> str:
    match arguments:
        case ["get"]:
            return asyncio.run(_get(_read_input().strip()))
        case ["list"]:
            return json.dumps(dict.fromkeys(helper_hosts(), _USERNAME)) + "\n"
        case ["store"]:
            # ``docker login`` fails if this does. The password is checked by then, and not needed again.
            _read_input()
            sys.stderr.write(f"{_PROGRAM}: nothing was stored: AWS credentials give the password\n")
            return ""
        case ["erase"]:
            # There is nothing to forget, for every password is asked for when it is needed.
            _read_input()
            return ""
        case ["version"]:
            return f"{_PROGRAM} (aioecrpublic) {__version__}\n"
        case _:
            raise _RefusedError(_USAGE)


def _read_input() -> str:
    raw = sys.stdin.buffer.read(_MAX_INPUT + 1)
    if len(raw) > _MAX_INPUT:
        raise _RefusedError(f"standard input has more than {_MAX_INPUT} bytes")
    return raw.decode("utf-8", "replace")


async def _get(server: str) -> str:
    if not server:
        raise _RefusedError(_NO_SERVER)
    if host_of(server) not in helper_hosts():
        raise _RefusedError(_NOT_FOUND)
    try:
        async with ECRPublicClient(region=TOKEN_REGION, user_agent_extra="md/credential-helper") as client:
            token = await registry_token(client)
    except NoCredentialsError:
        # Images of ECR Public can be pulled without: whoever has no AWS credentials is to go on so.
        raise _RefusedError(_NOT_FOUND) from None
    return json.dumps({"ServerURL": server, "Username": token.username, "Secret": token.password}) + "\n"
