"""Configuration keys that several generators share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import Field

from synthbench.plugin.api import Budget, Config
from synthbench.toolkit.masks.config import MaskConfig
from synthbench.toolkit.training.budget_defaults import Preset

__all__ = ["MaskToImageConfig", "PresetConfig"]


class PresetConfig(Config):
    """Base of the configuration of a published method that this project has additions to.

    `synthbench.toolkit.training.budget_defaults.resolve_preset` sets the keys that aren't given.
    """

    preset: Preset | None = Field(
        None,
        description="paper: the method as published; microscopy: with this project's additions for short trainings on "
        "micrographs. It sets the keys that aren't given",
    )


class MaskToImageConfig(MaskConfig):
    """Base of the configuration of a `synthbench.toolkit.generators.mask_to_image.MaskToImageGenerator`.

    A key that is None is false, unless the method's `resolve` decides otherwise.
    """

    renamed: ClassVar[Mapping[str, str]] = {"appearance": "intensity_conditioning", "grain": "pixel_noise"}

    intensity_conditioning: bool | None = Field(
        None,
        description="whether the network gets the intensity statistics of the image and its objects beside the mask "
        "(this project's; see synthbench.toolkit.intensity.conditioning)",
    )
    pixel_noise: bool | None = Field(
        None,
        description="whether generated images get the pixel noise of a training image: in training before the "
        "discriminator sees them, and afterwards as much as they lack (this project's; see "
        "synthbench.toolkit.intensity.pixel_noise)",
    )
    texture: bool | None = Field(
        None,
        description="whether generated objects get the texture that they lack compared with training objects of "
        "similar size (this project's; see synthbench.toolkit.intensity.texture); needs intensity_conditioning, and "
        "has no effect on objects that are too small for a texture",
    )

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration with a value for every key."""
        keys = ("intensity_conditioning", "pixel_noise", "texture")
        return self.model_copy(update={key: False for key in keys if getattr(self, key) is None})
