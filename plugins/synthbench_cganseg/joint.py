"""Joint training: the generator beside a segmenter of the study, which takes the place of the cycle's own.

As in the published training, a drawn image reaches the segmenter with its gradient, and the segmenter's prediction of a
real image is drawn again. That prediction is a label map, through which no gradient flows (the published code takes an
argmax), so a discriminator of masks would teach nobody anything, and there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from synthbench import SampleSet, TrainingPartner
from synthbench.errors import ConfigError
from synthbench.toolkit.generators.mask_to_image import ConditionedBatch, ConditionedBatches
from synthbench.toolkit.generators.segmenter_scaling import SegmenterScaling
from synthbench.toolkit.masks.codec import ImageMaskCodec
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.checkpoints import State
from synthbench.toolkit.training.loop import autocast
from synthbench.types import LabelMap
from synthbench_cganseg.drawing import Drawing
from synthbench_cganseg.losses import lsgan
from synthbench_cganseg.optimisers import Optimisers

__all__ = ["JointPartner"]


class JointPartner(TrainingPartner):
    """The generator of cGAN-Seg in training beside a segmenter.

    Parameters
    ----------
    drawing
        The generator's network, with a discriminator of images.
    codec
        Of the training set; it encodes the masks that a segmenter predicts.
    batches
        The segmenter's real patches, as the generator sees them.
    train
    """

    def __init__(self, drawing: Drawing, codec: ImageMaskCodec, batches: ConditionedBatches, train: SampleSet) -> None:
        self.drawing, self.codec, self.batches = drawing, codec, batches
        self.optimisers = Optimisers(drawing, len(batches))
        self.scaling = SegmenterScaling(train, codec, drawing.random.device)
        drawing.discriminators.train()
        config = drawing.config
        if not config.mask_identity_weight:
            raise ConfigError(
                "mask_identity_weight is 0, but a joint training learns from real images; give more than 0"
            )
        self.drawn_weight = resolved(config.mask_cycle_weight) / config.mask_identity_weight

    @property
    def state(self) -> Mapping[str, State]:
        return {
            "partner.generator": self.drawing.generator,
            "partner.discriminators": self.drawing.discriminators,
            "partner.noise": self.drawing.random,
            "partner.opt_g": self.optimisers.g,
            "partner.opt_d": self.optimisers.d,
        }

    def draw(self, step: int, predictions: Callable[[], Sequence[LabelMap]]) -> torch.Tensor:
        self.batch = batch = self.batches[step]
        self.optimisers.set_rates(step)
        self.optimisers.g.zero_grad(set_to_none=True)
        with autocast(batch.image.device):
            generated = self.drawing.image_of(batch.mask, batch.intensities)
            self.drawn = generated + self.drawing.pixel_noise_and_texture(batch)
            self.terms = self._image_terms(batch, generated, predictions)
        images = self.scaling(self.drawn, self.batches.slots(step))
        # The segmenter weighs its loss on these images by drawn_weight; the generator weighs it by mask_cycle_weight.
        images.register_hook(lambda gradient: gradient * self.drawing.config.mask_identity_weight)
        return images

    def losses(self) -> Mapping[str, torch.Tensor]:
        return self.terms

    def update(self) -> Mapping[str, torch.Tensor]:
        self.optimisers.g.step()
        self.drawing.discriminators.requires_grad_(True)
        loss = self.drawing.discriminator_loss({"image": self.batch.image}, {"image": self.drawn})
        self.optimisers.d.zero_grad(set_to_none=True)
        loss.backward()
        self.optimisers.d.step()
        return {"discriminator": loss.detach()}

    def _image_terms(
        self, batch: ConditionedBatch, generated: torch.Tensor, predictions: Callable[[], Sequence[LabelMap]]
    ) -> dict[str, torch.Tensor]:
        """Return the weighted losses of the generator that aren't the segmenter's."""
        drawing, config = self.drawing, self.drawing.config
        self.drawing.discriminators.requires_grad_(False)
        planes = np.stack([self.codec.encode_mask(labels) for labels in predictions()])
        image_back = drawing.image_of(torch.from_numpy(planes).to(batch.mask), batch.intensities)
        features = [] if drawing.perceptual is None else drawing.perceptual.features_of(batch.image)
        terms = {
            "image_gan": lsgan(drawing.discriminate("image", self.drawn), real=True),
            "image_cycle": drawing.image_loss(image_back, batch.image, features),
            "image_identity": drawing.image_loss(generated, batch.image, features),
        }
        return {name: resolved(getattr(config, f"{name}_weight")) * term for name, term in terms.items()}
