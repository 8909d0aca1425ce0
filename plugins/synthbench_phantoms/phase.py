"""Cells under phase contrast: stretched, spread and rounded bodies with halos."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synthbench.types import BoolMask, FloatArray, Image, LabelMap
from synthbench_phantoms import optics, shapes


def render(rng: np.random.Generator, size: int, stretched: bool) -> tuple[Image, LabelMap]:
    """Return one random image and its label map.

    Returns
    -------
    image : ndarray
        ``(size, size)`` uint8.
    labels : ndarray
        ``(size, size)`` int32, an id per cell.
    """
    shape = (size, size)
    area = rng.uniform(700, 1400)
    count = max(3, round(rng.uniform(0.14, 0.34) * size * size / area))
    rounds = rng.random(count) < 0.08
    outlines = [_outline(rng, area, stretched, bool(ball)) for ball in rounds]
    order = np.argsort([-shapes.outline_area(outline) for outline in outlines], kind="stable")
    labels, placed = shapes.place_objects(
        rng, shape, [outlines[i] for i in order], clustering=rng.uniform(0.3, 0.7), overlap=0.12
    )
    delay = _bodies(rng, shape, placed)
    delay += _dirt(rng, shape)
    delay = ndimage.gaussian_filter(np.clip(delay, 0, None), rng.uniform(0.7, 1.0))
    ring = rng.uniform(5, 8)
    light = optics.phase_contrast(delay, ring)
    light *= optics.uneven_illumination(rng, shape, rng.uniform(0.02, 0.12)) / light.mean()
    light += rng.uniform(0.008, 0.02) * shapes.smooth_noise(rng, shape, 6) + 0.012 * shapes.smooth_noise(rng, shape, 1)
    image = optics.record(
        rng, light * rng.uniform(0.36, 0.45), photons=rng.uniform(1500, 6000), read=rng.uniform(1, 2.5)
    )
    return image, labels


def _outline(rng: np.random.Generator, area: float, stretched: bool, ball: bool) -> FloatArray:
    own = area * np.exp(rng.normal(0, 0.35))
    if ball:
        return shapes.rounded_outline(rng, 0.25 * area, rng.uniform(1.0, 1.15), 0.02)
    if rng.random() < (0.8 if stretched else 0.15):
        return shapes.spindle_outline(rng, own, rng.uniform(3.0, 8.0))
    return shapes.spread_outline(rng, own * 1.2, int(rng.integers(2, 6)))


def _bodies(rng: np.random.Generator, shape: tuple[int, int], placed: list[shapes.PlacedObject]) -> FloatArray:
    """Delay of the light by the cells, in radians: thin lamella, thick middle, nucleus, granules."""
    mottle, grain = shapes.smooth_noise(rng, shape, 2.5), shapes.smooth_noise(rng, shape, 0.9)
    delay = np.zeros(shape)
    for cell in placed:
        window = (cell.rows, cell.columns)
        depth = ndimage.distance_transform_edt(np.pad(cell.mask, 1))[1:-1, 1:-1]
        solidity = cell.mask.sum() / (np.pi * depth.max() ** 2)
        if solidity < 1.5 and cell.mask.sum() < 400:
            hemisphere = np.sqrt(np.clip(depth / depth.max() * (2 - depth / depth.max()), 0, None))
            body = rng.uniform(2.0, 4.2) * hemisphere + 0.3 * mottle[window] + 0.15 * grain[window]
        else:
            body = _flat_cell(rng, cell.mask, depth, mottle[window], grain[window])
        delay[window] = np.maximum(delay[window], np.where(cell.mask, body, 0))
    return delay


def _flat_cell(
    rng: np.random.Generator, mask: BoolMask, depth: FloatArray, mottle: FloatArray, grain: FloatArray
) -> FloatArray:
    """A lamella with a raised rim, a thicker middle about a nucleus, and granules beside the nucleus."""
    thick = rng.uniform(0.2, 0.65)
    middle = np.unravel_index(np.argmax(depth + rng.uniform(0, 0.5, depth.shape)), depth.shape)
    y, x = np.ogrid[: depth.shape[0], : depth.shape[1]]
    away = np.sqrt((y - middle[0]) ** 2 + (x - middle[1]) ** 2)
    reach = max(depth.max(), 3.0)
    rim = rng.uniform(0.15, 0.4) * np.exp(-((depth - 1.5) ** 2) / 2)
    rise = np.exp(-((away / (2.0 * reach)) ** 2))
    body = thick * (0.45 + 0.75 * rise * np.minimum(depth / reach, 1) ** 0.5) + rim
    granules = np.clip(grain - 0.9, 0, None) * np.exp(-((away / (1.8 * reach)) ** 2))
    body += rng.uniform(0.2, 0.6) * granules + 0.06 * mottle + 0.04 * grain
    nucleus = 1 / (1 + np.exp((away - 0.62 * reach) / 0.6))
    body -= rng.uniform(0.05, 0.25) * thick * nucleus
    for _ in range(rng.integers(1, 3)):
        at = np.array(middle) + rng.normal(0, 0.2 * reach, 2)
        body += 0.35 * thick * np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / 2.5)
    return np.where(mask, body, 0)


def _dirt(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Crumbs on the glass: in the picture, not in the labels."""
    dirt = np.zeros(shape)
    for _ in range(rng.poisson(shape[0] * shape[1] / 2500)):
        y, x = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        dirt[y, x] += rng.uniform(0.5, 3.0)
    patches = np.clip(shapes.smooth_noise(rng, shape, 2.0) - 2.2, 0, None)
    delay: FloatArray = ndimage.gaussian_filter(dirt, 1.0) + 0.25 * patches
    return delay
