"""Plausibility checks of masks: whether their numbers can be object labels.

`dataset add`, `dataset check` and `score` apply the same checks. `check_mask` finds what a single mask gives away (a
photograph, a binary mask of 255), `check_masks` what only all masks of a set show together: classes, a background other
than 0, a region to ignore, label numbers that overflowed 8 bits. An object of several components, a single large
object, and gaps in the numbering are accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synthbench.datasets.mask_statistics import MAX_VALUES_KEPT, TYPE_MAXIMA, MaskStatistics
from synthbench.errors import DataError

__all__ = ["DATASET_OPTIONS", "MANY_LABELS", "SCORE_OPTIONS", "OptionNames", "check_mask", "check_masks"]

MANY_LABELS = 8
"""A mask with at least this many labels, each with more components than this on average, is a photograph."""
MAX_DIFFERING = 0.5
"""So is one in which more than this fraction of neighbouring labelled pixels differ; in label maps it is about 3 %."""
MAX_EDGE_AREA = 16
"""Area, in pixels, of the grey values along the edges of a binary mask that was resized or compressed with loss."""
FRAYED_LABELS, FRAYED_COMPONENTS = 3, 4
"""From this many labels on, with more than this many components each, labels are frayed; real label maps have ≤ 1.3."""
BINARY_COMPONENTS = 5
"""A single label with this many components of similar area is not one object."""
MAX_DISCONNECTED = 1 / 3
"""Where this fraction of all labels is disconnected, the labels are classes; in real label maps it is at most 2 %."""
MAX_DISCONNECTED_SHARED = 1 / 5
"""The same where all masks share the same few labels."""


@dataclass(frozen=True)
class OptionNames:
    """Names of a command's options, as its error messages recommend them."""

    components: str = "--components"
    classes: str = "--task semantic"
    ignore: str = "--ignore"
    trust: str = "--trust-masks"

    @property
    def or_trust(self) -> str:
        """The end of a hint: the option that accepts the masks as they are."""
        return f"or {self.trust} if these are object labels"


DATASET_OPTIONS = OptionNames()
SCORE_OPTIONS = OptionNames(classes="--semantic")


def check_mask(mask: MaskStatistics, options: OptionNames = DATASET_OPTIONS) -> None:
    """Raise `DataError` where a single mask can't be a label map of objects.

    Raises
    ------
    DataError
        For a photograph; for frayed labels; for a binary mask (255 or 65,535 with soft edges or in two components of
        similar area, another value in five); and for a single value that reaches all four sides around two or more
        holes.
    """
    labels, components = mask.label_count, mask.components_per_label * mask.label_count
    if labels >= MANY_LABELS and _has_soft_edges(mask):
        raise DataError(
            f"{mask.where}: binary mask with soft edges: {labels - 1} other values cover few pixels each beside "
            f"{mask.largest}, as after resizing or lossy compression; threshold it to 0 and {mask.largest}, "
            f"{options.or_trust}"
        )
    if labels >= MANY_LABELS and mask.components_per_label > MANY_LABELS:
        raise DataError(
            f"{mask.where}: not a label map: its {labels} values form {components:.0f} separate components, as in a "
            f"photograph; use a mask with one label per object, or {options.classes} for classes"
        )
    if labels >= MANY_LABELS and mask.differing_fraction > MAX_DIFFERING:
        raise DataError(
            f"{mask.where}: not a label map: {mask.differing_fraction:.0%} of neighbouring labelled pixels differ, as "
            f"in a photograph; use a mask with one label per object, {options.or_trust}"
        )
    if labels >= FRAYED_LABELS and mask.components_per_label > FRAYED_COMPONENTS:
        raise DataError(
            f"{mask.where}: its {labels} labels form {components:.0f} separate components, most of them tiny, as after "
            f"interpolation or lossy compression; save it again without either, {options.or_trust}"
        )
    if mask.components_of_only_label >= (2 if mask.largest in TYPE_MAXIMA else BINARY_COMPONENTS):
        raise _binary(mask, options)
    if mask.holes >= 2:
        raise DataError(
            f"{mask.where}: its only value, {mask.largest}, reaches all four sides around {mask.holes} holes, so the "
            f"holes seem to be the objects; set the background to 0, {options.or_trust}"
        )


def _has_soft_edges(mask: MaskStatistics) -> bool:
    return mask.dominant == mask.largest in TYPE_MAXIMA and mask.median_other_area <= MAX_EDGE_AREA


def _binary(mask: MaskStatistics, options: OptionNames) -> DataError:
    return DataError(
        f"{mask.where}: binary mask, not a label map ({mask.largest} in "
        f"{mask.components_of_only_label} separate components); use {options.components} to make each component an "
        f"object, {options.classes} for classes, {options.or_trust}"
    )


