"""What can be set on the U-Net."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from synthbench import Config
from synthbench.toolkit.training.finetuning import FINETUNE, FinetuneConfig

Width = Annotated[int, Field(ge=1, le=2048)]


class UNetFinetune(FinetuneConfig):
    """Fine-tuning of the U-Net: this project's choice, a tenth of the rate of training from scratch."""

    learning_rate: float = Field(default=4e-4, gt=0, le=1, description="highest rate of AdamW")


class UNetConfig(Config):
    """Configuration of `synthbench_unet.segmenter.UNet`."""

    renamed: ClassVar[dict[str, str]] = {"clip": "max_grad_norm", "average": "ema_decay", "flips": "flip_tta"}

    features: tuple[Width, Width, Width, Width, Width, Width] = Field(
        (16, 16, 32, 64, 128, 16),
        description="channels at the full, half … sixteenth resolution, and before the last convolution",
    )
    decoding: Literal["distance", "binary"] = Field(
        "distance",
        description="how instances are found; distance: the network predicts each instance's normalised distance "
        "transform and the foreground, and a watershed separates them; binary: it predicts the foreground, and "
        "connected components are the instances, as in cGAN-Seg (2024). No effect on semantic tasks",
    )
    loss: Literal["ce+dice", "ce"] = Field(
        "ce+dice",
        description="loss of foreground and classes; ce+dice: cross-entropy and soft Dice (Milletari 2016); ce: "
        "cross-entropy alone",
    )
    distance_weight: float = Field(
        2.0, gt=0, allow_inf_nan=False, description="weight of the distance loss beside the foreground loss"
    )
    learning_rate: float = Field(4e-3, gt=0, le=1, description="highest rate of a one-cycle schedule, for AdamW")
    weight_decay: float = Field(1e-4, ge=0, le=1, description="of AdamW")
    max_grad_norm: float = Field(1.0, gt=0, description="gradients are clipped to this norm")
    ema_decay: float = Field(
        0.99, ge=0, lt=1, description="decay of the exponential moving average of the weights that predicts"
    )
    flip_tta: bool = Field(
        True, description="test-time augmentation: a prediction is the mean over the image and its three mirror images"
    )
    finetune: UNetFinetune = Field(default_factory=UNetFinetune, description=FINETUNE)
