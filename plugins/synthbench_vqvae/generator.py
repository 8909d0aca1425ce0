"""VQ-VAE + PixelCNN: fit the two networks one after the other, draw codes, decode them to image and mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from monai.networks.nets import VQVAE
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from synthbench import Budget, Context, Generator, Sample, SampleSet, TrainingMix
from synthbench.errors import StoreError
from synthbench.samples import MASK, Task
from synthbench.toolkit.layers.cycle_spinning import cycle_spin
from synthbench.toolkit.masks.codec import ImageMaskCodec
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.mode_collapse import SAMPLES_TO_CHECK, check_mode_collapse
from synthbench.toolkit.training.patches import PatchStream
from synthbench.toolkit.training.schedules import averaged_model, one_cycle
from synthbench.toolkit.training.training_log import preview_of
from synthbench.toolkit.training.weights import load_weights, save_weights
from synthbench_vqvae.config import VqVaePixelCnnConfig
from synthbench_vqvae.pixelcnn import PixelCNN, Sampler

_CODEC, _CODER, _PRIOR, _SIDE = "codec.json", "vqvae.safetensors", "pixelcnn.safetensors", "side.txt"
_DRAW, _LOOK = 62, 63
REVIVE, REVIVING = 25, 0.6
"""Codes that nothing uses are renewed every so many steps, in this share of the VQ-VAE's training."""
RARE = 0.3
"""A code is unused when fewer places of a batch than this take it, in the moving average."""
ONE_COLOUR = 1e-6
"""Drawn planes that vary less, as a share of real ones, are a collapse; after a few steps they hardly vary."""
RENEWED = 1.0
"""A renewed code begins as one that so many places take."""


