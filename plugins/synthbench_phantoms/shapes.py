"""Outlines, random fields, and how objects come to lie beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import ndimage

TRIES = 30
SMALLEST = 12
"""Pixels of an object that must show, or it is placed elsewhere."""


def field(rng: np.random.Generator, shape: tuple[int, int], scale: float) -> np.ndarray:
    """Return smooth Gaussian noise: mean 0, standard deviation 1, float64.

    Parameters
    ----------
    rng
    shape
        ``(height, width)``.
    scale
        Standard deviation of the smoothing kernel in pixels; bumps are about three times as wide.
    """
    step = max(1, int(scale / 4))
    coarse = (shape[0] // step + 3, shape[1] // step + 3)
    smooth = ndimage.gaussian_filter(rng.standard_normal(coarse), scale / step, mode="wrap", truncate=3)
    if step > 1:
        smooth = _between(shape[0], step, coarse[0]) @ smooth @ _between(shape[1], step, coarse[1]).T
    smooth = smooth[: shape[0], : shape[1]]
    spread = smooth.std()
    return (smooth - smooth.mean()) / spread if spread > 0 else np.zeros(shape)


@cache
def _between(fine: int, step: int, coarse: int) -> np.ndarray:
    """The matrix that interpolates `fine` points, `step` to each coarse one."""
    below, part = np.divmod(np.arange(fine) / step, 1.0)
    matrix = np.zeros((fine, coarse))
    matrix[np.arange(fine), below.astype(int)] = 1 - part
    matrix[np.arange(fine), below.astype(int) + 1] = part
    return matrix


def rounded(
    rng: np.random.Generator, area: float, elongation: float = 1.2, roughness: float = 0.06, bend: float = 0.0
) -> np.ndarray:
    """Return the outline of a round to kidney-shaped body about the origin.

    Parameters
    ----------
    rng
    area
        Pixels inside, about.
    elongation
        Long axis over short axis, from 1 up.
    roughness
        Relative height of the undulations of the outline.
    bend
        0 is straight; 0.5 is a kidney.

    Returns
    -------
    ndarray
        ``(40, 2)`` vertices, (y, x), float64.
    """
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    orders = np.arange(2, 7)
    heights = roughness * rng.standard_normal(5) / (orders - 1)
    waves = np.cos(np.multiply.outer(angle, orders) + rng.uniform(0, 2 * np.pi, 5))
    radius = np.clip(1 + waves @ heights, 0.4, None)
    short = np.sqrt(area / (np.pi * elongation))
    x = elongation * short * radius * np.cos(angle)
    y = short * radius * np.sin(angle)
    y += bend * short * ((x / (elongation * short)) ** 2 - 0.5)
    return turned(np.stack([y, x], axis=1), rng.uniform(0, 2 * np.pi))


def spindle(rng: np.random.Generator, area: float, elongation: float) -> np.ndarray:
    """Return the outline of a stretched cell: a bent spine with a belly and thin processes; see `rounded`."""
    along = np.linspace(0, 1, 60)
    length = np.sqrt(area * elongation * 1.6)
    belly, reach = rng.uniform(0.35, 0.65), rng.uniform(0.12, 0.22)
    width = 0.12 + np.exp(-((np.abs(along - belly) / reach) ** rng.uniform(1.6, 2.6)))
    foot = rng.uniform(0, 0.5, 2)
    width += foot[0] * np.exp(-((along / 0.09) ** 2)) + foot[1] * np.exp(-(((1 - along) / 0.09) ** 2))
    width *= np.minimum(1, np.minimum(along, 1 - along) / 0.06) ** 0.5 + 0.01
    spine_x = (along - 0.5) * length
    spine_y = length * (rng.normal(0, 0.12) * (4 * (along - 0.5) ** 2 - 0.33) + rng.normal(0, 0.04) * np.sin(7 * along))
    half = width * area / (2 * length * width.mean())
    ruffles = 1 + 0.8 * ndimage.gaussian_filter1d(rng.standard_normal((2, 60)), 2, axis=1)
    sides = np.clip(ruffles, 0.5, 1.6) * half
    left = np.stack([spine_y - sides[0], spine_x], axis=1)
    right = np.stack([spine_y + sides[1], spine_x], axis=1)
    return turned(np.concatenate([left, right[::-1]]), rng.uniform(0, 2 * np.pi))


def spread(rng: np.random.Generator, area: float, arms: int) -> np.ndarray:
    """Return the outline of a spread cell: a ruffled sheet pulled out into `arms` processes; see `rounded`.

    The edge between two processes is hollow, as in a sheet held at its corners.
    """
    angle = np.linspace(0, 2 * np.pi, 144, endpoint=False)
    corners = np.sort(2 * np.pi * (np.arange(arms) + rng.uniform(-0.33, 0.33, arms)) / arms % (2 * np.pi))
    lengths = rng.uniform(0.7, 1.7, arms)
    after = np.searchsorted(corners, angle) % arms
    before = after - 1
    gap = (corners[after] - corners[before]) % (2 * np.pi) + 1e-9
    share = ((angle - corners[before]) % (2 * np.pi)) / gap
    chord = lengths[before] * (1 - share) + lengths[after] * share
    radius = chord * (1 - rng.uniform(0.1, 0.65, arms)[before] * (4 * share * (1 - share)) ** rng.uniform(0.4, 0.9))
    coarse = ndimage.gaussian_filter1d(rng.standard_normal(144), 6, mode="wrap")
    fine = ndimage.gaussian_filter1d(rng.standard_normal(144), 1.5, mode="wrap")
    radius = ndimage.gaussian_filter1d(radius, 1.5, mode="wrap") + 0.4 * coarse + 0.08 * fine
    radius = np.clip(radius, 0.25, None)
    y, x = radius * np.sin(angle) * rng.uniform(0.5, 1.0), radius * np.cos(angle)
    scale = np.sqrt(area / enclosed(np.stack([y, x], axis=1)))
    return turned(scale * np.stack([y, x], axis=1), rng.uniform(0, 2 * np.pi))


def enclosed(outline: np.ndarray) -> float:
    """Return the area inside an outline, in pixels."""
    y, x = outline[:, 0], outline[:, 1]
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def filled(outline: np.ndarray) -> tuple[int, int, np.ndarray]:
    """Return top, left and the mask, bool, of the pixels whose centres lie inside an outline (even-odd rule)."""
    top, left = np.floor(outline.min(axis=0)).astype(int)
    bottom, right = np.ceil(outline.max(axis=0)).astype(int)
    rows = np.arange(top, bottom + 1)[:, None]
    (y0, x0), (y1, x1) = outline.T, np.roll(outline, -1, axis=0).T
    row, edge = np.nonzero((y0 <= rows) != (y1 <= rows))
    crossing = x0[edge] + (rows[row, 0] - y0[edge]) * (x1 - x0)[edge] / (y1 - y0)[edge]
    flips = np.zeros((len(rows), right - left + 2), np.int32)
    np.add.at(flips, (row, np.ceil(crossing).astype(int) - left), 1)
    return int(top), int(left), (np.cumsum(flips, axis=1) % 2 == 1)[:, :-1]


def turned(outline: np.ndarray, angle: float) -> np.ndarray:
    """Return an outline rotated about the origin."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return outline @ np.array([[cosine, -sine], [sine, cosine]])


