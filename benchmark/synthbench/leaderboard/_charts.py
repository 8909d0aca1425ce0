"""Charts as inline SVG, drawn here so that a page stays one small file that follows its colours, light or dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from markupsafe import Markup

from synthbench.types import AnyArray

__all__ = ["COLOURS", "Line", "Scale", "amounts", "colour", "curves", "percent", "spaced", "span_of", "step_for"]

WIDTH, HEIGHT = 480, 300
LEFT, RIGHT, TOP, BOTTOM = 44, 152, 24, 40
COLOURS = 7
"""How many colours the page's style has for arms (``--arm-1`` …); `real` is drawn in ink, later arms are dashed."""
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


@dataclass(frozen=True)
class Scale:
    """A linear map from data to pixels, with round ticks."""

    low: float
    high: float
    start: float
    stop: float
    step: float = field(default=0.1)

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)

    @property
    def ticks(self) -> list[float]:
        """Values of the tick marks, all multiples of the step."""
        first = np.ceil(self.low / self.step - 1e-9)
        count = int(np.floor(self.high / self.step + 1e-9) - first) + 1
        return [round(float((first + i) * self.step), 6) + 0.0 for i in range(count)]


def step_for(span: float, most: int = 6) -> float:
    """Return the smallest round step (1, 2 or 5 times a power of ten) that makes at most `most` ticks of a span.

    Examples
    --------
    >>> step_for(0.5), step_for(0.07)
    (0.1, 0.02)
    """
    rough = max(span, 1e-9) / most
    power = 10.0 ** np.floor(np.log10(rough))
    return float(round(next(m * power for m in (1, 2, 5, 10) if m * power >= rough - 1e-12), 9))


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
    low, high = _around(values) if zero_line else _tenths(values)
    xs = lines[0].x
    x = Scale(min(xs), max(xs), LEFT, WIDTH - RIGHT, 0.1)
    y = Scale(low, high, HEIGHT - BOTTOM, TOP, step_for(high - low))
    parts = [_frame(x, y, axis)]
    parts += [_band(line, x, y) for line in lines]
    parts += [_path(line, x, y) for line in lines]
    parts += _labels(lines, y)
    return _svg(parts, title, description)


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
    parts = [_rows(replace(x, start=LEFT, stop=WIDTH - RIGHT), y, axis), _columns(x, y, numbers)]
    parts += [_band(line, x, y) for line in drawn]
    parts += [_path(line, x, y) for line in drawn]
    parts += [_dots(line, x, y) for line in drawn]
    parts += _labels(lines, y, beside=True)
    return _svg(parts, title, description)


def colour(place: int) -> str:
    """Return the CSS colour of an arm."""
    return "var(--ink)" if place == 0 else f"var(--arm-{(place - 1) % COLOURS + 1})"


def percent(value: float, low: float, high: float) -> str:
    """Return where a value stands between two others, as CSS writes it: ``"37.5%"``."""
    return f"{100 * (value - low) / (high - low):.3f}%"


def span_of(rows: Sequence[Mapping[str, float]]) -> Scale:
    """Return the axis that holds all differences and their intervals, and zero."""
    names = ("delta", "delta_low", "delta_high")
    values = np.array([row[name] for row in rows for name in names if not np.isnan(row[name])] + [0.0])
    low, high = _around(values)
    return Scale(low, high, 0.0, 100.0, step_for(high - low, 5))


def _around(values: AnyArray) -> tuple[float, float]:
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    room = max((high - low) * 0.06, 0.005)
    return low - room, high + room


def _tenths(values: AnyArray) -> tuple[float, float]:
    low = max(float(np.floor((float(values.min()) - 0.02) * 10) / 10), 0.0)
    return low, max(min(float(values.max()) + 0.03, 1.0), low + 0.1)


def _svg(parts: Sequence[Markup], title: str, description: str) -> Markup:
    head = Markup('<svg viewBox="0 0 {} {}" role="img" class="chart"><title>{}</title><desc>{}</desc>')
    return head.format(WIDTH, HEIGHT, title, description) + Markup("").join(parts) + Markup("</svg>")


def _frame(x: Scale, y: Scale, axis: str) -> Markup:
    marks = [(x(tick), _tick(tick, x.step)) for tick in x.ticks]
    return _rows(x, y, axis) + _marks(x, y, marks, "IoU threshold")


