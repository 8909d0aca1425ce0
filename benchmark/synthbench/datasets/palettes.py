"""Masks with a palette: whether its colours contradict its indices."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from synthbench.errors import DataError
from synthbench.types import AnyArray

__all__ = ["check_palette"]


def check_palette(path: Path, indices: AnyArray, table: AnyArray, *, classes: bool) -> None:
    """Raise `DataError` where indices and colours of a mask disagree.

    Of two colours, or of greys, black has to be 0. Greys of classes have to be their numbers, or be two. Other colours
    are for the eye.

    Parameters
    ----------
    path
    indices
        ``(height, width)``, the numbers of a mask.
    table
        ``(n, 3)``, red, green and blue of each index, 0 … 255.
    classes
        Whether the numbers are classes.
    """
    used = [int(index) for index in np.unique(indices) if index < len(table)]
    colours = {index: tuple(map(int, table[index])) for index in used}
    greys = all(len(set(colour)) == 1 for colour in colours.values())
    black = [index for index, colour in colours.items() if index > 0 and colour == (0, 0, 0)]
    if len(black) == 1 and colours.get(0, (0, 0, 0)) != (0, 0, 0) and (greys or len(used) == 2):
        raise DataError(
            f"{path}: in its palette 0 has the colour {', '.join(map(str, colours[0]))} and {black[0]} is black, so "
            "either may be the background; save it as grey values with 0 for the background"
        )
    shown = [colour[0] for colour in colours.values()]
    if classes and greys and len(set(shown)) == len(shown) > 2 and shown != used:
        raise DataError(
            f"{path}: its palette shows the numbers {', '.join(map(str, used[:5]))} as the greys "
            f"{', '.join(map(str, shown[:5]))}, so either may be the classes; save it as grey values"
        )
