"""What a user should know of the scale of a study's images: how large objects are, and become, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from synthbench.errors import join_names
from synthbench.study._object_sizes import FEW_PIXELS, ScaledObjects
from synthbench.study._scales import AUTO, LARGEST_PART, NONE, Scaling
from synthbench.study.resolve import Resolved

__all__ = ["scale_lines", "scale_notes"]


def scale_lines(resolved: Resolved) -> list[str]:
    """Return in a sentence for each dataset how its images are scaled; none where the study scales none."""
    if resolved.study.scale == NONE:
        return []
    lines = [_scaled(dataset, scalings) for dataset, scalings in _by_dataset(resolved).items()]
    for segmenter in resolved.segmenters:
        scalings = [c.init_scalings[segmenter.title] for c in resolved.conditions if segmenter.title in c.init_scalings]
        if scalings and segmenter.init and segmenter.init.pretraining:
            lines.append(_scaled(f"{segmenter.init.pretraining.dataset} ({segmenter.title})", scalings))
    return list(dict.fromkeys(lines))


def scale_notes(resolved: Resolved) -> list[str]:
    """Return sentences on objects that are large for training patches, or too small when they are scaled."""
    return [
        line
        for dataset, scalings in _by_dataset(resolved).items()
        for line in (*_large(dataset, scalings, resolved), *_small(dataset, scalings))
    ]


def _by_dataset(resolved: Resolved) -> dict[str, list[Scaling]]:
    """Return the scales of each dataset, one for each fold."""
    folds = {(each.dataset, each.fold): each.scaling for each in resolved.conditions}
    found: dict[str, list[Scaling]] = {}
    for (dataset, _), scaling in folds.items():
        found.setdefault(dataset, []).append(scaling)
    return found


def _scaled(dataset: str, scalings: Sequence[Scaling]) -> str:
    diameters = _span([each.diameter for each in scalings], "{:.1f}")
    objects = f"{dataset}: objects of training images have a median diameter of {diameters} px"
    if all(each.factor == 1 for each in scalings):
        return f"{objects}; images stay as they are"
    factors = _span([each.factor for each in scalings], "{:g}")
    reached = _span([each.diameter * each.factor for each in scalings], "{:.1f}")
    line = f"{objects}; images are scaled by {factors}, so that it is {reached} px"
    agreed = [each.scaled.mean_iou for each in scalings if each.scaled is not None]
    if not agreed:
        return line
    return f"{line}; exact predictions, brought back to the original size, have a mean IoU of {min(agreed):.3f}"


def _large(dataset: str, scalings: Sequence[Scaling], resolved: Resolved) -> Iterator[str]:
    """Say that objects are large for the training patches, and what to do about it."""
    large = max(scalings, key=lambda each: each.diameter * each.factor if each.too_large_for else 0.0)
    if not large.too_large_for:
        return
    scale = resolved.study.scale
    patches: dict[int, list[str]] = {}
    for title, patch in large.too_large_for.items():
        patches.setdefault(patch, []).append(title)
    of = " and ".join(f"{patch} px of {join_names(titles)}" for patch, titles in sorted(patches.items()))
    target = min(patches) / LARGEST_PART
    if large.smallest_side:
        way = (
            f"{AUTO} can't scale further down, as a patch must fit into the smallest training image "
            f"({large.smallest_side} px); leave small images out"
        )
    elif scale == NONE:
        way = f"add scale: {AUTO} (--scale {AUTO}) to bring them to {target:.0f} px, or use larger patches (--patch)"
    else:
        way = f"use scale: {AUTO}, scale: {max(int(target), 4)}, or larger patches (--patch)"
    yield (
        f"{dataset}: {large.objects:,} objects in {large.images} training images have a median diameter of "
        f"{large.diameter * large.factor:.0f} px{' when scaled' * (large.factor != 1)}, more than a third of the "
        f"training patches of {of}; {way}"
    )


def _small(dataset: str, scalings: Sequence[Scaling]) -> Iterator[str]:
    """Say what becomes of objects that are scaled down; of the fold where most vanish."""
    found: list[ScaledObjects] = [each.scaled for each in scalings if each.scaled is not None]
    if not found:
        return
    worst = max(found, key=lambda each: each.lost + each.small)
    if worst.lost or worst.small:
        yield (
            f"{dataset}: of {worst.objects:,} objects of training and validation images, {worst.lost:,} vanish at this "
            f"scale and {worst.small:,} have fewer than {FEW_PIXELS} pixels"
        )


def _span(values: Sequence[float], form: str) -> str:
    """Return one number, or the smallest and the largest."""
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"
