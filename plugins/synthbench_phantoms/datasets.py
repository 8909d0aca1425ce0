"""The phantoms as datasets: drawn from a seed, never stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from pydantic import Field

import synthbench
from synthbench import Context, Dataset, Sample
from synthbench_phantoms import filaments, grains, nuclei, phase

_TAG = 0x5EED


class PhantomConfig(synthbench.Config):
    """How many pictures, how large, from which seed.

    Sample i is a function of ``(seed, i, size)`` alone. Test samples come first, then validation, then training:
    growing the training set changes neither of the others.
    """

    train: int = Field(24, ge=0, description="training images")
    validation: int = Field(8, ge=0, description="validation images")
    test: int = Field(16, ge=0, description="test images")
    size: int = Field(192, ge=32, le=4096, description="side of a square image, in pixels")
    seed: int = Field(0, ge=0, description="of the drawing")


class _Phantom(Dataset[PhantomConfig]):
    """Two kinds of pictures in turn, told apart by a group."""

    Config = PhantomConfig
    source = "drawn by synthbench"
    licence = "CC0-1.0"
    citation = "synthbench"
    tag: ClassVar[int]
    group: ClassVar[str]
    kinds: ClassVar[tuple[str, str]]

    def samples(self, context: Context) -> Iterator[Sample]:
        """Yield the samples, half of each kind, in every split."""
        config = self.config
        splits = ["test"] * config.test + ["validation"] * config.validation + ["train"] * config.train
        for index, split in enumerate(splits):
            kind = index % 2
            rng = np.random.default_rng((config.seed, _TAG, self.tag, index))
            image, labels = self.picture(rng, config.size, bool(kind))
            yield Sample(f"{index:05d}", image, labels, {"split": split, self.group: self.kinds[kind]})
            context.progress(index + 1, len(splits), "drawn")

    @staticmethod
    def picture(rng: np.random.Generator, size: int, second: bool) -> tuple[np.ndarray, np.ndarray]:
        """Draw an image and its labels; `second` chooses the kind."""
        raise NotImplementedError


class PhantomNuclei(_Phantom):
    """Fluorescent nuclei; group ``density``: sparse or crowded."""

    tag, group, kinds = 1, "density", ("sparse", "crowded")
    picture = staticmethod(nuclei.draw)


class PhantomPhase(_Phantom):
    """Cells under phase contrast; group ``shape``: spread or stretched."""

    tag, group, kinds = 2, "shape", ("spread", "stretched")
    picture = staticmethod(phase.draw)


class PhantomFilaments(_Phantom):
    """Fluorescent filaments, semantic; group ``density``: sparse or dense."""

    tag, group, kinds = 3, "density", ("sparse", "dense")
    classes = filaments.CLASSES
    picture = staticmethod(filaments.draw)


class PhantomGrains(_Phantom):
    """A two-phase alloy with pores, semantic; group ``grain``: fine or coarse."""

    tag, group, kinds = 4, "grain", ("fine", "coarse")
    classes = grains.CLASSES
    picture = staticmethod(grains.draw)
