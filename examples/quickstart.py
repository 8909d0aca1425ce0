"""Run a very small study from Python, and print its leaderboard.

A U-Net is trained for a few steps with and without synthetic images: enough to see how it works, far too little
to conclude anything. Takes about ten seconds::

    python examples/quickstart.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import synthbench

STUDY = {
    "name": "quickstart",
    "datasets": [{"name": "phantom-nuclei", "config": {"train": 6, "validation": 2, "test": 4, "size": 96}}],
    "generators": ["duplicate"],
    "segmenters": ["unet"],
    "synthetic": [4],
    "seeds": 2,
    "budget": "smoke",
    "encoder": "untrained",
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        planned = synthbench.plan(STUDY, store=Path(folder) / "store")
        print(f"{len(planned.missing)} tasks to run")
        run = synthbench.run(STUDY, folder=Path(folder) / "run", store=Path(folder) / "store", engine="serial")
        print(run.table()[["arm", "segmenter", "f1@0.50"]].to_string(index=False))
        again = synthbench.load_results(run.folder)
        print(f"{len(again.runs)} trainings, {run.failed} failed tasks")


if __name__ == "__main__":
    main()
