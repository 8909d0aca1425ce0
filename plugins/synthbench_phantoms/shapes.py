"""Outlines of objects, smooth random noise, and the placement of objects in an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import ndimage

from synthbench.types import BoolMask, FloatArray, LabelMap

MAX_TRIES = 30
MIN_VISIBLE_AREA = 12
"""Pixels of an object that must be visible; otherwise it is placed elsewhere."""


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], scale: float) -> FloatArray:
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
        smooth = (
            _interpolation_matrix(shape[0], step, coarse[0])
            @ smooth
            @ _interpolation_matrix(shape[1], step, coarse[1]).T
        )
    smooth = smooth[: shape[0], : shape[1]]
    spread = smooth.std()
    noise: FloatArray = (smooth - smooth.mean()) / spread if spread > 0 else np.zeros(shape)
    return noise


@cache
def _interpolation_matrix(fine: int, step: int, coarse: int) -> FloatArray:
    """Return the matrix that interpolates `fine` points linearly from coarse ones at a distance of `step`."""
    below, part = np.divmod(np.arange(fine) / step, 1.0)
    matrix = np.zeros((fine, coarse))
    matrix[np.arange(fine), below.astype(int)] = 1 - part
    matrix[np.arange(fine), below.astype(int) + 1] = part
    return matrix


def rounded_outline(
    rng: np.random.Generator, area: float, elongation: float = 1.2, roughness: float = 0.06, bend: float = 0.0
) -> FloatArray:
    """Return the outline of a round or kidney-shaped object around the origin.

    Parameters
    ----------
    rng
    area
        Approximate area in pixels.
    elongation
        Length of the long axis divided by that of the short axis, at least 1.
    roughness
        Relative height of the undulations of the outline.
    bend
        0: straight; 0.5: kidney-shaped.

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
    return rotate(np.stack([y, x], axis=1), rng.uniform(0, 2 * np.pi))


def spindle_outline(rng: np.random.Generator, area: float, elongation: float) -> FloatArray:
    """Return the outline of an elongated cell, wide in the middle with thin ends; see `rounded_outline`."""
    along = np.linspace(0, 1, 60)
    length = np.sqrt(area * elongation * 1.6)
    belly, radius = rng.uniform(0.35, 0.65), rng.uniform(0.12, 0.22)
    width = 0.12 + np.exp(-((np.abs(along - belly) / radius) ** rng.uniform(1.6, 2.6)))
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
    return rotate(np.concatenate([left, right[::-1]]), rng.uniform(0, 2 * np.pi))


