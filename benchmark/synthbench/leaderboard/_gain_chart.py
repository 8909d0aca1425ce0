"""A chart of what arms gain over what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from synthbench.leaderboard._charts import around, colour
from synthbench.leaderboard._formatting import duration
from synthbench.leaderboard._svg import (
    BOTTOM,
    HEIGHT,
    LEFT,
    TOP,
    WIDTH,
    Scale,
    marked,
    rows,
    segment,
    spaced,
    step_for,
    svg,
)

__all__ = ["Point", "gains_by_cost"]

LEAST = 1.0
"""Seconds: the left end of the axis, where whatever costs less is drawn."""
_TICKS = (1, 10, 60, 600, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600)
_WORDS = ("≤ 1 s", "10 s", "1 min", "10 min", "1 h", "6 h", "1 day", "1 week")
_LINE = 14
_BEYOND = 0.55
"""Points beyond this part of the axis have their label to the left."""


@dataclass(frozen=True)
class Point:
    """An arm: what it costs in seconds, its difference with the ends of its interval, and its place among the arms."""

    label: str
    x: float
    y: float
    low: float
    high: float
    place: int


def gains_by_cost(points: Sequence[Point], title: str, description: str, axis: str) -> Markup:
    """Draw differences with their intervals over seconds, on a logarithmic axis.

    Parameters
    ----------
    points
        Ends of an interval may be NaN.
    title, description
        For those who can't see it.
    axis
        What the y axis shows.
    """
    values = np.array([value for each in points for value in (each.y, each.low, each.high)])
    low, high = around(values[~np.isnan(values)])
    longest = max(*(each.x for each in points), 60.0)
    x = Scale(float(np.log10(LEAST)), float(np.log10(longest * 1.3)), LEFT + 12, WIDTH - 12)
    y = Scale(low, high, HEIGHT - BOTTOM, TOP, step_for(high - low))
    across = Scale(x.low, x.high, LEFT, WIDTH)
    ticks = [(x(float(np.log10(s))), word) for s, word in zip(_TICKS, _WORDS, strict=True) if s <= longest * 1.3]
    parts = [rows(across, y, axis), marked(across, y, ticks, "time to train the generator and to draw its images")]
    spots = [(x(float(np.log10(max(each.x, LEAST)))), y(each.y)) for each in points]
    for each, (left, top) in zip(points, spots, strict=True):
        if not (np.isnan(each.low) or np.isnan(each.high)):
            parts.append(segment(left, y(each.low), left, y(each.high), f"whisker {colour(each.place)}"))
        form = Markup('<circle cx="{:.1f}" cy="{:.1f}" r="4.5" class="point {}"><title>{}</title></circle>')
        parts.append(form.format(left, top, colour(each.place), f"{each.label}: {duration(each.x)}"))
    return svg([*parts, *_labels(points, spots)], title, description)


def _labels(points: Sequence[Point], spots: Sequence[tuple[float, float]]) -> list[Markup]:
    """Label the points at their side that has room, moved up or down where labels would touch."""
    out = []
    middle = LEFT + _BEYOND * (WIDTH - LEFT)
    for is_left in (True, False):
        own = sorted((i for i, spot in enumerate(spots) if (spot[0] < middle) == is_left), key=lambda i: spots[i][1])
        heights = spaced([spots[i][1] for i in own], _LINE, TOP + 4, HEIGHT - BOTTOM - 4)
        for i, height in zip(own, heights, strict=True):
            (left, top), shift = spots[i], 16 if is_left else -16
            if abs(height - top) > 3:
                out.append(segment(left, top, left + shift * 0.8, height, f"leader {colour(points[i].place)}"))
            form = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}" class="label {}">{}</text>')
            anchor = "start" if is_left else "end"
            out.append(form.format(left + shift, height + 4, anchor, colour(points[i].place), points[i].label[:28]))
    return out
