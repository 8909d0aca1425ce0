"""What every distance between two sets of features asks of them."""

from __future__ import annotations

import numpy as np

from synthbench.types import AnyArray

__all__ = ["LARGEST", "PUBLISHED", "check_features", "distance_names", "whole"]

PUBLISHED = "inception"
"""The encoder whose distances are FID and KID, when its weights are the published ones."""


LARGEST = 1e48
"""A feature above it is refused: the cube of a product of two, summed over all, would overflow."""


def distance_names(encoder: str, variant: str = "") -> tuple[str, str]:
    """Return what the Fréchet and the kernel distance on an encoder's features are called.

    Examples
    --------
    >>> distance_names("inception"), distance_names("inception", "own weights"), distance_names("untrained")
    (('FID', 'KID'), ('FD(inception, own weights)', 'KD(inception, own weights)'), ('FD(untrained)', 'KD(untrained)'))
    """
    if encoder == PUBLISHED and not variant:
        return "FID", "KID"
    full = f"{encoder}, {variant}" if variant else encoder
    return f"FD({full})", f"KD({full})"


def whole(number: object, name: str, least: int = 1) -> None:
    """Raise `ValueError`, naming the argument, for what isn't a whole number of at least so much."""
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < least:
        raise ValueError(f"{name}: {number!r}; give a whole number, {least} or more")


def check_features(
    x: AnyArray, y: AnyArray, *, least: int = 2, names: tuple[str, str] = ("x", "y")
) -> tuple[AnyArray, AnyArray]:
    """Return two sets of features as float64.

    Parameters
    ----------
    x, y
        ``(n, d)`` and ``(m, d)``, a row per image.
    least
        How many rows each must have.
    names
        What the caller calls them.

    Raises
    ------
    ValueError
        If one isn't such an array, is too short, or holds a value that isn't finite; the message names it.
    """
    checked = []
    for given, name in zip((x, y), names, strict=True):
        array = np.asarray(given)
        if array.ndim != 2 or array.shape[1] == 0:
            raise ValueError(f"{name}: shape {array.shape}; give (images, features)")
        if array.dtype.kind not in "fiu":
            raise ValueError(f"{name}: {array.dtype} are no features; give real numbers")
        if len(array) < least:
            raise ValueError(f"{name}: {len(array)} images; {least} are needed")
        if not np.isfinite(array).all():
            raise ValueError(f"{name}: a feature isn't finite")
        if np.abs(array.astype(np.float64)).max() > LARGEST:
            raise ValueError(f"{name}: a feature is above {LARGEST:g}; such numbers can't be squared and summed")
        checked.append(array.astype(np.float64))
    if checked[0].shape[1] != checked[1].shape[1]:
        raise ValueError(f"{names[1]}: {checked[1].shape[1]} features, and {names[0]} has {checked[0].shape[1]}")
    return checked[0], checked[1]
