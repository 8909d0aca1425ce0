"""The report of a dataset check, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from synthbench.io.escaping import printable

__all__ = ["TINY", "DatasetReport", "NearDuplicate"]

TINY = 10
"""Objects of fewer pixels are counted as tiny."""

NAMED = 6
"""How many samples the text names for each kind of problem; JSON names all."""


@dataclass(frozen=True)
class NearDuplicate:
    """Two samples whose images are nearly the same, up to a flip or rotation."""

    first: str
    second: str
    correlation: float
    splits: tuple[str, str]


@dataclass
class DatasetReport:
    """What `check_dataset` found. Everything is by sample id.

    Attributes
    ----------
    name, task, fingerprint : str
    samples : int
    splits, sizes, kinds : dict
        Number of samples by official split, by ``height×width``, by channels and dtype.
    channels : list of str
        Names of the channels, where they have names.
    groups : dict
        Name of a group → number of its different values.
    objects : int
    objects_per_image, object_areas : dict
        Quantiles (``"min"``, ``"5 %"``, ``"median"``, ``"95 %"``, ``"max"``); areas in pixels.
    tiny_objects : int
        Objects of fewer than `TINY` pixels.
    class_fractions : dict
        Fraction of the labelled pixels by class, in a semantic set.
    ignored, samples_with_ignored : float, int
        Fraction of all pixels whose label is unknown, and the number of samples that have some; without `unlabelled`.
    unlabelled : int
        Number of images without labels; they aren't among the masks without objects.
    unreadable : dict
        Samples whose files are damaged or have changed → the error.
    duplicates : list
        Lists of samples with the same pixels.
    near_duplicates : list of Twins
        Across splits; anywhere in a set without official splits.
    shared_groups : list
        Names of groups that both samples of every near duplicate share: splitting by one of these keeps them together.
    leaks : list
        Duplicates and near duplicates that are in different official splits, as pairs.
    empty_masks, blank_images : list
    disconnected_objects : dict
        Samples → labels that aren't connected (8 neighbours).
    suspicious_masks : list of str
        Messages of `synthbench.datasets.mask_checks`: masks that don't seem to be label maps of objects.
    unnamed_classes : dict
        Samples of a semantic set → classes beyond the names.
    """

    name: str
    task: str
    fingerprint: str
    samples: int
    splits: dict[str, int] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    objects: int = 0
    objects_per_image: dict[str, float] = field(default_factory=dict)
    object_areas: dict[str, float] = field(default_factory=dict)
    tiny_objects: int = 0
    class_fractions: dict[str, float] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    duplicates: list[list[str]] = field(default_factory=list)
    near_duplicates: list[NearDuplicate] = field(default_factory=list)
    shared_groups: list[str] = field(default_factory=list)
    leaks: list[tuple[str, str]] = field(default_factory=list)
    empty_masks: list[str] = field(default_factory=list)
    blank_images: list[str] = field(default_factory=list)
    disconnected_objects: dict[str, list[int]] = field(default_factory=dict)
    suspicious_masks: list[str] = field(default_factory=list)
    unnamed_classes: dict[str, list[int]] = field(default_factory=dict)
    ignored: float = 0.0
    samples_with_ignored: int = 0
    unlabelled: int = 0
    channels: list[str] = field(default_factory=list)

    def json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)

    def text(self) -> str:
        """Return the report as text: a summary of the set, then the problems found, each with a few examples."""
        without = f" ({self.unlabelled} of them images without labels)" if self.unlabelled else ""
        lines = [f"{self.name}: {self.samples} samples{without}, task {self.task}, fingerprint {self.fingerprint[:16]}"]
        for title, counts in (("splits", self.splits), ("sizes", self.sizes), ("images", self.kinds)):
            lines += [f"  {title}: {_counts(counts)}"] if counts else []
        lines += [f"  channels: {', '.join(map(printable, self.channels))}"] if self.channels else []
        lines += [f"  groups, different values: {_counts(self.groups)}"] if self.groups else []
        if self.task == "instances":
            lines.append(f"  objects: {self.objects:,}, per image {_quantiles(self.objects_per_image)}")
            lines += [f"  object areas (pixels): {_quantiles(self.object_areas)}"] if self.object_areas else []
        else:
            lines.append(
                "  classes: " + ", ".join(f"{name} {share:.1%}" for name, share in self.class_fractions.items())
            )
        if self.samples_with_ignored:
            lines.append(f"  ignored: {self.ignored:.2%} of the pixels, in {self.samples_with_ignored} samples")
        problems = self._problems()
        lines += ["problems:", *(f"  {problem}" for problem in problems)] if problems else ["no problems found"]
        return "\n".join(lines)

    def _problems(self) -> list[str]:
        objects = sum(map(len, self.disconnected_objects.values()))
        twins = [_pair_in_words(twins) for twins in self.near_duplicates]
        by_group = (
            f"; all share the group {' and '.join(self.shared_groups)}: split by it" if self.shared_groups else ""
        )
        unnamed = [f"{name}: {', '.join(map(str, values))}" for name, values in self.unnamed_classes.items()]
        sections = [
            ("samples whose files can't be used", [f"{name} ({why})" for name, why in self.unreadable.items()]),
            ("sets of samples with the same pixels", [" = ".join(ids) for ids in self.duplicates]),
            (f"near duplicates{' across splits' if len(self.splits) > 1 else ''}{by_group}", twins),
            ("pairs in different splits (leaks)", [f"{a} ~ {b}" for a, b in self.leaks]),
            ("masks without objects", self.empty_masks),
            ("images with a single value", self.blank_images),
            (f"images with disconnected objects ({objects} objects)", list(self.disconnected_objects)),
            ("samples with unnamed classes", unnamed),
        ]
        problems = [f"{len(items)} {what}: {_some(items)}" for what, items in sections if items]
        problems += [f"suspicious mask: {message}" for message in self.suspicious_masks[:NAMED]]
        problems += (
            [f"{len(self.suspicious_masks) - NAMED} more suspicious masks"]
            if len(self.suspicious_masks) > NAMED
            else []
        )
        problems += [f"{self.tiny_objects} objects of fewer than {TINY} pixels"] if self.tiny_objects else []
        problems += [f"images of different types: {_counts(self.kinds)}"] if len(self.kinds) > 1 else []
        absent = [name for name, share in self.class_fractions.items() if share == 0]
        return problems + ([f"classes that never occur: {', '.join(absent)}"] if absent else [])


def _quantiles(measured: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:,.0f}" for name, value in measured.items())


def _pair_in_words(twins: NearDuplicate) -> str:
    first, second = (
        f"{name} ({split})" if split else name
        for name, split in zip((twins.first, twins.second), twins.splits, strict=True)
    )
    return f"{first} ~ {second}, correlation {twins.correlation:.3f}"


def _counts(counts: Mapping[str, Any]) -> str:
    shown = [f"{name} {count}" for name, count in list(counts.items())[:NAMED]]
    return ", ".join(shown) + (f" and {len(counts) - NAMED} more" if len(counts) > NAMED else "")


def _some(items: Sequence[str]) -> str:
    return ", ".join(items[:NAMED]) + (f" and {len(items) - NAMED} more" if len(items) > NAMED else "")
