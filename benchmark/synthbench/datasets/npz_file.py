"""Arrays of an npz file, a zip of npy files, read row by row; pickled objects are never loaded."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from synthbench.errors import DataError
from synthbench.types import AnyArray

__all__ = ["ArrayHeader", "NpzFile"]


@dataclass(frozen=True)
class ArrayHeader:
    """Shape and type of an array, known before it is read."""

    shape: tuple[int, ...]
    column_major: bool
    dtype: np.dtype[Any]


class NpzFile:
    """An npz file.

    Attributes
    ----------
    path : Path
    headers : dict
        Name of an array → `ArrayHeader`.

    Raises
    ------
    DataError
        If it isn't an npz file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.headers: dict[str, ArrayHeader] = {}
        try:
            with zipfile.ZipFile(path) as archive:
                for member in archive.namelist():
                    if member.endswith(".npy"):
                        with archive.open(member) as file:
                            self.headers[member.removesuffix(".npy")] = _header(file)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{path}: can't be read as an npz file: {error}") from None

    def rows(self, name: str) -> Iterator[AnyArray]:
        """Yield ``array[0]``, ``array[1]`` … with little more than one of them in memory.

        Raises
        ------
        DataError
            If the array holds Python objects, or the file is damaged.
        """
        if self.headers[name].dtype.hasobject:
            raise DataError(
                f"{self.path}: {name} contains Python objects, which aren't loaded; save it as a numeric array"
            )
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(f"{name}.npy") as file:
                header = _header(file)
                if header.column_major:
                    count = prod(header.shape)
                    yield from _read(file, header.dtype, count).reshape(header.shape[::-1]).T
                else:
                    for _ in range(header.shape[0]):
                        yield _read(file, header.dtype, prod(header.shape[1:])).reshape(header.shape[1:])
                file.read(1)  # at the end of the member its checksum is compared
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{self.path}: {name} can't be read: {error}") from None


def _header(file: IO[bytes]) -> ArrayHeader:
    if np.lib.format.read_magic(file) == (1, 0):
        return ArrayHeader(*np.lib.format.read_array_header_1_0(file))
    return ArrayHeader(*np.lib.format.read_array_header_2_0(file))


def _read(file: IO[bytes], dtype: np.dtype[Any], count: int) -> AnyArray:
    content = file.read(count * dtype.itemsize)
    if len(content) < count * dtype.itemsize:
        raise EOFError("the array is truncated")
    return np.frombuffer(content, dtype)
