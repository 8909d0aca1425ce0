"""Headings and definitions of the columns of a leaderboard."""

from __future__ import annotations

import re

from synthbench.leaderboard._column_definitions import DEFINITIONS

__all__ = ["DEFINITIONS", "definition", "title"]

_THRESHOLD = re.compile(r"(f1|precision|recall|jaccard_ap)@(0\.\d\d)")
_DISTANCE = re.compile(
    r"((?:FID|FD|KID|KD)(?:\(.+\))?)"
    r"( real-vs-real low| real-vs-real high| real-vs-real p| real-vs-real| low| high| p)?"
)
_FORMULAS = {
    "f1": "F-score, 2·TP / (2·TP + FP + FN)",
    "precision": "Precision, TP / (TP + FP)",
    "recall": "Recall, TP / (TP + FN)",
    "jaccard_ap": "TP / (TP + FP + FN), which Cellpose and StarDist call average precision",
}
_TITLES = {"f1": "F1", "precision": "precision", "recall": "recall", "jaccard_ap": "Jaccard AP"}
_PLAIN = {
    "coco_ap": "COCO AP",
    "coco_ap50": "COCO AP@.50",
    "coco_ap75": "COCO AP@.75",
    "pq": "PQ",
    "sq": "SQ",
    "rq": "RQ",
    "aji": "AJI",
    "aji_plus": "AJI+",
    "recovered": "of headroom",
    "equivalent_real_images": "equivalent real images",
    "dice": "Dice",
    "miou": "mIoU",
    "miou_star": "mIoU*",
    "cldice": "clDice",
    "fraction": "real images",
    "tested_on": "tested on",
    "train_duplicates": "train duplicates",
    "train_duplicates_new": "train duplicates, new masks",
    "train_duplicates_training": "train duplicates, training masks",
    "test_duplicates": "test duplicates",
    "label_consistency": "label consistency",
    "fidelity_n": "n",
    "kd_n": "n of KD",
    "c_t": "C_T",
    "generator_seen": "real images seen",
    "test_copies": "copies of test images",
    "validation_copies": "copies of validation images",
    "generator_seconds": "fit generator",
    "draw_seconds": "draw",
    "weights_seen": "weights have seen",
    "pretraining_seconds": "pretraining",
    "fit_seconds": "fit segmenter",
    "predict_seconds": "predict",
    "peak_memory_mb": "memory",
}


def title(name: str, metric: str = "") -> str:
    """Return the heading of a column.

    Examples
    --------
    >>> title("f1@0.50"), title("delta", "f1@0.50"), title("KD(untrained) real-vs-real")
    ('F1@.50', 'Δ F1@.50', 'KD(untrained) real-vs-real')
    """
    if name == "delta" and metric:
        return f"Δ {title(metric)}"
    if name == "delta_vs_duplicate":
        return "Δ vs duplicate"
    if name.startswith("group:"):
        return name.removeprefix("group:")
    if name.startswith(("image_", "mask_")):
        return name.replace("_", " ")
    stem, _, level = name.partition("@")
    if stem in _TITLES and level:
        return f"{_TITLES[stem]} mean" if level == "mean" else f"{_TITLES[stem]}@{level.lstrip('0')}"
    return _PLAIN.get(name, name)


def definition(name: str) -> str:
    """Return one line that says what a column holds.

    Raises
    ------
    KeyError
        If there is no such column.
    """
    if name in DEFINITIONS:
        return DEFINITIONS[name]
    if name.startswith("group:"):
        return f"Value of the group “{name.removeprefix('group:')}” of the test images."
    if name.startswith(("image_", "mask_")) and name.endswith(" real-vs-real"):
        return f"{name.removesuffix(' real-vs-real')} of real training samples: the level of a perfect generator."
    if name in ("precision@mean", "recall@mean"):
        formula = _FORMULAS[name.removesuffix("@mean")]
        return f"{formula}, mean over the IoU thresholds .50, .55 … .95; mean over trainings."
    if match := _THRESHOLD.fullmatch(name):
        return f"{_FORMULAS[match[1]]}, objects matched one to one at IoU ≥ {match[2]}; mean over trainings."
    if match := _DISTANCE.fullmatch(name):
        return _distance(match[1], (match[2] or "").strip())
    raise KeyError(name)


def _distance(metric: str, part: str) -> str:
    if part == "real-vs-real":
        return f"{metric} of real training images from real test images: the level of a perfect generator."
    if part in ("p", "real-vs-real p"):
        several = "For several synthetic sets, twice the mean of their p-values."
        if part == "p":
            return (
                f"Permutation p-value of {metric}: how often a random division of the images gives as large a distance "
                f"as that of synthetic from all real images. {several} In brackets the p-value of training vs test "
                "images: where it is small, p says less about the generator."
            )
        return f"Permutation p-value of {metric} between training and test images. {several}"
    if part.startswith("real-vs-real "):
        end = "Lower" if part == "real-vs-real low" else "Upper"
        return f"{end} end of the 95 % bootstrap interval of the real-vs-real {metric} over images."
    if part:
        end = "Lower" if part == "low" else "Upper"
        return f"{end} end of the 95 % bootstrap interval of {metric} over images; mean over the synthetic sets."
    features = (
        "clean-fid's Inception-v3" if metric in ("FID", "KID") else f"the encoder “{metric.partition('(')[2][:-1]}”"
    )
    if metric.startswith("F"):
        return (
            f"Fréchet distance of synthetic from test images on features of {features}; lower is better, biased upward."
        )
    return (
        f"Kernel distance of synthetic from test images on features of {features}, unbiased, of all images; "
        "lower is better."
    )
