"""Hyper-parameters of Mask R-CNN.

Sources are the paper (He et al., ICCV 2017) and torchvision's ``maskrcnn_resnet50_fpn_v2``, whose names stand in
brackets.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field

from synthbench import Budget
from synthbench.toolkit.generators.config import PresetConfig
from synthbench.toolkit.training.budget_defaults import resolve_defaults, resolve_preset
from synthbench.toolkit.training.finetuning import FINETUNE, FinetuneConfig

Size = Annotated[float, Field(ge=2, le=4096)]


class MaskRCNNFinetune(FinetuneConfig):
    """Hyper-parameters of fine-tuning, by AdamW; this project's."""


class MaskRCNNConfig(PresetConfig):
    """Hyper-parameters of Mask R-CNN."""

    backbone: Literal["resnet18", "resnet50"] | None = Field(
        None, description="residual network below the feature pyramid; resnet50 in torchvision's model"
    )
    norm: Literal["batch", "group"] = Field(
        "batch",
        description="norm of all layers, trained in either case. batch: batch norm, as in torchvision's v2; group: "
        "group norm (Wu & He 2018), which doesn't depend on the batch",
    )
    fpn_channels: int | None = Field(None, ge=8, le=1024, description="planes of the feature pyramid (out_channels)")
    head_convs: int | None = Field(
        None, ge=1, le=8, description="convolutions of the box head and of the mask head, each (conv_layers)"
    )
    representation_size: int | None = Field(None, ge=8, le=4096, description="width of the box head's last layer")
    rois_per_image: int | None = Field(
        None, ge=16, le=4096, description="proposals per patch that the heads learn from (box_batch_size_per_image)"
    )
    scale: float | None = Field(
        None,
        gt=0,
        le=8,
        description="factor by which images are enlarged before they enter the network; by default the one that brings "
        "the median training object to 24 pixels, but at least 1 and at most 4",
    )
    anchor_sizes: tuple[Size, Size, Size, Size, Size] | None = Field(
        None,
        description="sides of the anchors in pixels of the enlarged image, one for each level of the pyramid; by "
        "default from the sizes of the training objects, see synthbench_maskrcnn.sizes",
    )
    detections_per_image: int = Field(
        500,
        ge=1,
        le=10_000,
        description="highest number of objects per image, or per tile of a large one (box_detections_per_img); raised "
        "to one and a half times the number in the training image that has most",
    )
    optimizer: Literal["sgd", "adamw"] | None = Field(
        None,
        description="sgd: with momentum 0.9, a linear warm-up, and a tenth of the rate after 2/3 and after 8/9 of the "
        "steps, as in the paper; adamw: with a one-cycle schedule",
    )
    learning_rate: float | None = Field(
        None, gt=0, le=1, description="highest learning rate; for sgd that of a batch of 16, scaled with the batch size"
    )
    weight_decay: float | None = Field(None, ge=0, le=1, description="of the optimiser")
    max_grad_norm: float = Field(10.0, gt=0, description="gradients are clipped to this norm")
    finetune: MaskRCNNFinetune = Field(default_factory=MaskRCNNFinetune, description=FINETUNE)

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration with a value for every key but `scale` and `anchor_sizes`, which need samples.

        The network follows from the budget, torchvision's in a long training, and the optimiser from the preset.
        """
        sizes = ("backbone", "fpn_channels", "head_convs", "representation_size", "rois_per_image")
        complete = resolve_defaults(
            resolve_preset(self, budget, paper={}, microscopy={}),
            budget,
            short=dict(zip(sizes, ("resnet18", 64, 2, 256, 128), strict=True)),
            long=dict(zip(sizes, ("resnet50", 256, 4, 1024, 512), strict=True)),
        )
        sgd = (complete.optimizer or ("sgd" if complete.preset == "paper" else "adamw")) == "sgd"
        rates = {"learning_rate": 0.02, "weight_decay": 1e-4} if sgd else {"learning_rate": 1e-3, "weight_decay": 1e-2}
        values = {"optimizer": "sgd" if sgd else "adamw", **rates}
        return resolve_defaults(complete, budget, short=values, long=values)
