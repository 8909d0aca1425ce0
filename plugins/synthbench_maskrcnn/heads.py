"""Torchvision's region proposal network and heads, without pixels of unknown label in their losses.

Both judge boxes. A box that contains a pixel of unknown label and matches no object isn't background, because an object
without a label may lie there, and is left out. The mask loss leaves out the pixels themselves. An object that reaches
such a pixel has the box of its labelled part: how far it really goes is unknown.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss, project_masks_on_boxes
from torchvision.models.detection.rpn import RegionProposalNetwork

__all__ = ["Heads", "ProposalNetwork", "contains_unknown", "mask_loss"]

Target = dict[str, torch.Tensor]
"""``boxes`` (n, 4), ``labels`` (n,) int64, ``masks`` (n, h, w) uint8 and ``unknown`` (h, w) bool."""

BACKGROUND, LEFT_OUT = 0, -1


def contains_unknown(boxes: torch.Tensor, unknown: torch.Tensor) -> torch.Tensor:
    """Return whether each box contains the centre of a pixel of unknown label.

    Parameters
    ----------
    boxes
        ``(n, 4)``: x and y of the first corner, then of the second; pixel k has its centre at k.
    unknown
        ``(h, w)`` bool.

    Returns
    -------
    torch.Tensor
        ``(n,)`` bool.
    """
    if not bool(unknown.any()):
        return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    height, width = unknown.shape
    sums = F.pad(unknown.long().cumsum(0).cumsum(1), (1, 0, 1, 0))
    left, top = boxes[:, 0].ceil().clamp(0, width).long(), boxes[:, 1].ceil().clamp(0, height).long()
    right = (boxes[:, 2].floor() + 1).clamp(0, width).long().maximum(left)
    bottom = (boxes[:, 3].floor() + 1).clamp(0, height).long().maximum(top)
    return (sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]) > 0


class ProposalNetwork(RegionProposalNetwork):
    """The region proposal network; anchors with unknown pixels aren't background."""

    def assign_targets_to_anchors(
        self, anchors: list[torch.Tensor], targets: list[Target]
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Return the label of each anchor, 1 object, 0 background, −1 left out, and the box that it matches."""
        labels, boxes = super().assign_targets_to_anchors(anchors, targets)
        _leave_out(labels, anchors, targets)
        return labels, boxes

    def compute_loss(
        self,
        objectness: torch.Tensor,
        pred_bbox_deltas: torch.Tensor,
        labels: list[torch.Tensor],
        regression_targets: list[torch.Tensor],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the losses of objectness and of boxes; 0 where all anchors are left out."""
        if not any(bool((each >= 0).any()) for each in labels):
            return objectness.sum() * 0, pred_bbox_deltas.sum() * 0
        answer: tuple[torch.Tensor, torch.Tensor] = super().compute_loss(
            objectness, pred_bbox_deltas, labels, regression_targets
        )
        return answer


class Heads(RoIHeads):
    """The box head and the mask head; proposals with unknown pixels aren't background, and masks leave them out."""

    def forward(
        self, features: Any, proposals: Any, image_shapes: Any, targets: list[Target] | None = None
    ) -> tuple[list[dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
        """Return detections when predicting, and losses when training."""
        if not self.training:
            answer: tuple[list[dict[str, torch.Tensor]], dict[str, torch.Tensor]] = super().forward(
                features, proposals, image_shapes
            )
            return answer
        assert targets is not None
        self.targets = targets
        proposals, matched, labels, regression_targets = self.select_training_samples(proposals, targets)
        zero = sum(level.sum() for level in features.values()) * 0
        if not sum(map(len, labels)):
            return [], {"loss_classifier": zero, "loss_box_reg": zero, "loss_mask": zero}
        pooled = self.box_roi_pool(features, proposals, image_shapes)
        class_logits, box_regression = self.box_predictor(self.box_head(pooled))
        classifier, box_reg = fastrcnn_loss(class_logits, box_regression, labels, regression_targets)
        positive = [torch.where(each > 0)[0] for each in labels]
        boxes = [each[chosen] for each, chosen in zip(proposals, positive, strict=True)]
        masks = zero
        if sum(map(len, boxes)):
            logits = self.mask_predictor(self.mask_head(self.mask_roi_pool(features, boxes, image_shapes)))
            objects = [each[chosen] for each, chosen in zip(matched, positive, strict=True)]
            masks = mask_loss(logits, boxes, objects, targets)
        return [], {"loss_classifier": classifier, "loss_box_reg": box_reg, "loss_mask": masks}

    def assign_targets_to_proposals(
        self, proposals: list[torch.Tensor], gt_boxes: list[torch.Tensor], gt_labels: list[torch.Tensor]
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Return the object that each proposal matches, and its label: 1 object, 0 background, −1 left out."""
        matched, labels = super().assign_targets_to_proposals(proposals, gt_boxes, gt_labels)
        _leave_out(labels, proposals, self.targets)
        return matched, labels


def _leave_out(labels: list[torch.Tensor], boxes: list[torch.Tensor], targets: list[Target]) -> None:
    """Mark the boxes of the background that contain unknown pixels, in place."""
    for label, box, target in zip(labels, boxes, targets, strict=True):
        label[(label == BACKGROUND) & contains_unknown(box, target["unknown"])] = LEFT_OUT


def mask_loss(
    logits: torch.Tensor, boxes: list[torch.Tensor], objects: list[torch.Tensor], targets: list[Target]
) -> torch.Tensor:
    """Return the mean binary cross-entropy of the masks, over the pixels whose label is known.

    Parameters
    ----------
    logits
        ``(n, 2, M, M)``: of all images' boxes, one after the other; the second plane is that of objects.
    boxes
        Of each image, ``(n_i, 4)``.
    objects
        Which object of its image each box matches, ``(n_i,)``.
    targets
        Of each image.
    """
    side = logits.shape[-1]
    wanted, unknown = [], []
    for box, matched, target in zip(boxes, objects, targets, strict=True):
        if len(box):
            wanted.append(project_masks_on_boxes(target["masks"], box, matched, side))
            unknown.append(project_masks_on_boxes(target["unknown"][None], box, torch.zeros_like(matched), side))
    known = (torch.cat(unknown) == 0).to(logits.dtype)
    loss = F.binary_cross_entropy_with_logits(logits[:, 1], torch.cat(wanted).to(logits.dtype), reduction="none")
    return (loss * known).sum() / known.sum().clamp(min=1)
