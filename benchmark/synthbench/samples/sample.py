"""One image with its label map, and the checks of both."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from synthbench.errors import ConfigError, DataError
from synthbench.types import AnyArray

__all__ = [
    "IGNORED",
    "MASK",
    "MAX_CHANNELS",
    "MAX_LABEL",
    "MAX_TEXT",
    "ORIGINS",
    "Sample",
    "TASKS",
    "Task",
    "UNLABELLED",
    "channel_count",
    "check_id",
    "check_ignore",
    "check_ignore_value",
    "check_image",
    "check_labels",
    "kind_of_image",
    "split_ignored",
]

Task = Literal["instances", "semantic"]
TASKS: tuple[Task, ...] = ("instances", "semantic")
MAX_LABEL = 2**31 - 1
MAX_CHANNELS = 4
"""Channels of an image at most; grey is one channel, and three are red, green and blue."""
MASK = "mask"
"""Group of a drawn sample that says where its mask comes from: one of `ORIGINS`."""
ORIGINS = ("new", "training", "recombined")
"""New; a training mask, turned, warped or cut, or as it is; objects of training masks in new places."""
IGNORED = -1
"""The value of `Sample.marked` where the label is unknown."""
UNLABELLED = "unlabelled"
"""The split of images without labels: their label maps are 0, and their ignore regions cover everything."""
MAX_TEXT = 1000
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")


@dataclass(frozen=True, eq=False)
class Sample:
    """One image with its label map.

    Parameters
    ----------
    id
        Unique within its set; letters, digits, ``.``, ``_``, ``+`` and ``-``.
    image
        ``(height, width)``, grey, or ``(height, width, channels)`` with 2, 3 or 4 channels, uint8 or uint16. Three
        channels are red, green and blue; two and four are channels of a microscope, such as nuclei and membranes, in
        an order that the set's ``info["channels"]`` may name.
    labels
        ``(height, width)``, any integer type, 0 … 2³¹ − 1; 0 is background.
        Task `instances`: one id per object. Task `semantic`: the class of each pixel.
        Stored as the smallest of uint8, uint16 and uint32 that holds it.
    groups
        What the sample belongs to, by name: ``cell_type``, ``well``, ``time`` …;
        the reserved name ``split`` carries a dataset's official split (``train``, ``validation``, ``test``),
        or ``unlabelled`` of an image without labels;
        ``mask`` says where a drawn sample's mask comes from (``new``, ``training``, ``recombined``).
    ignore
        ``(height, width)`` bool: where the label is unknown (unlabelled, ambiguous, a drawn boundary). Losses and
        metrics leave these pixels out. `labels` becomes 0 there, so that nothing can depend on it. None where every
        pixel is labelled; a mask without a True becomes None.

    Raises
    ------
    DataError
        If an array has the wrong shape or type, or the two don't fit together.
    """

    id: str
    image: AnyArray
    labels: AnyArray
    groups: Mapping[str, str] = field(default_factory=dict)
    ignore: AnyArray | None = None

    def __post_init__(self) -> None:
        check_id(self.id)
        check_image(self.image, self.id)
        object.__setattr__(self, "labels", check_labels(self.labels, self.id))
        if self.image.shape[:2] != self.labels.shape:
            raise DataError(
                f"sample {self.id!r}: the image is {_size(self.image)} but its mask is {_size(self.labels)}; "
                "both must have the same size"
            )
        object.__setattr__(self, "groups", {str(k): str(v) for k, v in self.groups.items()})
        if self.ignore is not None:
            check_ignore(self.ignore, self.labels.shape, self.id)
            object.__setattr__(self, "ignore", self.ignore if self.ignore.any() else None)
        if self.ignore is not None and self.labels[self.ignore].any():
            object.__setattr__(self, "labels", check_labels(np.where(self.ignore, 0, self.labels), self.id))

    @property
    def marked(self) -> AnyArray:
        """``(height, width)`` int32: the labels, and `IGNORED` (−1) where they are unknown. See `split_ignored`."""
        labels = self.labels.astype(np.int32)
        if self.ignore is not None:
            labels[self.ignore] = IGNORED
        return labels

    @property
    def digest(self) -> str:
        """SHA-256 over id, groups, pixels, labels and, where there is one, the ignore region.

        Independent of file format and integer width of the labels.
        """
        head = [self.id, sorted(self.groups.items()), list(self.image.shape), self.image.dtype.name]
        sha256 = hashlib.sha256(json.dumps(head).encode())
        sha256.update(np.ascontiguousarray(self.image).data)
        sha256.update(np.ascontiguousarray(self.labels, dtype="<u4").data)
        if self.ignore is not None:
            sha256.update(np.packbits(self.ignore).data)
        return sha256.hexdigest()


def channel_count(image: AnyArray) -> int:
    """Return the number of channels of an image: 1 of ``(height, width)``, C of ``(height, width, C)``."""
    return 1 if image.ndim == 2 else int(image.shape[2])


def kind_of_image(channels: int) -> str:
    """Return what an image of so many channels is called: grey, RGB, or ``"2 channels"``."""
    return {1: "grey", 3: "RGB"}.get(channels, f"{channels} channels")


def check_id(name: str) -> None:
    """Raise `DataError` unless `name` can be a sample's id (and so a file name on every system)."""
    if not isinstance(name, str) or not _SAFE_ID.fullmatch(name):
        raise DataError(f"sample id {name!r}: use at most 200 letters, digits, '.', '_', '+' and '-'")


