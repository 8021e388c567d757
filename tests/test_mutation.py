from __future__ import annotations

import pytest

from tests.tools.mutation import ROOT, TARGETS, Target


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
def test_what_is_tested_by_mutation_and_by_what_exists(target: Target) -> None:
    for path in (
        *(f"aioecrpublic/{file}" for file in target.files),
        *(f"tests/{test}" for test in target.tests),
    ):
        assert (ROOT / path).is_file(), path
