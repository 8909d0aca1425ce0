"""Looking a sample set over before it is trusted: duplicates, leaks between splits, odd masks, sizes."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from synthbench.datasets.components import connected_components
from synthbench.datasets.mask_checks import check_mask, check_masks
from synthbench.datasets.mask_statistics import MaskStatistics, mask_statistics
from synthbench.errors import DataError
from synthbench.metrics.similarity import near_duplicates, thumbnail
from synthbench.plugin.api import Progress, silent
from synthbench.samples import Sample, SampleSet

QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)
TINY = 10
"""Objects of fewer pixels are counted as tiny."""

NAMED = 6
"""How many samples the text names of each kind of finding; JSON names all."""


@dataclass(frozen=True)
class NearDuplicate:
    """Two samples whose images are nearly the same, under some flip or rotation."""

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
    groups : dict
        Name of a group → number of its different values.
    objects : int
    objects_per_image, object_areas : dict
        Quantiles (``"min"``, ``"5 %"``, ``"median"``, ``"95 %"``, ``"max"``); areas in pixels.
    tiny_objects : int
        Objects of fewer than `TINY` pixels.
    class_shares : dict
        Share of the pixels of known class by class, in a semantic set.
    ignored, ignoring_samples : float, int
        Share of all pixels whose label is unknown, and how many samples have some.
    unreadable : dict
        Samples whose files are damaged or were altered → what is wrong.
    duplicates : list
        Lists of samples with the same pixels.
    near_duplicates : list of Twins
        Across splits; anywhere in a set without official splits.
    shared_groups : list
        Names of groups that both samples of every near duplicate share: splitting by one of these keeps them together.
    leaks : list
        Duplicates and near duplicates that are in different official splits, as pairs.
    empty_masks, blank_images : list
    objects_in_pieces : dict
        Samples → labels whose pixels aren't connected (8 neighbours).
    doubts : list of str
        What `synthbench.datasets.mask_checks` would refuse: masks that seem to be no label maps of objects.
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
    class_shares: dict[str, float] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    duplicates: list[list[str]] = field(default_factory=list)
    near_duplicates: list[NearDuplicate] = field(default_factory=list)
    shared_groups: list[str] = field(default_factory=list)
    leaks: list[tuple[str, str]] = field(default_factory=list)
    empty_masks: list[str] = field(default_factory=list)
    blank_images: list[str] = field(default_factory=list)
    objects_in_pieces: dict[str, list[int]] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    unnamed_classes: dict[str, list[int]] = field(default_factory=dict)
    ignored: float = 0.0
    ignoring_samples: int = 0

    def json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)

    def text(self) -> str:
        """Return the report for people: the set in a few lines, then what was found, each with an example or two."""
        lines = [f"{self.name}: {self.samples} samples, task {self.task}, fingerprint {self.fingerprint[:16]}"]
        for title, counts in (("splits", self.splits), ("sizes", self.sizes), ("images", self.kinds)):
            lines += [f"  {title}: {_counts(counts)}"] if counts else []
        lines += [f"  groups, different values: {_counts(self.groups)}"] if self.groups else []
        if self.task == "instances":
            lines.append(f"  objects: {self.objects:,}, per image {_quantiles(self.objects_per_image)}")
            lines += [f"  object areas (pixels): {_quantiles(self.object_areas)}"] if self.object_areas else []
        else:
            lines.append("  classes: " + ", ".join(f"{name} {share:.1%}" for name, share in self.class_shares.items()))
        if self.ignoring_samples:
            lines.append(f"  ignored: {self.ignored:.2%} of the pixels, in {self.ignoring_samples} samples")
        findings = self._findings()
        lines += ["found:", *(f"  {finding}" for finding in findings)] if findings else ["nothing odd was found"]
        return "\n".join(lines)

    def _findings(self) -> list[str]:
        pieces = sum(map(len, self.objects_in_pieces.values()))
        twins = [_twins_text(twins) for twins in self.near_duplicates]
        by_group = f"; all share their {' and '.join(self.shared_groups)}: split by it" if self.shared_groups else ""
        unnamed = [f"{name}: {', '.join(map(str, found))}" for name, found in self.unnamed_classes.items()]
        told = [
            ("samples whose files can't be used", [f"{name} ({why})" for name, why in self.unreadable.items()]),
            ("sets of samples with the same pixels", [" = ".join(ids) for ids in self.duplicates]),
            (f"near duplicates{' across splits' if len(self.splits) > 1 else ''}{by_group}", twins),
            ("pairs that leak from one split to another", [f"{a} ~ {b}" for a, b in self.leaks]),
            ("masks without an object", self.empty_masks),
            ("images of one single value", self.blank_images),
            (f"images with objects in pieces ({pieces} objects)", list(self.objects_in_pieces)),
            ("samples with classes that have no name", unnamed),
        ]
        found = [f"{len(items)} {what}: {_some(items)}" for what, items in told if items]
        found += [f"masks in doubt: {doubt}" for doubt in self.doubts[:NAMED]]
        found += [f"{len(self.doubts) - NAMED} more masks in doubt"] if len(self.doubts) > NAMED else []
        found += [f"{self.tiny_objects} objects of fewer than {TINY} pixels"] if self.tiny_objects else []
        found += [f"images of several kinds: {_counts(self.kinds)}"] if len(self.kinds) > 1 else []
        absent = [name for name, share in self.class_shares.items() if share == 0]
        return found + ([f"classes that never occur: {', '.join(absent)}"] if absent else [])


def check_dataset(samples: SampleSet, progress: Progress = silent) -> DatasetReport:
    """Look a sample set over, reading each sample once.

    Raises
    ------
    DataError
        If the set is empty.
    """
    if not samples:
        raise DataError(f"sample set {samples.name!r}: is empty, there is nothing to check")
    report = DatasetReport(samples.name, samples.task, samples.fingerprint, len(samples))
    _describe(samples, report)
    seen: dict[str, list[str]] = defaultdict(list)
    thumbs: list[np.ndarray] = []
    read: list[int] = []
    counts: list[int] = []
    areas: list[np.ndarray] = []
    looks: list[MaskStatistics] = []
    pixels = np.zeros(max(len(samples.classes), 1), np.int64)
    for position, entry in enumerate(samples.entries):
        try:
            sample = samples[position]
        except DataError as error:
            report.unreadable[entry.id] = str(error)
            continue
        read.append(position)
        seen[_pixel_hash(sample.image)].append(sample.id)
        thumbs.append(thumbnail(sample.image))
        if sample.image.min() == sample.image.max():
            report.blank_images.append(sample.id)
        if samples.task == "instances":
            area = _check_objects(sample, report)
            areas.append(area)
            looks.append(mask_statistics(sample.labels, sample.id))
            counts.append(len(area))
        else:
            pixels += _check_classes(sample, len(pixels), report)
        progress(position + 1, len(samples), sample.id)
    report.duplicates = [ids for ids in seen.values() if len(ids) > 1]
    report.near_duplicates = _twins(samples, read, thumbs, report.duplicates)
    report.shared_groups = _shared_groups(samples, report.near_duplicates)
    report.leaks = _leaks(samples, report)
    report.doubts = _doubts(looks, samples.name)
    if samples.task == "instances" and counts:
        joined = np.concatenate(areas)
        report.objects = len(joined)
        report.objects_per_image = _measure(np.array(counts))
        report.object_areas = _measure(joined)
        report.tiny_objects = int((joined < TINY).sum())
    elif samples.task == "semantic":
        shares = pixels / max(int(pixels.sum()), 1)
        report.class_shares = {name: float(share) for name, share in zip(samples.classes, shares, strict=False)}
    return report


def _doubts(looks: Sequence[MaskStatistics], name: str) -> list[str]:
    """Return what the questions to masks would refuse, mask by mask; of all together where each alone passes."""
    doubts = []
    for seen in looks:
        try:
            check_mask(seen)
        except DataError as error:
            doubts.append(str(error))
    if not doubts:
        try:
            check_masks(looks, name)
        except DataError as error:
            doubts.append(str(error))
    return doubts


def _describe(samples: SampleSet, report: DatasetReport) -> None:
    entries = samples.entries
    report.sizes = dict(Counter(f"{e.height}×{e.width}" for e in entries).most_common())
    report.kinds = dict(Counter(f"{'grey' if e.channels == 1 else 'RGB'} {e.dtype}" for e in entries).most_common())
    report.splits = dict(Counter(e.groups["split"] for e in entries if "split" in e.groups))
    pixels = sum(e.height * e.width for e in entries)
    report.ignored = sum(e.ignored * e.height * e.width for e in entries) / pixels
    report.ignoring_samples = sum(e.ignored > 0 for e in entries)
    names = sorted({name for e in entries for name in e.groups} - {"split"})
    report.groups = {name: len({e.groups[name] for e in entries if name in e.groups}) for name in names}


def _check_objects(sample: Sample, report: DatasetReport) -> np.ndarray:
    """Return the objects' areas; note an empty mask and objects in pieces."""
    labels, areas = np.unique(sample.labels[sample.labels > 0], return_counts=True)
    if not len(labels):
        report.empty_masks.append(sample.id)
        return areas
    owners, pieces = np.unique(connected_components(sample.labels).label, return_counts=True)
    broken = owners[pieces > 1].tolist()
    if broken:
        report.objects_in_pieces[sample.id] = broken
    return areas