def check_masks(
    masks: Sequence[MaskStatistics],
    path: object,
    options: OptionNames = DATASET_OPTIONS,
    *,
    check_components: bool = True,
) -> None:
    """Raise `DataError` where the masks of a set together can't be label maps of objects.

    Parameters
    ----------
    masks
    path
        The set, for the message; one mask is named as an example.
    options
    check_components
        Whether components of a label are checked; not where each component becomes an object of its own.

    Raises
    ------
    DataError
        For a background other than 0 and a region to ignore; with `check_components` also for binary masks, classes,
        and label numbers that overflowed 8 or 16 bits.
    """
    labelled = [mask for mask in masks if mask.label_count]
    if not labelled:
        return
    _check_background(labelled, path, options)
    _check_ignored(labelled, path, options)
    if check_components:
        _check_overflow(labelled, options)
        _check_binary(labelled, path, options)
        _check_classes(labelled, path, options)


def _check_background(masks: Sequence[MaskStatistics], path: object, options: OptionNames) -> None:
    if any(mask.has_background for mask in masks) or len({mask.dominant for mask in masks}) > 1:
        return
    fraction, dominant = float(np.mean([mask.dominant_fraction for mask in masks])), masks[0].dominant
    if len(masks) >= 5 or fraction > 0.5 or (len(masks) > 1 and fraction > MAX_DISCONNECTED):
        raise DataError(
            f"{path}: no mask contains 0, and {dominant} covers {fraction:.0%} of the pixels (e.g. {masks[0].where}): "
            f"either the background is not 0, or classes start at 1; set the background to 0 (and use "
            f"{options.classes} for classes), {options.or_trust}"
        )


def _check_ignored(masks: Sequence[MaskStatistics], path: object, options: OptionNames) -> None:
    separate = [mask for mask in masks if mask.has_separate_maximum]
    if len(separate) > 1 or any(mask.second_largest > 1 or mask.components_of_largest > 1 for mask in separate):
        example = max(separate, key=lambda mask: mask.second_largest)
        raise DataError(
            f"{path}: {example.largest} occurs beside labels 1 … {example.second_largest} in {len(separate)} of "
            f"{len(masks)} masks (e.g. {example.where}), so it seems to mark a boundary or an ignored region; use "
            f"{options.ignore} {example.largest} to ignore it, set it to 0, {options.or_trust}"
        )


def _check_overflow(masks: Sequence[MaskStatistics], options: OptionNames) -> None:
    for mask in masks:
        if mask.largest not in TYPE_MAXIMA or mask.label_count < mask.largest // 2:
            continue
        disconnected = mask.disconnected_labels
        early = [label for label in disconnected if label <= 2 * len(disconnected) + 2]
        wrapped = mask.label_count == mask.largest and len(disconnected) > 0 and len(early) >= 0.8 * len(disconnected)
        clipped = mask.components_of_largest > 1
        if clipped or wrapped or len(disconnected) > MAX_DISCONNECTED * mask.label_count:
            subject = f"label {mask.largest} has" if clipped else f"{len(disconnected)} labels have"
            raise DataError(
                f"{mask.where}: {subject} several separate components, and its {mask.label_count} labels end at "
                f"{mask.largest}, so there are more objects than fit into {8 if mask.largest == 255 else 16} bits; "
                f"save it as uint16 or uint32, use {options.components} to make each component an object, "
                f"{options.or_trust}"
            )


def _check_binary(masks: Sequence[MaskStatistics], path: object, options: OptionNames) -> None:
    if any(mask.label_count > 1 for mask in masks):
        return
    disconnected = [mask for mask in masks if mask.components_of_only_label > 1]
    if any(mask.components_of_only_label > 2 for mask in disconnected):
        raise _binary(max(disconnected, key=lambda mask: mask.components_of_only_label), options)
    if disconnected and len(masks) > 1 and len(disconnected) >= len(masks) / 10:
        raise DataError(
            f"{path}: no mask has more than one label, and that of {disconnected[0].where} has several separate "
            f"components, so these are binary masks; use {options.components} to make each component an object, "
            f"{options.classes} for classes, {options.or_trust}"
        )


def _check_classes(masks: Sequence[MaskStatistics], path: object, options: OptionNames) -> None:
    labels, disconnected = sum(mask.label_count for mask in masks), sum(len(mask.disconnected_labels) for mask in masks)
    shared = {label for mask in masks for label in mask.values}
    same_few = len(masks) > 2 and all(mask.values for mask in masks) and len(shared) <= MAX_VALUES_KEPT
    all_disconnected = disconnected == labels > 1 and all(mask.components_per_label >= 3 for mask in masks)
    limit = (MAX_DISCONNECTED_SHARED if same_few else MAX_DISCONNECTED) * labels
    if all_disconnected or (disconnected > 2 and disconnected >= limit):
        example = max(masks, key=lambda mask: len(mask.disconnected_labels) / mask.label_count)
        values = f"values {', '.join(map(str, sorted(shared)))}" if 0 < len(shared) <= 6 else "values"
        raise DataError(
            f"{path}: {disconnected} of {labels} labels have several separate components (e.g. {example.where}), so "
            f"the {values} seem to be classes; use {options.classes}, or {options.components} to make each component "
            f"an object, {options.or_trust}"
        )
