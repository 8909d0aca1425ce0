"""What can be set on the U-Net."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from synthbench import Config

Width = Annotated[int, Field(ge=1, le=2048)]


class UNetConfig(Config):
    """Configuration of `synthbench_unet.segmenter.UNet`.

    Attributes
    ----------
    features
        Channels at the full, half … sixteenth resolution, and before the last convolution.
    decoding
        How instances are found. ``"distance"``: the network draws each instance's normalised distance and the
        foreground, and a watershed separates them. ``"binary"``: it draws the foreground, and connected components
        are the instances, as cGAN-Seg (2024) does. Has no effect on semantic tasks.
    loss
        Of foreground and classes. ``"ce+dice"``: cross-entropy and soft Dice. ``"ce"``: cross-entropy alone.
    distance_weight
        Weight of the distance's loss beside that of the foreground.
    learning_rate
        The highest of a one-cycle schedule, for AdamW.
    weight_decay
        Of AdamW.
    clip
        Largest norm of a gradient.
    average
        Decay of the running average of the weights that predicts.
    flips
        Whether a prediction is the mean over the image and its three mirror images.
    """

    features: tuple[Width, Width, Width, Width, Width, Width] = (16, 16, 32, 64, 128, 16)
    decoding: Literal["distance", "binary"] = "distance"
    loss: Literal["ce+dice", "ce"] = "ce+dice"
    distance_weight: float = Field(2.0, gt=0, allow_inf_nan=False)
    learning_rate: float = Field(4e-3, gt=0, le=1)
    weight_decay: float = Field(1e-4, ge=0, le=1)
    clip: float = Field(1.0, gt=0)
    average: float = Field(0.99, ge=0, lt=1)
    flips: bool = True
