"""Print the coverage that slipcover measured, in one line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

summary = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["summary"]
lines = summary["covered_lines"] + summary["missing_lines"]
print(f"the fast tests execute {summary['percent_covered']:.1f} % of the {lines:,} lines of the core")
