"""One scale for one set: how numbers of any type become uint8 or uint16, by one rule for all images of a set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from synthbench.errors import ConfigError, DataError

UNSIGNED = (np.uint8, np.uint16)
_TOP = 65535
RESCALED = "rescaled alike"
UNCHANGED = "with unchanged values stored as"
"""In the notes, of images of other types than uint8 and uint16."""


@dataclass(frozen=True)
class IntensityScale:
    """How numbers become uint8 or uint16.

    Attributes
    ----------
    black, white : float
        What becomes 0 and the largest number of `dtype`; equal where values stay as they are.
    dtype : numpy.dtype
    told : str
        The rule, for the notes; ``{kind}`` stands for the type that is found.
    chosen : bool
        Whether the user gave it; then it holds for uint8 and uint16 images, too.
    """

    black: float
    white: float
    dtype: np.dtype
    told: str
    chosen: bool = False

    @classmethod
    def of_white(cls, white: float) -> IntensityScale:
        """Return the scale in which 0 is black and `white` is white: uint8 up to 255 if it is whole, else uint16."""
        dtype = np.dtype(np.uint8 if white == int(white) and 1 < white <= 255 else np.uint16)
        top = 255 if dtype == np.uint8 else _TOP
        told = f"{{kind}} images on one scale: {white:g} became {top} ({dtype})"
        return cls(0.0, white, dtype, told, chosen=True)

    def apply(self, image: np.ndarray, where: str) -> np.ndarray:
        """Return an image in this scale; raise `DataError` for a value that isn't in it."""
        low, high = image.min(), image.max()
        top = 255 if self.dtype == np.uint8 else _TOP
        if self.black == self.white:
            least, most = (0, top) if self.black == 0 else (self.black, self.black)
        else:
            least, most = self.black, self.white
        if low < least or high > most:
            way = "give a larger --white" if self.chosen and low >= least else "convert all images to uint8 or uint16"
            raise DataError(
                f"{where}: the image holds {low:g} … {high:g}, and the set's scale is {least:g} … {most:g}; {way}"
            )
        if self.black == self.white:
            return image.astype(self.dtype) if self.black == 0 else np.zeros(image.shape, self.dtype)
        scaled = (image.astype(np.float64) - self.black) * (top / (self.white - self.black))
        return np.rint(scaled).astype(self.dtype)


@dataclass
class ValueRange:
    """What the images of a set hold that are neither uint8 nor uint16.

    Attributes
    ----------
    low, high : float
        Over all of them.
    whole : bool
        Whether all values are whole numbers.
    integers : bool
        Whether all are of an integer type.
    """

    low: float = np.inf
    high: float = -np.inf
    whole: bool = True
    integers: bool = True

    def add(self, image: np.ndarray, where: str) -> None:
        """Take an image into account; raise `DataError` for NaN, infinity, and types that are no numbers."""
        if image.dtype.kind not in "iuf":
            raise DataError(f"{where}: the image is {image.dtype}; convert it to uint8 or uint16")
        if image.dtype.kind == "f":
            if not np.isfinite(image).all():
                raise DataError(f"{where}: the image holds NaN or infinity; convert it to uint8 or uint16")
            self.integers = False
            self.whole = self.whole and bool((image == np.floor(image)).all())
        low, high = float(image.min()), float(image.max())
        if image.dtype.kind != "f" and high - low > _TOP:
            raise DataError(f"{where}: the image holds {low:.0f} … {high:.0f}; convert it to uint8 or uint16")
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
                f"{where}: its images hold {self.low:.0f} … {self.high:.0f}, more than 16 bits; "
                "convert them to uint8 or uint16"
            )
        told = f"{self.low:g} … {self.high:g}, the range of all, became 0 … 65535 (uint16)"
        return IntensityScale(self.low, self.high, dtype, f"{{kind}} images {RESCALED}: {told}")


@dataclass
class Rescaler:
    """The scale of a set, found when the first image asks for it.

    Parameters
    ----------
    scale
        Given beforehand by the user; None to find it.
    measure
        Returns the ranges of the whole set. Without it the first image of a wide type makes the scale, and one that
        isn't in it is refused.
    where
        The set, for errors.
    """

    scale: IntensityScale | None = None
    measure: Callable[[], ValueRange] | None = None
    where: str = ""
    _wrong: str = ""

    def apply(self, image: np.ndarray, where: str, told: Callable[[str], None]) -> np.ndarray:
        """Return an image as uint8 or uint16; `told` is called with what was done to it, if anything was."""
        if image.dtype == bool:
            return image.astype(np.uint8) * np.uint8(255)
        image = image.astype(image.dtype.newbyteorder("="), copy=False)
        plain = image.dtype in UNSIGNED
        if plain and (self.scale is None or not self.scale.chosen):
            return image
        if not plain:
            own = ValueRange()
            own.add(image, where)
            if self.scale is None:
                self.scale = self._found(own, where)
        assert self.scale is not None
        told(self.scale.told.format(kind=image.dtype.name))
        return self.scale.apply(image, where)

    def _found(self, own: ValueRange, where: str) -> IntensityScale:
        """Return the scale of the set; what is wrong with it is found once, and told of every image."""
        if self._wrong:
            raise DataError(self._wrong)
        try:
            return (self.measure() if self.measure else own).scale(self.where or where)
        except DataError as error:
            self._wrong = str(error)
            raise


class RangeCollector(Rescaler):
    """What stands for the scale while the images of a set are measured.

    Attributes
    ----------
    ranges : Ranges
    """

    def __init__(self) -> None:
        super().__init__()
        self.ranges = ValueRange()

    def apply(self, image: np.ndarray, where: str, told: Callable[[str], None]) -> np.ndarray:
        """Take an image into account, and return an empty one of its shape."""
        if image.dtype not in UNSIGNED and image.dtype != bool:
            self.ranges.add(image, where)
        return np.zeros(image.shape, np.uint8)


def check_white(white: float | None) -> None:
    """Raise `ConfigError` unless `white` is a number above 0, or None."""
    if white is not None and not (np.isfinite(white) and white > 0):
        raise ConfigError(f"--white {white:g}: give the value that is white, above 0 (4095 for a 12-bit camera)")
