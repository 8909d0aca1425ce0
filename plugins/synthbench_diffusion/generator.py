"""The generator plugins diffusion and flow-matching: each has two modes, and each mode is a class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

from synthbench import Budget, Context, Generator, Sample, SampleSet
from synthbench_diffusion.conditional import ConditionalDiffusion
from synthbench_diffusion.config import DenoisingConfig, DiffusionConfig
from synthbench_diffusion.flow import ConditionalFlow, FlowMatchingConfig, JointFlow
from synthbench_diffusion.joint import JointDiffusion

__all__ = ["Diffusion", "FlowMatching"]

_BUDGETS = {
    "smoke": Budget(steps=20, batch_size=2, patch_size=64),
    "quick": Budget(steps=1800, batch_size=4, patch_size=128),
    "standard": Budget(steps=20_000, batch_size=16, patch_size=256),
    "paper": Budget(steps=200_000, batch_size=16, patch_size=256),
}


class _TwoModes(Generator[DenoisingConfig]):
    """Passes everything on to the class of the configured mode."""

    budgets = _BUDGETS
    uses_unlabelled = True
    modes: ClassVar[Mapping[str, type[JointDiffusion | ConditionalDiffusion]]]

    method: JointDiffusion | ConditionalDiffusion

    def fit(self, train: SampleSet, context: Context) -> None:
        self.method = self.modes[self.config.mode](self.config)
        self.method.fit(train, context)
        self.config, self.counts = self.method.config, self.method.counts

    def sample(self, index: int, seed: int) -> Sample:
        return self.method.sample(index, seed)

    def save(self, folder: Path) -> None:
        self.method.save(folder)

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        new = super().load(folder, context)
        new.method = cls.modes[new.config.mode].load(folder, context)
        new.counts = new.method.counts
        return new


class Diffusion(_TwoModes):
    """A network learns to remove noise from training patches; sampling starts at pure noise.

    After Ho et al. 2020 (DDPM, arXiv 2006.11239) and Song et al. 2021 (DDIM, arXiv 2010.02502), on cells as NuDiff
    (MICCAI 2023), but with one network. In joint mode image and mask are drawn together; instances are encoded as a
    distance and a foreground plane. In conditional mode the mask comes from the mask sampler, and the network sees its
    planes. Samples have the size of the training patches in joint mode, and that of their masks in conditional mode.

    Where the dataset has unlabelled images, patches of them are mixed in: in joint mode they teach the planes of the
    image, in conditional mode images without a condition. In joint mode the groups that the network is conditioned on
    (`condition_on`) are embedded, and the sum of their embeddings is added to that of the timestep; in conditional mode
    they are planes of the condition.

    Attributes
    ----------
    method : JointDiffusion or ConditionalDiffusion
        The generator of the configured mode.
    counts : Counter
        What sampling has come to: ``drawn`` samples, objects ``removed`` from their masks because of their area, and
        ``unplaced`` objects of recombined masks.
    """

    Config = DiffusionConfig
    modes = {"joint": JointDiffusion, "conditional": ConditionalDiffusion}  # noqa: RUF012


class FlowMatching(_TwoModes):
    """A network learns the velocity of straight lines from noise to training patches; sampling follows it.

    Rectified flow (Liu et al. 2023, arXiv 2209.03003), which is flow matching (Lipman et al. 2023, arXiv 2210.02747)
    with straight paths, without its second training on pairs of noise and drawn images ("reflow"). Modes, masks and
    networks are those of `Diffusion`. Time and velocity are those of MONAI's ``RFlowScheduler``.

    Attributes
    ----------
    method : JointFlow or ConditionalFlow
        The generator of the configured mode.
    counts : Counter
        As in `Diffusion`.
    """

    Config = FlowMatchingConfig
    modes = {"joint": JointFlow, "conditional": ConditionalFlow}  # noqa: RUF012
