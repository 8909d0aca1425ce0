"""The two loops of Cellpose 3 that take long on a CPU, compiled by numba, with the same result bit for bit.

`follow` leaves a pixel alone once it has returned to a place where it was before, since it would go round in the same
circle for ever; the library takes all steps. `diffuse` goes along the rows of a box, where the library gathers the
pixels of an object by index. Both add up numbers in the library's order and precision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["flow_errors", "flows_of", "follow"]


def _follow(field: Any, rows: Any, columns: Any, steps: Any, ends: Any) -> None:
    height, width = field.shape[1], field.shape[2]
    for i in range(rows.shape[0]):
        y, x = np.float32(rows[i]), np.float32(columns[i])
        seen_y, seen_x = y, x
        step, since, wait, is_free = 0, 0, 1, True
        while step < steps:
            y0: Any = min(height - 1, max(0, np.int32(y)))
            x0: Any = min(width - 1, max(0, np.int32(x)))
            down, right = np.float32(y - np.float32(y0)), np.float32(x - np.float32(x0))
            up, left = 1.0 - np.float64(down), 1.0 - np.float64(right)
            y1, x1 = min(height - 1, y0 + 1), min(width - 1, x0 + 1)
            move_y = np.float32(
                field[0, y0, x0] * up * left
                + field[0, y0, x1] * up * right
                + np.float32(field[0, y1, x0] * down) * left
                + np.float32(np.float32(field[0, y1, x1] * down) * right)
            )
            move_x = np.float32(
                field[1, y0, x0] * up * left
                + field[1, y0, x1] * up * right
                + np.float32(field[1, y1, x0] * down) * left
                + np.float32(np.float32(field[1, y1, x1] * down) * right)
            )
            y = min(np.float32(height - 1), max(np.float32(0), np.float32(y + move_y)))
            x = min(np.float32(width - 1), max(np.float32(0), np.float32(x + move_x)))
            step += 1
            since += 1
            if is_free and y == seen_y and x == seen_x:  # a circle of `since` steps: whole turns change nothing
                step = steps - (steps - step) % since
                is_free = False
            elif since == wait:  # Brent's search for the circle
                seen_y, seen_x = y, x
                wait, since = 2 * wait, 0
        ends[0, i], ends[1, i] = y, x


def _diffuse(inside: Any, row: Any, column: Any, steps: Any) -> Any:
    height, width = inside.shape
    heat, next_heat = np.zeros((height, width)), np.zeros((height, width))
    for _ in range(steps):
        heat[row, column] += 1
        for y in range(1, height - 1):
            for x in range(1, width - 1):
                total = heat[y, x] + heat[y - 1, x] + heat[y + 1, x] + heat[y, x - 1] + heat[y, x + 1]
                total = total + heat[y - 1, x - 1] + heat[y - 1, x + 1] + heat[y + 1, x - 1] + heat[y + 1, x + 1]
                next_heat[y, x] = 1 / 9.0 * total * inside[y, x]
        heat, next_heat = next_heat, heat
    return heat


_compiled_follow: Callable[..., None] = njit(nogil=True, cache=True)(_follow)
_compiled_diffuse: Callable[..., NDArray[np.float64]] = njit(nogil=True, cache=True)(_diffuse)


def follow(field: NDArray[Any], rows: NDArray[Any], columns: NDArray[Any], steps: int) -> NDArray[np.float32]:
    """Return where pixels end that follow a field of steps: what ``cellpose.dynamics.steps_interp`` returns.

    Parameters
    ----------
    field
        ``(2, height, width)`` float32, finite: the step of each pixel, y and x.
    rows, columns
        ``(n,)`` integers: where they start.
    steps
        How many they take.

    Returns
    -------
    ndarray
        ``(2, n)`` float32.
    """
    ends = np.zeros((2, len(rows)), np.float32)
    places = (np.ascontiguousarray(each, np.int64) for each in (rows, columns))
    _compiled_follow(np.ascontiguousarray(field, np.float32), *places, int(steps), ends)
    return ends


def flows_of(labels: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Return the flow of a label map: what ``cellpose.dynamics.masks_to_flows`` returns on a CPU.

    Parameters
    ----------
    labels
        ``(height, width)``, 0 is background.

    Returns
    -------
    ndarray
        ``(2, height, width)`` float64, y and x: of length 1, or 0.
    """
    flow = np.zeros((2, *labels.shape))
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        inside = np.pad((labels[box] == label).astype(np.float64), 1)
        rows, columns = np.nonzero(inside)
        nearest = ((columns - columns.mean()) ** 2 + (rows - rows.mean()) ** 2).argmin()
        heat = _compiled_diffuse(inside, int(rows[nearest]), int(columns[nearest]), 2 * sum(inside.shape))
        down = heat[rows + 1, columns] - heat[rows - 1, columns]
        right = heat[rows, columns + 1] - heat[rows, columns - 1]
        flow[:, box[0].start + rows - 1, box[1].start + columns - 1] = np.stack([down, right])
    flow /= 1e-60 + (flow**2).sum(axis=0) ** 0.5
    return flow


def flow_errors(labels: NDArray[np.integer[Any]], flow: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean squared error of a flow in each object: what ``cellpose.metrics.flow_error`` returns first.

    Parameters
    ----------
    labels
        ``(height, width)``, 0 is background.
    flow
        ``(2, height, width)``, five times a flow.

    Returns
    -------
    ndarray
        ``(labels.max(),)`` float64.
    """
    wanted, ids = flows_of(labels), np.arange(1, int(labels.max()) + 1)
    errors = np.zeros(len(ids))
    for want, found in zip(wanted, flow, strict=True):
        errors += ndimage.mean((want - found / 5.0) ** 2, labels, index=ids)
    return errors