def check_image(image: AnyArray, name: str) -> None:
    """Raise `DataError` unless `image` has 1 … `MAX_CHANNELS` channels, is uint8 or uint16, and not empty."""
    if not isinstance(image, np.ndarray) or image.dtype not in (np.uint8, np.uint16):
        kind = getattr(image, "dtype", type(image).__name__)
        raise DataError(f"sample {name!r}: the image type is {kind}; convert it to uint8 or uint16")
    if not (image.ndim == 2 or (image.ndim == 3 and 2 <= image.shape[2] <= MAX_CHANNELS)):
        raise DataError(
            f"sample {name!r}: the image has shape {image.shape}; expected (height, width), or (height, width, "
            f"channels) with 2 to {MAX_CHANNELS} channels"
        )
    if image.size == 0:
        raise DataError(f"sample {name!r}: the image is empty, {_size(image)}")


def check_labels(labels: AnyArray, name: str) -> AnyArray:
    """Return `labels` in the smallest of uint8, uint16, uint32 that holds it; raise `DataError` for anything else."""
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iub":
        kind = getattr(labels, "dtype", type(labels).__name__)
        raise DataError(f"sample {name!r}: the mask type is {kind}; expected a label map of integers")
    if labels.ndim != 2:
        raise DataError(f"sample {name!r}: the mask has shape {labels.shape}; expected one label map (height, width)")
    if labels.size == 0:
        raise DataError(f"sample {name!r}: the mask is empty, {_size(labels)}")
    low, high = int(labels.min()), int(labels.max())
    if low < 0:
        raise DataError(f"sample {name!r}: the mask contains {low}; labels must be ≥ 0 (0 is background)")
    if high > MAX_LABEL:
        raise DataError(f"sample {name!r}: the mask contains {high}; labels must be ≤ {MAX_LABEL}")
    return labels.astype(np.min_scalar_type(high), copy=False)


def check_ignore(ignore: AnyArray, shape: tuple[int, ...], name: str) -> None:
    """Raise `DataError` unless `ignore` is a bool mask of this shape."""
    if not isinstance(ignore, np.ndarray) or ignore.dtype != bool:
        kind = getattr(ignore, "dtype", type(ignore).__name__)
        raise DataError(f"sample {name!r}: the ignore region is {kind}; expected a boolean mask")
    if ignore.shape != shape:
        sizes = ["×".join(map(str, side)) for side in (ignore.shape, shape)]
        raise DataError(
            f"sample {name!r}: the ignore region is {sizes[0]} but the mask is {sizes[1]}; both must have the same size"
        )


def check_ignore_value(value: int | None, task: Task) -> None:
    """Raise `ConfigError` unless `value` can mark unknown labels in masks of this task; None marks none."""
    if value is None:
        return
    if not 0 <= value <= MAX_LABEL:
        raise ConfigError(f"ignore {value}: expected an integer from 0 to {MAX_LABEL}")
    if value == 0 and task == "instances":
        raise ConfigError("ignore 0: 0 is the background of instance masks; use another value")


def split_ignored(labels: AnyArray) -> tuple[AnyArray, AnyArray | None]:
    """Split a label map with `IGNORED` (−1) where the label is unknown into labels and ignore region.

    Parameters
    ----------
    labels
        ``(height, width)`` integers.

    Returns
    -------
    labels, ignore
        The labels, 0 where they were −1; and the region where they were −1, bool, or None if it is empty.
    """
    ignore = labels == IGNORED if labels.dtype.kind == "i" else np.zeros(labels.shape, bool)
    return (np.where(ignore, 0, labels), ignore) if ignore.any() else (labels, None)


def _size(array: AnyArray) -> str:
    return "×".join(str(n) for n in array.shape[:2])
