"""The service's quotas of how many and how large, small enough to be met."""

from __future__ import annotations

import pytest

from aioecrpublic import ConfigurationError, Credentials
from aioecrpublic.local import DEFAULT_CREDENTIALS, LocalECRPublic, Settings
from tests.local.rules.helpers import boto, push_small_image, raw, refused, running
from tests.local.rules.test_layers import begin, send
from tests.local.v2.helpers import logged_in


def test_repositories() -> None:
    with running(settings=Settings(most_repositories=2)) as server:
        client = boto(server)
        for name in ("a1", "b1"):
            client.create_repository(repositoryName=name)
        with refused("LimitExceededException", "maximum number of repositories, 2"):
            client.create_repository(repositoryName="c1")
        client.delete_repository(repositoryName="a1")
        client.create_repository(repositoryName="c1")


def test_images() -> None:
    with running(settings=Settings(most_images=1)) as server:
        client = boto(server)
        client.create_repository(repositoryName="app")
        push_small_image(client, "app", "1.0")
        push_small_image(client, "app", "another")
        with refused("LimitExceededException", "'app'", "maximum number of images, 1"):
            push_small_image(client, "app", "2.0", b"2")
        registry = logged_in(server, client, "app")
        with pytest.raises(AssertionError, match="429"):
            registry.push_image("2.0", b"layer")


def test_parts_and_bytes_of_a_layer() -> None:
    with running(settings=Settings(most_parts=2, largest_layer=10)) as server:
        client = boto(server)
        client.create_repository(repositoryName="app")
        upload = begin(client, "app")
        with refused("LimitExceededException", "at most 10 bytes"):
            send(client, "app", upload, 0, b"12345678901")
        send(client, "app", upload, 0, b"12345")
        send(client, "app", upload, 5, b"1234")
        with refused("LimitExceededException", "at most 2 parts"):
            send(client, "app", upload, 9, b"1")
        registry = logged_in(server, client, "app")
        location = registry.call("POST", "blobs/uploads/").headers["Location"]
        assert registry.call("PATCH", location, b"12345678901").codes == ["SIZE_INVALID"]
        headers = f"Host: x\r\nAuthorization: {registry.authorization}\r\nContent-Length: 11\r\n\r\n"
        # Before a byte of it has come.
        reply = raw(server, f"PATCH {location} HTTP/1.1\r\n{headers}".encode())
        assert b" 413 " in reply.partition(b"\r\n")[0]
        registry.push_blob(b"1234567890")


@pytest.mark.parametrize(
    ("accounts", "says"),
    [
        ({"me": Credentials("AKIAME", "x")}, "'me' is not an account id"),
        ({"210987654321": Credentials(DEFAULT_CREDENTIALS.access_key_id, "x")}, "two have the access key id"),
    ],
)
def test_accounts_that_cannot_be(accounts: dict[str, Credentials], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        LocalECRPublic(accounts=accounts)
