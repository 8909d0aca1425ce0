"""Small cycles and short trainings of cGAN-Seg."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from helpers.trainings import SmallGenerator
from synthbench import Budget, SampleSet
from synthbench.toolkit.generators.mask_to_image import ConditionedBatch
from synthbench.toolkit.intensity.conditioning import IntensityConditioning
from synthbench.toolkit.masks.codec import ImageMaskCodec
from synthbench_cganseg.config import CGanSegConfig
from synthbench_cganseg.cycle import Cycle
from synthbench_cganseg.generator import CGanSeg

SMALL = {
    "gen_filters": 4,
    "image_gan_weight": 1.0,
    "mask_gan_weight": 1.0,
    "mask_cycle_weight": 100.0,
    "gen_depth": 3,
    "seg_filters": 4,
    "ndf": 4,
    "attention_heads": 2,
    "attention_dim_head": 4,
    "perceptual": "off",
}


@pytest.fixture(scope="session")
def fitted() -> SmallGenerator[CGanSeg]:
    """Return what fits a small generator, for three steps by default."""
    return SmallGenerator(CGanSeg, SMALL, steps=3)


@pytest.fixture(scope="session")
def cycle() -> Callable[..., tuple[Cycle, ConditionedBatch]]:
    """Return what makes an untrained cycle, and a batch of two samples."""

    def build(train: SampleSet, **config: object) -> tuple[Cycle, ConditionedBatch]:
        torch.manual_seed(0)
        generator = CGanSeg(CGanSegConfig(**{**SMALL, "intensity_conditioning": True, **config}))
        generator.config = generator.config.resolve(Budget(1, 2, 32))
        generator.codec = ImageMaskCodec.of(train, "distance", 1)
        generator.conditioning = IntensityConditioning.of(train, generator.codec)
        generator.device = torch.device("cpu")
        generator.build_networks()
        image, planes = (
            torch.from_numpy(np.stack(part))
            for part in zip(*(generator.encode(train[k], k) for k in range(2)), strict=True)
        )
        return generator.cycle(torch.Generator().manual_seed(0)), generator.batch(image, planes)

    return build
