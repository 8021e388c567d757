"""Whether this run is a soak (``make soak``): thousands of random examples where there are else hundreds."""

from __future__ import annotations

import os
from typing import Final

SOAK: Final = os.environ.get("AIOECRPUBLIC_SOAK") == "1"
