"""What is called: how long the reply is, and how many calls are under way at once."""

from __future__ import annotations

from typing import Final

import attrs


@attrs.frozen
class Case:
    """One kind of call.

    Attributes:
        name: As it is called in tables.
        results: How many repositories the reply lists; ``None`` is DescribeRegistries with an empty list.
        width: How many calls are under way at once.
    """

    name: str
    results: int | None
    width: int


SMALL: Final = Case("small", None, 1)
HUNDRED: Final = Case("100 results", 100, 1)
CASES: Final = (
    SMALL,
    Case("small x50", None, 50),
    HUNDRED,
    Case("100 results x50", 100, 50),
    Case("1000 results", 1000, 1),
    Case("1000 results x50", 1000, 50),
)
