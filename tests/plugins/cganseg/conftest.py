"""Small cycles and short trainings of cGAN-Seg."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from synthbench import Budget, Context, SampleSet
from synthbench.toolkit.intensity.conditioning import IntensityConditioning
from synthbench.toolkit.masks.codec import ImageMaskCodec
from synthbench_cganseg.config import CGanSegConfig
from synthbench_cganseg.cycle import Cycle
from synthbench_cganseg.generator import CGanSeg

SMALL = {
    "filters": 4,
    "image_gan": 1.0,
    "mask_gan": 1.0,
    "mask_cycle": 100.0,
    "depth": 3,
    "segmenter_filters": 4,
    "discriminator_filters": 4,
    "heads": 2,
    "head_width": 4,
    "perceptual": "off",
}


@pytest.fixture(scope="session")
def fitted() -> Callable[..., CGanSeg]:
    """Return what fits a small generator, for three steps unless told otherwise."""

    def fit(
        train: SampleSet, *, steps: int = 3, patch: int = 32, batch: int = 2, context: dict | None = None, **config
    ):
        generator = CGanSeg(CGanSegConfig(**{**SMALL, **config}))
        generator.fit(train, Context(seed=1, budget=Budget(steps, batch, patch), **(context or {})))
        return generator

    return fit


@pytest.fixture(scope="session")
def cycle() -> Callable[..., tuple[Cycle, *tuple[torch.Tensor, ...]]]:
    """Return what makes an untrained cycle, and image, mask, told planes and noise of two samples."""

    def build(train: SampleSet, **config: object) -> tuple[Cycle, *tuple[torch.Tensor, ...]]:
        torch.manual_seed(0)
        generator = CGanSeg(CGanSegConfig(**{**SMALL, **config}))
        generator.codec = ImageMaskCodec.of(train, "distance", 1)
        generator.intensity = IntensityConditioning.of(train, generator.codec)
        generator.device = torch.device("cpu")
        generator.network = generator._build()
        pairs = [generator._encode(train[k], k) for k in range(2)]
        image, planes = (torch.from_numpy(np.stack(part)) for part in zip(*pairs, strict=True))
        return generator._cycle(torch.Generator().manual_seed(0)), image, *generator._parts(planes)

    return build
