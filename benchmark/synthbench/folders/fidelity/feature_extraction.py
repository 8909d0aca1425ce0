"""The features of one set of images: an encoder that is ready to run, and one pass over the set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from synthbench.errors import DataError, PluginError, SynthbenchError, join_problems
from synthbench.folders.fidelity.reading import Pictures
from synthbench.metrics.feature_set import FeatureSet, ImageToEncode, extract_features
from synthbench.plugin.api import Context, Encoder
from synthbench.plugin.variants import variant_of
from synthbench.samples import channel_count, check_channels, kind_of_image
from synthbench.study.provenance.encoders import pick_encoder

__all__ = ["ExtractedSet", "LoadedEncoder", "extract_set", "load_encoder"]


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder that is ready to run, and its identity.

    Attributes
    ----------
    encoder : Encoder
    name, variant, fingerprint : str
    """

    encoder: Encoder[Any]
    name: str
    variant: str
    fingerprint: str


@dataclass(frozen=True, eq=False)
class ExtractedSet:
    """The result of one pass over the images of a set.

    Attributes
    ----------
    features : FeatureSet
    pixel_formats : list of str
        One per image, such as ``"uint8 grey"``.
    areas : list of int
        Pixels of each image.
    channels : dict
        Number of channels → name of the first image that has so many.
    """

    features: FeatureSet
    pixel_formats: list[str]
    areas: list[int]
    channels: dict[int, str]


def load_encoder(name: str | None, config: Mapping[str, Any], context: Context) -> LoadedEncoder:
    """Prepare the encoder of this name, or without a name the preferred one.

    Raises
    ------
    PluginError, ConfigError
        If it can't run; the message says what it needs.
    """
    picked = pick_encoder(name, config)
    encoder = picked.cls(picked.config)
    loaded = LoadedEncoder(encoder, picked.name, variant_of(encoder), picked.fingerprint)
    encoder.prepare(context)
    return loaded


def extract_set(pictures: Pictures, encoder: LoadedEncoder, progress: Callable[[int, int, str], None]) -> ExtractedSet:
    """Read the images of a folder once.

    Parameters
    ----------
    pictures, encoder
    progress
        Called after each image with its number, the number of images, and an empty note.

    Raises
    ------
    DataError
        If images can't be used; the message lists all of them.
    PluginError
        If the encoder fails, or doesn't return one row of finite features per image.
    """
    pixel_formats: list[str] = []
    areas: list[int] = []
    channels: dict[int, str] = {}

    def images() -> Iterator[ImageToEncode]:
        problems: list[str] = []
        for position in range(len(pictures)):
            try:
                image, labels, ignore = pictures.read(position)
            except DataError as error:
                problems.append(str(error))
                continue
            if channel_count(image) not in channels:
                channels[channel_count(image)] = pictures.names[position]
                check_channels(((name, count) for count, name in channels.items()), str(pictures.path))
            pixel_formats.append(f"{image.dtype} {kind_of_image(channel_count(image))}")
            areas.append(image.shape[0] * image.shape[1])
            origin = pictures.origins[position] if pictures.origins else ""
            yield ImageToEncode(pictures.names[position], image, labels, ignore, pictures.masks, origin)
        if problems:
            raise DataError(join_problems(problems, pictures.path))

    try:
        features = extract_features(encoder.encoder.encode, images(), len(pictures), progress)
    except SynthbenchError:
        raise
    except ValueError as error:
        raise PluginError(f"encoder {encoder.name!r}: {error}") from None
    return ExtractedSet(features, pixel_formats, areas, channels)
