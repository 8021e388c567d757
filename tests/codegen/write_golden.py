"""Write the golden files anew, when a change of theirs is meant: ``python -m tests.codegen.write_golden``."""

from __future__ import annotations

from tests.codegen.test_generator import GOLDEN, mini, rendered

if __name__ == "__main__":
    raw = mini()
    for name, text in rendered(raw["model"], raw["pagination"]).items():
        (GOLDEN / f"{name}.txt").write_text(text)
