"""The network: torchvision's parts, put together as in its ``maskrcnn_resnet50_fpn_v2``, in any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torchvision.models import resnet18, resnet50
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.poolers import initLevelMapper

from synthbench.toolkit.intensity.images import RGB
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench_maskrcnn.config import MaskRCNNConfig
from synthbench_maskrcnn.heads import Heads, ProposalNetwork
from synthbench_maskrcnn.sizes import Geometry

__all__ = ["build", "norm_layer"]

CLASSES = 2
"""Background and object."""

BACKBONES = {"resnet18": resnet18, "resnet50": resnet50}
ASPECT_RATIOS = (0.5, 1.0, 2.0)
PROPOSALS = 2000
"""Proposals per level before, and per image after non-maximum suppression; raised to four and two a detection."""

LOWEST_SCORE = 0.05
"""Detections below this aren't returned."""

IMAGENET_MEAN, IMAGENET_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class _KeepSize(GeneralizedRCNNTransform):
    """Torchvision's transform without resizing, before and after: boxes and 28² masks are returned as they are."""

    def resize(self, image: torch.Tensor, target: Any = None) -> Any:
        return image, target

    def postprocess(self, result: Any, image_shapes: Any, original_image_sizes: Any) -> Any:
        return result


def norm_layer(name: str) -> Callable[[int], nn.Module]:
    """Return what makes a norm for a number of planes; group norm has at most 32 groups of at least 4 planes."""
    if name == "batch":
        return nn.BatchNorm2d
    return lambda planes: nn.GroupNorm(max(1, min(32, planes // 4)), planes)


def _pooling(side: int) -> MultiScaleRoIAlign:
    """Return torchvision's RoIAlign of four levels, with their true scales.

    By itself it takes the scales from the first image that it sees, and wrong ones if that image was padded by much.
    """
    pooling = MultiScaleRoIAlign(["0", "1", "2", "3"], output_size=side, sampling_ratio=2)
    pooling.scales = [1 / stride for stride in (4, 8, 16, 32)]
    pooling.map_levels = initLevelMapper(
        2, 5, canonical_scale=pooling.canonical_scale, canonical_level=pooling.canonical_level
    )
    return pooling


def build(config: MaskRCNNConfig, geometry: Geometry, channels: int = RGB) -> GeneralizedRCNN:
    """Return the network; initial weights are torchvision's, drawn from torch's global generator.

    Parameters
    ----------
    config
        Resolved.
    geometry
    channels
        Of the images; with up to three, the network takes three.
    """
    norm, planes = norm_layer(config.norm), resolved(config.fpn_channels)
    convs = [planes] * resolved(config.head_convs)
    body = BACKBONES[resolved(config.backbone)](weights=None, norm_layer=norm)
    extra = max(0, channels - RGB)
    if extra:
        body.conv1 = nn.Conv2d(channels, body.conv1.out_channels, 7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(body.conv1.weight, mode="fan_out", nonlinearity="relu")
    backbone = BackboneWithFPN(
        body,
        return_layers={f"layer{k + 1}": str(k) for k in range(4)},
        in_channels_list=[body.inplanes // 8 * 2**k for k in range(4)],
        out_channels=planes,
        norm_layer=norm,
    )
    anchors = AnchorGenerator(
        sizes=tuple((side,) for side in geometry.anchors), aspect_ratios=(ASPECT_RATIOS,) * len(geometry.anchors)
    )
    before, after = max(PROPOSALS, 4 * geometry.detections), max(PROPOSALS, 2 * geometry.detections)
    proposals = ProposalNetwork(
        anchors,
        RPNHead(planes, len(ASPECT_RATIOS), conv_depth=2),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=256,
        positive_fraction=0.5,
        pre_nms_top_n={"training": before, "testing": before // 2},
        post_nms_top_n={"training": after, "testing": max(PROPOSALS // 2, after // 2)},
        nms_thresh=0.7,
    )
    width = resolved(config.representation_size)
    heads = Heads(
        _pooling(7),
        FastRCNNConvFCHead((planes, 7, 7), convs, [width], norm_layer=norm),
        FastRCNNPredictor(width, CLASSES),
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=resolved(config.rois_per_image),
        positive_fraction=0.25,
        bbox_reg_weights=None,
        score_thresh=LOWEST_SCORE,
        nms_thresh=0.5,
        detections_per_img=geometry.detections,
        mask_roi_pool=_pooling(14),
        mask_head=MaskRCNNHeads(planes, convs, 1, norm_layer=norm),
        mask_predictor=MaskRCNNPredictor(planes, planes, CLASSES),
    )
    means, deviations = IMAGENET_MEAN + [0.5] * extra, IMAGENET_STD + [0.25] * extra
    transform = _KeepSize(min_size=1, max_size=1, image_mean=means, image_std=deviations)
    return GeneralizedRCNN(backbone, proposals, heads, transform)
