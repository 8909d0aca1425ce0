"""Fluorescent filaments: thin, curved, crossing and branching, in a part of the image."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synthbench.types import BoolMask, FloatArray, Image, LabelMap
from synthbench_phantoms import optics, shapes

CLASSES = ("background", "filament")
STEP = 0.5
"""Distance between the points of a line, in pixels."""


def render(rng: np.random.Generator, size: int, dense: bool) -> tuple[Image, LabelMap]:
    """Return one random image and its label map.

    Returns
    -------
    image : ndarray
        ``(size, size)`` uint8.
    labels : ndarray
        ``(size, size)`` uint8: 0 background, 1 filament.
    """
    shape = (size, size)
    cell = _cell(rng, shape)
    lines = network(rng, shape, rng.uniform(0.05, 0.09) if dense else rng.uniform(0.02, 0.035), cell)
    bundled = rng.random(len(lines)) < 0.12
    labels = np.zeros(shape, np.uint8)
    scene = np.zeros(shape)
    for width, brightness, which in ((rng.uniform(2.0, 3.0), 0.0, ~bundled), (rng.uniform(3.5, 5.0), 0.8, bundled)):
        chosen = [line for line, taken in zip(lines, which, strict=True) if taken]
        labels[near(chosen, shape, width / 2)] = 1
        light = sum((splat(line, _beads(rng, len(line), brightness), shape) for line in chosen), np.zeros(shape))
        scene += ndimage.gaussian_filter(light, width / 3.5)
    faint = network(rng, shape, 0.006, cell)
    veil = sum((splat(line, np.full(len(line), 0.6), shape) for line in faint), np.zeros(shape))
    scene += ndimage.gaussian_filter(veil, rng.uniform(3, 5))
    haze = rng.uniform(0.02, 0.08) * np.percentile(scene, 99) * cell
    scene += haze * np.clip(1 + 0.3 * shapes.smooth_noise(rng, shape, 12), 0, None)
    scene = optics.blur_by_psf(scene, rng.uniform(0.7, 1.1), rng.uniform(0.1, 0.3)) + 0.004
    image = optics.record(
        rng,
        scene / np.percentile(scene, 99.7),
        photons=np.exp(rng.uniform(np.log(12), np.log(120))),
        read=rng.uniform(0.5, 4.0),
        white=rng.uniform(120, 255),
        offset=rng.uniform(0, 6),
    )
    return image, labels


def network(
    rng: np.random.Generator, shape: tuple[int, int], density: float, cell: FloatArray | None = None
) -> list[FloatArray]:
    """Return curved lines; half of them start on an earlier one, like branches.

    Parameters
    ----------
    rng
    shape
        ``(height, width)``.
    density
        Total length of the lines in pixels, divided by the number of pixels of the image.
    cell
        ``(height, width)``, 0 … 1: the probability that there are lines; by default 1 everywhere.

    Returns
    -------
    list of ndarray
        ``(n, 2)`` points (y, x) of each line, at a distance of `STEP`.
    """
    target_length = density * shape[0] * shape[1]
    lines: list[FloatArray] = []
    total = 0.0
    main = rng.uniform(0, np.pi)
    for _ in range(10 * max(shape)):
        if total >= target_length:
            break
        if lines and rng.random() < 0.5:
            parent = lines[rng.integers(len(lines))]
            start = parent[rng.integers(len(parent))]
        else:
            start = rng.uniform(0, 1, 2) * np.array(shape)
        heading = main + rng.normal(0, 0.9)
        line = _walk(rng, start, heading, rng.uniform(0.15, 0.7) * max(shape))
        inside = (line >= 0).all(axis=1) & (line <= np.array(shape) - 1).all(axis=1)
        if cell is not None:
            at = np.clip(line, 0, np.array(shape) - 1).astype(int)
            inside &= cell[at[:, 0], at[:, 1]] > rng.uniform(0.1, 0.9)
        line = _longest_run(line, inside)
        if len(line) * STEP >= 6:
            lines.append(line)
            total += len(line) * STEP
    return lines


def splat(line: FloatArray, weight: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Return an image of a line: the weight of each point is distributed to the four nearest pixels."""
    image = np.zeros(shape)
    base = np.floor(line).astype(int)
    part = line - base
    for dy in (0, 1):
        for dx in (0, 1):
            y, x = base[:, 0] + dy, base[:, 1] + dx
            ok = (y < shape[0]) & (x < shape[1])
            share = (part[:, 0] if dy else 1 - part[:, 0]) * (part[:, 1] if dx else 1 - part[:, 1])
            np.add.at(image, (y[ok], x[ok]), STEP * (share * weight)[ok])
    return image


def _walk(rng: np.random.Generator, start: FloatArray, heading: float, length: float) -> FloatArray:
    """Return a line ``(n, 2)`` whose curvature is smooth noise."""
    count = max(4, int(length / STEP))
    bends = ndimage.gaussian_filter1d(rng.standard_normal(count), 15, mode="nearest")
    angle = heading + rng.normal(0, 0.003) * np.arange(count) + 0.05 * np.cumsum(bends)
    steps = STEP * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    line: FloatArray = start + np.cumsum(steps, axis=0)
    return line


def _longest_run(line: FloatArray, inside: BoolMask) -> FloatArray:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(int)))
    runs = edges.reshape(-1, 2)
    if not len(runs):
        return line[:0]
    first, last = runs[np.argmax(runs[:, 1] - runs[:, 0])]
    return line[first:last]


def near(lines: list[FloatArray], shape: tuple[int, int], distance: float) -> BoolMask:
    """Return the pixels within `distance` of a line, bool."""
    not_on_line = np.ones(shape, bool)
    for line in lines:
        at = np.rint(line).astype(int)
        not_on_line[np.clip(at[:, 0], 0, shape[0] - 1), np.clip(at[:, 1], 0, shape[1] - 1)] = False
    return ndimage.distance_transform_edt(not_on_line) <= distance if lines else ~not_on_line


def _beads(rng: np.random.Generator, count: int, brightness: float) -> FloatArray:
    """Return the intensity along a line: a random level with uneven staining."""
    level = np.exp(np.clip(rng.normal(brightness, 0.35), -0.5, 1.2))
    brightness_along: FloatArray = level * np.clip(
        1 + 1.5 * ndimage.gaussian_filter1d(rng.standard_normal(count), 6), 0.25, None
    )
    return brightness_along


def _cell(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Return where the cell is, 0 … 1; the image shows all or a part of it."""
    wave = shapes.smooth_noise(rng, shape, max(shape) / 4)
    y, x = np.meshgrid(np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]), indexing="ij")
    angle = rng.uniform(0, 2 * np.pi)
    side = np.sin(angle) * y + np.cos(angle) * x
    presence: FloatArray = 1 / (1 + np.exp(-6 * (side + rng.uniform(-0.2, 1.4) + 0.35 * wave)))
    return presence
