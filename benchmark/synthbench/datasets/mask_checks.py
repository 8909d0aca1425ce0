"""Questions to masks before they are believed: whether their numbers are objects.

`dataset add`, `dataset check` and `score` ask the same ones. `check_mask` refuses what a single mask gives away (a
picture, a binary mask of 255), and `check_masks` what only the masks of a set show together: classes, a background of
another number, a region to ignore, numbers that didn't fit into 8 bits. An object in pieces, one big object, and
numbers with gaps are no reason to refuse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synthbench.datasets.mask_statistics import MAX_VALUES_KEPT, TYPE_MAXIMA, MaskStatistics
from synthbench.errors import DataError

MANY_LABELS = 8
"""A mask of at least so many labels, each in more than so many pieces on average, is a picture."""
MAX_DIFFERING = 0.5
"""So is one in which more than this share of neighbouring labelled pixels differ: in label maps 3 % do."""
MAX_EDGE_AREA = 16
"""Of so few pixels are the grey values at the edges of a binary mask that was resized, or saved with loss."""
FRAYED_LABELS, FRAYED_COMPONENTS = 3, 4
"""So many labels in more than so many pieces each, on average, are frayed: in real label maps it is 1.3 at most."""
BINARY_COMPONENTS = 5
"""One label in so many pieces alike is no single object."""
MAX_DISCONNECTED = 1 / 3
"""Where this share of all labels is in pieces alike, they are classes: of the label maps of objects 2 % at most are."""
MAX_DISCONNECTED_SHARED = 1 / 5
"""The same where all masks share the same few numbers."""


@dataclass(frozen=True)
class OptionNames:
    """The options of a command that lead out, as its refusals name them."""

    pieces: str = "--components"
    classes: str = "--task semantic"
    ignore: str = "--ignore"
    trust: str = "--trust-masks"

    def trusting(self) -> str:
        return f"{self.trust} if they are objects"


DATASET_OPTIONS = OptionNames()
SCORE_OPTIONS = OptionNames(classes="--semantic")


def check_mask(seen: MaskStatistics, ways: OptionNames = DATASET_OPTIONS) -> None:
    """Raise `DataError` for what a single mask of objects gives away.

    Raises
    ------
    DataError
        For a picture, frayed labels, and a binary mask: of 255 or 65,535 with soft edges or in two pieces alike, of
        another number in five; for an only value that reaches all four sides around two holes or more.
    """
    if seen.labels >= MANY_LABELS and seen.main == seen.high in TYPE_MAXIMA and seen.rest <= MAX_EDGE_AREA:
        raise DataError(
            f"{seen.where}: a binary mask with soft edges: {seen.labels - 1} other numbers of few pixels each lie "
            f"beside {seen.high}, as after resizing or saving with loss; make it 0 and {seen.high} again, or say "
            f"{ways.trusting()}"
        )
    if seen.labels >= MANY_LABELS and seen.pieces > MANY_LABELS:
        raise DataError(
            f"{seen.where}: no label map: its {seen.labels} values lie in {seen.pieces * seen.labels:.0f} separate "
            f"pieces, as those of a picture do; give a mask with one number for each object, or use {ways.classes} for "
            "classes"
        )
    if seen.labels >= MANY_LABELS and seen.differing > MAX_DIFFERING:
        raise DataError(
            f"{seen.where}: no label map: of its labelled pixels side by side {seen.differing:.0%} differ, as those of "
            f"a picture do; give a mask with one number for each object ({ways.trusting()})"
        )
    if seen.labels >= FRAYED_LABELS and seen.pieces > FRAYED_COMPONENTS:
        raise DataError(
            f"{seen.where}: its {seen.labels} labels lie in {seen.pieces * seen.labels:.0f} separate pieces, most of "
            "them crumbs, as after resizing with smoothing or saving with loss; save it anew without either, or say "
            f"{ways.trusting()}"
        )
    if seen.single >= (2 if seen.high in TYPE_MAXIMA else BINARY_COMPONENTS):
        raise _binary(seen, ways)
    if seen.holes >= 2:
        raise DataError(
            f"{seen.where}: its only value, {seen.high}, reaches all four sides around {seen.holes} holes: the holes "
            f"seem to be the objects; make the background 0, or say {ways.trusting()}"
        )


def _binary(seen: MaskStatistics, ways: OptionNames) -> DataError:
    return DataError(
        f"{seen.where}: a binary mask, no label map: its only value is {seen.high}, in {seen.single} separate pieces; "
        f"use {ways.pieces} to make each piece an object, {ways.classes} for classes, or {ways.trusting()}"
    )


def check_masks(
    looks: Sequence[MaskStatistics], path: object, ways: OptionNames = DATASET_OPTIONS, *, in_pieces: bool = True
) -> None:
    """Raise `DataError` for what the masks of a set show together.

    Parameters
    ----------
    looks
    path
        The set, for the message; a mask is named beside it.
    ways
    in_pieces
        Whether pieces of a label are asked about; not where each becomes an object of its own.

    Raises
    ------
    DataError
        For a background of another number, a region to ignore, and with `in_pieces` for binary masks, classes, and
        numbers that didn't fit into 8 bits.
    """
    masks = [seen for seen in looks if seen.labels]
    if not masks:
        return
    _background(masks, path, ways)
    _ignored(masks, path, ways)
    if in_pieces:
        _too_many(masks, ways)
        _all_binary(masks, path, ways)
        _classes(masks, path, ways)


def _background(masks: Sequence[MaskStatistics], path: object, ways: OptionNames) -> None:
    if any(seen.zero for seen in masks) or len({seen.main for seen in masks}) > 1:
        return
    share, main = float(np.mean([seen.main_share for seen in masks])), masks[0].main
    if len(masks) >= 5 or share > 0.5 or (len(masks) > 1 and share > MAX_DISCONNECTED):
        raise DataError(
            f"{path}: no mask holds a 0, and {main} covers {share:.0%} of them ({masks[0].where}): a background of "
            f"another number, or classes that start at 1; set the background to 0 (and use {ways.classes} for "
            f"classes), or say {ways.trusting()}"
        )


def _ignored(masks: Sequence[MaskStatistics], path: object, ways: OptionNames) -> None:
    beside = [seen for seen in masks if seen.beside]
    if len(beside) > 1 or any(seen.below > 1 or seen.top > 1 for seen in beside):
        one = max(beside, key=lambda seen: seen.below)
        raise DataError(
            f"{path}: {one.high} stands beside 1 … {one.below} in {len(beside)} of {len(masks)} masks ({one.where}): a "
            f"boundary or an ignored region, no object; use {ways.ignore} {one.high} to leave it out, set it to 0, or "
            f"say {ways.trusting()}"
        )


def _too_many(masks: Sequence[MaskStatistics], ways: OptionNames) -> None:
    for seen in masks:
        if seen.high not in TYPE_MAXIMA or seen.labels < seen.high // 2:
            continue
        early = [label for label in seen.broken if label <= 2 * len(seen.broken) + 2]
        wrapped = seen.labels == seen.high and len(seen.broken) > 0 and len(early) >= 0.8 * len(seen.broken)
        if seen.top > 1 or wrapped or len(seen.broken) > MAX_DISCONNECTED * seen.labels:
            told = f"{seen.high} lies" if seen.top > 1 else f"{len(seen.broken)} numbers lie"
            raise DataError(
                f"{seen.where}: {told} in several separate pieces, and its {seen.labels} numbers end at {seen.high}: "
                f"more objects than {8 if seen.high == 255 else 16} bits hold; save it with more bits (uint16 or "
                f"uint32), use {ways.pieces} to make each piece an object, or say {ways.trusting()}"
            )


def _all_binary(masks: Sequence[MaskStatistics], path: object, ways: OptionNames) -> None:
    if any(seen.labels > 1 for seen in masks):
        return
    broken = [seen for seen in masks if seen.single > 1]
    if any(seen.single > 2 for seen in broken):
        raise _binary(max(broken, key=lambda seen: seen.single), ways)
    if broken and len(masks) > 1 and len(broken) >= len(masks) / 10:
        raise DataError(
            f"{path}: no mask holds more than one label, and that of {broken[0].where} is in pieces: these are binary "
            f"masks, no label maps; use {ways.pieces} to make each piece an object, {ways.classes} for classes, or "
            f"{ways.trusting()}"
        )


def _classes(masks: Sequence[MaskStatistics], path: object, ways: OptionNames) -> None:
    labels, broken = sum(seen.labels for seen in masks), sum(len(seen.broken) for seen in masks)
    shared = {label for seen in masks for label in seen.few}
    same = len(masks) > 2 and all(seen.few for seen in masks) and len(shared) <= MAX_VALUES_KEPT
    every = broken == labels > 1 and all(seen.pieces >= 3 for seen in masks)
    if every or (broken > 2 and broken >= (MAX_DISCONNECTED_SHARED if same else MAX_DISCONNECTED) * labels):
        one = max(masks, key=lambda seen: len(seen.broken) / seen.labels)
        numbers = f"numbers {', '.join(map(str, sorted(shared)))}" if 0 < len(shared) <= 6 else "numbers"
        raise DataError(
            f"{path}: {broken} of {labels} labels lie in several separate pieces ({one.where}), so the {numbers} seem "
            f"to be classes, no objects; use {ways.classes}, or {ways.pieces} to make each piece an object, or "
            f"{ways.trusting()}"
        )
