"""A polished and etched alloy: grains of two phases, their boundaries, pores."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from synthbench.types import BoolMask, FloatArray, Image, IntArray, LabelMap
from synthbench_phantoms import optics, shapes

CLASSES = ("boundary", "ferrite", "martensite", "pore")
BOUNDARY, FERRITE, MARTENSITE, PORE = range(4)


def render(rng: np.random.Generator, size: int, coarse: bool) -> tuple[Image, LabelMap]:
    """Return one random image and its label map.

    Returns
    -------
    image : ndarray
        ``(size, size)`` uint8.
    labels : ndarray
        ``(size, size)`` uint8: 0 … 3, see `CLASSES`.
    """
    shape = (size, size)
    diameter = rng.uniform(34, 48) if coarse else rng.uniform(18, 28)
    grain, edge = _grains(rng, shape, diameter)
    hard = rng.random(grain.max() + 1) < rng.uniform(0.25, 0.5)
    labels = np.where(hard[grain], MARTENSITE, FERRITE).astype(np.uint8)
    labels[edge] = BOUNDARY
    hollow = _pores(rng, shape, diameter)
    labels[hollow] = PORE

    light = _ferrite(rng, grain)
    light = np.where(hard[grain], _martensite(rng, grain), light)
    groove = ndimage.gaussian_filter(edge.astype(float), 0.8)
    light -= rng.uniform(0.25, 0.45) * groove * np.clip(1 + 0.5 * shapes.smooth_noise(rng, shape, 8), 0, None)
    depth = ndimage.gaussian_filter(hollow.astype(float), 1.2)
    rim = np.clip(ndimage.gaussian_filter(depth, 2.0) - depth, 0, None)
    light = light * (1 - 0.9 * depth) + 0.06 * depth + rng.uniform(0.2, 0.6) * rim
    light = np.clip(light, 0.01, None) * optics.uneven_illumination(rng, shape, rng.uniform(0.05, 0.2))
    light = optics.blur_by_psf(light, rng.uniform(0.6, 0.9), 0.05) + 0.02 * shapes.smooth_noise(rng, shape, 1)
    image = optics.record(rng, light, photons=rng.uniform(150, 800), read=rng.uniform(1, 4), white=230)
    return image, labels


def _grains(rng: np.random.Generator, shape: tuple[int, int], diameter: float) -> tuple[IntArray, BoolMask]:
    """A Voronoi tessellation seen through a wavy glass: grain index per pixel, and where the boundaries are."""
    margin = int(2 * diameter)
    extent = np.array(shape) + 2 * margin
    count = max(4, round(extent[0] * extent[1] / (0.8 * diameter**2)))
    seeds = rng.uniform(0, 1, (count, 2)) * extent - margin
    y, x = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    wave = 0.09 * diameter
    warped_y = y + wave * shapes.smooth_noise(rng, shape, diameter / 4) + 0.5 * shapes.smooth_noise(rng, shape, 1.5)
    warped_x = x + wave * shapes.smooth_noise(rng, shape, diameter / 4) + 0.5 * shapes.smooth_noise(rng, shape, 1.5)
    points = np.stack([warped_y.ravel(), warped_x.ravel()], axis=1)
    distance, nearest = cKDTree(seeds).query(points, k=2)
    between = np.linalg.norm(seeds[nearest[:, 0]] - seeds[nearest[:, 1]], axis=1)
    gap = (distance[:, 1] ** 2 - distance[:, 0] ** 2) / (2 * between)
    return nearest[:, 0].reshape(shape), (gap < rng.uniform(0.8, 1.2)).reshape(shape)


def _ferrite(rng: np.random.Generator, grain: IntArray) -> FloatArray:
    """Smooth bright grains, each of its own grey."""
    level = rng.uniform(0.62, 0.72) + 0.05 * rng.standard_normal(grain.max() + 1)
    light: FloatArray = level[grain] + 0.015 * shapes.smooth_noise(rng, grain.shape, 2)
    return light


def _martensite(rng: np.random.Generator, grain: IntArray) -> FloatArray:
    """Darker grains, ruled with laths in a direction of each grain's own."""
    count = grain.max() + 1
    angle, level = rng.uniform(0, np.pi, count), 0.48 + 0.06 * rng.standard_normal(count)
    pitch, strength = rng.uniform(3.5, 7.0, count), rng.uniform(0.06, 0.16, count)
    y, x = np.meshgrid(np.arange(grain.shape[0]), np.arange(grain.shape[1]), indexing="ij")
    across = np.cos(angle)[grain] * y - np.sin(angle)[grain] * x
    waver = 2.0 * shapes.smooth_noise(rng, grain.shape, 3) + 1.2 * shapes.smooth_noise(rng, grain.shape, 10)
    laths = np.sin(2 * np.pi * across / pitch[grain] + waver)
    light: FloatArray = level[grain] + strength[grain] * laths + 0.04 * shapes.smooth_noise(rng, grain.shape, 1)
    return light


def _pores(rng: np.random.Generator, shape: tuple[int, int], diameter: float) -> BoolMask:
    """Round holes, from a few pixels to half a grain."""
    count = rng.poisson(shape[0] * shape[1] / 3000) + 1
    areas = (diameter * rng.uniform(0.12, 0.5, count)) ** 2
    outlines = [shapes.rounded_outline(rng, max(area, 14.0), rng.uniform(1, 1.8), 0.12) for area in areas]
    labels, _ = shapes.place_objects(rng, shape, outlines, clustering=0.3, overlap=0.5)
    return labels > 0
