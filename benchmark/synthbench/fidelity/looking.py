"""One pass over the images of a set: what every figure needs of them, and then they are let go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from synthbench.describe import PREFERRED, full_config
from synthbench.errors import ConfigError, PluginError
from synthbench.fidelity.reading import Pictures
from synthbench.metrics.realism import MEASURES, measure_masks
from synthbench.metrics.similarity import SIDE, thumbnail
from synthbench.plugin.api import Context
from synthbench.plugin.registry import registry
from synthbench.plugin.variants import variant_of


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


@dataclass(eq=False)
class Seen:
    """What is kept of the images of a set, in their order.

    Attributes
    ----------
    names : list of str
    features : ndarray
        ``(n, dimension)``.
    small : list of ndarray
        Thumbnails, ``(SIDE * SIDE,)`` float32.
    measures : list of dict
        What `measure_masks` says of each label map; empty where masks are missing, or hold classes.
    forms : list of str
        ``"uint8 grey"`` and the like.
    areas : list of int
        Pixels.
    """

    names: list[str] = field(default_factory=list)
    features: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    small: list[np.ndarray] = field(default_factory=list)
    measures: list[dict[str, np.ndarray]] = field(default_factory=list)
    forms: list[str] = field(default_factory=list)
    areas: list[int] = field(default_factory=list)

    def take(self, positions: Sequence[int]) -> Seen:
        """Return some of them."""
        return Seen(
            names=[self.names[i] for i in positions],
            features=self.features[list(positions)],
            small=[self.small[i] for i in positions],
            measures=[self.measures[i] for i in positions] if self.measures else [],
            forms=[self.forms[i] for i in positions],
            areas=[self.areas[i] for i in positions],
        )

    @property
    def thumbnails(self) -> np.ndarray:
        """``(n, SIDE, SIDE)`` float32."""
        return np.stack(self.small).reshape(-1, SIDE, SIDE)

    @property
    def masks(self) -> dict[str, np.ndarray] | None:
        """What the masks of all images together measure; None where there are none."""
        if not self.measures:
            return None
        return {name: np.concatenate([one[name] for one in self.measures]) for name in MEASURES}


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
            eye = Eye(encoder, candidate, variant_of(encoder), str(encoder.fingerprint()))
            encoder.prepare(context)
            return eye
    raise PluginError(f"no encoder can run; there are: {', '.join(registry().names('encoder'))}")


def look(pictures: Pictures, positions: Sequence[int], eye: Eye, report: Callable[[int], None]) -> Seen:
    """Read the images at these positions once.

    Parameters
    ----------
    pictures, positions, eye
    report
        Called with the number of images read.

    Raises
    ------
    DataError
        If an image can't be used.
    PluginError
        If the encoder refuses, or gives something else than a row of finite features per image.
    """
    seen = Seen()

    def images() -> Iterator[np.ndarray]:
        for done, position in enumerate(positions, 1):
            image, labels = pictures.read(position)
            seen.names.append(pictures.names[position])
            seen.small.append(thumbnail(image))
            seen.forms.append(f"{image.dtype} {'grey' if image.ndim == 2 else 'RGB'}")
            seen.areas.append(image.shape[0] * image.shape[1])
            if labels is not None and pictures.masks == "instances":
                seen.measures.append(measure_masks([labels]))
            yield image
            report(done)

    try:
        features = np.asarray(eye.encoder.encode(images()))
    except ValueError as error:
        raise PluginError(f"encoder {eye.name!r}: {error}") from None
    if features.ndim != 2 or len(features) != len(positions) or not np.isfinite(features).all():
        raise PluginError(
            f"encoder {eye.name!r}: features of shape {features.shape} for {len(positions)} images, or not finite"
        )
    seen.features = features
    return seen
