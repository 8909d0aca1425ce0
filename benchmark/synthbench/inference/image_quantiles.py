"""Tiles of a large image that have the quantiles of the whole image.

Segmenters map percentiles of an image to 0 and 1. Of a tile without objects they would stretch the noise, and
neighbouring tiles would differ in brightness. So a tile is an array that, asked by `numpy.percentile` or
`numpy.quantile`, answers for the image that it was cut from: what a segmenter sees of a pixel doesn't depend on the
tile. Any other statistic is that of the tile.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from synthbench.types import AnyArray, FloatArray, Image

__all__ = ["ImageQuantiles", "Tile"]

_SPATIAL = 2
_REARRANGING = (
    np.moveaxis,
    np.transpose,
    np.swapaxes,
    np.atleast_2d,
    np.atleast_3d,
    np.expand_dims,
    np.squeeze,
    np.copy,
)
"""Functions whose result has the pixels that they are given."""


class ImageQuantiles:
    """Quantiles of each channel of an image, by counting its values.

    Parameters
    ----------
    image
        ``(height, width)`` or ``(height, width, channels)``, uint8 or uint16.
    """

    def __init__(self, image: Image) -> None:
        self._image = image
        self.channels = 1 if image.ndim == _SPATIAL else image.shape[2]

    def tile(self, window: tuple[slice, slice]) -> Tile:
        """Return a part of the image."""
        part = np.ascontiguousarray(self._image[window])
        tile: Tile = part.view(Tile)
        tile.of = self
        tile.size_of_tile = part.shape[:2]
        return tile

    @cached_property
    def _counts(self) -> AnyArray:
        """How many pixels have a value or less: ``(channels, values)``."""
        planes = self._image.reshape(-1, self.channels)
        length = int(np.iinfo(self._image.dtype).max) + 1
        return np.stack([np.bincount(planes[:, k], minlength=length) for k in range(self.channels)]).cumsum(axis=1)

    def of_channels(self, fractions: FloatArray) -> FloatArray:
        """Return the quantiles of each channel, ``(fractions, channels)``, interpolated linearly as NumPy does."""
        return np.stack([_quantiles(counts, fractions) for counts in self._counts], axis=-1)

    def of_all(self, fractions: FloatArray) -> FloatArray:
        """Return the quantiles over all channels, ``(fractions,)``."""
        return _quantiles(self._counts.sum(axis=0), fractions)


def _quantiles(counts: AnyArray, fractions: FloatArray) -> FloatArray:
    places = (counts[-1] - 1) * fractions
    low = np.floor(places).astype(np.int64)
    high = np.minimum(low + 1, counts[-1] - 1)
    below, above = (np.searchsorted(counts, place, side="right") for place in (low, high))
    found: FloatArray = below + (above - below) * (places - low)
    return found


class Tile(np.ndarray[Any, Any]):
    """A part of an image that knows the quantiles of the whole.

    Views and copies of all its pixels know them too, in another type or with other axes. What is computed from it, and
    parts of it, are ordinary arrays.
    """

    of: ImageQuantiles | None
    size_of_tile: tuple[int, ...]

    def __array_finalize__(self, obj: Any) -> None:
        self.of = getattr(obj, "of", None)
        self.size_of_tile = getattr(obj, "size_of_tile", ())

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        if isinstance(found, Tile) and not _is_whole(index):
            found.of = None
        return found

    def __setitem__(self, index: Any, value: Any) -> None:
        self.of = None
        self.view(np.ndarray)[index] = value

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **kwargs: Any) -> Any:
        for changed in out or ():
            if isinstance(changed, Tile):
                changed.of = None
        if out is not None:
            kwargs["out"] = tuple(_plain(each) for each in out)
        result = getattr(ufunc, method)(*map(_plain, inputs), **kwargs)
        return out[0] if out is not None and len(out) == 1 else result

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func in (np.percentile, np.quantile) and args and isinstance(args[0], Tile):
            answer = args[0]._answer(100.0 if func is np.percentile else 1.0, *args[1:], **kwargs)
            if answer is not None:
                return answer
        result = super().__array_function__(func, types, args, kwargs)
        return result if func in _REARRANGING else _plain(result)

    def _answer(self, unit: float, *args: Any, axis: Any = None, keepdims: bool = False, **more: Any) -> Any:
        """Return quantiles of the whole image, or None where it isn't those that are asked for."""
        if self.of is None or len(args) > 1 or set(more) - {"q"} or len(args) + len(more) != 1:
            return None
        wanted = np.asarray(args[0] if args else more["q"], float) / unit
        axes = tuple(range(self.ndim)) if axis is None else tuple(np.atleast_1d(axis) % self.ndim)
        left = [number for number in range(self.ndim) if number not in axes]
        reduced = tuple(self.shape[number] for number in sorted(axes))
        channels = self.of.channels
        if reduced == self.size_of_tile and [self.shape[number] for number in left] in ([], [channels]):
            if not left and channels != 1:
                return None
            found = self.of.of_channels(wanted.ravel())
            found = found if left else found[:, 0]
        elif not left and sorted(reduced) == sorted((*self.size_of_tile, channels)):
            found = self.of.of_all(wanted.ravel())
        else:
            return None
        shape = tuple(self.shape[n] if n in left else 1 for n in range(self.ndim)) if keepdims else found.shape[1:]
        result = found.reshape((*wanted.shape, *shape))
        result = result.astype(self.dtype) if self.dtype.kind == "f" else result
        return result[()] if result.ndim == 0 else result


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, Tile) else value


def _is_whole(index: Any) -> bool:
    """Whether an index takes every pixel in its order: it only adds axes."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or (isinstance(part, slice) and part == slice(None)) for part in parts)
