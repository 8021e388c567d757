"""Whether this run is a soak (``make soak``): thousands of random examples where there are else hundreds."""

from __future__ import annotations

import os
from typing import Final

from hypothesis import HealthCheck, settings

SOAK: Final = os.environ.get("AIOECRPUBLIC_SOAK") == "1"
FUZZ: Final = settings(
    max_examples=100_000 if SOAK else 1000,
    derandomize=not SOAK,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
"""For a test that feeds whatever may come from outside: a thousand examples, always the same ones."""
