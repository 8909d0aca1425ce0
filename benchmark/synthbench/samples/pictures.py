"""Pictures of samples: images stretched for display, with outlines of objects or translucent classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from synthbench.errors import DataError
from synthbench.samples import Sample, SampleSet, Task, channel_count
from synthbench.types import AnyArray

__all__ = [
    "CHANNEL_COLOURS",
    "CLASS_COLOURS",
    "HATCH",
    "OBJECT_COLOURS",
    "describe_channels",
    "draw_annotation",
    "draw_classes",
    "draw_ignored",
    "draw_labels",
    "draw_outlines",
    "inner_boundaries",
    "stretch_contrast",
    "stretch_samples",
    "under_annotation",
]

LOW, HIGH = 0.5, 99.8
"""Percentiles that become black and white."""

OBJECT_COLOURS = np.array(
    [(255, 214, 0), (0, 229, 255), (255, 64, 129), (118, 255, 3), (255, 145, 0), (179, 136, 255)], np.uint8
)
"""Colours of outlines, used in turn so that touching objects differ; bright on dark images and on stained tissue."""

CLASS_COLOURS = np.array(
    [(0, 229, 255), (255, 64, 129), (255, 214, 0), (118, 255, 3), (179, 136, 255), (255, 145, 0), (29, 233, 182)],
    np.uint8,
)
"""Classes 1, 2, 3 …; class 0, the background, has no colour."""

CHANNEL_COLOURS: Mapping[str, AnyArray] = {
    "blue": np.array([0, 160, 255], np.uint8),
    "orange": np.array([255, 95, 0], np.uint8),
    "yellow": np.array([255, 255, 0], np.uint8),
    "pink": np.array([255, 160, 190], np.uint8),
}
"""Colours of the first to the fourth channel of images of two or four channels, added like light: where the first two
are bright, the picture is white. With every kind of colour blindness, all differ by 35 or more in CIELAB, the first two
by 100."""

HATCH = (np.array([105, 105, 105], np.uint8), np.array([190, 190, 190], np.uint8))
"""Greys of the stripes over pixels whose label is unknown."""

_ALPHA = 0.45
_STRIPE = 3


def stretch_contrast(
    image: AnyArray, low: float = LOW, high: float = HIGH, least: float | Sequence[float] = 0.0
) -> AnyArray:
    """Stretch an image for display: the `low` and `high` percentiles become black and white.

    The channels of an RGB image are stretched alike, so that colours stay; a uint8 RGB image is left as it is. Two or
    four channels are stretched one by one, and added in the colours `CHANNEL_COLOURS`.

    Parameters
    ----------
    image
        ``(height, width)`` or ``(height, width, channels)``, any real type.
    low, high
        0 to 100.
    least
        White is at least this far above black, in the image's own units; a grey or RGB image is then in the middle,
        channels are dark. One number, or one for each channel of two or four.

    Returns
    -------
    ndarray
        ``(height, width, 3)`` uint8.
    """
    if channel_count(image) in (2, 4):
        spans = np.broadcast_to(np.asarray(least, float), image.shape[2:])
        planes = [
            _stretched(part, low, high, span, centred=False) for part, span in zip(_parts(image), spans, strict=True)
        ]
        colours = np.stack(list(CHANNEL_COLOURS.values())[: len(planes)])
        light = np.stack(planes, axis=-1) @ colours.astype(np.float32)
        return np.clip(light, 0, 255).round().astype(np.uint8)
    if image.ndim == 3 and image.dtype == np.uint8:
        return image.copy()
    grey = (_stretched(image, low, high, float(np.max(least))) * 255).round().astype(np.uint8)
    return grey if grey.ndim == 3 else np.repeat(grey[..., None], 3, axis=2)


def _parts(image: AnyArray) -> list[AnyArray]:
    """Return what is stretched alone: the image, or each of two or four channels."""
    return [image] if channel_count(image) in (1, 3) else list(np.moveaxis(image, -1, 0))


def _stretched(image: AnyArray, low: float, high: float, least: float, *, centred: bool = True) -> AnyArray:
    """Return an image with values from 0 to 1, float32; see `stretch_contrast`."""
    floor, top = _ends(image, low, high)
    if centred and top - floor < least:
        floor = (floor + top - least) / 2
    span = max(top - floor, least, 1e-12)
    stretched: AnyArray = np.clip((image.astype(np.float32) - floor) / span, 0, 1)
    return stretched


def stretch_samples(samples: Sequence[Sample]) -> list[AnyArray]:
    """Return the images of samples that are shown side by side, each stretched by `stretch_contrast` on its own.

    One without objects is stretched no further than most of those with objects: its noise isn't made to look like much.
    """
    spans: dict[int, list[list[float]]] = {}
    for sample in samples:
        parts = _parts(sample.image)
        if sample.labels.any():
            spans.setdefault(len(parts), []).append([top - floor for floor, top in map(_ends, parts)])
    usual = {parts: np.median(rows, axis=0) for parts, rows in spans.items()}
    return [
        stretch_contrast(s.image, least=0.0 if s.labels.any() else usual.get(len(_parts(s.image)), 0.0))
        for s in samples
    ]


def _ends(image: AnyArray, low: float = LOW, high: float = HIGH) -> tuple[float, float]:
    floor, top = np.percentile(image, (low, high))
    if top <= floor:
        floor, top = image.min(), image.max()
    return float(floor), float(top)


def under_annotation(picture: AnyArray, image: AnyArray) -> AnyArray:
    """Return what annotations are drawn over: the picture of an image, grey where its colours are those of channels.

    Outlines would be mistaken for a channel otherwise.

    Parameters
    ----------
    picture
        ``(height, width, 3)`` uint8, as `stretch_contrast` returns it of `image`.
    image
        ``(height, width)`` or ``(height, width, channels)``.
    """
    if channel_count(image) in (1, 3):
        return picture
    return np.repeat(picture.mean(axis=2, keepdims=True).round().astype(np.uint8), 3, axis=2)


def describe_channels(samples: SampleSet) -> str:
    """Return the names and colours of the channels of a set, ``"nuclear: blue, membrane: orange"``.

    Without names, channels have their numbers; grey and RGB sets have an empty description.
    """
    if samples.channels in (1, 3):
        return ", ".join(samples.channel_names)
    names = samples.channel_names or [f"channel {k + 1}" for k in range(samples.channels)]
    return ", ".join(f"{name}: {colour}" for name, colour in zip(names, CHANNEL_COLOURS, strict=False))


def draw_outlines(image: AnyArray, labels: AnyArray) -> AnyArray:
    """Draw the outline of each object, one pixel wide and inside the object, over the image.

    Parameters
    ----------
    image
        ``(height, width)`` or ``(height, width, channels)``; stretched by `stretch_contrast`.
    labels
        ``(height, width)`` label map, 0 for background.

    Returns
    -------
    ndarray
        ``(height, width, 3)`` uint8.

    Raises
    ------
    DataError
        If the two differ in size.
    """
    _same_size(image, labels)
    picture = stretch_contrast(image)
    edge = inner_boundaries(labels)
    picture[edge] = OBJECT_COLOURS[(labels[edge].astype(np.int64) - 1) % len(OBJECT_COLOURS)]
    return picture


def inner_boundaries(labels: AnyArray) -> AnyArray:
    """Return where a labelled pixel has a neighbour (of four) with another label: ``(height, width)`` bool."""
    edge = np.zeros(labels.shape, bool)
    down = labels[1:] != labels[:-1]
    right = labels[:, 1:] != labels[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    return edge & (labels > 0)


def draw_classes(image: AnyArray, classes: AnyArray) -> AnyArray:
    """Lay translucent colours over the pixels of classes 1, 2, 3 …; see `draw_outlines` for parameters and errors."""
    _same_size(image, classes)
    picture = stretch_contrast(image)
    inside = classes > 0
    colour = CLASS_COLOURS[(classes[inside].astype(np.int64) - 1) % len(CLASS_COLOURS)]
    picture[inside] = ((1 - _ALPHA) * picture[inside] + _ALPHA * colour).round().astype(np.uint8)
    return picture


def draw_annotation(sample: Sample, task: Task = "instances") -> AnyArray:
    """Return a sample's image with its label map drawn over it, and stripes where the label is unknown.

    Instances are drawn by `draw_outlines`, classes by `draw_classes`.
    """
    ground = under_annotation(stretch_contrast(sample.image), sample.image)
    return draw_labels(ground, sample.labels, sample.ignore, task)


def draw_ignored(picture: AnyArray, ignore: AnyArray) -> AnyArray:
    """Draw grey stripes over a picture ``(height, width, 3)`` uint8, where `ignore`, ``(height, width)`` bool, says."""
    rows, columns = np.nonzero(ignore)
    striped = picture.copy()
    striped[rows, columns] = np.stack(HATCH)[(rows + columns) // _STRIPE % 2]
    return striped


def draw_labels(image: AnyArray, labels: AnyArray, ignore: AnyArray | None, task: Task) -> AnyArray:
    """Return the image with a label map and perhaps an ignore region drawn over it; see `draw_annotation`."""
    picture = (draw_outlines if task == "instances" else draw_classes)(image, labels)
    return picture if ignore is None else draw_ignored(picture, ignore)


def _same_size(image: AnyArray, labels: AnyArray) -> None:
    if image.shape[:2] != labels.shape:
        raise DataError(
            f"a picture of {image.shape[:2]} can't show a mask of {labels.shape}; both must have the same size"
        )
