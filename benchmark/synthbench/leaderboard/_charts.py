"""Charts as inline SVG, drawn here so that a page stays one small file that follows its colours, light or dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup

from synthbench.leaderboard._svg import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Scale,
    marked,
    rows,
    spaced,
    step_for,
    svg,
    tick_text,
)
from synthbench.types import AnyArray

__all__ = ["COLOURS", "Line", "amounts", "around", "colour", "curves", "span_of"]

COLOURS = 7
"""How many colours the page's style has for arms (``.arm-1`` …); `real` is drawn in ink, later arms are dashed."""
_LINE = 15
_DIGIT = 8
_CROWDED = 7
_LONGEST = 16
_DASHES = ("none", "6 3", "2 3")


@dataclass(frozen=True)
class Line:
    """One curve with its band.

    Attributes
    ----------
    label : str
    x, mid, low, high : sequence of float
        `low` and `high` bound the band; equal to `mid` where there is none.
    place : int
        0 for the baseline, else the number of the arm, which gives it its colour everywhere on the page.
    """

    label: str
    x: Sequence[float]
    mid: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    place: int


def curves(lines: Sequence[Line], title: str, description: str, axis: str, *, zero_line: bool = False) -> Markup:
    """Draw curves over IoU thresholds, each labelled at its end.

    Parameters
    ----------
    lines
        Curves that share `x`.
    title, description
        For those who can't see it.
    axis
        What the y axis shows.
    zero_line
        Whether zero belongs on the y axis, as with differences.
    """
    values = np.concatenate([[*line.low, *line.high] for line in lines])
    low, high = around(values) if zero_line else _tenths(values)
    xs = lines[0].x
    x = Scale(min(xs), max(xs), LEFT, WIDTH - RIGHT, 0.1)
    y = Scale(low, high, HEIGHT - BOTTOM, TOP, step_for(high - low))
    parts = [_frame(x, y, axis)]
    parts += [_band(line, x, y) for line in lines]
    parts += [_path(line, x, y) for line in lines]
    parts += _labels(lines, y)
    return svg(parts, title, description)


def amounts(lines: Sequence[Line], title: str, description: str, axis: str) -> Markup:
    """Draw scores over numbers of real training images, on a logarithmic axis; lines may begin and end where they like.

    Parameters
    ----------
    lines
        `x` are numbers of images, rising.
    title, description, axis
        As in `curves`.
    """
    values = np.concatenate([[*line.low, *line.high] for line in lines])
    low, high = _tenths(values)
    numbers = sorted({int(x) for line in lines for x in line.x})
    ends = np.log2([numbers[0], numbers[-1]])
    x = Scale(float(ends[0]), float(ends[1]), LEFT + 10, WIDTH - RIGHT - 10)
    y = Scale(low, high, HEIGHT - BOTTOM, TOP, step_for(high - low))
    drawn = [replace(line, x=[float(np.log2(each)) for each in line.x]) for line in lines]
    parts = [rows(replace(x, start=LEFT, stop=WIDTH - RIGHT), y, axis), _columns(x, y, numbers)]
    parts += [_band(line, x, y) for line in drawn]
    parts += [_path(line, x, y) for line in drawn]
    parts += [_dots(line, x, y) for line in drawn]
    parts += _labels(lines, y, beside=True)
    return svg(parts, title, description)


def span_of(rows: Sequence[Mapping[str, float]]) -> Scale:
    """Return the axis that holds all differences and their intervals, and zero."""
    names = ("delta", "delta_low", "delta_high")
    values = np.array([row[name] for row in rows for name in names if not np.isnan(row[name])] + [0.0])
    low, high = around(values)
    return Scale(low, high, 0.0, 100.0, step_for(high - low, 5))


def around(values: AnyArray) -> tuple[float, float]:
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    room = max((high - low) * 0.06, 0.005)
    return low - room, high + room


def _tenths(values: AnyArray) -> tuple[float, float]:
    low = max(float(np.floor((float(values.min()) - 0.02) * 10) / 10), 0.0)
    return low, max(min(float(values.max()) + 0.03, 1.0), low + 0.1)


