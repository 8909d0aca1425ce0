"""What charts are drawn with: axes, lines and text as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup

__all__ = [
    "BOTTOM",
    "HEIGHT",
    "LEFT",
    "RIGHT",
    "TOP",
    "WIDTH",
    "Scale",
    "marked",
    "rows",
    "segment",
    "spaced",
    "step_for",
    "svg",
    "text",
    "tick_text",
]

WIDTH, HEIGHT = 480, 300
LEFT, RIGHT, TOP, BOTTOM = 44, 152, 24, 40


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


def rows(x: Scale, y: Scale, axis: str) -> Markup:
    """Return the lines of the y axis across the chart, their numbers, and what the axis shows."""
    out = []
    for tick in y.ticks:
        kind = "zero" if tick == 0 else "grid"
        out.append(segment(x.start, y(tick), x.stop, y(tick), kind))
        out.append(text(x.start - 7, y(tick) + 4, tick_text(tick, y.step), "end"))
    out.append(text(6, 9, axis, "start"))
    return Markup("").join(out)


def marked(x: Scale, y: Scale, marks: Sequence[tuple[float, str]], axis: str) -> Markup:
    """Return the x axis: texts at places in pixels, and what the axis shows."""
    out = []
    for at, label in marks:
        out.append(segment(at, y.start, at, y.start + 4, "tick"))
        out.append(text(at, y.start + 17, label, "middle"))
    out.append(text((x.start + x.stop) / 2, y.start + 33, axis, "middle"))
    return Markup("").join(out)


def tick_text(value: float, step: float) -> str:
    """Return the number at a tick, with the digits that the step needs."""
    digits = max(1, -int(np.floor(np.log10(step) + 1e-9)))
    return f"{value:.{digits}f}".replace("-", "−")


def segment(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """Return a line with a class."""
    form = Markup('<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="{}"/>')
    return form.format(x1, y1, x2, y2, kind)


def text(x: float, y: float, content: str, anchor: str) -> Markup:
    """Return escaped text; `anchor` is ``start``, ``middle`` or ``end``."""
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, content)


def svg(parts: Sequence[Markup], title: str, description: str) -> Markup:
    """Return a whole chart, with a title and a description for those who can't see it."""
    head = Markup('<svg viewBox="0 0 {} {}" role="img" class="chart"><title>{}</title><desc>{}</desc>')
    return head.format(WIDTH, HEIGHT, title, description) + Markup("").join(parts) + Markup("</svg>")


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