def _columns(x: Scale, y: Scale, numbers: Sequence[int]) -> Markup:
    """Mark numbers of images on a logarithmic axis, but none whose text would touch the one before."""
    marks: list[tuple[float, str]] = []
    for number in numbers:
        at = x(float(np.log2(number)))
        if not marks or at - marks[-1][0] > _DIGIT * len(f"{marks[-1][1]}{number}") / 2 + _DIGIT:
            marks.append((at, str(number)))
    return _marks(x, y, marks, "real training images")


def _rows(x: Scale, y: Scale, axis: str) -> Markup:
    out = []
    for tick in y.ticks:
        kind = "zero" if tick == 0 else "grid"
        out.append(_segment(x.start, y(tick), x.stop, y(tick), kind))
        out.append(_text(x.start - 7, y(tick) + 4, _tick(tick, y.step), "end"))
    out.append(_text(6, 9, axis, "start"))
    return Markup("").join(out)


def _marks(x: Scale, y: Scale, marks: Sequence[tuple[float, str]], axis: str) -> Markup:
    out = []
    for at, label in marks:
        out.append(_segment(at, y.start, at, y.start + 4, "tick"))
        out.append(_text(at, y.start + 17, label, "middle"))
    out.append(_text((x.start + x.stop) / 2, y.start + 33, axis, "middle"))
    return Markup("").join(out)


def _tick(value: float, step: float) -> str:
    digits = max(1, -int(np.floor(np.log10(step) + 1e-9)))
    return f"{value:.{digits}f}".replace("-", "−")


def _segment(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    form = Markup('<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="{}"/>')
    return form.format(x1, y1, x2, y2, kind)


def _text(x: float, y: float, content: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, content)


def _points(xs: Sequence[float], ys: Sequence[float], x: Scale, y: Scale) -> list[str]:
    return [f"{x(a):.1f},{y(b):.1f}" for a, b in zip(xs, ys, strict=True)]


def _band(line: Line, x: Scale, y: Scale) -> Markup:
    if np.allclose(line.low, line.high):
        return Markup("")
    around = _points(line.x, line.high, x, y) + _points(line.x, line.low, x, y)[::-1]
    form = Markup('<polygon points="{}" style="fill:{}" class="band"/>')
    return form.format(" ".join(around), colour(line.place))


def _path(line: Line, x: Scale, y: Scale) -> Markup:
    form = Markup('<polyline points="{}" style="stroke:{}" stroke-dasharray="{}" class="line{}"/>')
    kind = " real" if line.place == 0 else ""
    return form.format(" ".join(_points(line.x, line.mid, x, y)), colour(line.place), _dash(line), kind)


def _dots(line: Line, x: Scale, y: Scale) -> Markup:
    form = Markup('<circle cx="{}" cy="{}" r="3" style="fill:{}"/>')
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
        form = Markup(
            '<polyline points="{:.1f},{:.1f} {:.1f},{:.1f}" style="stroke:{}" stroke-dasharray="{}" class="{}"/>'
        )
        kind = "swatch" if crowded else "leader"
        out.append(form.format(*start, end, spot, colour(line.place), _dash(line) if crowded else "none", kind))
        label = line.label if len(line.label) <= _LONGEST else line.label[: _LONGEST - 1] + "…"
        form = Markup('<text x="{:.1f}" y="{:.1f}" style="fill:{}" class="label"><title>{}</title>{}</text>')
        out.append(form.format(end + 4, spot + 4, colour(line.place), line.label, label))
    return out


def _dash(line: Line) -> str:
    return _DASHES[0 if line.place == 0 else min((line.place - 1) // COLOURS, len(_DASHES) - 1)]


def spaced(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move sorted positions as little as needed to stand `gap` apart, within bounds where they fit.

    Examples
    --------
    >>> spaced([10.0, 11.0, 40.0], 10, 0, 100)
    [5.5, 15.5, 40.0]
    """
    groups: list[tuple[float, int]] = []
    for value in wanted:
        centre, count = value, 1
        while groups and centre - gap * (count - 1) / 2 < groups[-1][0] + gap * (groups[-1][1] + 1) / 2:
            other, size = groups.pop()
            centre, count = (centre * count + other * size) / (count + size), count + size
        groups.append((centre, count))
    spots = [centre + gap * (i - (count - 1) / 2) for centre, count in groups for i in range(count)]
    for i in range(len(spots)):
        spots[i] = max(spots[i], low + gap * i)
    for i in range(len(spots)):
        back = len(spots) - 1 - i
        spots[back] = min(spots[back], high - gap * i)
    return spots
