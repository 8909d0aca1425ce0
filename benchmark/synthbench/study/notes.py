"""What a user should know of a resolved study before it runs, in a sentence each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from synthbench.study._existing import equal_arms
from synthbench.study._scale_notes import scale_lines, scale_notes
from synthbench.study._unlabelled import UnlabelledImages
from synthbench.study.resolve import NOT_DECLARED, NOT_SEEN, ORIGIN_NOT_DECLARED, Resolved

__all__ = ["scale_lines", "study_notes"]


def study_notes(resolved: Resolved) -> list[str]:
    """Return sentences on what the study's data lack or had to leave out; none where there is nothing to say."""
    return [
        *scale_notes(resolved),
        *_unlabelled(resolved),
        *_existing(resolved),
        *_joint(resolved),
        *_weights(resolved),
        *resolved.trained_twice,
        *_scoring(resolved),
    ]


def _existing(resolved: Resolved) -> list[str]:
    """Say what is known of samples that exist already."""
    lines = []
    for (dataset, _), found in resolved.existing.items():
        here = [condition for condition in resolved.conditions if condition.dataset == dataset]
        splits = list({condition.fold: condition.split for condition in here}.values())
        lines += found.notes(splits, [condition.train for condition in here])
    return [*lines, *equal_arms(resolved.existing.values())]


def _joint(resolved: Resolved) -> list[str]:
    """Say which segmenters a generator isn't trained together with."""
    lines = []
    for joint in resolved.joint:
        others = [each.title for each in resolved.segmenters if each.title not in joint.plugins]
        if others:
            lines.append(f"{joint.title}: no arm for {', '.join(others)}, which can't be trained together with it")
    return lines


def _weights(resolved: Resolved) -> list[str]:
    """Say which initial weights have seen what is tested on, or may have."""
    lines = []
    for segmenter in resolved.segmenters:
        if segmenter.init is None:
            continue
        tested = {each.dataset: each.origins for each in resolved.conditions}
        tested |= {each.dataset: each.origins for each in resolved.test_sets}
        for dataset, origins in tested.items():
            seen = segmenter.init.seen(origins)
            if seen == NOT_DECLARED:
                lines.append(f"{segmenter.title}: what its weights were trained on isn't declared")
            elif seen == ORIGIN_NOT_DECLARED:
                lines.append(
                    f"{segmenter.title}: whether its weights have seen {dataset} isn't known; name the published "
                    "datasets that its images come from (derived_from: [NAME], or [] for images of your own)"
                )
            elif seen != NOT_SEEN:
                lines.append(f"{segmenter.title}: its weights have seen {seen}, which {dataset} belongs to")
    return list(dict.fromkeys(lines))


def _unlabelled(resolved: Resolved) -> list[str]:
    """Say how many images without labels generators get, and why others were left out."""
    users = [choice.title for choice in resolved.generators if choice.plugin.uses_unlabelled]
    lines = []
    for dataset in dict.fromkeys(condition.dataset for condition in resolved.conditions):
        found = [condition.unlabelled for condition in resolved.conditions if condition.dataset == dataset]
        used = {len(each.samples) if each.samples is not None else 0 for each in found}
        left_out = Counter({reason: max(each.left_out.get(reason, 0) for each in found) for reason in _reasons(found)})
        if not users or (not any(used) and not left_out):
            continue
        amount = f"{min(used)} to {max(used)}" if len(used) > 1 else f"{max(used)}"
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        most = "up to " if len(found) > 1 and reasons else ""
        lines.append(
            f"{dataset}: {', '.join(users)} also learn{'s' * (len(users) == 1)} from {amount} images without labels"
            + (f"; left out: {most}{reasons}" if reasons else "")
        )
    return lines


def _reasons(found: Sequence[UnlabelledImages]) -> list[str]:
    return list(dict.fromkeys(reason for each in found for reason in each.left_out))


def _scoring(resolved: Resolved) -> list[str]:
    """Say what is left out of scoring."""
    excluded = resolved.study.border_objects == "exclude"
    return ["objects at the image border are left out of all scores (border_objects: exclude)"] if excluded else []
