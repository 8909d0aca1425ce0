"""Configuration keys that several generators share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import Field, model_validator

from synthbench.plugin.api import Budget, Config
from synthbench.toolkit.generators.conditions import ConditionConfig
from synthbench.toolkit.masks.config import MaskConfig
from synthbench.toolkit.training.budget_defaults import Preset, resolve_defaults

__all__ = ["MaskToImageConfig", "PresetConfig"]


class PresetConfig(Config):
    """Base of the configuration of a published method that this project has additions to.

    `synthbench.toolkit.training.budget_defaults.resolve_preset` sets the keys that aren't given.
    """

    preset: Preset | None = Field(
        None,
        description="paper: the method as published; microscopy: with additions of this project for short trainings "
        "on micrographs. It sets the keys that aren't given",
    )


class MaskToImageConfig(ConditionConfig, MaskConfig):
    """Base of the configuration of a `synthbench.toolkit.generators.mask_to_image.MaskToImageGenerator`.

    A key that is None is false, unless the method's `resolve` decides otherwise.
    """

    renamed: ClassVar[Mapping[str, str]] = {"appearance": "intensity_conditioning", "grain": "pixel_noise"}

    intensity_conditioning: bool | None = Field(
        None,
        description="whether the network gets the intensity statistics of the image and its objects in addition to the "
        "mask (an addition of this project; see synthbench.toolkit.intensity.conditioning)",
    )
    pixel_noise: bool | None = Field(
        None,
        description="whether generated images get as much of the pixel noise of a training image as they lack; methods "
        "with a discriminator may also add it in training (an addition of this project; see "
        "synthbench.toolkit.intensity.pixel_noise)",
    )
    texture: bool | None = Field(
        None,
        description="whether generated objects get the texture that they lack compared with training objects of "
        "similar size (an addition of this project; see synthbench.toolkit.intensity.texture); requires "
        "intensity_conditioning, and has no effect on objects that are too small for a texture",
    )

    def additions(self) -> dict[str, bool]:
        """Return the values of these keys in a preset that has this project's additions; texture needs the first."""
        return {
            "intensity_conditioning": True,
            "pixel_noise": True,
            "texture": self.intensity_conditioning is not False,
        }

    @model_validator(mode="after")
    def _check_texture(self) -> Self:
        if self.texture and self.intensity_conditioning is False:
            raise ValueError(
                "texture: true requires intensity_conditioning: true, and it is false; set it, or remove texture"
            )
        return self

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration with a value for every key.

        Raises
        ------
        pydantic.ValidationError
            If `texture` is set without `intensity_conditioning`.
        """
        defaults = dict.fromkeys(("intensity_conditioning", "pixel_noise", "texture"), False)
        return resolve_defaults(self, budget, short=defaults, long=defaults)
