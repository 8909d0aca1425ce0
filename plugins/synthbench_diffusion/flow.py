"""Flow matching: its hyper-parameters, and its two modes, which are those of diffusion with another process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from synthbench.toolkit.generators.diffusion_processes import FlowPrediction, RectifiedFlow, Solver, TimeDistribution
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench_diffusion.conditional import ConditionalDiffusion
from synthbench_diffusion.config import MICROSCOPY, DenoisingConfig
from synthbench_diffusion.joint import JointDiffusion

__all__ = ["ConditionalFlow", "FlowMatchingConfig", "JointFlow"]

_PAPER: Mapping[str, Any] = {
    "model_channels": 128,
    "channel_mult": (1, 1, 2, 2, 2, 2, 2),
    "num_res_blocks": 2,
    "attention_resolution": 16,
    "pixel_unshuffle_factor": 1,
    "prediction_type": "velocity",
    "sampling_steps": 100,
    "learning_rate": 2e-4,
    "lr_schedule": "warmup",
    "ema_decay": 0.999,
    "pixel_noise": False,
}


class FlowMatchingConfig(DenoisingConfig):
    """Hyper-parameters of `synthbench_diffusion.generator.FlowMatching`.

    The preset ``paper`` has the values of the authors' code of rectified flow for images of 256², with Euler's method
    for sampling. Fields whose default is None are set by the preset. The keys about masks, intensities and textures
    apply to the conditional mode.
    """

    prediction_type: FlowPrediction | None = Field(
        None,
        description="what the network predicts: velocity (arXiv 2209.03003, eq. 1), or sample, the clean image, from "
        "which the velocity follows",
    )
    timestep_sampling: TimeDistribution = Field(
        "uniform",
        description="distribution of the times in training: uniform (arXiv 2209.03003), or logit-normal, with more "
        "times in the middle (arXiv 2403.03206)",
    )
    solver: Solver = Field(
        "euler",
        description="how the differential equation is solved: euler evaluates the network once per step, midpoint and "
        "heun twice",
    )
    sampling_steps: int | None = Field(None, ge=1, description="steps of the solver to draw a sample")

    def process(self) -> RectifiedFlow:
        return RectifiedFlow(resolved(self.prediction_type), self.timestep_sampling, self.solver)

    def preset_values(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return dict(_PAPER), {**MICROSCOPY, "sampling_steps": 8}


class JointFlow(JointDiffusion):
    """The network draws the planes of image and mask together."""

    Config = FlowMatchingConfig
    random_stream = "flow-matching"


class ConditionalFlow(ConditionalDiffusion):
    """The network draws the image for a mask of the mask sampler, optionally with classifier-free guidance."""

    Config = FlowMatchingConfig
    random_stream = "flow-matching"
