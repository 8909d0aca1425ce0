"""Hundreds of damaged COCO files and sample sets, read in a process with little memory: a set or one line each."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from synthbench.datasets.importing import prepare_import
from synthbench.errors import SynthbenchError
from synthbench.samples import INDEX, Sample, SampleSet

COUNT = 150
MEMORY = 2**31
SECONDS = 60
SQUARE = [[4, 4, 12, 4, 12, 12, 4, 12]]
VALUES: list[Any] = [None, True, 0, -1, 2.5, 1e9, 1e308, math.nan, math.inf, -math.inf, 10**30, "", "x", "1", "\0"]
VALUES += ["a" * 3000, "a.png", "../a.png", [], {}, [[]], [None], [[1, 2, 3]], [[["x"]]], SQUARE, [SQUARE], SQUARE[0]]
VALUES += [{"size": [24, 32], "counts": "0"}, {"size": [24, 32], "counts": [768]}, {"counts": "PPYo0"}]


def _coco() -> dict[str, Any]:
    masks = [SQUARE, SQUARE, [[14, 14, 20, 14, 20, 20]], {"size": [24, 32], "counts": [100, 50, 618]}]
    rows = [
        {"id": i, "image_id": 1 + i % 2, "category_id": 1 + i % 2, "segmentation": mask, "iscrowd": 0}
        for i, mask in enumerate(masks)
    ]
    images = [{"id": i, "file_name": f"{c}.png", "height": 24, "width": 32} for i, c in enumerate("ab", 1)]
    return {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "cell"}, {"id": 2, "name": "x"}]}


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container and key within what JSON can hold."""
    keys = content if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ()
    for key in list(keys):
        yield content, key
        yield from _places(content[key])


def _damaged(content: Any, rng: random.Random) -> Any:
    content = copy.deepcopy(content)
    for _ in range(rng.choice([1, 1, 2, 3])):
        box, key = rng.choice(list(_places(content)))
        box[key] = copy.deepcopy(rng.choice(VALUES))
        if rng.random() < 0.1 and isinstance(box, dict):
            del box[key]
    return content


def _read_all(folder: Path, seed: int, kind: str) -> None:
    """Run in a process of its own: a signal, an endless loop or a wish for memory ends it, and nothing else."""
    for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, SECONDS)):
        with contextlib.suppress(ValueError, OSError):  # not every system has every limit
            resource.setrlimit(what, (most, most))
    rng = random.Random(seed)
    index = folder / ("x.json" if kind == "coco" else INDEX)
    good = _coco() if kind == "coco" else json.loads(index.read_text())
    taken = refused = 0
    for number in range(COUNT):
        index.write_text(json.dumps(_damaged(good, rng)))
        try:
            found = prepare_import(folder, task=rng.choice(["instances", "semantic"]) if kind == "coco" else None)
            list(found.write(folder.parent / f"{number}"))
            taken += 1
        except SynthbenchError as error:
            refused += 1
            if "\n" in str(error) or len(str(error)) > 5000:
                raise AssertionError(f"no clear line: {error}") from None
    if not (taken or kind != "coco") or not refused:
        raise AssertionError(f"{taken} taken, {refused} refused: nothing was tried")


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", ["coco", "sample set"])
def test_no_damage_to_a_file_ends_in_more_than_a_line(tmp_path, grey, two_cells, kind, seed):
    folder = tmp_path / "in"
    if kind == "coco":
        folder.mkdir()
        for name in "ab":
            Image.fromarray(grey).save(folder / f"{name}.png")
    else:
        SampleSet.of([Sample(name, grey, two_cells, {"well": "1"}) for name in "ab"]).save(folder)
    command = [sys.executable, __file__, folder, str(seed), kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert (done.returncode, done.stderr) == (0, "")


if __name__ == "__main__":
    _read_all(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
