"""Fluorescent nuclei: textured, of several shapes, alone and in touching clusters."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synthbench.types import FloatArray, Image, LabelMap
from synthbench_phantoms import optics, shapes


def render(rng: np.random.Generator, size: int, crowded: bool) -> tuple[Image, LabelMap]:
    """Return one random image and its label map.

    Returns
    -------
    image : ndarray
        ``(size, size)`` uint8.
    labels : ndarray
        ``(size, size)`` int32, an id per nucleus.
    """
    shape = (size, size)
    radius = rng.uniform(6.5, 10.0) if crowded else rng.uniform(8.0, 14.0)
    cover = rng.uniform(0.22, 0.42) if crowded else rng.uniform(0.06, 0.2)
    count = max(3, round(cover * size * size / (np.pi * radius**2)))
    outlines = [_outline(rng, radius) for _ in range(count)]
    labels, placed = shapes.place_objects(
        rng, shape, outlines, clustering=rng.uniform(0.6, 0.9) if crowded else rng.uniform(0.1, 0.6), overlap=0.22
    )
    scene = _stain(rng, shape, placed)
    scene += _out_of_focus(rng, shape, radius)
    scene += rng.uniform(0.03, 0.12) * ndimage.gaussian_filter(scene, 1.5 * radius)
    scene = optics.blur_by_psf(scene, rng.uniform(0.8, 1.5), rng.uniform(0.05, 0.25))
    scene = (scene + rng.uniform(0.01, 0.06)) * optics.uneven_illumination(rng, shape, rng.uniform(0.1, 0.5))
    image = optics.record(
        rng,
        scene / max(float(np.percentile(scene, 99.8)), 1e-6),
        photons=np.exp(rng.uniform(np.log(50), np.log(400))),
        read=rng.uniform(0.5, 2.5),
        white=rng.uniform(70, 255),
        offset=rng.uniform(1, 12),
    )
    return image, labels


def _outline(rng: np.random.Generator, radius: float) -> FloatArray:
    """An ellipse mostly, at times a kidney, a lobed nucleus or a small dense one."""
    area = np.pi * radius**2 * np.exp(rng.normal(0, 0.3))
    kind = rng.random()
    if kind < 0.65:
        return shapes.rounded_outline(rng, area, 1 + abs(rng.normal(0.25, 0.2)), 0.04)
    if kind < 0.8:
        return shapes.rounded_outline(rng, area, rng.uniform(1.3, 1.9), 0.05, bend=rng.uniform(0.3, 0.8))
    if kind < 0.92:
        return shapes.rounded_outline(rng, area, rng.uniform(1.0, 1.4), 0.09)
    return shapes.rounded_outline(rng, 0.4 * area, rng.uniform(1.0, 2.2), 0.08)


def _stain(rng: np.random.Generator, shape: tuple[int, int], placed: list[shapes.PlacedObject]) -> FloatArray:
    """Light of the nuclei: a dome each, chromatin in clumps and grains, dark nucleoli."""
    clumps, grains = shapes.smooth_noise(rng, shape, rng.uniform(1.6, 3.0)), shapes.smooth_noise(rng, shape, 0.8)
    texture = rng.uniform(0.1, 0.26) * clumps + rng.uniform(0.05, 0.18) * grains
    spread = rng.uniform(0.1, 0.35)
    scene = np.zeros(shape)
    for nucleus in placed:
        window = (nucleus.rows, nucleus.columns)
        padded = np.pad(nucleus.mask, 1)
        depth = ndimage.distance_transform_edt(padded)[1:-1, 1:-1]
        dome = 0.5 + 0.5 * np.sqrt(depth / depth.max())
        dense = nucleus.radius < 5 or rng.random() < 0.04
        level = np.exp(np.clip(rng.normal(0.35 if dense else 0.0, spread), -0.8, 0.8))
        light = level * dome * np.clip(1 + (0.5 if dense else 1.0) * texture[window], 0.2, None)
        light *= _nucleoli(rng, nucleus, depth.shape)
        scene[window] += np.where(nucleus.mask, light, 0)
    return scene


def _nucleoli(rng: np.random.Generator, nucleus: shapes.PlacedObject, shape: tuple[int, int]) -> FloatArray:
    dimming = np.ones(shape)
    y, x = np.ogrid[: shape[0], : shape[1]]
    for _ in range(rng.integers(0, 4) if nucleus.radius > 6 else 0):
        at = np.array(shape) / 2 + rng.normal(0, 0.35 * nucleus.radius, 2)
        width = nucleus.radius * rng.uniform(0.1, 0.2)
        dimming *= 1 - rng.uniform(0.2, 0.5) * np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / (2 * width**2))
    return dimming


def _out_of_focus(rng: np.random.Generator, shape: tuple[int, int], radius: float) -> FloatArray:
    """Faint blurred bodies above and below the focal plane, and small dirt: in the picture, not in the labels."""
    veil: FloatArray = np.zeros(shape)
    for _ in range(rng.poisson(3)):
        y, x = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        veil[y, x] += rng.uniform(0.1, 0.3) * 2 * np.pi * radius**2
    veil = ndimage.gaussian_filter(veil, radius)
    for _ in range(rng.poisson(3)):
        y, x = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        veil[y, x] += rng.uniform(0.5, 3.0)
    return veil
