"""The intensity scale of a set: one rule by which all its images, of any type, become uint8 or uint16."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthbench.errors import ConfigError, DataError
from synthbench.types import AnyArray

__all__ = ["IntensityScale", "RESCALED", "RangeCollector", "Rescaler", "UNCHANGED", "ValueRange", "check_white"]

UNSIGNED = (np.uint8, np.uint16)
_TOP = 65535
RESCALED = "rescaled together"
UNCHANGED = "with unchanged values stored as"
"""Phrases of the import log about images of types other than uint8 and uint16."""


@dataclass(frozen=True)
class IntensityScale:
    """A linear rule from image values to uint8 or uint16.

    Attributes
    ----------
    black, white : float
        What becomes 0 and the largest number of `dtype`; equal where values stay as they are.
    dtype : numpy.dtype
    description : str
        The rule, for the import log; ``{kind}`` stands for the type of the image.
    user_given : bool
        Whether the user set it; then it also applies to uint8 and uint16 images.
    """

    black: float
    white: float
    dtype: np.dtype[Any]
    description: str
    user_given: bool = False

    @classmethod
    def of_white(cls, white: float) -> IntensityScale:
        """Return the scale in which 0 is black and `white` is white: uint8 up to 255 if it is whole, else uint16."""
        dtype = np.dtype(np.uint8 if white == int(white) and 1 < white <= 255 else np.uint16)
        top = 255 if dtype == np.uint8 else _TOP
        description = f"{{kind}} images on one scale: {white:g} stored as {top} ({dtype})"
        return cls(0.0, white, dtype, description, user_given=True)

    def apply(self, image: AnyArray, where: str) -> AnyArray:
        """Return an image in this scale; raise `DataError` for a value that isn't in it."""
        low, high = image.min(), image.max()
        top = 255 if self.dtype == np.uint8 else _TOP
        if self.black == self.white:
            least, most = (0, top) if self.black == 0 else (self.black, self.black)
        else:
            least, most = self.black, self.white
        if low < least or high > most:
            hint = (
                "use a larger --white" if self.user_given and low >= least else "convert all images to uint8 or uint16"
            )
            raise DataError(
                f"{where}: the image contains {low:g} … {high:g}, outside the scale of the set, {least:g} … "
                f"{most:g}; {hint}"
            )
        if self.black == self.white:
            return image.astype(self.dtype) if self.black == 0 else np.zeros(image.shape, self.dtype)
        scaled = (image.astype(np.float64) - self.black) * (top / (self.white - self.black))
        values: AnyArray = np.rint(scaled).astype(self.dtype)
        return values


@dataclass
class ValueRange:
    """The range of values in the images of a set that are neither uint8 nor uint16.

    Attributes
    ----------
    low, high : float
        Over all of them.
    whole : bool
        Whether all values are integers, of whatever type.
    integers : bool
        Whether all are of an integer type.
    """

    low: float = np.inf
    high: float = -np.inf
    whole: bool = True
    integers: bool = True

    def add(self, image: AnyArray, where: str) -> None:
        """Take an image into account; raise `DataError` for NaN, infinity, and types that are no numbers."""
        if image.dtype.kind not in "iuf":
            raise DataError(f"{where}: the image type is {image.dtype}; convert it to uint8 or uint16")
        if image.dtype.kind == "f":
            if not np.isfinite(image).all():
                raise DataError(f"{where}: the image contains NaN or infinity; convert it to uint8 or uint16")
            self.integers = False
            self.whole = self.whole and bool((image == np.floor(image)).all())
        low, high = float(image.min()), float(image.max())
        if image.dtype.kind != "f" and high - low > _TOP:
            raise DataError(f"{where}: the image contains {low:.0f} … {high:.0f}; convert it to uint8 or uint16")
        self.low, self.high = min(self.low, low), max(self.high, high)

    def scale(self, where: str) -> IntensityScale:
        """Return the rule that suits all of them; raise `DataError` where there is none without loss."""
        unit = not self.integers and self.high <= 1
        if self.low >= 0 and self.whole and self.high <= _TOP and not unit:
            dtype = np.dtype(np.uint8 if self.high <= 255 else np.uint16)
            return IntensityScale(0.0, 0.0, dtype, f"{{kind}} images {UNCHANGED} {dtype}")
        dtype = np.dtype(np.uint16)
        if self.low >= 0 and unit:
            return IntensityScale(0.0, 1.0, dtype, "{kind} images of 0 … 1 stored as 0 … 65535 (uint16)")
        if self.integers and self.high - self.low > _TOP:
            raise DataError(
                f"{where}: its images contain {self.low:.0f} … {self.high:.0f}, more than 16 bits; "
                "convert them to uint8 or uint16"
            )
        mapping = f"{self.low:g} … {self.high:g}, the range of all images, stored as 0 … 65535 (uint16)"
        return IntensityScale(self.low, self.high, dtype, f"{{kind}} images {RESCALED}: {mapping}")


@dataclass
class Rescaler:
    """Brings the images of a set to one scale, determined when the first image needs it.

    Parameters
    ----------
    scale
        Set by the user; None to determine it.
    measure
        Returns the ranges of the whole set. Without it, the first image of another type determines the
        scale, and images outside it are refused.
    where
        The set, for errors.
    """

    scale: IntensityScale | None = None
    measure: Callable[[], ValueRange] | None = None
    where: str = ""
    _error: str = ""

    def apply(self, image: AnyArray, where: str, report: Callable[[str], None]) -> AnyArray:
        """Return an image as uint8 or uint16; `report` is called with a description of what was done, if anything."""
        if image.dtype == bool:
            return image.astype(np.uint8) * np.uint8(255)
        image = image.astype(image.dtype.newbyteorder("="), copy=False)
        plain = image.dtype in UNSIGNED
        if plain and (self.scale is None or not self.scale.user_given):
            return image
        if not plain:
            image_range = ValueRange()
            image_range.add(image, where)
            if self.scale is None:
                self.scale = self._determine(image_range, where)
        assert self.scale is not None
        report(self.scale.description.format(kind=image.dtype.name))
        return self.scale.apply(image, where)

    def _determine(self, image_range: ValueRange, where: str) -> IntensityScale:
        """Return the scale of the set; an error is determined once, and raised for every image."""
        if self._error:
            raise DataError(self._error)
        try:
            return (self.measure() if self.measure else image_range).scale(self.where or where)
        except DataError as error:
            self._error = str(error)
            raise


class RangeCollector(Rescaler):
    """Stands in for the rescaler while the range of the images of a set is measured.

    Attributes
    ----------
    ranges : Ranges
    """

    def __init__(self) -> None:
        super().__init__()
        self.ranges = ValueRange()

    def apply(self, image: AnyArray, where: str, report: Callable[[str], None]) -> AnyArray:
        """Take an image into account, and return zeros of its shape."""
        if image.dtype not in UNSIGNED and image.dtype != bool:
            self.ranges.add(image, where)
        return np.zeros(image.shape, np.uint8)


def check_white(white: float | None) -> None:
    """Raise `ConfigError` unless `white` is a finite number above 0, or None."""
    if white is not None and not (np.isfinite(white) and white > 0):
        raise ConfigError(f"--white {white:g}: expected a white level above 0 (4095 for a 12-bit camera)")
