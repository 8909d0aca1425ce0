"""The training steps of the VQ-VAE and of the PixelCNN, which are trained one after the other."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from monai.networks.nets.vqvae import VQVAE
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

from synthbench.toolkit.training import loop
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.checkpoints import State
from synthbench.toolkit.training.mode_collapse import Diverged
from synthbench.toolkit.training.schedules import averaged_model, one_cycle
from synthbench_vqvae.config import VqVaePixelCnnConfig
from synthbench_vqvae.pixelcnn import PixelCNN

__all__ = ["PixelCnnTraining", "VqVaeTraining", "check_codebook", "encode", "reconstruct", "restart_unused_codes"]

RESTART_INTERVAL = 25
"""Steps between restarts of unused codes."""
_RESTART_FRACTION = 0.6
"""Fraction of the VQ-VAE's steps in which codes are restarted."""
_UNUSED_BELOW = 0.3
"""A code is unused if the moving average of its uses in a batch is smaller."""
_RESTARTED_SIZE = 1.0
"""Uses in a batch that a restarted code begins with."""


class VqVaeTraining:
    """Reconstruction of image and mask from discrete codes (van den Oord et al. 2017, eq. 3).

    Parameters
    ----------
    config
        Resolved.
    vqvae
    batches
    steps
        Number of steps of this network.
    image_planes
        Planes of the image; the others are the mask's.
    classes
        Whether the mask has a plane per class, whose error is the cross-entropy.
    """

    def __init__(
        self,
        config: VqVaePixelCnnConfig,
        vqvae: VQVAE,
        batches: Batches,
        *,
        steps: int,
        image_planes: int,
        classes: bool,
    ) -> None:
        self.config, self.vqvae, self.batches, self.steps = config, vqvae, batches, steps
        self.image_planes, self.classes = image_planes, classes
        self.optimiser, self.schedule = _adam(vqvae, config, steps)

    @property
    def state(self) -> Mapping[str, State]:
        return {"vqvae": self.vqvae, "optimiser": self.optimiser, "schedule": self.schedule}

    def step(self, number: int) -> loop.Losses:
        """Take optimiser step `number`, and return its losses by name."""
        config, codebook = self.config, self.vqvae.quantizer.quantizer
        planes = torch.cat(self.batches[number], dim=1)
        if config.codebook_warmup:
            codebook.decay = min(config.codebook_decay, (1 + number) / (10 + number))
        if config.codebook_restart and number % RESTART_INTERVAL == 0 and number <= _RESTART_FRACTION * self.steps:
            restart_unused_codes(self.vqvae, planes)
        decoded, commitment = reconstruct(self.vqvae, planes)
        image, mask = planes[:, : self.image_planes], planes[:, self.image_planes :]
        losses = {
            "image": F.mse_loss(decoded[:, : self.image_planes], image),
            "mask": config.mask_weight * self.mask_error(decoded[:, self.image_planes :], mask),
            "commitment": commitment,
        }
        _minimise(losses, self.vqvae, self.optimiser, self.schedule)
        return losses

    def mask_error(self, decoded: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the reconstruction error of mask planes, ``(B, mask_planes, H, W)`` each."""
        return F.cross_entropy(decoded, mask.argmax(dim=1)) if self.classes else F.mse_loss(decoded, mask)


class PixelCnnTraining:
    """Prediction of each code from the codes before it; the loss is in nats per code.

    Parameters
    ----------
    config
        Resolved.
    pixelcnn
    vqvae
        Trained; gives the codes.
    batches
    first
        Number of the first batch.
    steps
        Number of steps of this network.
    """

    def __init__(
        self,
        config: VqVaePixelCnnConfig,
        pixelcnn: PixelCNN,
        vqvae: VQVAE,
        batches: Batches,
        *,
        first: int,
        steps: int,
    ) -> None:
        self.pixelcnn, self.vqvae, self.batches, self.first = pixelcnn, vqvae, batches, first
        self.average = averaged_model(pixelcnn, resolved(config.ema_decay))
        self.optimiser, self.schedule = _adam(pixelcnn, config, steps)

    @property
    def state(self) -> Mapping[str, State]:
        return {
            "pixelcnn": self.pixelcnn,
            "average": self.average,
            "optimiser": self.optimiser,
            "schedule": self.schedule,
        }

    def step(self, number: int) -> loop.Losses:
        """Take optimiser step `number`, and return its losses by name."""
        codes = encode(self.vqvae, self.batches, self.first + number)
        with loop.autocast(codes.device):
            logits = self.pixelcnn(codes)
        losses = {"nats": F.cross_entropy(logits.float(), codes)}
        _minimise(losses, self.pixelcnn, self.optimiser, self.schedule)
        self.average.update_parameters(self.pixelcnn)
        return losses


def reconstruct(vqvae: VQVAE, planes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return decoded planes, ``(B, planes, H, W)`` float32, and the commitment loss.

    The codebook's averages are computed in float32 on every device.
    """
    with loop.autocast(planes.device):
        features = vqvae.encode(planes)
    quantised, commitment, _ = vqvae.quantizer.quantizer(features.float())
    with loop.autocast(planes.device):
        decoded = vqvae.decode(quantised)
    return decoded.float(), commitment


@torch.no_grad()
def restart_unused_codes(vqvae: VQVAE, planes: torch.Tensor) -> None:
    """Replace codes that hardly any place uses by outputs of the encoder.

    The encoder's first outputs are far from a random codebook, so without restarts most places use the same few codes.

    Parameters
    ----------
    vqvae
    planes
        ``(B, planes, H, W)``.
    """
    codebook = vqvae.quantizer.quantizer
    unused = (codebook.ema_cluster_size < _UNUSED_BELOW).nonzero()[:, 0]
    features = vqvae.encode(planes).float().permute(0, 2, 3, 1).flatten(0, 2)
    chosen = features[torch.randint(len(features), (len(unused),)).to(features.device)]
    codebook.embedding.weight[unused] = chosen
    codebook.ema_w[unused] = _RESTARTED_SIZE * chosen
    codebook.ema_cluster_size[unused] = _RESTARTED_SIZE


@torch.no_grad()
def encode(vqvae: VQVAE, batches: Batches, number: int) -> torch.Tensor:
    """Return the codes of a batch, ``(B, H, W)`` int64."""
    codes: torch.Tensor = vqvae.index_quantize(torch.cat(batches[number], dim=1))
    return codes


def check_codebook(vqvae: VQVAE, batches: Batches, number: int) -> None:
    """Raise `Diverged` if all places of a batch whose images aren't flat have the same code."""
    image, _ = batches[number]
    if float(image.std()) > 0 and len(torch.unique(encode(vqvae, batches, number))) == 1:
        raise Diverged("the codebook has collapsed to one code; use more steps, or codebook_restart: true")


def _adam(network: nn.Module, config: VqVaePixelCnnConfig, steps: int) -> tuple[torch.optim.Optimizer, LambdaLR]:
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimiser = torch.optim.Adam(trained, resolved(config.learning_rate))
    constant = config.lr_schedule == "constant"
    return optimiser, LambdaLR(optimiser, lambda number: 1.0 if constant else one_cycle(number, steps))


def _minimise(
    losses: Mapping[str, torch.Tensor], network: nn.Module, optimiser: torch.optim.Optimizer, schedule: LambdaLR
) -> None:
    optimiser.zero_grad(set_to_none=True)
    torch.stack(list(losses.values())).sum().backward()
    torch.nn.utils.clip_grad_norm_([p for p in network.parameters() if p.requires_grad], 1.0)
    optimiser.step()
    schedule.step()
