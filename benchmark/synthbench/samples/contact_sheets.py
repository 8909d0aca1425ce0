"""Contact sheets: many samples in one picture, each image beside its annotation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from synthbench.errors import DataError
from synthbench.samples import Sample, Task
from synthbench.samples.pictures import draw_labels, stretch_samples, under_annotation
from synthbench.types import AnyArray

__all__ = ["contact_sheet"]

_GAP, _TITLE, _CAPTION = 6, 22, 22
"""Pixels between tiles, and heights of the lines of text."""
_PAPER, _INK = (255, 255, 255), (40, 40, 40)


def contact_sheet(
    rows: Mapping[str, Sequence[Sample]], *, task: Task = "instances", tile: int = 256, columns: int = 4
) -> Image.Image:
    """Lay out samples, each image beside its annotation, in titled blocks.

    Parameters
    ----------
    rows
        Title → samples.
    task
        How label maps are drawn.
    tile
        Side of a tile in pixels; images are scaled to fit before outlines are drawn, so that these stay visible.
    columns
        Samples side by side, each two tiles wide.

    Returns
    -------
    PIL.Image.Image
        RGB.

    Raises
    ------
    DataError
        If there is no sample.
    """
    if not any(len(samples) for samples in rows.values()):
        raise DataError("a contact sheet needs at least one sample")
    blocks = {title: _lines(samples, task, tile, columns) for title, samples in rows.items()}
    widest = max(len(line) for lines in blocks.values() for line in lines)
    heights = {title: [_tallest(line) + _CAPTION for line in lines] for title, lines in blocks.items()}
    width = _GAP + widest * (2 * tile + 2 * _GAP)
    paper = Image.new("RGB", (width, _GAP + sum(_TITLE + sum(h) for h in heights.values())), _PAPER)
    pen = ImageDraw.Draw(paper)
    heading, small = _font(15), _font(11)
    top = _GAP
    for title, lines in blocks.items():
        pen.text((_GAP, top), _fitting(title, pen, heading, width - 2 * _GAP), fill=_INK, font=heading)
        top += _TITLE
        for line, height in zip(lines, heights[title], strict=True):
            for column, (caption, pair) in enumerate(line):
                left = _GAP + column * (2 * tile + 2 * _GAP)
                paper.paste(pair, (left, top))
                pen.text((left, top + pair.height + 2), _fitting(caption, pen, small, 2 * tile), fill=_INK, font=small)
            top += height
    return paper


_Cell = tuple[str, Image.Image]


def _lines(samples: Sequence[Sample], task: Task, tile: int, columns: int) -> list[list[_Cell]]:
    shown = stretch_samples(samples)
    cells = [(_caption(s, task), _pair(image, s, task, tile)) for s, image in zip(samples, shown, strict=True)]
    return [cells[start : start + columns] for start in range(0, len(cells), columns)]


def _tallest(line: Sequence[_Cell]) -> int:
    return max(pair.height for _, pair in line)


def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, which is shipped: it has characters that Pillow's font lacks."""
    return ImageFont.truetype(str(Path(__file__).parent / "fonts" / "DejaVuSans.ttf"), size)


def _pair(shown: AnyArray, sample: Sample, task: Task, tile: int) -> Image.Image:
    """Return the picture beside its annotation, both scaled to fit a tile: it smoothly, the labels by nearest."""
    height, width = sample.labels.shape
    scale = tile / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    resample = Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST
    small = np.asarray(Image.fromarray(shown).resize(size, resample))
    ys = ((np.arange(size[1]) + 0.5) * height / size[1]).astype(int)
    xs = ((np.arange(size[0]) + 0.5) * width / size[0]).astype(int)
    places = np.ix_(ys, xs)
    ground = under_annotation(small, sample.image)
    over = draw_labels(ground, sample.labels[places], None if sample.ignore is None else sample.ignore[places], task)
    between = np.full((size[1], 2, 3), _PAPER, np.uint8)
    return Image.fromarray(np.concatenate([small, between, over], axis=1))


def _caption(sample: Sample, task: Task) -> str:
    height, width = sample.labels.shape
    count = f", {len(np.unique(sample.labels[sample.labels > 0]))} objects" if task == "instances" else ""
    ignored = "" if sample.ignore is None else f", {sample.ignore.mean():.1%} ignored"
    return f"{height}×{width}{count}{ignored}  {sample.id}"


def _fitting(text: str, pen: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont, width: int) -> str:
    while text and pen.textlength(text, font=font) > width:
        text = text[:-2].removesuffix("…") + "…"
    return text
