"""The results of `synthbench fidelity` as text, each figure with a short explanation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synthbench.cli._tables import table_lines
from synthbench.metrics.mask_realism import MEASURES

__all__ = ["fidelity_text"]

PRDC = {
    "precision": "share of synthetic images among real ones: do they look real?",
    "recall": "share of real images among synthetic ones: is their variety covered?",
    "density": "real images around a synthetic one: precision, robust to outliers",
    "coverage": "share of real images with a synthetic one nearby: recall, robust to outliers",
}
BY_MASK = {
    "new": "among images with new masks",
    "recombined": "among images with objects of training masks in new places",
    "training": "among images with a training mask, transformed or unchanged",
}
MAX_PAIRS = 10
"""Pairs of duplicates that are listed."""


def fidelity_text(result: Mapping[str, Any]) -> str:
    """Return the result of `synthbench.folders.fidelity.evaluate.evaluate_fidelity` as text for the terminal."""
    sections = [_head(result), _images(result)]
    if result["memorisation"]:
        sections.append(_duplicates(result["memorisation"]))
    if result["masks"]:
        sections.append(_masks(result["masks"]))
    if result["notes"]:
        sections.append("\n".join(f"note: {note}" for note in result["notes"]))
    return "\n\n".join(sections)


def _head(result: Mapping[str, Any]) -> str:
    n, encoder = result["n"], result["encoder"]
    names = {"synthetic": "synthetic", "real": "real", "train": "training"}
    lines = []
    for name, images in result["images"].items():
        used = f"{n} of {images['count']}" if images["count"] > n else str(n)
        lines.append(f"{names[name]}: {used} images of {images['path']} ({images['found']})")
    if any(images["count"] > n for images in result["images"].values()):
        lines.append(
            f"figures that depend on the number of images compare {n} of each set, drawn with seed {result['seed']}"
        )
        also = " and the search for duplicates" if result["memorisation"] else ""
        verb = "use" if also else "uses"
        lines.append(f"{result['kernel']['name']}{also} {verb} all images of all sets")
    title = ", ".join(filter(None, (encoder["name"], encoder["variant"])))
    lines.append(f"encoder: {title} ({encoder['fingerprint']})")
    if result["frechet"]["name"] != "FID":
        lines.append("FID and KID are the names of these distances with the published Inception weights only")
    return "\n".join(lines)


def _images(result: Mapping[str, Any]) -> str:
    kernel, frechet, prdc = result["kernel"], result["frechet"], result["prdc"]
    rows = [
        ["", "synthetic", "real vs real", ""],
        [kernel["name"], _number(kernel["value"]), _number(kernel["real_vs_real"]),
         "kernel distance, unbiased: 0 on average for perfect images"],
        ["95 % interval", _interval(kernel, ""), _interval(kernel, "real_vs_real_"), "over images"],
        ["p", _number(kernel["p"]), _number(kernel["real_vs_real_p"]), _p_meaning(kernel)],
        [frechet["name"], _number(frechet["value"]), _number(frechet["real_vs_real"]),
         "Fréchet distance, biased upward: compare only at equal n"],
    ]  # fmt: skip
    for name, meaning in PRDC.items():
        real_vs_real = prdc["real_vs_real"][name] if prdc["real_vs_real"] else None
        rows.append([name, _number(prdc["synthetic"][name]), _number(real_vs_real), meaning])
    explanation = (
        "real vs real: real training images in place of the synthetic ones, the level that perfect images would reach"
        if frechet["real_vs_real"] is not None
        else "no real-vs-real figures: give the real training images with --train to interpret the distances"
    )
    return "\n".join([*_table(rows), explanation])


def _interval(kernel: Mapping[str, Any], prefix: str) -> str:
    low, high = kernel[f"{prefix}low"], kernel[f"{prefix}high"]
    return "–" if low is None else f"{_number(low)} … {_number(high)}"


def _p_meaning(kernel: Mapping[str, Any]) -> str:
    meaning = f"share of {kernel['permutations']:,} permutations as far apart"
    return meaning if kernel["real_vs_real_p"] is None else f"{meaning}; real vs real: training vs real"


def _duplicates(search: Mapping[str, Any]) -> str:
    n, training, quantile = (
        search["synthetic_images"],
        search["training_images"],
        f"{search['held_out_quantile']:.3f}",
    )
    rows = [
        ["", "synthetic", "held-out", ""],
        ["train duplicates", f"{len(search['train_duplicates'])} of {n}", "",
         f"nearer than {search['duplicate_threshold']:.3f} to one of {training} training images"],
        *_by_mask(search),
        ["test duplicates", f"{len(search['test_duplicates'])} of {n}", "",
         f"nearer than {search['test_duplicate_threshold']:.3f} to one of the real images"],
        ["near", _number(search["near"]), _number(search["expected"]),
         f"share within {quantile} of a training image; held-out: expected without copying"],
        ["distance", _number(search["median"]), _number(search["median_held_out"]),
         "median to the nearest training image"],
        ["z", f"{search['z']:.2f}", "0", "of these distances (Mann–Whitney): below −3, nearer than by chance"],
        ["authenticity", _number(search["authenticity"]), _number(search["authenticity_held_out"]),
         "share farther from their nearest training image than that one is from others (Alaa 2022)"],
        ["C_T", f"{search['c_t']:.2f}", "0", "z of distances of features (Meehan 2020): below −3, copies"],
    ]  # fmt: skip
    explanation = (
        f"distance: √(2 − 2 × correlation) at {search['side']}² pixels, the smallest over eight flips and rotations;\n"
        "of images with similar masks, the distance of what the masks don't explain\n"
        f"{search['held_out_images']} held-out images: {search['expected']:.0%} of such images are within {quantile} "
        "of a training image"
    )
    pairs = [(kind, pair) for kind in ("train", "test") for pair in search[f"{kind}_duplicates"]]
    listed = [
        f"{pair['image']} duplicates {kind} image {pair['of']} (distance {pair['distance']:.3f})"
        for kind, pair in pairs[:MAX_PAIRS]
    ]
    more = [f"and {len(pairs) - MAX_PAIRS} more"] if len(pairs) > MAX_PAIRS else []
    return "\n".join([*_table(rows), explanation, *listed, *more])


def _by_mask(search: Mapping[str, Any]) -> list[list[str]]:
    """Return a row of duplicates for each origin of masks that occurs."""
    images, duplicates = search["masks"] or {}, search["train_duplicates_by_mask"] or {}
    return [
        [f"  {origin}", f"{duplicates.get(origin, 0)} of {count}", "", BY_MASK[origin]]
        for origin, count in images.items()
        if count
    ]


def _masks(masks: Mapping[str, Any]) -> str:
    rows = [["masks", "distance", "real vs real", "synthetic", "real", ""]]
    for name, gap in masks.items():
        numbers = [_number(gap[key]) for key in ("distance", "real_vs_real", "synthetic", "real")]
        rows.append([name, *numbers, MEASURES[name]])
    return "\n".join(
        [*_table(rows), "distance: Wasserstein-1 of the two distributions; synthetic, real: means; in the same unit"]
    )


def _number(value: float | None) -> str:
    """Return a number with four digits.

    Examples
    --------
    >>> _number(0.012345), _number(1234.5), _number(-0.0), _number(None)
    ('0.01235', '1234', '0', '–')
    """
    if value is None:
        return "–"
    return "0" if value == 0 else f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.4g}"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines of a table, the header first: names and explanations to the left, numbers to the right."""
    return table_lines(rows[0], rows[1:], left=(0, len(rows[0]) - 1))
