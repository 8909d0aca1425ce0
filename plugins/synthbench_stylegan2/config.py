"""Hyper-parameters, and those that follow from the budget where they are left open."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field

from synthbench import Budget, Config
from synthbench.errors import ConfigError
from synthbench.toolkit.training.budget_defaults import non_default, resolve_defaults
from synthbench_stylegan2.networks import FIRST


class StyleGan2MaskConfig(Config):
    """Hyper-parameters; where the paper gives a figure, that is the default.

    Attributes
    ----------
    mask : {"grey", "distance", "none"}, optional
        How instances are drawn: as the paper's grey levels, or as distance and foreground; see
        `synthbench.toolkit.masks.codec`. With ``none`` only images are drawn, and their label maps are empty: the
        paper's StyleGAN2 without masks, for measuring fidelity, not for training segmenters. Left open, it follows from
        the budget; see `resolve`.
    levels : int
        Grey levels of ``mask: grey``; the paper has 4 for LIVECell and 3 for TissueNet.
    group : str, optional
        The group of the samples that gives their class. Left open, it is ``cell_type`` where all samples have it with
        two values or more; an empty text means no classes.
    channels, base, fold : int, optional
        Of both networks: channels at low resolutions, channels times side at high ones, and how many times smaller
        than the image the highest resolution is. Left open, they follow from the budget; see `resolve`.
    latent : int
        Length of z and w.
    mapping_layers : int
        The paper has 2 for LIVECell and 4 for TissueNet.
    embedding : int
        Length of the vectors of D2D-CE, which has an effect only where the samples have classes.
    d2d : float
        Weight of D2D-CE.
    margin, temperature : float
        Of D2D-CE: m_p and τ.
    learning_rate : float
        Of both Adams; 5e-4 for TissueNet.
    r1 : float
    path : float, optional
        Weights of the penalties; 0 for none. Left open, that of the path length follows from the budget; the paper
        has 2.
    r1_every, path_every : int
        Steps from one of these penalties to the next, which then counts so many times. It joins the loss of its step.
    mixing : float
        Share of the steps that mix the styles of two z.
    diff_augment : bool, optional
        Whether all that the discriminator sees is augmented by `synthbench.toolkit.training.augmentation.diff_augment`.
        Left open, it follows from the budget; see `resolve`.
    ada, apa : bool
        Whether, with the chance p, it is augmented by `ada_augment` too, and drawn samples are shown among the real
        ones (Jiang et al. 2021, arXiv 2111.06849).
    sure : float
        p rises while the mean sign of the discriminator's verdict on real images is above this, and falls below it.
    rise : int
        Images in which p could go from 0 to 1. With ADA's figure, p stays near 0 in a short training.
    decay : float
        Of the moving average of the weights, which draws the samples.
    check_every : int
        Steps from one comparison of drawn and training patches to the next; the best of them is kept.
    """

    mask: Literal["grey", "distance", "none"] | None = None
    levels: int = Field(4, ge=1, le=32)
    group: str | None = None
    channels: int | None = Field(None, ge=4)
    base: int | None = Field(None, ge=32)
    fold: Literal[1, 2, 4] | None = None
    latent: int = Field(512, ge=2)
    mapping_layers: int = Field(2, ge=1, le=8)
    embedding: int = Field(2048, ge=2)
    d2d: float = Field(0.5, ge=0)
    margin: float = Field(0.9, ge=0, le=1)
    temperature: float = Field(0.25, gt=0)
    learning_rate: float = Field(2.5e-3, gt=0)
    r1: float = Field(0.2, ge=0)
    r1_every: int = Field(16, ge=1)
    path: float | None = Field(None, ge=0)
    path_every: int = Field(4, ge=1)
    mixing: float = Field(0.9, ge=0, le=1)
    diff_augment: bool | None = None
    ada: bool = True
    apa: bool = True
    sure: float = Field(0.6, ge=-1, le=1)
    rise: int = Field(500_000, ge=1)
    decay: float = Field(0.999, ge=0, lt=1)
    check_every: int = Field(500, ge=1)

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration with nothing left open.

        A short training has narrow networks without the highest resolutions; a long one has the widths of StyleGAN2.
        Both sets are this project's choice. In a short one the discriminator hasn't the time to learn the patches of
        several dozen images by heart, and DiffAugment only slows it down: after 400 steps of 8 nuclei patches of 128²
        the Fréchet distance of the features of `synthbench_stylegan2.control` was 1.5 with it and 0.8 without. With a
        dozen small images it helps even then. Nor does a short training learn grey levels: after 3,000 steps on nuclei
        it mixed them within one nucleus, and a U-Net trained on real images agreed with its masks by an F-score of .11,
        where distances reached .64 (and .81 on the board `leaderboards/nuclei-all-generators`). The path length costs
        it a fifth of its steps.

        Raises
        ------
        ConfigError
            If the patches have no side that can be drawn, or an option is given that would have no effect.
        """
        found = resolve_defaults(
            self,
            budget,
            short={"mask": "distance", "channels": 64, "base": 1024, "fold": 4, "diff_augment": False, "path": 0.0},
            long={"mask": "grey", "channels": 512, "base": 16_384, "fold": 1, "diff_augment": True, "path": 2.0},
        )
        least, side = 2 * FIRST * (found.fold or 1), budget.patch_size
        if side < least or side & (side - 1):
            fitting = max(least, 1 << (side.bit_length() - 1))
            finer = ", or a smaller fold" if side < least and (found.fold or 1) > 1 else ""
            raise ConfigError(f"a patch of {side} isn't a power of two from {least} up; use --patch {fitting}{finer}")
        if found.mask != "grey" and (idle := non_default(self, ("levels",))):
            raise ConfigError(f"{idle[0]} is for mask: grey, and this is mask: {found.mask}; give mask: grey")
        if not (self.ada or self.apa) and (idle := non_default(self, ("sure", "rise"))):
            raise ConfigError(f"{idle[0]} is of the chance p, and ada and apa, which go by it, are off")
        for penalty in ("r1", "path"):
            if not getattr(found, penalty) and (idle := non_default(self, (f"{penalty}_every",))):
                raise ConfigError(f"{idle[0]}: {penalty} is 0 with this budget; give {penalty} too, or leave it out")
        return found