def _check_classes(sample: Sample, classes: int, report: DatasetReport) -> np.ndarray:
    """Return the number of pixels of each class; note a mask of background alone, and classes without a name."""
    if not (sample.labels > 0).any():
        report.empty_masks.append(sample.id)
    unnamed = np.unique(sample.labels[sample.labels >= classes])
    if len(unnamed):
        report.unnamed_classes[sample.id] = [int(value) for value in unnamed]
    known = sample.marked
    return np.bincount(known[(known >= 0) & (known < classes)], minlength=classes)


def _pixel_hash(image: np.ndarray) -> str:
    head = f"{image.shape} {image.dtype.name}"
    return hashlib.sha256(head.encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


def _twins(
    samples: SampleSet, read: Sequence[int], thumbs: Sequence[np.ndarray], duplicates: Sequence[Sequence[str]]
) -> list[NearDuplicate]:
    """Return the near duplicates: across splits where the set has them. Exact duplicates are told elsewhere."""
    if len(thumbs) < 2:
        return []
    entries = [samples.entries[i] for i in read]
    splits = [entry.groups.get("split", "") for entry in entries]
    same = {name: number for number, ids in enumerate(duplicates) for name in ids}
    stacked = np.stack(thumbs)
    found = []
    for i, j, correlation in near_duplicates(stacked, stacked):
        a, b = entries[i].id, entries[j].id
        across = len(set(splits)) == 1 or splits[i] != splits[j]
        if i < j and across and not (a in same and same[a] == same.get(b)):
            found.append(NearDuplicate(a, b, round(correlation, 4), (splits[i], splits[j])))
    return sorted(found, key=lambda twins: -twins.correlation)


def _shared_groups(samples: SampleSet, twins: Sequence[NearDuplicate]) -> list[str]:
    def shared(pair: NearDuplicate) -> set[tuple[str, str]]:
        first, second = (samples.entries[samples.position(name)].groups.items() for name in (pair.first, pair.second))
        return set(first) & set(second)

    if not twins:
        return []
    common = set.intersection(*({name for name, _ in shared(pair)} for pair in twins)) - {"split"}
    values = {name: {e.groups.get(name) for e in samples.entries} for name in common}
    return sorted(name for name in common if len(values[name]) > 1)


def _leaks(samples: SampleSet, report: DatasetReport) -> list[tuple[str, str]]:
    def split(name: str) -> str:
        return samples.entries[samples.position(name)].groups.get("split", "")

    pairs = [(ids[0], other) for ids in report.duplicates for other in ids[1:]]
    pairs += [(twins.first, twins.second) for twins in report.near_duplicates]
    return [(a, b) for a, b in pairs if split(a) and split(b) and split(a) != split(b)]


def _measure(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return {}
    names = ("min", "5 %", "median", "95 %", "max")
    return {name: float(v) for name, v in zip(names, np.quantile(values, QUANTILES), strict=True)}


def _quantiles(measured: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:,.0f}" for name, value in measured.items())


def _twins_text(twins: NearDuplicate) -> str:
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
