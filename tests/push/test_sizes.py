from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioecrpublic import ConfigurationError, ImageError
from aioecrpublic.push.budget import MIB, MemoryBudget
from aioecrpublic.push.sizes import (
    LARGEST_LAYER,
    LARGEST_PART,
    MOST_PARTS,
    SMALLEST_PART,
    check_layer_size,
    check_part_size,
    choose_part_size,
)

BUDGET = MemoryBudget(64 * MIB)


@given(asked=st.none() | st.integers(0, 2**40), size=st.integers(1, LARGEST_LAYER))
def test_the_chosen_size_is_one_that_the_service_takes(asked: int | None, size: int) -> None:
    chosen = choose_part_size(asked, None, size)
    assert isinstance(chosen, int)
    assert SMALLEST_PART <= chosen <= LARGEST_PART
    assert -(-size // chosen) <= MOST_PARTS


def test_the_service_is_followed_within_its_limits() -> None:
    assert choose_part_size(10 * MIB, None, 100 * MIB) == 10 * MIB
    assert choose_part_size(1, None, 100 * MIB) == 5 * MIB
    assert choose_part_size(100 * MIB, None, 100 * MIB) == 20 * MIB
    assert choose_part_size(None, None, 100 * MIB) == 5 * MIB
    assert choose_part_size(10 * MIB, 6 * MIB, 100 * MIB) == 6 * MIB


def test_parts_grow_when_there_would_be_too_many() -> None:
    assert choose_part_size(5 * MIB, None, 9000 * MIB) == 9 * MIB
    assert choose_part_size(5 * MIB, 5 * MIB, 9000 * MIB) == 9 * MIB
    assert choose_part_size(5 * MIB, None, 9000 * MIB + 1) == 10 * MIB


@pytest.mark.parametrize("part_size", [0, -1, SMALLEST_PART - 1, LARGEST_PART + 1])
def test_a_part_size_that_the_service_refuses_is_named(part_size: int) -> None:
    with pytest.raises(ConfigurationError, match=f"part_size is {part_size},"):
        check_part_size(part_size, BUDGET)


@pytest.mark.parametrize(
    ("part_size", "limit", "part"),
    [
        (None, SMALLEST_PART - 1, SMALLEST_PART),
        (SMALLEST_PART, SMALLEST_PART - 1, SMALLEST_PART),
        (20 * MIB, 20 * MIB - 1, 20 * MIB),
    ],
)
def test_a_budget_below_one_part_is_named(part_size: int | None, limit: int, part: int) -> None:
    complaint = rf"^memory_budget is {limit} bytes, at least one part \({part}\)$"
    with pytest.raises(ConfigurationError, match=complaint):
        check_part_size(part_size, MemoryBudget(limit))


@pytest.mark.parametrize("part_size", [None, SMALLEST_PART, SMALLEST_PART + 1, LARGEST_PART])
def test_a_budget_of_one_part_is_enough(part_size: int | None) -> None:
    check_part_size(part_size, MemoryBudget(part_size or SMALLEST_PART))


def test_layers_that_cannot_be_stored() -> None:
    with pytest.raises(ImageError, match="sha256:a is empty"):
        check_layer_size("sha256:a", 0)
    with pytest.raises(ImageError, match="at most 10485760000"):
        check_layer_size("sha256:a", LARGEST_LAYER + 1)
    check_layer_size("sha256:a", LARGEST_LAYER)
