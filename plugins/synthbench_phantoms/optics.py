"""Image formation in a microscope: blur, uneven illumination, phase contrast, and the camera's noise."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synthbench.types import FloatArray, Image
from synthbench_phantoms.shapes import smooth_noise


def blur_by_psf(scene: FloatArray, sigma: float, skirt: float = 0.12) -> FloatArray:
    """Blur a scene by a point spread function: a narrow Gaussian core, and a wide one for stray light.

    Parameters
    ----------
    scene
        ``(height, width)``, light intensity ≥ 0.
    sigma
        Standard deviation of the core in pixels; that of the wide Gaussian is five times as large.
    skirt
        Fraction of the light in the wide Gaussian, 0 … 1.
    """
    core = ndimage.gaussian_filter(scene, sigma, mode="nearest")
    blurred: FloatArray = (1 - skirt) * core + skirt * ndimage.gaussian_filter(scene, 5 * sigma, mode="nearest")
    return blurred


def uneven_illumination(rng: np.random.Generator, shape: tuple[int, int], amount: float) -> FloatArray:
    """Return uneven illumination ``(height, width)`` around 1: a gradient, a vignette and slow waves.

    Parameters
    ----------
    rng
    shape
        ``(height, width)``.
    amount
        Relative strength, 0 … 1.
    """
    y, x = np.meshgrid(np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]), indexing="ij")
    slope = rng.normal(0, 0.5, 2)
    vignette = (y - rng.normal(0, 0.3)) ** 2 + (x - rng.normal(0, 0.3)) ** 2
    waves = smooth_noise(rng, shape, max(shape) / 6)
    light = 1 + amount * (slope[0] * y + slope[1] * x - 0.5 * vignette + 0.3 * waves)
    illumination: FloatArray = np.clip(light / light.mean(), 0.15, None)
    return illumination


def phase_contrast(phase: FloatArray, ring: float, transmission: float = 0.6) -> FloatArray:
    """Return the image of a transparent object in positive phase contrast.

    The direct light, and with it what is scattered by less than the ring's width, is delayed by a quarter wave and
    dimmed; the rest passes. Bodies come out dark, their surroundings in a bright halo, wide bodies shade off to the
    background, and thick round ones turn bright (F. Zernike, Physica 9, 1942).

    Parameters
    ----------
    phase
        ``(height, width)``, phase shift of the light in radians, ≥ 0.
    ring
        Standard deviation, in pixels, of the smoothing that the ring's width amounts to.
    transmission
        Amplitude that the ring lets through, 0 … 1.

    Returns
    -------
    ndarray
        ``(height, width)`` float64; the empty background is ``transmission²``.
    """
    real, imaginary = np.cos(phase), np.sin(phase)
    direct_real = ndimage.gaussian_filter(real, ring, mode="reflect")
    direct_imaginary = ndimage.gaussian_filter(imaginary, ring, mode="reflect")
    through_real = real - direct_real + transmission * direct_imaginary
    through_imaginary = imaginary - direct_imaginary - transmission * direct_real
    intensity: FloatArray = through_real**2 + through_imaginary**2
    return intensity


def record(
    rng: np.random.Generator,
    light: FloatArray,
    *,
    photons: float,
    read: float,
    white: float = 255.0,
    offset: float = 0.0,
) -> Image:
    """Return the 8-bit grey values that a camera records.

    Parameters
    ----------
    rng
    light
        ``(height, width)``, 0 … about 1.
    photons
        Number of photons counted per pixel at intensity 1; the fewer, the noisier.
    read
        Standard deviation of the read noise, in grey values.
    white, offset
        Grey values of the intensities 1 and 0.

    Returns
    -------
    ndarray
        ``(height, width)`` uint8, saturated at 255.
    """
    counted = rng.poisson(np.clip(light, 0, None) * photons) / photons
    grey = offset + (white - offset) * counted + rng.normal(0, read, light.shape)
    image: Image = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    return image
