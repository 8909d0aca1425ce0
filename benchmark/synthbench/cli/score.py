"""Score predicted label maps against true ones; no training.

Precision, recall, F-score and jaccard_ap = TP / (TP + FP + FN) at IoU 0.50 … 0.95, pooled over all images and as the
mean over images. The two folders hold png or tif label maps with the same names.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("predicted", metavar="PRED", help="folder of predicted label maps")
    parser.add_argument("truth", metavar="TRUTH", help="folder of true label maps, with the same names")
    parser.add_argument("--semantic", action="store_true", help="labels are classes, not instances")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    from synthbench import scoring

    report = _counter if sys.stderr.isatty() else scoring.silent
    empty = 0
    if args.semantic:
        result = scoring.score_folders(args.predicted, args.truth, semantic=True, report=report)
    else:
        counts = scoring.match_folders(args.predicted, args.truth, report)
        empty = sum(image.empty for image in counts.values())
        result = scoring.summary(counts)
    if args.json:
        print(json.dumps(result, indent=1))
    else:
        print(_classes(result) if args.semantic else _thresholds(result))
    if empty:
        print(f"{empty} of {result['images']} images are empty in both; per_image leaves them out", file=sys.stderr)
    return 0


def _counter(done: int, total: int) -> None:
    print("\r\x1b[K" if done == total else f"\r{done}/{total} images", end="", file=sys.stderr, flush=True)


def _thresholds(result: dict[str, Any]) -> str:
    names = list(result["pooled"])
    rows = [["IoU", "TP", "FP", "FN", *names, *names]]
    for i, level in enumerate(result["iou"]):
        row = [f"{level:.2f}", *(str(result["counts"][name][i]) for name in ("tp", "fp", "fn"))]
        row += [f"{result[part][name][i]:.4f}" for part in ("pooled", "per_image") for name in names]
        rows.append(row)
    start, middle = (len(_aligned([row[:columns] for row in rows])[0]) for columns in (4, 4 + len(names)))
    head = "".ljust(start + 2) + "pooled".ljust(middle - start) + "per image"
    tail = f"{result['images']} images, Dice of the foreground (all pixels) {result['dice']:.4f}"
    return "\n".join([head, *_aligned(rows), tail])


def _classes(result: dict[str, Any]) -> str:
    together = result["pooled"]
    rows = [["class", "IoU", "Dice"]]
    for i, (iou, dice) in enumerate(zip(together["iou"], together["dice"], strict=True)):
        rows.append([str(i), f"{iou:.4f}", f"{dice:.4f}"])
    means = [["", "pooled", "per image"]]
    for name, value in result["per_image"].items():
        means.append([name, f"{together[name]:.4f}" if name in together else "–", f"{value:.4f}"])
    return "\n".join([*_aligned(rows), "", *_aligned(means), f"{result['images']} images"])


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
