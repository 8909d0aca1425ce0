"""The two networks of CycleGAN, their discriminators, and the terms that they minimise."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from synthbench.toolkit.generators.mask_to_image import ConditionedBatch
from synthbench.toolkit.training.adversarial import lsgan
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench_cyclegan.config import CycleGanConfig

__all__ = ["Cycle", "as_planes"]


class Cycle:
    """Both directions of the cycle; a mask is domain A of the published code, and an image is domain B.

    Parameters
    ----------
    to_image, to_mask
        Networks mask and noise → image, and image → mask.
    discriminators
        Of ``image`` and ``mask``.
    config
        Resolved.
    random
        Draws noise, on the device of the networks.
    """

    def __init__(
        self,
        to_image: nn.Module,
        to_mask: nn.Module,
        discriminators: nn.ModuleDict,
        config: CycleGanConfig,
        random: torch.Generator,
    ) -> None:
        self.to_image = to_image
        self.to_mask = to_mask
        self.discriminators = discriminators
        self.config = config
        self.random = random

    def terms(self, batch: ConditionedBatch) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Return the terms of both networks by name, unweighted, and the fake ``image`` and ``mask``.

        A fake image has pixel noise before it becomes a mask again, which also drowns what the network might hide in
        it (Chu et al. 2017, arXiv 1712.02950).
        """
        image, mask = batch.image, batch.mask
        generated = self.draw(mask)
        noise = torch.randn(generated.shape, generator=self.random, device=image.device)
        fake_image = (generated + batch.pixel_noise * noise).clamp(-1, 1)
        fake_mask = self.to_mask(image).float()
        terms = {
            "image_gan": lsgan(self.logits("image", fake_image), real=True),
            "mask_gan": lsgan(self.logits("mask", fake_mask), real=True),
            "mask_cycle": functional.l1_loss(self.to_mask(fake_image).float(), mask),
            "image_cycle": functional.l1_loss(self.draw(fake_mask), image),
        }
        if self.config.lambda_identity:
            same_image = self.draw(as_planes(image, mask.shape[1]))
            same_mask = self.to_mask(as_planes(mask, image.shape[1])).float()
            terms["image_identity"] = functional.l1_loss(same_image, image)
            terms["mask_identity"] = functional.l1_loss(same_mask, mask)
        return terms, {"image": fake_image, "mask": fake_mask}

    def weighted(self, terms: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the weighted sum of the terms of both networks."""
        config = self.config
        weights = {
            "mask_cycle": config.lambda_a,
            "image_cycle": config.lambda_b,
            "image_identity": config.lambda_b * config.lambda_identity,
            "mask_identity": config.lambda_a * config.lambda_identity,
        }
        return torch.stack([weights.get(name, 1.0) * term for name, term in terms.items()]).sum()

    def discriminator_loss(self, real: dict[str, torch.Tensor], fake: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the sum of both discriminators' losses on real and fake ``image`` and ``mask``, halved."""
        losses = [
            lsgan(self.logits(name, planes), real=is_real)
            for domain, is_real in ((real, True), (fake, False))
            for name, planes in domain.items()
        ]
        return torch.stack(losses).sum() / 2

    def draw(self, mask: torch.Tensor) -> torch.Tensor:
        """Return images of masks, with new noise; ``(B, image_planes, H, W)`` float32, −1 … 1."""
        shape = (len(mask), resolved(self.config.noise_planes), *mask.shape[2:])
        noise = torch.randn(shape, generator=self.random, device=mask.device)
        image: torch.Tensor = self.to_image(torch.cat([mask, noise], dim=1))
        return image.float()

    def logits(self, name: str, planes: torch.Tensor) -> torch.Tensor:
        """Return a discriminator's logits of images or masks."""
        logits: torch.Tensor = self.discriminators[name](planes)[-1]
        return logits


def as_planes(planes: torch.Tensor, count: int) -> torch.Tensor:
    """Return ``(B, C, H, W)`` with `count` planes: as it is, or the mean of its planes, repeated."""
    return planes if planes.shape[1] == count else planes.mean(dim=1, keepdim=True).expand(-1, count, -1, -1)
