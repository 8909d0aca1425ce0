"""How long scoring label maps takes, beside StarDist and Cellpose: measured in one run.

``python tests/perf/segmentation_speed.py`` writes a section of ``docs/speed.md``.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from helpers.crowds import crowd
from helpers.machine import machine, replace_section
from synthbench.folders.score import score_image
from synthbench.metrics.aggregated_jaccard import aji, aji_cellpose, aji_plus
from synthbench.metrics.coco import coco_ap
from synthbench.metrics.matching import IOU_THRESHOLDS, count
from synthbench.metrics.overlap import overlap
from synthbench.samples import write_array

PAGE = Path(__file__).resolve().parents[2] / "docs" / "speed.md"
SECTION = "## Scoring label maps"
PROCESSORS = os.cpu_count() or 1


@dataclass
class Measured:
    """What was measured.

    Attributes
    ----------
    cells : tuple of int
        True and predicted instances of the pair.
    tp : dict
        By package, true positives by threshold: the same, or the times compare nothing.
    ap : tuple of float
        COCO AP of the pair with random scores, by `coco_ap` and by pycocotools.
    pair : dict
        Processor seconds of each call on one pair.
    cold : dict
        By package, processor seconds of a fresh process that imports it and scores the pair once, and the packages
        that it loads.
    folders : list of dict
        Runs over folders: images, workers, seconds (wall clock), memory in bytes, and the result.
    load : float
        Processes of others that wanted a processor beforehand, as a mean over a minute.
    """

    cells: tuple[int, int]
    tp: dict[str, list[int]]
    ap: tuple[float, float]
    pair: dict[str, float]
    cold: dict[str, tuple[float, list[str]]]
    folders: list[dict[str, Any]]
    load: float


def measure() -> Measured:
    """Measure everything; takes minutes."""
    load = os.getloadavg()[0]
    truth, predicted = crowd(0)
    with tempfile.TemporaryDirectory() as folder:
        np.savez(pair := Path(folder) / "pair.npz", truth=truth, predicted=predicted)
        tp, ap, seconds = _one_pair(truth, predicted)
        return Measured(
            cells=(int(truth.max()), int(predicted.max())),
            tp=tp,
            ap=ap,
            pair=seconds,
            cold={name: _cold(name, call, pair) for name, call in COLD.items()},
            folders=_folders(Path(folder)),
            load=load,
        )


def _one_pair(
    truth: np.ndarray, predicted: np.ndarray
) -> tuple[dict[str, list[int]], tuple[float, float], dict[str, float]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from cellpose.metrics import aggregated_jaccard_index, average_precision
        from stardist.matching import matching

        scores = np.random.default_rng(0).uniform(size=int(predicted.max()))
        levels = list(IOU_THRESHOLDS)
        table = overlap(truth, predicted)
        calls: dict[str, Callable[[], Any]] = {
            "synthbench `count`": lambda: count(truth, predicted).tp,
            "StarDist `matching`": lambda: [one.tp for one in matching(truth, predicted, thresh=levels)],
            "Cellpose `average_precision`": lambda: average_precision(truth, predicted, levels)[1],
            "synthbench `overlap`": lambda: overlap(truth, predicted),
            "synthbench `aji`, from the table": lambda: aji(table),
            "synthbench `aji_plus`, from the table": lambda: aji_plus(table),
            "synthbench `aji_cellpose`, with the table": lambda: aji_cellpose(overlap(truth, predicted)),
            "Cellpose `aggregated_jaccard_index`": lambda: aggregated_jaccard_index([truth], [predicted]),
            "synthbench `score_image`: table, matches, `aji`, `aji_plus`, easy or hard": lambda: score_image(
                truth, predicted
            ),
            "synthbench `coco_ap`": lambda: coco_ap([truth], [predicted], [scores]).ap,
            "pycocotools `COCOeval`, masks encoded beforehand": _pycocotools(truth, predicted, scores),
        }
        found = {name: _least(call) for name, call in calls.items()}
    tp = {name.split()[0]: [int(n) for n in answer] for name, (answer, _) in list(found.items())[:3]}
    ap = found["synthbench `coco_ap`"][0], found["pycocotools `COCOeval`, masks encoded beforehand"][0]
    return tp, ap, {name: seconds for name, (_, seconds) in found.items()}


def _pycocotools(truth: np.ndarray, predicted: np.ndarray, scores: np.ndarray) -> Callable[[], float]:
    """Return the call that matches and sums up by pycocotools, without the encoding of the masks."""
    from pycocotools import mask
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def table(labels: np.ndarray, ranks: np.ndarray) -> COCO:
        out = COCO()
        size = {"height": labels.shape[0], "width": labels.shape[1]}
        out.dataset = {"images": [{"id": 1, **size}], "categories": [{"id": 1}], "annotations": []}
        for label in np.unique(labels[labels > 0]).tolist():
            code = mask.encode(np.asfortranarray(labels == label, np.uint8))
            row = {"id": label, "image_id": 1, "category_id": 1, "iscrowd": 0, "score": float(ranks[label - 1])}
            out.dataset["annotations"].append({**row, "segmentation": code, "area": int(mask.area(code))})
        out.createIndex()
        return out

    def call() -> float:
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.evaluate()
            evaluation.accumulate()
        return float(evaluation.eval["precision"].mean())

    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(table(truth, np.ones(int(truth.max()))), table(predicted, scores), "segm")
    evaluation.params.maxDets = [int(predicted.max())]
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    return call


def _least(call: Callable[[], Any]) -> tuple[Any, float]:
    """Return the answer and the least processor time of some calls: others on the machine change little of it."""
    call()
    seconds: list[float] = []
    while len(seconds) < 3 or (sum(seconds) < 0.3 and len(seconds) < 20):
        began = time.process_time()
        answer = call()
        seconds.append(time.process_time() - began)
    return answer, min(seconds)


COLD = {
    "synthbench": "from synthbench.metrics.matching import count; count(truth, predicted)",
    "StarDist": "from stardist.matching import matching; matching(truth, predicted, thresh=levels)",
    "Cellpose": "from cellpose.metrics import average_precision; average_precision(truth, predicted, levels)",
}


def _cold(name: str, call: str, pair: Path) -> tuple[float, list[str]]:
    code = f"""
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy
pair = numpy.load({str(pair)!r})
truth, predicted, levels = pair["truth"], pair["predicted"], {list(IOU_THRESHOLDS)}
before, began = set(sys.modules), time.process_time()
{call}
seconds = time.process_time() - began
after = {{module.partition(".")[0] for module in set(sys.modules) - before}} - set(sys.stdlib_module_names)
print(json.dumps([seconds, sorted(after)]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, packages = json.loads(done.stdout.splitlines()[-1])
    return seconds, packages


def _folders(folder: Path) -> list[dict[str, Any]]:
    """Score folders of few pairs under many names."""
    pairs = [crowd(seed) for seed in range(4)]
    for images in (100, 1000):
        for index in range(images):
            for part, labels in zip(("truth", "predicted"), pairs[index % 4], strict=True):
                path = folder / str(images) / part / f"{index:04}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                if index < 4:
                    write_array(path, labels)
                else:
                    path.hardlink_to(path.with_name(f"{index % 4:04}.png"))
    return [
        _run(folder / str(images), images, workers)
        for images, workers in ((100, 1), (100, PROCESSORS), (1000, PROCESSORS))
    ]


def _run(folder: Path, images: int, workers: int) -> dict[str, Any]:
    """Score in a fresh process, and look at the memory of it and of its workers after each image."""
    code = f"""
import json, time, psutil
from synthbench.folders.score import score_folders
me, most = psutil.Process(), 0
def look(done, total):
    global most
    most = max(most, sum(one.memory_info().rss for one in [me, *me.children(recursive=True)]))
began = time.perf_counter()
result = score_folders({str(folder / "predicted")!r}, {str(folder / "truth")!r}, workers={workers}, report=look)
seconds = time.perf_counter() - began
print(json.dumps(dict(images={images}, workers={workers}, seconds=seconds, memory=most, result=result)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def page(found: Measured) -> str:
    """Return what was measured, in Markdown."""
    ours = found.pair["synthbench `count`"]
    height, width = crowd.__globals__["HEIGHT"], crowd.__globals__["WIDTH"]
    lines = [
        "All figures come from one run of `python tests/perf/segmentation_speed.py`, which writes this section;",
        "`tests/perf/test_segmentation_perf.py` measures the same and fails if a guaranteed speed is not reached. The",
        f"label maps are simulated: {height:,} × {width:,} pixels, {found.cells[0]:,} true and {found.cells[1]:,} "
        "predicted cells, many of them touching.",
        "",
        f"{machine()},",
        ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "stardist", "cellpose"))
        + f"; load average {found.load:.1f} before the run.",
        "",
        "CPU time for one pair, with ten thresholds where a function takes thresholds, after imports and compilation:",
        "",
        "| call | ms | relative to `count` |",
        "|:--|--:|--:|",
        *(f"| {name} | {1e3 * seconds:,.1f} | {seconds / ours:.1f} |" for name, seconds in found.pair.items()),
        "",
        "The same in a new process, including the import of the package but not of NumPy:",
        "",
        "| package | s | packages loaded |",
        "|:--|--:|--:|",
        *(f"| {name} | {seconds:.2f} | {len(packages)} |" for name, (seconds, packages) in found.cold.items()),
        "",
        "Folders of PNG files, including reading, all scores of `synthbench score`, and the start of the processes:",
        "",
        "| pairs | processes | s | pairs per s | memory of all processes (MiB) |",
        "|--:|--:|--:|--:|--:|",
        *(
            f"| {run['images']:,} | {run['workers']} | {run['seconds']:.1f} | {run['images'] / run['seconds']:.0f} "
            f"| {run['memory'] / 2**20:.0f} |"
            for run in found.folders
        ),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    replace_section(PAGE, SECTION, page(measure()))
    print(PAGE.read_text(encoding="utf-8"))
