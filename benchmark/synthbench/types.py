"""Names for the arrays that the whole project exchanges, for type hints; shapes and ranges are said here once."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["AnyArray", "BoolMask", "Features", "FloatArray", "Image", "IntArray", "LabelMap", "Planes"]

Image: TypeAlias = NDArray[np.uint8 | np.uint16]
"""A micrograph, ``(height, width)`` or ``(height, width, channels)`` with 2 to 4 channels, three of them red, green and
blue: uint8, 0 … 255, or uint16, 0 … 65535."""

LabelMap: TypeAlias = NDArray[np.integer[Any]]
"""Integers per pixel, ``(height, width)``. Instances: 0 is background, 1 … n the objects. Semantic: the class."""

BoolMask: TypeAlias = NDArray[np.bool_]
"""A yes or no per pixel, ``(height, width)``: the foreground, or an ignore region."""

Planes: TypeAlias = NDArray[np.float32]
"""Float planes of an image or a mask as networks take them, channels first: ``(channels, height, width)``."""

Features: TypeAlias = NDArray[np.floating[Any]]
"""Feature vectors of an encoder, ``(images, dimension)``, a row per image: float32 or float64, finite."""

FloatArray: TypeAlias = NDArray[np.floating[Any]]
"""Real numbers of any shape; the docstring beside it gives the shape."""

IntArray: TypeAlias = NDArray[np.integer[Any]]
"""Integers of any shape; the docstring beside it gives the shape."""

AnyArray: TypeAlias = NDArray[Any]
"""Of any shape and dtype; the docstring says which."""
