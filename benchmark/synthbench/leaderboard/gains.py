"""What a gain over real images alone is made of: is it more than copies bring, and what is it worth?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from synthbench.leaderboard.blocks import ComparisonBlock
from synthbench.statistics import Difference, compare, equivalent_real_images, holm

_BESIDE = "real + "
COPIES = "duplicate"
"""The control that draws real images again."""

AGAINST_COPIES = ("delta_copies", "delta_copies_low", "delta_copies_high", "p_copies")
WORTH = ("worth", "worth_low", "worth_high", "worth_least", "worth_most")


def against_copies(
    block: ComparisonBlock, metric: str, iou: float | str, aggregation: str, draws: int
) -> dict[str, dict[str, float]]:
    """Compare each arm with the arm that has as many copies of real images as this one has synthetic ones.

    Returns
    -------
    dict
        By arm, the columns `AGAINST_COPIES`; arms without such a partner aren't there. The p-values are corrected
        (Holm) for the number of arms compared with copies.
    """
    if block.images.empty:
        return {}
    arms = block.runs.drop_duplicates("arm")[["arm", "generator", "synthetic"]].itertuples(index=False, name=None)
    known = {arm: (generator, (amount, arm.startswith(_BESIDE))) for arm, generator, amount in arms}
    found: dict[str, Difference] = {}
    for copies, (generator, mix) in known.items():
        if generator != COPIES:
            continue
        rivals = [arm for arm, (other, of) in known.items() if other not in ("", COPIES) and of == mix]
        if rivals and (block.images["arm"] == copies).any():
            every = compare(block.images, copies, metric, iou, aggregation, draws).differences
            found |= {arm: every[arm] for arm in rivals if arm in every}
    corrected = holm([d.p for d in found.values()])
    return {
        arm: dict(zip(AGAINST_COPIES, (d.value, d.low, d.high, float(p)), strict=True))
        for (arm, d), p in zip(found.items(), corrected, strict=True)
    }


def in_real_images(
    block: ComparisonBlock,
    others: Sequence[ComparisonBlock],
    metric: str,
    iou: float | str,
    aggregation: str,
    baseline: str,
    draws: int,
) -> dict[str, dict[str, float]]:
    """Read each arm's gain off the learning curve of real images, where the study has several amounts of them.

    Parameters
    ----------
    others
        Blocks of the same study; those of another dataset or segmenter are ignored.

    Returns
    -------
    dict
        By arm, the columns `WORTH`. Empty where the baseline has no scores at this amount or at no other.
    """
    curve = {
        c.fraction: c.images
        for c in others
        if (c.dataset, c.segmenter) == (block.dataset, block.segmenter) and len(c.images)
    }
    if block.images.empty or not (block.images["arm"] == baseline).any() or len(curve) < 2:
        return {}
    found = equivalent_real_images(block.images, curve, block.fraction, baseline, metric, iou, aggregation, draws)
    return {arm: {name: getattr(w, name.removeprefix("worth_"), w.value) for name in WORTH} for arm, w in found.items()}


def none() -> Mapping[str, Any]:
    """Return the columns of both, empty."""
    return dict.fromkeys((*AGAINST_COPIES, *WORTH), np.nan)
