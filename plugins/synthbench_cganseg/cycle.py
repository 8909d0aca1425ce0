"""The cycle: both directions, their terms, and one step of training.

Real mask → image → mask, and real image → mask → image. The published code takes the most likely class of each pixel
before the mask is judged or drawn to, and there the segmenter's gradient ends. Here it goes on: the mask that is handed
over is soft, or hard with the gradient of the soft one.

Of instances, what comes back from a drawn image is compared by its foreground without inner borders alone (this
project's choice), so that nothing rewards a generator that paints the distance into the objects.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from synthbench.toolkit.intensity.conditioning import conditioning_planes
from synthbench.toolkit.intensity.texture import random_texture
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.augmentation import diff_augment
from synthbench_cganseg.config import CGanSegConfig
from synthbench_cganseg.losses import absolute, cross_entropy, dice, judged, verdict
from synthbench_cganseg.networks import Segmenter, StyleUNet, mixed_noise
from synthbench_cganseg.perceptual import Perceptual

DISCRIMINATORS = ("image", "mask")

MAPPING_RATE = 0.1
"""Learning rate of the mapping network, against the others'."""


class Cycle:
    """Both generators, both discriminators, and what they minimise.

    Parameters
    ----------
    draws, segments
        Mask → image, image → mask.
    judges
        By name, see `DISCRIMINATORS`.
    perceptual
        Or None, for the absolute difference alone.
    config
    semantic
        Whether a mask has one class per pixel, or a distance and a foreground.
    object_planes
        How many of the told planes are the light of single objects.
    random
        On the device of the networks.
    """

    def __init__(
        self,
        draws: StyleUNet,
        segments: Segmenter,
        judges: nn.ModuleDict,
        perceptual: Perceptual | None,
        config: CGanSegConfig,
        *,
        semantic: bool,
        object_planes: int,
        random: torch.Generator,
    ) -> None:
        self.draws = draws
        self.segments = segments
        self.judges = judges
        self.perceptual = perceptual
        self.config = config
        self.semantic = semantic
        self.object_planes = object_planes
        self.random = random

    def terms(
        self, image: torch.Tensor, mask: torch.Tensor, told: torch.Tensor, noise: torch.Tensor
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Return the generators' terms by name, unweighted, and the image and the mask that discriminators see.

        Parameters
        ----------
        image
            ``(B, C, H, W)``, −1 … 1.
        mask
            ``(B, K, H, W)``, −1 … 1, of these images.
        told
            ``(B, N, H, W)``, what the generator is told of their light; N may be 0.
        noise
            ``(B, C + M, H, W)``, how strong their pixel noise is, 0 for none, and their texture; M may be 0.
        """
        with loop.autocast(image.device):
            drawn = self.image_of(mask, told)
            noisy = drawn + self._noise(noise)
            logits = self.segments(image)
            found = self.mask_of(logits)
            back = self.segments(noisy)
            again = self.image_of(found, told)
            seen = [] if self.perceptual is None else self.perceptual.seen(image)
            terms = {
                "image_gan": verdict(self._logits("image", noisy), real=True),
                "mask_gan": verdict(self._logits("mask", found), real=True),
                "image_cycle": self._images(again, image, seen),
                "image_pair": self._images(drawn, image, seen),
                "mask_cycle": self._masks(back[:, self._visible], mask[:, self._visible]),
                "mask_pair": self._masks(logits, mask),
            }
        return terms, {"image": noisy, "mask": found}

    def _noise(self, strength: torch.Tensor) -> torch.Tensor:
        """Return the noise and the texture that drawn images get, ``(B, C, H, W)``; see `terms`."""
        channels = self.draws.to_image.out_channels
        grain, texture = strength[:, :channels], strength[:, channels:]
        noise = grain * torch.randn(grain.shape, generator=self.random, device=grain.device)
        return noise + random_texture(texture, self.random) if texture.shape[1] else noise

    def weighted(self, terms: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the weighted sum of the generators' terms."""
        return torch.stack([getattr(self.config, name) * term for name, term in terms.items()]).sum()

    def judging(self, real: dict[str, torch.Tensor], fake: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the discriminators' loss of real and drawn images and masks, by the names of `DISCRIMINATORS`."""
        with loop.autocast(real["image"].device):
            return torch.stack(
                [judged(self._logits(name, real[name]), self._logits(name, fake[name].detach())) for name in real]
            ).sum()

    def _logits(self, name: str, planes: torch.Tensor) -> torch.Tensor:
        """Return a discriminator's verdict on planes that the differentiable augmentation has changed."""
        channels = planes.shape[1] if name == "image" else 0
        logits: torch.Tensor = self.judges[name](
            diff_augment(planes, channels, p=self.config.augment, random=self.random)
        )
        return logits

    def image_of(self, mask: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        """Draw images to masks, in the light that is told, each in a random style."""
        noise = mixed_noise(len(mask), self.draws.convolutions, self.config.mixing, self.random)
        image: torch.Tensor = self.draws(conditioning_planes(mask, told, self.object_planes), noise, self.random)
        return image

    def mask_of(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the mask of a segmenter's logits, ``(B, K, H, W)`` in −1 … 1, with a gradient.

        Handed over straight through, classes and foreground are hard, as in real masks; a distance is as it is.
        """
        soft = logits.float().softmax(dim=1) if self.semantic else logits.float().sigmoid()
        if self.config.handover == "straight-through":
            hard = soft.detach().clone()
            if self.semantic:
                hard = functional.one_hot(hard.argmax(dim=1), hard.shape[1]).movedim(-1, 1).to(soft)
            else:
                hard[:, 1] = (hard[:, 1] >= 0.5).to(hard)
            soft = soft + (hard - soft).detach()
        return 2 * soft - 1

    def step(
        self,
        image: torch.Tensor,
        mask: torch.Tensor,
        told: torch.Tensor,
        noise: torch.Tensor,
        of_generators: torch.optim.Optimizer,
        of_judges: torch.optim.Optimizer,
    ) -> dict[str, torch.Tensor]:
        """Take one step of both generators and of both discriminators; return the terms by name."""
        self.judges.requires_grad_(False)
        terms, fake = self.terms(image, mask, told, noise)
        of_generators.zero_grad(set_to_none=True)
        self.weighted(terms).backward()
        of_generators.step()
        self.judges.requires_grad_(True)
        judging = self.judging({"image": image, "mask": mask}, fake)
        of_judges.zero_grad(set_to_none=True)
        judging.backward()
        of_judges.step()
        return {**terms, "judges": judging}

    def _images(self, drawn: torch.Tensor, real: torch.Tensor, seen: list[torch.Tensor]) -> torch.Tensor:
        """Half the absolute difference, and that of the features."""
        term = absolute(drawn, real)
        return term if self.perceptual is None else term + self.perceptual(drawn, seen)

    @property
    def _visible(self) -> slice:
        """The planes of a mask that an image shows."""
        return slice(None) if self.semantic else slice(1, None)

    def _masks(self, logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Cross-entropy and Dice."""
        logits, target = logits.float(), (mask + 1) / 2
        shares = logits.softmax(dim=1) if self.semantic else logits.sigmoid()
        return cross_entropy(logits, target, semantic=self.semantic) + dice(shares, target)


def optimisers(cycle: Cycle) -> tuple[torch.optim.Adam, torch.optim.Adam]:
    """Return Adam for the generators and for the discriminators; a group's ``share`` is that of the learning rate."""
    mapping = [] if cycle.draws.mapping is None else list(cycle.draws.mapping.parameters())
    slow = {id(parameter) for parameter in mapping}
    both = [*cycle.draws.parameters(), *cycle.segments.parameters()]
    groups = [{"params": [p for p in both if id(p) not in slow], "share": 1.0}]
    if mapping:
        groups.append({"params": mapping, "share": MAPPING_RATE})
    judges = [{"params": list(cycle.judges.parameters()), "share": cycle.config.judges_rate}]
    betas = (cycle.config.momentum, 0.999)
    return torch.optim.Adam(groups, betas=betas), torch.optim.Adam(judges, betas=betas)
