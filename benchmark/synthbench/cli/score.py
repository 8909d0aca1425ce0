"""Score predicted label maps against true ones; no training.

Reports precision, recall, F-score and jaccard_ap = TP / (TP + FP + FN) at IoU 0.50 … 0.95, panoptic quality PQ = SQ ×
RQ, AJI and AJI+, for all images and for the easy and the hard ones, pooled over all images and as the mean over images.
The two folders contain PNG or TIFF label maps with the same names. With --ignore VALUE, pixels that have this value in
the true label map are ignored in both. A predicted instance with more than half of its pixels there counts as neither
correct nor wrong, unless the part outside matches a true instance. With --border-objects exclude, objects with a pixel
in the outermost two rows or columns aren't scored, as in the NeurIPS 2022 Cell Segmentation Challenge.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from synthbench.cli._arguments import label_value
from synthbench.cli._tables import GAP, table_lines

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("predicted", metavar="PRED", help="folder of predicted label maps")
    parser.add_argument("truth", metavar="TRUTH", help="folder of true label maps, with the same names")
    parser.add_argument("--semantic", action="store_true", help="labels are classes, not instances")
    parser.add_argument(
        "--ignore",
        type=label_value,
        metavar="VALUE",
        help="value in TRUTH where the label is unknown, such as 255; these pixels aren't scored",
    )
    parser.add_argument(
        "--components", action="store_true", help="make each connected component of a mask an object: for binary masks"
    )
    parser.add_argument(
        "--trust-masks", action="store_true", help="don't check whether masks are binary masks, classes or photographs"
    )
    parser.add_argument(
        "--border-objects",
        choices=("include", "exclude"),
        default="include",
        help="exclude: leave out objects within 2 pixels of the image border, true and predicted (default: include)",
    )
    parser.add_argument(
        "--workers", type=_workers, metavar="N", help="processes (default: one per processor, for many images)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    from synthbench.datasets.import_options import ImportLog
    from synthbench.datasets.pairs import MaskReader
    from synthbench.errors import ConfigError
    from synthbench.folders import score

    if args.semantic and args.components:
        raise ConfigError("--components makes instances of connected components; remove it, or remove --semantic")
    if args.semantic and args.border_objects == "exclude":
        raise ConfigError("--border-objects exclude leaves out objects; remove it, or remove --semantic")
    report = _counter if sys.stderr.isatty() else score.silent
    reader = MaskReader(args.semantic, args.ignore, args.components, args.trust_masks)
    log = ImportLog()
    empty = 0
    if args.semantic:
        images = score.confusions(args.predicted, args.truth, report, args.workers, reader, log)
        result = score.semantic_summary(images)
    else:
        scored = score.match_folders(args.predicted, args.truth, report, args.workers, reader, log, args.border_objects)
        empty = sum(image.counts.empty for image in scored.values())
        _warn_of_binary_masks(args, [image.counts for image in scored.values()])
        if args.ignore is not None and not any(image.ignored for image in scored.values()):
            print(f"{args.truth}: no label map contains {args.ignore}, so nothing is ignored", file=sys.stderr)
        result = score.summary(scored)
        if left_out := result.get("left_out_at_border"):
            numbers = f"{left_out['true']} true, {left_out['predicted']} predicted"
            print(f"objects at the image border left out: {numbers}", file=sys.stderr)
    for line in log.lines():
        print(line, file=sys.stderr)
    if args.json:
        print(json.dumps(result, indent=1))
    else:
        print(_classes(result) if args.semantic else f"{_thresholds(result)}\n\n{_whole_images(result)}")
    if empty:
        print(
            f"{empty} of {result['images']} images are empty in both folders; per_image excludes them", file=sys.stderr
        )
    return 0


def _warn_of_binary_masks(args: argparse.Namespace, counts: Sequence[Any]) -> None:
    """Warn where masks of one folder have one object each, and those of the other many: they may be binary."""
    predicted, true = [c.predicted for c in counts], [c.true for c in counts]
    for folder, object_counts, other_counts in ((args.predicted, predicted, true), (args.truth, true, predicted)):
        if max(object_counts) == 1 and sum(other_counts) > 3 * sum(object_counts):
            print(
                f"{folder}: no mask has more than one object; if these are binary masks, use --components "
                "to make each component an object",
                file=sys.stderr,
            )


def _workers(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processes; expected an integer ≥ 1")
    return int(text)


def _counter(done: int, total: int) -> None:
    print("\r\x1b[K" if done == total else f"\r{done}/{total} images", end="", file=sys.stderr, flush=True)


def _thresholds(result: dict[str, Any]) -> str:
    names = list(result["pooled"])
    rows = [["IoU", "TP", "FP", "FN", *names, *names]]
    for i, level in enumerate(result["iou"]):
        row = [f"{level:.2f}", *(str(result["counts"][name][i]) for name in ("tp", "fp", "fn"))]
        row += [f"{result[part][name][i]:.4f}" for part in ("pooled", "per_image") for name in names]
        rows.append(row)
    tail = f"{result['images']} images, Dice of the foreground (all pixels) {result['dice']:.4f}"
    return "\n".join([*_two_halves(rows, 4), tail])


def _whole_images(result: dict[str, Any]) -> str:
    names = ["SQ", "RQ", "PQ", "AJI", "AJI+"]
    rows = [["", "images", *names, *names]]
    for stratum, figures in {"all": result, **result["strata"]}.items():
        if figures is None:
            rows.append([stratum, "0", *["–"] * 2 * len(names)])
            continue
        row = [stratum, str(figures["images"])]
        for part in ("pooled", "per_image"):
            values = [figures["panoptic"][part][name] for name in ("sq", "rq", "pq")]
            values += [figures[name][part] for name in ("aji", "aji_plus")]
            row += [f"{value:.4f}" for value in values]
        rows.append(row)
    log = [
        "SQ mean IoU of the matched pairs, RQ their F-score, PQ = SQ × RQ, at IoU > 0.5; AJI of Kumar 2017, AJI+ its "
        "one-to-one variant",
        "hard: in the true label map an instance touches another within one pixel; easy: none does",
    ]
    return "\n".join([*_two_halves(rows, 2), *log])


def _two_halves(rows: Sequence[Sequence[str]], lead: int) -> list[str]:
    """Return a table whose columns after the first `lead` are pooled, then per image, with that as a headline."""
    lines = table_lines(rows[0], rows[1:])
    middle = lead + (len(rows[0]) - lead) // 2
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    start, half = (sum(widths[:columns]) + GAP * columns for columns in (lead, middle))
    return ["".ljust(start) + "pooled".ljust(half - start) + "per image", *lines]


def _classes(result: dict[str, Any]) -> str:
    together = result["pooled"]
    rows = [["class", "IoU", "Dice"]]
    for i, (iou, dice) in enumerate(zip(together["iou"], together["dice"], strict=True)):
        rows.append([str(i), f"{iou:.4f}", f"{dice:.4f}"])
    means = [["", "pooled", "per image"]]
    for name, value in result["per_image"].items():
        means.append([name, f"{together[name]:.4f}" if name in together else "–", f"{value:.4f}"])
    return "\n".join(
        [
            *table_lines(rows[0], rows[1:]),
            "",
            *table_lines(means[0], means[1:], left=(0,)),
            f"{result['images']} images",
        ]
    )
