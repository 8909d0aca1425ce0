"""Has a study a positive control: more real images, beside which a gain by synthetic ones can be read?"""

from __future__ import annotations

from synthbench.study.resolve import Resolved

__all__ = ["missing_control"]


def missing_control(resolved: Resolved) -> str:
    """Return the warning for a study without a larger amount of real data, with the line to add; else ``""``."""
    study = resolved.study
    if not study.generators or len(study.real_amounts) > 1:
        return ""
    used = [(len(condition.train), len(condition.split.train)) for condition in resolved.conditions]
    if any(amount < every for amount, every in used):
        real = f"the same {used[0][0]} real images"
        is_number = isinstance(study.fractions[0], int) and len({every for _, every in used}) == 1
        add = f"real_only: {used[0][1] if is_number else 1.0}"
        if len({amount for amount, _ in used}) > 1:
            real = "the same amount of real images"
    else:
        real = "all real images"
        quarters = {every // 4 for _, every in used}
        if min(quarters) < 1:
            return ""
        same = len({every for _, every in used}) == 1
        add = f"fractions: [{quarters.pop() if same else 0.25}]” and “real_only: {used[0][1] if same else 1.0}"
    return f"no positive control: every arm has {real}; add “{add}” to measure the gain from more real images"
