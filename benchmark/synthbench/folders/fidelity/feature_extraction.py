"""One pass over the images of a set: everything the comparison needs of them; the images themselves aren't kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from synthbench.errors import ConfigError, DataError, PluginError, SynthbenchError, join_problems
from synthbench.folders.fidelity.reading import Pictures
from synthbench.metrics.feature_set import FeatureSet
from synthbench.plugin.api import Context
from synthbench.plugin.registry import registry
from synthbench.plugin.variants import variant_of
from synthbench.study.provenance.encoders import PREFERRED
from synthbench.study.provenance.plugin_settings import full_config, own_fingerprint
from synthbench.types import AnyArray

__all__ = ["ExtractedSet", "LoadedEncoder", "extract_features", "load_encoder"]


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder that is ready to run, and its identity.

    Attributes
    ----------
    encoder : Encoder
    name, variant, fingerprint : str
    """

    encoder: Any
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
    """

    features: FeatureSet = field(default_factory=FeatureSet)
    pixel_formats: list[str] = field(default_factory=list)
    areas: list[int] = field(default_factory=list)


def load_encoder(name: str | None, config: Mapping[str, Any], context: Context) -> LoadedEncoder:
    """Return the encoder of this name, or the first of `PREFERRED` that can run here.

    Raises
    ------
    PluginError, ConfigError
        If it can't run; the message says what it needs.
    """
    for candidate in [name] if name else PREFERRED:
        if not name and ("encoder", candidate) not in registry().entries:
            continue
        cls: Any = registry().load("encoder", candidate)
        built = cls.Config.model_validate(full_config(cls, config if name else {}, f"encoder {candidate!r}"))
        reason = cls.unavailable(built)
        if reason and name:
            raise ConfigError(f"encoder {name!r} can't run: {reason}")
        if not reason:
            encoder = cls(built)
            fingerprint = own_fingerprint(cls, built, f"encoder {candidate!r}")
            loaded = LoadedEncoder(encoder, candidate, variant_of(encoder), fingerprint)
            encoder.prepare(context)
            return loaded
    raise PluginError(f"no encoder can run; installed: {', '.join(registry().names('encoder'))}")


def extract_features(
    pictures: Pictures, positions: Sequence[int], encoder: LoadedEncoder, report: Callable[[int], None]
) -> ExtractedSet:
    """Read the images at these positions once.

    Parameters
    ----------
    pictures, positions, encoder
    report
        Called with the number of images read so far.

    Raises
    ------
    DataError
        If images can't be used; the message lists all of them.
    PluginError
        If the encoder fails, or doesn't return one row of finite features per image.
    """
    extracted = ExtractedSet()

    def images() -> Iterator[AnyArray]:
        problems: list[str] = []
        for done, position in enumerate(positions, 1):
            try:
                image, labels, ignore = pictures.read(position)
            except DataError as error:
                problems.append(str(error))
                continue
            origin = pictures.origins[position] if pictures.origins else ""
            name = pictures.names[position]
            extracted.features.add(name, image, labels, ignore, task=pictures.masks, origin=origin)
            extracted.pixel_formats.append(f"{image.dtype} {'grey' if image.ndim == 2 else 'RGB'}")
            extracted.areas.append(image.shape[0] * image.shape[1])
            yield image
            report(done)
        if problems:
            raise DataError(join_problems(problems, pictures.path))

    try:
        features = np.asarray(encoder.encoder.encode(images()))
    except SynthbenchError:
        raise
    except ValueError as error:
        raise PluginError(f"encoder {encoder.name!r}: {error}") from None
    if features.ndim != 2 or len(features) != len(positions) or not np.isfinite(features).all():
        raise PluginError(
            f"encoder {encoder.name!r}: features of shape {features.shape} for {len(positions)} images, or not finite"
        )
    extracted.features.features = features
    return extracted
