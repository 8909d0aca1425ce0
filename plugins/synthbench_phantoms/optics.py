"""What a microscope and its camera make of a scene: blur, uneven light, halos, noise."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synthbench_phantoms.shapes import field


def psf(scene: np.ndarray, sigma: float, skirt: float = 0.12) -> np.ndarray:
    """Blur a scene as a lens does: a sharp core, and a share `skirt` of the light in a wide skirt.

    Parameters
    ----------
    scene
        ``(height, width)``, light, from 0 up.
    sigma
        Standard deviation of the core in pixels; the skirt's is five times that.
    skirt
        0 … 1.
    """
    core = ndimage.gaussian_filter(scene, sigma, mode="nearest")
    return (1 - skirt) * core + skirt * ndimage.gaussian_filter(scene, 5 * sigma, mode="nearest")


def uneven(rng: np.random.Generator, shape: tuple[int, int], amount: float) -> np.ndarray:
    """Return the light of an uneven lamp: about 1, a slope, a vignette and slow waves of relative height `amount`."""
    y, x = np.meshgrid(np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]), indexing="ij")
    slope = rng.normal(0, 0.5, 2)
    vignette = (y - rng.normal(0, 0.3)) ** 2 + (x - rng.normal(0, 0.3)) ** 2
    waves = field(rng, shape, max(shape) / 6)
    light = 1 + amount * (slope[0] * y + slope[1] * x - 0.5 * vignette + 0.3 * waves)
    return np.clip(light / light.mean(), 0.15, None)


def phase_contrast(phase: np.ndarray, ring: float, transmission: float = 0.6) -> np.ndarray:
    """Return the picture of a transparent object under positive phase contrast.

    The direct light, and with it what is scattered by less than the ring's width, is delayed by a quarter wave and
    dimmed; the rest passes. Bodies come out dark, their surroundings in a bright halo, wide bodies shade off to the
    background, and thick round ones turn bright (F. Zernike, Physica 9, 1942).

    Parameters
    ----------
    phase
        ``(height, width)``, delay of the light in radians, from 0 up.
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
    return through_real**2 + through_imaginary**2


def camera(
    rng: np.random.Generator,
    light: np.ndarray,
    *,
    photons: float,
    read: float,
    white: float = 255.0,
    offset: float = 0.0,
) -> np.ndarray:
    """Record light as 8-bit grey values.

    Parameters
    ----------
    rng
    light
        ``(height, width)``, 0 … about 1.
    photons
        Counted where the light is 1: fewer are noisier.
    read
        Standard deviation of the read noise, in grey values.
    white, offset
        Grey values of light 1 and, beneath it, of darkness.

    Returns
    -------
    ndarray
        ``(height, width)`` uint8, saturated at 255.
    """
    counted = rng.poisson(np.clip(light, 0, None) * photons) / photons
    grey = offset + (white - offset) * counted + rng.normal(0, read, light.shape)
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)