def _frame(x: Scale, y: Scale, axis: str) -> Markup:
    marks = [(x(tick), tick_text(tick, x.step)) for tick in x.ticks]
    return rows(x, y, axis) + marked(x, y, marks, "IoU threshold")


def _columns(x: Scale, y: Scale, numbers: Sequence[int]) -> Markup:
    """Mark numbers of images on a logarithmic axis, but none whose text would touch the one before."""
    marks: list[tuple[float, str]] = []
    for number in numbers:
        at = x(float(np.log2(number)))
        if not marks or at - marks[-1][0] > _DIGIT * len(f"{marks[-1][1]}{number}") / 2 + _DIGIT:
            marks.append((at, str(number)))
    return marked(x, y, marks, "real training images")


def _points(xs: Sequence[float], ys: Sequence[float], x: Scale, y: Scale) -> list[str]:
    return [f"{x(a):.1f},{y(b):.1f}" for a, b in zip(xs, ys, strict=True)]


def _band(line: Line, x: Scale, y: Scale) -> Markup:
    if np.allclose(line.low, line.high):
        return Markup("")
    around = _points(line.x, line.high, x, y) + _points(line.x, line.low, x, y)[::-1]
    return Markup('<polygon points="{}" class="band {}"/>').format(" ".join(around), colour(line.place))


def _path(line: Line, x: Scale, y: Scale) -> Markup:
    form = Markup('<polyline points="{}" stroke-dasharray="{}" class="line {}{}"/>')
    kind = " real" if line.place == 0 else ""
    return form.format(" ".join(_points(line.x, line.mid, x, y)), _dash(line), colour(line.place), kind)


def _dots(line: Line, x: Scale, y: Scale) -> Markup:
    form = Markup('<circle cx="{}" cy="{}" r="3" class="point {}"/>')
    points = (point.split(",") for point in _points(line.x, line.mid, x, y))
    return Markup("").join(form.format(*point, colour(line.place)) for point in points)


def _labels(lines: Sequence[Line], y: Scale, *, beside: bool = False) -> list[Markup]:
    """Label each curve at its right end; where the ends crowd, beside a sample of it, the highest curve first."""
    ends = sorted(lines, key=lambda line: y(line.mid[-1]))
    gaps = np.diff([y(line.mid[-1]) for line in ends])
    crowded = beside or bool((gaps < _CROWDED).any())
    if crowded:
        ends = sorted(lines, key=lambda line: -float(np.mean(line.mid)))
        wanted = [TOP + 10.0 + _LINE * i for i in range(len(ends))]
    else:
        wanted = [y(line.mid[-1]) for line in ends]
    spots = spaced(wanted, _LINE, TOP + 4, HEIGHT - BOTTOM + 22)
    edge = WIDTH - RIGHT
    out = []
    for line, spot in zip(ends, spots, strict=True):
        start = (edge + 8.0, spot) if crowded else (edge + 2.0, y(line.mid[-1]))
        end = edge + (22 if crowded else 12)
        form = Markup('<polyline points="{:.1f},{:.1f} {:.1f},{:.1f}" stroke-dasharray="{}" class="{} {}"/>')
        kind = "swatch" if crowded else "leader"
        out.append(form.format(*start, end, spot, _dash(line) if crowded else "none", kind, colour(line.place)))
        label = line.label if len(line.label) <= _LONGEST else line.label[: _LONGEST - 1] + "…"
        form = Markup('<text x="{:.1f}" y="{:.1f}" class="label {}"><title>{}</title>{}</text>')
        out.append(form.format(end + 4, spot + 4, colour(line.place), line.label, label))
    return out


def colour(place: int) -> str:
    """Return the class that gives an arm its colour; colours aren't inline, which a strict page wouldn't show."""
    return f"arm-{place and (place - 1) % COLOURS + 1}"


def _dash(line: Line) -> str:
    return _DASHES[0 if line.place == 0 else min((line.place - 1) // COLOURS, len(_DASHES) - 1)]