def spread_outline(rng: np.random.Generator, area: float, arms: int) -> FloatArray:
    """Return the outline of a spread cell with a number of processes; see `rounded_outline`.

    The outline is concave between two processes.
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
    scale = np.sqrt(area / outline_area(np.stack([y, x], axis=1)))
    return rotate(scale * np.stack([y, x], axis=1), rng.uniform(0, 2 * np.pi))


def outline_area(outline: FloatArray) -> float:
    """Return the area inside an outline in pixels."""
    y, x = outline[:, 0], outline[:, 1]
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def rasterise(outline: FloatArray) -> tuple[int, int, BoolMask]:
    """Return the pixels whose centres are inside an outline (even-odd rule).

    Returns
    -------
    top, left : int
        Row and column of the first pixel of `mask`.
    mask : ndarray
        ``(height, width)`` bool.
    """
    top, left = np.floor(outline.min(axis=0)).astype(int)
    bottom, right = np.ceil(outline.max(axis=0)).astype(int)
    rows = np.arange(top, bottom + 1)[:, None]
    (y0, x0), (y1, x1) = outline.T, np.roll(outline, -1, axis=0).T
    row, edge = np.nonzero((y0 <= rows) != (y1 <= rows))
    crossing = x0[edge] + (rows[row, 0] - y0[edge]) * (x1 - x0)[edge] / (y1 - y0)[edge]
    flips = np.zeros((len(rows), right - left + 2), np.int32)
    np.add.at(flips, (row, np.ceil(crossing).astype(int) - left), 1)
    return int(top), int(left), (np.cumsum(flips, axis=1) % 2 == 1)[:, :-1]


def rotate(outline: FloatArray, angle: float) -> FloatArray:
    """Return an outline rotated around the origin by an angle in radians."""
    cosine, sine = np.cos(angle), np.sin(angle)
    rotated: FloatArray = outline @ np.array([[cosine, -sine], [sine, cosine]])
    return rotated


@dataclass(frozen=True, eq=False)
class PlacedObject:
    """An object that was placed in an image.

    Attributes
    ----------
    label : int
    rows, columns : slice
        Its window in the image.
    mask : ndarray
        Its pixels in the window, bool, with those that its neighbours hide.
    centre : tuple of float
        (y, x); may be outside the image.
    radius : float
        Root mean square distance of its outline from the centre.
    """

    label: int
    rows: slice
    columns: slice
    mask: BoolMask
    centre: tuple[float, float]
    radius: float


def place_objects(
    rng: np.random.Generator,
    shape: tuple[int, int],
    outlines: Sequence[FloatArray],
    *,
    clustering: float = 0.5,
    overlap: float = 0.2,
) -> tuple[LabelMap, list[PlacedObject]]:
    """Place objects in an image; each is partly hidden by those placed before it.

    Parameters
    ----------
    rng
    shape
        ``(height, width)``.
    outlines
        One ``(n, 2)`` array of vertices about the origin per object.
    clustering
        Fraction of the objects that are placed next to an earlier one.
    overlap
        Largest fraction of an object that others may hide.

    Returns
    -------
    labels : ndarray
        ``(height, width)`` int32: 1 … n, every object connected.
    placed : list of PlacedObject
        The objects for which a place was found.
    """
    labels = np.zeros(shape, np.int32)
    placed: list[PlacedObject] = []
    for outline in outlines:
        for _ in range(MAX_TRIES):
            centre = _random_centre(rng, shape, outline, placed, clustering)
            placed_object = _try_place(labels, outline, centre, overlap, len(placed) + 1)
            if placed_object is not None:
                placed.append(placed_object)
                break
    return labels, placed


def _random_centre(
    rng: np.random.Generator, shape: tuple[int, int], outline: FloatArray, placed: list[PlacedObject], clustering: float
) -> FloatArray:
    if placed and rng.random() < clustering:
        neighbour = placed[rng.integers(len(placed))]
        direction = rng.uniform(0, 2 * np.pi)
        distance = rng.uniform(0.8, 1.25) * (neighbour.radius + _radius(outline))
        centre: FloatArray = np.array(neighbour.centre) + distance * np.array([np.sin(direction), np.cos(direction)])
    else:
        centre = rng.uniform(0, 1, 2) * np.array(shape)
    return centre


def _radius(outline: FloatArray) -> float:
    return float(np.sqrt((outline**2).sum(axis=1)).mean())


def _try_place(
    labels: LabelMap, outline: FloatArray, centre: FloatArray, overlap: float, label: int
) -> PlacedObject | None:
    """Write an object into `labels` if it is visible enough at this place; return None otherwise."""
    top, left, body = rasterise(outline + centre)
    rows = slice(max(top, 0), min(top + body.shape[0], labels.shape[0]))
    columns = slice(max(left, 0), min(left + body.shape[1], labels.shape[1]))
    mask = body[max(rows.start - top, 0) : rows.stop - top, max(columns.start - left, 0) : columns.stop - left]
    if rows.stop <= rows.start or columns.stop <= columns.start or mask.sum() < MIN_VISIBLE_AREA:
        return None
    window = (rows, columns)
    free = mask & (labels[window] == 0)
    if free.sum() < (1 - overlap) * mask.sum():
        return None
    pieces, count = ndimage.label(free)
    if count > 1:
        free = pieces == np.argmax(np.bincount(pieces.ravel())[1:]) + 1
    if free.sum() < MIN_VISIBLE_AREA:
        return None
    labels[window][free] = label
    return PlacedObject(label, rows, columns, mask, (float(centre[0]), float(centre[1])), _radius(outline))
