"""Where real annotated micrographs are looked for."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["PLACE", "find_real_data"]

PLACE = Path(os.environ.get("SYNTHBENCH_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def find_real_data() -> Path | None:
    """Return the folder of real micrographs, or None where there is none."""
    return PLACE if (PLACE / "manifest.csv").is_file() else None
