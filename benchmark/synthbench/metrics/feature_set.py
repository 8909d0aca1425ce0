"""What is kept of each image of a set so that sets can be compared: features, thumbnails, mask measures, residuals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from synthbench.metrics.mask_realism import MEASURES, measure_masks
from synthbench.metrics.residual_similarity import MaskResiduals, ThumbnailSet
from synthbench.metrics.residuals import TEXTURE_SIDE, Residuals, residuals
from synthbench.metrics.similarity import SIDE, thumbnail
from synthbench.samples import channel_count
from synthbench.types import AnyArray, BoolMask, Features, Image, LabelMap

__all__ = ["FeatureSet", "ImageToEncode", "extract_features", "rgb_pictures"]


class ImageToEncode(NamedTuple):
    """One image of a set, for `extract_features`; the fields are the arguments of `FeatureSet.add`."""

    name: str
    image: Image
    labels: LabelMap | None = None
    ignore: BoolMask | None = None
    task: str = "instances"
    origin: str = ""


@dataclass(eq=False)
class FeatureSet:
    """What is kept of the images of a set, in their order.

    Attributes
    ----------
    names : list of str
        One per image.
    image_thumbnails : list of ndarray
        ``(SIDE * SIDE,)`` float32 each.
    mask_measures : list of dict
        The result of `measure_masks` for each label map; empty where there are no masks, or masks of classes.
    mask_thumbnails : list of ndarray
        ``(SIDE * SIDE,)`` float32 each; empty where there are no masks.
    residuals : list of Residuals
        What the mask doesn't explain of each image; empty where there are no masks.
    mask_origins : list of str
        Origin of the mask of each synthetic sample, one of `synthbench.samples.ORIGINS`; ``""`` where it is unknown.
    features : ndarray
        ``(n, dimension)``, one row per image.
    """

    names: list[str] = field(default_factory=list)
    image_thumbnails: list[AnyArray] = field(default_factory=list)
    mask_measures: list[dict[str, AnyArray]] = field(default_factory=list)
    mask_thumbnails: list[AnyArray] = field(default_factory=list)
    residuals: list[Residuals] = field(default_factory=list)
    mask_origins: list[str] = field(default_factory=list)
    features: AnyArray = field(default_factory=lambda: np.zeros((0, 0)))

    def add(
        self,
        name: str,
        image: Image,
        labels: LabelMap | None = None,
        ignore: BoolMask | None = None,
        *,
        task: str = "instances",
        origin: str = "",
    ) -> None:
        """Add an image, and its label map where it has one.

        Parameters
        ----------
        name
            Name of the image.
        image
            ``(height, width)`` or ``(height, width, channels)``, any real type.
        labels
            ``(height, width)`` label map of objects, or of classes if `task` is ``"semantic"``.
        ignore
            ``(height, width)`` bool: pixels whose label is unknown.
        task
            ``"instances"`` or ``"semantic"``.
        origin
            Origin of the mask; see `mask_origins`.
        """
        self.names.append(name)
        self.image_thumbnails.append(thumbnail(image))
        self.mask_origins.append(origin)
        if labels is None:
            return
        if task == "instances":
            self.mask_measures.append(measure_masks([labels], [ignore]))
        self.mask_thumbnails.append(thumbnail(labels > 0 if task == "instances" else labels))
        self.residuals.append(residuals(image, labels))

    def take(self, positions: Iterable[int]) -> FeatureSet:
        """Return the images at some positions as a new set."""
        kept = list(positions)
        return FeatureSet(
            [self.names[i] for i in kept],
            [self.image_thumbnails[i] for i in kept],
            [self.mask_measures[i] for i in kept] if self.mask_measures else [],
            [self.mask_thumbnails[i] for i in kept] if self.mask_thumbnails else [],
            [self.residuals[i] for i in kept] if self.residuals else [],
            [self.mask_origins[i] for i in kept],
            self.features[kept],
        )

    @property
    def thumbnails(self) -> AnyArray:
        """Thumbnails of all images, ``(n, SIDE, SIDE)`` float32."""
        return np.stack(self.image_thumbnails).reshape(-1, SIDE, SIDE)

    @property
    def thumbnail_set(self) -> ThumbnailSet:
        """What the search for duplicates compares."""
        if not self.mask_thumbnails:
            return ThumbnailSet(self.thumbnails)
        of_masks = MaskResiduals(
            np.stack(self.mask_thumbnails).reshape(-1, SIDE, SIDE),
            np.stack([one.brightness for one in self.residuals]).reshape(-1, SIDE, SIDE),
            np.stack([one.texture for one in self.residuals]).reshape(-1, TEXTURE_SIDE, TEXTURE_SIDE),
            np.array([one.effective_objects for one in self.residuals]),
        )
        return ThumbnailSet(self.thumbnails, of_masks)

    @property
    def pooled_mask_measures(self) -> dict[str, AnyArray] | None:
        """The measures of all masks, concatenated by name; None where there are none."""
        if not self.mask_measures:
            return None
        return {name: np.concatenate([one[name] for one in self.mask_measures]) for name in MEASURES}


def extract_features(
    encode: Callable[[Iterator[Image]], Features],
    images: Iterable[ImageToEncode],
    count: int,
    progress: Callable[[int, int, str], None],
) -> FeatureSet:
    """Encode the images of a set in one pass, and keep what comparisons need of them; no image is kept.

    Encoders see grey and RGB. An image of two channels is encoded as `rgb_pictures` paints it; one of four as two
    pictures, whose features are joined, so that its row is twice as long.

    Parameters
    ----------
    encode
        Returns the features of images, such as `synthbench.Encoder.encode`. It decides how many images it holds at
        once.
    images
        Read one by one, as `encode` asks for them.
    count
        Number of images.
    progress
        Called after each image with its number, `count`, and an empty note.

    Raises
    ------
    ValueError
        If `encode` doesn't return a row of finite numbers for each image, or only some images have four channels.
    """
    feature_set = FeatureSet()
    pictures_of_each: set[int] = set()

    def pixels() -> Iterator[Image]:
        for number, each in enumerate(images, 1):
            feature_set.add(each.name, each.image, each.labels, each.ignore, task=each.task, origin=each.origin)
            pictures = rgb_pictures(each.image)
            pictures_of_each.add(len(pictures))
            if len(pictures_of_each) > 1:
                raise ValueError(f"{each.name} has {channel_count(each.image)} channels, and images before it others")
            yield from pictures
            progress(number, count, "")

    features = np.asarray(encode(pixels()))
    pictures = count * max(pictures_of_each, default=1)
    if features.dtype.kind not in "fiu" or features.ndim != 2 or len(features) != pictures:
        raise ValueError(f"features are {features.dtype} of shape {features.shape} for {pictures} images")
    if not np.isfinite(features).all():
        raise ValueError("features are not finite")
    feature_set.features = features.reshape(count, -1) if pictures > count else features
    return feature_set


def rgb_pictures(image: Image) -> list[Image]:
    """Return the pictures that an encoder sees of an image.

    Of two channels the first is green, the second red, and their mean, rounded up, blue: so nothing is lost, nothing is
    clipped, and intensities keep their scale.

    Parameters
    ----------
    image
        ``(height, width)`` or ``(height, width, channels)``, 2 to 4 channels, uint8 or uint16.

    Returns
    -------
    list of ndarray
        The image itself if it is grey or RGB; else a picture ``(height, width, 3)`` of the same type for each two
        channels.
    """
    if channel_count(image) in (1, 3):
        return [image]
    pairs = (np.moveaxis(image[..., first : first + 2], -1, 0) for first in range(0, image.shape[2], 2))
    return [np.stack([b, a, ((a.astype(np.uint32) + b + 1) // 2).astype(image.dtype)], axis=-1) for a, b in pairs]
