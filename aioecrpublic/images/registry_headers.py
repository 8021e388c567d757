"""Header fields of a registry's replies, which may hold any bytes: read strictly, or told what is wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from aioecrpublic.images.errors import ImageError, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TOKEN: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # noqa: S105 - a token of HTTP's grammar
_VALUE: Final = r'"((?:[^"\\]|\\.)*)"|([^\s,;"]*)'
_SCHEME: Final = re.compile(rf"[\s,]*({_TOKEN})(?=[\s,]|$)")
_CHALLENGE_PARAMETER: Final = re.compile(rf'[\s,]*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))')
_LINK_TARGET: Final = re.compile(r"[\s,]*<([^<>]*)>")
_LINK_PARAMETER: Final = re.compile(rf"\s*;\s*(?:({_TOKEN})(?:\s*=\s*(?:{_VALUE}))?)?")
_LINK_END: Final = re.compile(r"\s*(?:,|$)")
_CONTENT_LENGTH: Final = re.compile(r"[0-9]{1,19}")
_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)", re.IGNORECASE)


@attrs.frozen
class Challenge:
    """One challenge of a ``WWW-Authenticate`` header.

    Attributes:
        scheme: In lower case.
        parameters: By their names in lower case; of one that is there twice the first counts.
    """

    scheme: str
    parameters: dict[str, str]


@attrs.frozen
class ContentRange:
    """What a ``Content-Range`` header says of a body: its first and last byte, and the size of the whole."""

    first: int
    last: int
    size: int | None


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """Parse ``WWW-Authenticate`` headers (RFC 9110, section 11.6.1), as far as they are well-formed."""
    challenges: list[Challenge] = []
    for header in headers:
        position = 0
        while position < len(header):
            parameter = _CHALLENGE_PARAMETER.match(header, position)
            scheme = _SCHEME.match(header, position)
            if parameter is not None and challenges:
                value = _unquoted(parameter[2], parameter[3])
                challenges[-1].parameters.setdefault(parameter[1].lower(), value)
                position = parameter.end()
            elif scheme is not None:
                challenges.append(Challenge(scheme[1].lower(), {}))
                position = scheme.end()
            else:
                break
    return challenges


def next_link(headers: Iterable[str]) -> str | None:
    """Return the target of the relation ``next`` of ``Link`` headers (RFC 8288), ``None`` if there is none.

    A link whose ``anchor`` says that it belongs to something else does not count.

    Raises:
        ValueError: A header is not well-formed, so that a page could be missed.
    """
    for header in headers:
        for target, parameters in _links(header):
            relations = parameters.get("rel", "").lower().split()
            if "next" in relations and "anchor" not in parameters:
                return target
    return None


def _links(header: str) -> Iterable[tuple[str, dict[str, str]]]:
    position = 0
    while header[position:].strip(" \t,"):
        target = _LINK_TARGET.match(header, position)
        if target is None:
            raise ValueError("no target in angle brackets")
        parameters: dict[str, str] = {}
        position = target.end()
        while (parameter := _LINK_PARAMETER.match(header, position)) is not None:
            if parameter[1] is not None:
                parameters.setdefault(parameter[1].lower(), _unquoted(parameter[2], parameter[3] or ""))
            position = parameter.end()
        end = _LINK_END.match(header, position)
        if end is None:
            raise ValueError("something else than a parameter after a target")
        position = end.end()
        yield target[1], parameters


def content_length(headers: Mapping[str, str]) -> int | None:
    """Return what ``Content-Length`` says, ``None`` if it is not there or is no number."""
    stated = _CONTENT_LENGTH.fullmatch(headers.get("Content-Length", "").strip())
    return None if stated is None else int(stated[0])


def parse_content_range(headers: Mapping[str, str]) -> ContentRange | None:
    """Parse ``Content-Range`` (RFC 9110, section 14.4), ``None`` if it is not one range of bytes."""
    stated = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if stated is None:
        return None
    return ContentRange(int(stated[1]), int(stated[2]), None if stated[3] == "*" else int(stated[3]))


def check_encodings(headers: Mapping[str, str], what: str) -> None:
    """Check that a body is sent as it is, so that its size and digest are those of the content.

    Raises:
        ImageError: It is encoded, in the content or for the transfer, although that was not asked for.
    """
    encoding = headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() != "identity":
        raise ImageError(f"{what}: sent with Content-Encoding {shown(encoding)}, which was not asked for")
    transfer = headers.get("Transfer-Encoding", "chunked")
    if transfer.strip().lower() not in {"chunked", "identity"}:
        raise ImageError(f"{what}: sent with Transfer-Encoding {shown(transfer)}, which was not asked for")


def _unquoted(quoted: str | None, plain: str) -> str:
    return plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