@dataclass(frozen=True, eq=False)
class Placed:
    """An object in the picture.

    Attributes
    ----------
    label : int
    rows, columns : slice
        The window it lies in, inside the picture.
    mask : ndarray
        Its whole body in the window, bool, with what lies under its neighbours.
    centre : tuple of float
        (y, x), may lie outside the picture.
    reach : float
        Radius of a disc of its area.
    """

    label: int
    rows: slice
    columns: slice
    mask: np.ndarray
    centre: tuple[float, float]
    reach: float


def place(
    rng: np.random.Generator,
    shape: tuple[int, int],
    outlines: Sequence[np.ndarray],
    *,
    clustering: float = 0.5,
    overlap: float = 0.2,
) -> tuple[np.ndarray, list[Placed]]:
    """Lay objects into a picture; each lies under those before it.

    Parameters
    ----------
    rng
    shape
        ``(height, width)``.
    outlines
        One ``(n, 2)`` array of vertices about the origin per object.
    clustering
        Share of the objects that are laid against an earlier one.
    overlap
        Largest share of an object that may lie under others.

    Returns
    -------
    labels : ndarray
        ``(height, width)`` int32, 1 … n without gaps, every object in one piece.
    placed : list of Placed
        Those for which there was room.
    """
    labels = np.zeros(shape, np.int32)
    placed: list[Placed] = []
    for outline in outlines:
        for _ in range(TRIES):
            centre = _somewhere(rng, shape, outline, placed, clustering)
            found = _fit(labels, outline, centre, overlap, len(placed) + 1)
            if found is not None:
                placed.append(found)
                break
    return labels, placed


def _somewhere(
    rng: np.random.Generator, shape: tuple[int, int], outline: np.ndarray, placed: list[Placed], clustering: float
) -> np.ndarray:
    if placed and rng.random() < clustering:
        friend = placed[rng.integers(len(placed))]
        direction = rng.uniform(0, 2 * np.pi)
        distance = rng.uniform(0.8, 1.25) * (friend.reach + _reach(outline))
        return np.array(friend.centre) + distance * np.array([np.sin(direction), np.cos(direction)])
    return rng.uniform(0, 1, 2) * np.array(shape)


def _reach(outline: np.ndarray) -> float:
    return float(np.sqrt((outline**2).sum(axis=1)).mean())


def _fit(labels: np.ndarray, outline: np.ndarray, centre: np.ndarray, overlap: float, label: int) -> Placed | None:
    """Write the object into `labels` if there is room for it there."""
    top, left, body = filled(outline + centre)
    rows = slice(max(top, 0), min(top + body.shape[0], labels.shape[0]))
    columns = slice(max(left, 0), min(left + body.shape[1], labels.shape[1]))
    mask = body[max(rows.start - top, 0) : rows.stop - top, max(columns.start - left, 0) : columns.stop - left]
    if rows.stop <= rows.start or columns.stop <= columns.start or mask.sum() < SMALLEST:
        return None
    window = (rows, columns)
    free = mask & (labels[window] == 0)
    if free.sum() < (1 - overlap) * mask.sum():
        return None
    pieces, count = ndimage.label(free)
    if count > 1:
        free = pieces == np.argmax(np.bincount(pieces.ravel())[1:]) + 1
    if free.sum() < SMALLEST:
        return None
    labels[window][free] = label
    return Placed(label, rows, columns, mask, (float(centre[0]), float(centre[1])), _reach(outline))
