"""One pass over the images of a set: what every figure needs of them, and then they are let go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from synthbench.errors import ConfigError, DataError, PluginError, SynthbenchError, join_problems
from synthbench.folders.fidelity.reading import Pictures
from synthbench.metrics.comparison import Seen
from synthbench.plugin.api import Context
from synthbench.plugin.registry import registry
from synthbench.plugin.variants import variant_of
from synthbench.study.provenance.encoders import PREFERRED
from synthbench.study.provenance.plugin_settings import full_config, own_fingerprint


@dataclass(frozen=True)
class Eye:
    """An encoder that is ready, and what it is.

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
class Look:
    """What one pass over the images of a set leaves.

    Attributes
    ----------
    seen : Seen
    forms : list of str
        ``"uint8 grey"`` and the like.
    areas : list of int
        Pixels.
    """

    seen: Seen = field(default_factory=Seen)
    forms: list[str] = field(default_factory=list)
    areas: list[int] = field(default_factory=list)


def open_eye(name: str | None, config: Mapping[str, Any], context: Context) -> Eye:
    """Return the encoder of this name, or the first of `PREFERRED` that can run here.

    Raises
    ------
    PluginError, ConfigError
        If it can't run, with what would make it.
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
            said = own_fingerprint(cls, built, f"encoder {candidate!r}")
            eye = Eye(encoder, candidate, variant_of(encoder), said)
            encoder.prepare(context)
            return eye
    raise PluginError(f"no encoder can run; there are: {', '.join(registry().names('encoder'))}")


def look(pictures: Pictures, positions: Sequence[int], eye: Eye, report: Callable[[int], None]) -> Look:
    """Read the images at these positions once.

    Parameters
    ----------
    pictures, positions, eye
    report
        Called with the number of images read.

    Raises
    ------
    DataError
        If images can't be used: all are told at once.
    PluginError
        If the encoder refuses, or gives something else than a row of finite features per image.
    """
    found = Look()

    def images() -> Iterator[np.ndarray]:
        problems: list[str] = []
        for done, position in enumerate(positions, 1):
            try:
                image, labels, ignore = pictures.read(position)
            except DataError as error:
                problems.append(str(error))
                continue
            origin = pictures.origins[position] if pictures.origins else ""
            found.seen.add(pictures.names[position], image, labels, ignore, task=pictures.masks, origin=origin)
            found.forms.append(f"{image.dtype} {'grey' if image.ndim == 2 else 'RGB'}")
            found.areas.append(image.shape[0] * image.shape[1])
            yield image
            report(done)
        if problems:
            raise DataError(join_problems(problems, pictures.path))

    try:
        features = np.asarray(eye.encoder.encode(images()))
    except SynthbenchError:
        raise
    except ValueError as error:
        raise PluginError(f"encoder {eye.name!r}: {error}") from None
    if features.ndim != 2 or len(features) != len(positions) or not np.isfinite(features).all():
        raise PluginError(
            f"encoder {eye.name!r}: features of shape {features.shape} for {len(positions)} images, or not finite"
        )
    found.seen.features = features
    return found