class VqVaePixelCnn(Generator[VqVaePixelCnnConfig]):
    """Image and mask at once from discrete codes (arXiv 2408.00707, "dual image").

    Image and mask are joined as planes; a VQ-VAE (MONAI's, with a codebook by moving average) codes them as a small
    map; a gated PixelCNN learns which codes follow which, and draws new maps. Samples have the size of the training
    patches.

    Attributes
    ----------
    counts : Counter
        ``lost`` objects of the training masks, which no grey level is left for; and what drawing has come to: ``drawn``
        samples, and ``removed`` specks and giants of their masks.
    """

    Config = VqVaePixelCnnConfig
    budgets = {  # noqa: RUF012
        "smoke": Budget(steps=30, batch_size=2, patch_size=64),
        "quick": Budget(steps=2000, batch_size=4, patch_size=128),
        "standard": Budget(steps=60_000, batch_size=16, patch_size=256),
        "paper": Budget(steps=200_000, batch_size=16, patch_size=256),
    }

    def fit(self, train: SampleSet, context: Context) -> None:
        self.side, self.config = context.budget.patch_size, self.config.resolve(context.budget)
        self.codec = ImageMaskCodec.of(train, self.config.mask, self.config.levels)
        loop.prepare_torch(context)
        self._build(context)
        self._train(train, context)

    def sample(self, index: int, seed: int) -> Sample:
        places, sampler = self.side // 2**self.config.stages, Sampler(self.prior)
        rng = np.random.default_rng((seed, _DRAW, index))
        donor = int(rng.integers(len(self.codec.normalisations)))
        codes = sampler.sample(places, places, self._picker(rng))
        grain = rng if self.config.pixel_noise else None
        planes = self._evened(self._decoded(torch.from_numpy(codes)))
        image, labels, removed = self.codec.decode(planes, donor, grain)
        self.counts.update(drawn=1, removed=removed)
        return Sample(f"{index:06d}", image, labels, {MASK: "new"})

    def save(self, folder: Path) -> None:
        super().save(folder)
        self.codec.save(folder / _CODEC)
        (folder / _SIDE).write_text(f"{self.side}\n", encoding="utf-8")
        save_weights(self.coder, folder / _CODER)
        save_weights(self.prior, folder / _PRIOR)

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        new = super().load(folder, context)
        loop.prepare_torch(context)
        new.codec = ImageMaskCodec.load(folder / _CODEC)
        try:
            new.side = int((folder / _SIDE).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StoreError(f"{folder / _SIDE}: can't be read: {error}; fit again") from None
        new._build(context)
        load_weights(new.coder, folder / _CODER)
        load_weights(new.prior, folder / _PRIOR)
        new._ready()
        return new

    def _build(self, context: Context) -> None:
        config = self.config
        widths = tuple(config.filters * min(2**stage, 2) for stage in range(config.stages))
        self.device = torch.device(context.device)
        self.coder = VQVAE(
            spatial_dims=2,
            in_channels=self.codec.planes,
            out_channels=self.codec.planes,
            channels=widths,
            num_res_layers=1,
            num_res_channels=widths,
            downsample_parameters=((2, 4, 1, 1),) * config.stages,
            upsample_parameters=((2, 4, 1, 1, 0),) * config.stages,
            num_embeddings=config.codes,
            embedding_dim=config.dimension,
            commitment_cost=config.commitment,
            decay=config.decay,
            ddp_sync=False,
        ).to(self.device)
        self.prior = PixelCNN(config.codes, config.prior_filters, config.prior_layers).to(self.device)
        for network in (self.coder, self.prior):
            network.to(memory_format=torch.channels_last)

    def _ready(self) -> None:
        self.coder.eval()
        self.prior.eval()

    def _train(self, train: SampleSet, context: Context) -> None:
        budget = context.budget
        mix = TrainingMix(train)
        stream = PatchStream(
            mix,
            budget,
            context.seed,
            encode=lambda s: self.codec.encode(s, train.position(s.id)),
            augment_intensity=False,
        )
        batches = Batches(stream, context.device)
        first = max(1, min(budget.steps - 1, round(budget.steps * self.config.share)))
        self.coder.train()
        self._phase("vqvae", self.coder, self._coding(batches, first), 0, first, context)
        self.coder.eval()
        self._refuse_one_code(batches, first)
        prior: torch.nn.Module = self.prior.train()
        average = averaged_model(prior)
        self.prior = average.module
        self._phase(
            "pixelcnn", prior, self._following(prior, batches), first, budget.steps, context, average, train.task
        )
        self.counts.clear()
        if lost := self.codec.count_lost(train):
            self.counts["lost"] = lost
        self._ready()
        self._check_mode_collapse(stream.first_patches(SAMPLES_TO_CHECK), context.seed)

    def _phase(
        self,
        name: str,
        network: torch.nn.Module,
        loss: Callable[[int], dict[str, torch.Tensor]],
        first: int,
        last: int,
        context: Context,
        average: AveragedModel | None = None,
        task: Task | None = None,
    ) -> None:
        """Train one network in the steps first … last − 1 of the budget; with a task, samples can be drawn by then.

        Its average, if it has one, is kept up beside it.
        """
        rate, steps = self.config.learning_rate, last - first
        trained = [p for p in network.parameters() if p.requires_grad]
        optimiser = torch.optim.Adam(trained, rate)
        schedule = LambdaLR(optimiser, lambda number: one_cycle(number, steps))
        averages = {} if average is None else {"average": average}

        def step(number: int) -> dict[str, torch.Tensor]:
            losses = loss(first + number)
            optimiser.zero_grad(set_to_none=True)
            sum(losses.values()).backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
            schedule.step()
            if average is not None:
                average.update_parameters(network)
            return losses

        def progress(done: int, total: int, note: str = "") -> None:
            context.progress(first + done, context.budget.steps, note)

        loop.train(
            replace(context, progress=progress),
            state={name: network, "optimiser": optimiser, "schedule": schedule, **averages},
            step=step,
            steps=steps,
            name=name,
            preview=preview_of(self, context.seed) if task else None,
            task=task or "instances",
        )

    def _coding(self, batches: Batches, steps: int) -> Callable[[int], dict[str, torch.Tensor]]:
        """Return the VQ-VAE's losses by step: error of the image, of the mask, and the commitment.

        The codebook follows the encoder faster in the first steps, when that moves most: slower, all places would end
        at the one code that is least far from them.
        """
        channels = self.codec.image_planes
        book = self.coder.quantizer.quantizer

        def losses(number: int) -> dict[str, torch.Tensor]:
            image, mask = batches[number]
            book.decay = min(self.config.decay, (1 + number) / (10 + number))
            if number % REVIVE == 0 and number <= REVIVING * steps:
                self._revive(torch.cat([image, mask], dim=1))
            planes, commitment = self._coded(torch.cat([image, mask], dim=1))
            of_mask = self._mask_error(planes[:, channels:], mask)
            return {
                "image": F.mse_loss(planes[:, :channels], image),
                "mask": self.config.mask_weight * of_mask,
                "commitment": commitment,
            }

        return losses

    def _coded(self, planes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the planes as they are decoded, and the commitment; the codebook's sums are always float32."""
        with loop.autocast(self.device):
            found = self.coder.encode(planes)
        codes, commitment, _ = self.coder.quantizer.quantizer(found.float())
        with loop.autocast(self.device):
            decoded = self.coder.decode(codes)
        return decoded.float(), commitment

    @torch.no_grad()
    def _revive(self, planes: torch.Tensor) -> None:
        """Put unused codes where the encoder's output is; at the first step that is all of them.

        Without it nearly all places soon share one code: the encoder's output begins far from a random codebook.
        """
        book = self.coder.quantizer.quantizer
        unused = (book.ema_cluster_size < RARE).nonzero()[:, 0]
        found = self.coder.encode(planes).float().permute(0, 2, 3, 1).flatten(0, 2)
        chosen = found[torch.randint(len(found), (len(unused),)).to(found.device)]
        book.embedding.weight[unused] = chosen
        book.ema_w[unused] = RENEWED * chosen
        book.ema_cluster_size[unused] = RENEWED

    def _mask_error(self, planes: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if self.codec.mask_encoding == "classes":
            return F.cross_entropy(planes, mask.argmax(dim=1))
        return F.mse_loss(planes, mask)

    def _following(self, prior: torch.nn.Module, batches: Batches) -> Callable[[int], dict[str, torch.Tensor]]:
        """Return the PixelCNN's loss by step: nats per code."""

        def losses(number: int) -> dict[str, torch.Tensor]:
            codes = self._codes(batches, number)
            with loop.autocast(self.device):
                logits = prior(codes)
            return {"nats": F.cross_entropy(logits.float(), codes)}

        return losses

    @torch.no_grad()
    def _codes(self, batches: Batches, number: int) -> torch.Tensor:
        image, mask = batches[number]
        codes: torch.Tensor = self.coder.index_quantize(torch.cat([image, mask], dim=1))
        return codes

    def _refuse_one_code(self, batches: Batches, number: int) -> None:
        """Raise `Diverged` if all places of different patches have one and the same code."""
        image, _ = batches[number]
        if float(image.std()) > 0 and len(torch.unique(self._codes(batches, number))) == 1:
            raise loop.Diverged("the codebook has collapsed to one code; use more steps")

    def _check_mode_collapse(self, real: np.ndarray, seed: int) -> None:
        """Raise `Diverged` if drawn planes are flat or alike where those of training patches aren't."""
        places, sampler = self.side // 2**self.config.stages, Sampler(self.prior)
        rngs = [np.random.default_rng((seed, _LOOK, i)) for i in range(len(real))]
        drawn = [self._decoded(torch.from_numpy(sampler.sample(places, places, self._picker(rng)))) for rng in rngs]
        check_mode_collapse(np.stack(drawn), real, self.codec.image_planes, ONE_COLOUR)

    def _picker(self, rng: np.random.Generator) -> Callable[[np.ndarray], int]:
        """Return what draws a code by its logits."""

        def pick(logits: np.ndarray) -> int:
            values = logits.astype(np.float64) / self.config.temperature
            chances = np.exp(values - values.max()).cumsum()
            return int(min(np.searchsorted(chances, rng.random() * chances[-1], side="right"), len(chances) - 1))

        return pick

    @torch.no_grad()
    def _decoded(self, codes: torch.Tensor) -> np.ndarray:
        planes: np.ndarray = self.coder.decode_samples(codes[None].to(self.device))[0].float().cpu().numpy()
        return planes

    @torch.no_grad()
    def _evened(self, planes: np.ndarray) -> np.ndarray:
        """Return decoded planes, the image without the grid of dots that codes leave after a short training.

        It is coded again at other places, and the mean is taken (this project's choice).
        """
        once, side = torch.from_numpy(planes)[None].to(self.device), 2**self.config.stages
        found = cycle_spin(lambda moved: self._coded(moved)[0], once, side, side)[0].cpu().numpy()
        return np.concatenate([found[: self.codec.image_planes], planes[self.codec.image_planes :]])
