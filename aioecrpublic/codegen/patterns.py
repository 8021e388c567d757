"""Regular expressions of the models, which are written for other engines than Python's."""

from __future__ import annotations

import re
import warnings


def is_python_pattern(pattern: str) -> bool:
    r"""Whether ``re`` reads ``pattern``, and reads it as it is meant.

    Unicode classes such as ``\p{L}`` are unknown to it, and it warns of what is a set operation elsewhere.
    Such a constraint is left to the service: a check that is not quite the model's refuses what is right.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(pattern)
    except (re.error, FutureWarning, DeprecationWarning, OverflowError):
        return False
    return True
