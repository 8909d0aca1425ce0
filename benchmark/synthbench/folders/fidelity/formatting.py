"""The figures as text, each with one line that says what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synthbench.metrics.mask_realism import MEASURES
from synthbench.metrics.memorisation import MARGIN

PRDC = {
    "precision": "share of the synthetic images among real ones: is what is drawn believable?",
    "recall": "share of the real images among synthetic ones: is everything drawn?",
    "density": "how many real images surround a synthetic one: robust precision",
    "coverage": "share of the real images with a synthetic one near: robust recall",
}
MOST = 10
"""Pairs of copies that are named."""


def text(result: Mapping[str, Any]) -> str:
    """Return what `judge` returns, for people."""
    parts = [_head(result), _images(result)]
    if result["memorisation"]:
        parts.append(_copies(result["memorisation"]))
    if result["masks"]:
        parts.append(_masks(result["masks"]))
    if result["notes"]:
        parts.append("\n".join(f"note: {note}" for note in result["notes"]))
    return "\n\n".join(parts)


def _head(result: Mapping[str, Any]) -> str:
    n, encoder = result["n"], result["encoder"]
    names = {"synthetic": "synthetic", "real": "real", "train": "training"}
    lines = []
    for name, part in result["images"].items():
        used = f"{n} of {part['count']}" if part["count"] > n else str(n)
        lines.append(f"{names[name]}: {used} images of {part['path']} ({part['found']})")
    if any(part["count"] > n for part in result["images"].values()):
        lines.append(
            f"{n} of each, drawn by seed {result['seed']}, are compared where a figure depends on the number of images"
        )
        also = " and in the search for copies" if result["memorisation"] else ""
        lines.append(f"all images of all sets are compared in {result['kernel']['name']}{also}")
    title = ", ".join(filter(None, (encoder["name"], encoder["variant"])))
    lines.append(f"encoder: {title} ({encoder['fingerprint']})")
    if result["frechet"]["name"] != "FID":
        lines.append("FID and KID are names of these distances on the published Inception weights alone")
    return "\n".join(lines)


def _images(result: Mapping[str, Any]) -> str:
    kernel, frechet, prdc = result["kernel"], result["frechet"], result["prdc"]
    rows = [
        ["", "synthetic", "floor", ""],
        [kernel["name"], _number(kernel["value"]), _number(kernel["floor"]),
         "kernel distance, unbiased: 0 in the mean for perfect images, may be below"],
        ["95 % interval", _span(kernel, ""), _span(kernel, "floor_"), "over images"],
        ["p", _number(kernel["p"]), _number(kernel["floor_p"]), _told_apart(kernel)],
        [frechet["name"], _number(frechet["value"]), _number(frechet["floor"]),
         "Fréchet distance, biased upward for few images: compare at this n alone"],
    ]  # fmt: skip
    for name, meaning in PRDC.items():
        floor = prdc["floor"][name] if prdc["floor"] else None
        rows.append([name, _number(prdc["synthetic"][name]), _number(floor), meaning])
    told = (
        "floor: real training images in place of the synthetic ones, as near as perfect images would come"
        if frechet["floor"] is not None
        else "no floor: give the real training images by --train, or these figures can't be judged"
    )
    return "\n".join([*_aligned(rows), told])


def _span(kernel: Mapping[str, Any], part: str) -> str:
    low, high = kernel[f"{part}low"], kernel[f"{part}high"]
    return "–" if low is None else f"{_number(low)} … {_number(high)}"


def _told_apart(kernel: Mapping[str, Any]) -> str:
    """Return what the p-values are of."""
    if kernel["floor_p"] is None:
        return f"share of {kernel['permutations']:,} permutations as far apart"
    return f"share of {kernel['permutations']:,} permutations as far apart; floor: training from real ones"


def _copies(found: Mapping[str, Any]) -> str:
    n = found["synthetic_images"]
    far, leaked = (f"{MARGIN:g} × {found[key]:.3f}" for key in ("yardstick", "leaked_yardstick"))
    total, expected, yardstick = found["training_images"], found["expected"], f"{found['yardstick']:.3f}"
    rows = [
        ["", "synthetic", "held-out", ""],
        ["copies", f"{len(found['copies'])} of {n}", "", f"nearer than {far} to one of {total} training images"],
        *_by_mask(found),
        ["leaked", f"{len(found['leaked'])} of {n}", "", f"nearer than {leaked} to one of the real images"],
        ["near", _number(found["near"]), _number(expected),
         f"share within {yardstick}; held-out: to expect without copying"],
        ["distance", _number(found["median"]), _number(found["median_held_out"]),
         "median to the nearest training image"],
        ["z", f"{found['z']:.2f}", "0", "of these distances (Mann-Whitney): below −3, nearer than by chance"],
        ["authenticity", _number(found["authenticity"]), _number(found["authenticity_held_out"]),
         "share that doesn't crowd a training image, by features (Alaa 2022)"],
        ["C_T", f"{found['c_t']:.2f}", "0", "z of distances of features (Meehan 2020): below −3, copies"],
    ]  # fmt: skip
    told = (
        f"distances: √(2 − 2 × correlation) at {found['side']}² pixels, the least over eight flips and turns;\n"
        "where masks are alike, of what they don't explain of the images\n"
        f"{found['held_out_images']} held-out images: {expected:.0%} of such are within {yardstick} of a training image"
    )
    pairs = [(kind, pair) for kind in ("copies", "leaked") for pair in found[kind]]
    named = [
        f"{pair['image']} is {pair['of']} (distance {pair['distance']:.3f}, {kind})" for kind, pair in pairs[:MOST]
    ]
    more = [f"and {len(pairs) - MOST} more"] if len(pairs) > MOST else []
    return "\n".join([*_aligned(rows), told, *named, *more])


def _by_mask(found: Mapping[str, Any]) -> list[list[str]]:
    """Return a row of copies for each origin of masks that occurs."""
    told = {
        "new": "among images with new masks",
        "recombined": "among images with objects of training masks in new places",
        "training": "among images with a training mask, turned, warped or as it is",
    }
    counts = found["masks"] or {}
    return [
        [f"  {name}", f"{found['copies_by_mask'][name] if found['copies_by_mask'] else 0} of {count}", "", told[name]]
        for name, count in counts.items()
        if count
    ]


def _masks(masks: Mapping[str, Any]) -> str:
    rows = [["masks", "distance", "floor", "synthetic", "real", ""]]
    for name, gap in masks.items():
        numbers = [_number(gap[key]) for key in ("distance", "floor", "synthetic", "real")]
        rows.append([name, *numbers, MEASURES[name]])
    return "\n".join(
        [*_aligned(rows), "distance: Wasserstein-1 of the two distributions, in the same unit as the means"]
    )


def _number(value: float | None) -> str:
    """Return four digits of a number.

    Examples
    --------
    >>> _number(0.012345), _number(1234.5), _number(-0.0), _number(None)
    ('0.01235', '1234', '0', '–')
    """
    if value is None:
        return "–"
    return "0" if value == 0 else f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.4g}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows with names to the left, numbers to the right, and the last column as it is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *middle, last in rows:
        numbers = [cell.rjust(width) for cell, width in zip(middle, widths[1:-1], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *numbers, last]).rstrip())
    return lines
