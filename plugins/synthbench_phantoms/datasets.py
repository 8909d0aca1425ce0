"""Procedural datasets: micrographs that are generated from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from pydantic import Field

import synthbench
from synthbench import Context, Dataset, Sample
from synthbench.toolkit.rng import stream
from synthbench.types import Image, LabelMap
from synthbench_phantoms import filaments, grains, nuclei, phase


class PhantomConfig(synthbench.Config):
    """How many images are generated, their size, and the seed.

    Sample i depends on ``(seed, i, size)`` alone. Test samples come first, then validation, then training samples, so a
    larger training set doesn't change the others.
    """

    train: int = Field(24, ge=0, description="number of training images")
    validation: int = Field(8, ge=0, description="number of validation images")
    test: int = Field(16, ge=0, description="number of test images")
    size: int = Field(192, ge=32, le=4096, description="side of a square image, in pixels")
    seed: int = Field(0, ge=0, description="seed of the images")


class _Phantom(Dataset[PhantomConfig]):
    """Two kinds of images in turn, which a group distinguishes."""

    Config = PhantomConfig
    source = "drawn by synthbench"
    licence = "CC0-1.0"
    citation = "synthbench"
    random_stream: ClassVar[str]
    group: ClassVar[str]
    kinds: ClassVar[tuple[str, str]]

    def samples(self, context: Context) -> Iterator[Sample]:
        """Yield the samples; every split has both kinds in turn."""
        config = self.config
        splits = ["test"] * config.test + ["validation"] * config.validation + ["train"] * config.train
        for index, split in enumerate(splits):
            kind = index % 2
            rng = stream(config.seed, self.random_stream, index)
            image, labels = self.render(rng, config.size, bool(kind))
            yield Sample(f"{index:05d}", image, labels, {"split": split, self.group: self.kinds[kind]})
            context.progress(index + 1, len(splits), "generated")

    @staticmethod
    def render(rng: np.random.Generator, size: int, second: bool, /) -> tuple[Image, LabelMap]:
        """Return an image and its label map; `second` selects the kind."""
        raise NotImplementedError


class PhantomNuclei(_Phantom):
    """Fluorescent nuclei; group ``density``: sparse or crowded."""

    random_stream, group, kinds = "phantom-nuclei", "density", ("sparse", "crowded")
    render = staticmethod(nuclei.render)


class PhantomPhase(_Phantom):
    """Cells in phase contrast; group ``shape``: spread or stretched."""

    random_stream, group, kinds = "phantom-phase", "shape", ("spread", "stretched")
    render = staticmethod(phase.render)


class PhantomFilaments(_Phantom):
    """Fluorescent filaments, semantic; group ``density``: sparse or dense."""

    random_stream, group, kinds = "phantom-filaments", "density", ("sparse", "dense")
    classes = filaments.CLASSES
    render = staticmethod(filaments.render)


class PhantomGrains(_Phantom):
    """A two-phase alloy with pores, semantic; group ``grain``: fine or coarse."""

    random_stream, group, kinds = "phantom-grains", "grain", ("fine", "coarse")
    classes = grains.CLASSES
    render = staticmethod(grains.render)
