"""A certificate for the loopback address, from an authority that nobody else trusts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import trustme

if TYPE_CHECKING:
    from pathlib import Path


@attrs.frozen
class Certificate:
    """Paths of PEM files.

    Attributes:
        authority: What clients are told to trust.
        chain: What the server shows.
        key: The server's private key.
    """

    authority: str
    chain: str
    key: str


def make_certificate(folder: Path) -> Certificate:
    """Make one that is valid for 127.0.0.1 and localhost, in ``folder``."""
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1", "localhost")
    made = Certificate(*(str(folder / name) for name in ("authority.pem", "chain.pem", "key.pem")))
    authority.cert_pem.write_to_path(made.authority)
    with (folder / "chain.pem").open("wb") as chain:
        for part in server.cert_chain_pems:
            chain.write(part.bytes())
    server.private_key_pem.write_to_path(made.key)
    return made
