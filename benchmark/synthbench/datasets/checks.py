"""Checks of a sample set before it is used: duplicates, leaks between splits, implausible masks, sizes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from synthbench.datasets.components import connected_components
from synthbench.datasets.copies import pixel_hash
from synthbench.datasets.dataset_report import TINY, DatasetReport, NearDuplicate
from synthbench.datasets.mask_checks import check_mask, check_masks
from synthbench.datasets.mask_statistics import MaskStatistics, mask_statistics
from synthbench.datasets.unlabelled import is_unlabelled
from synthbench.errors import DataError
from synthbench.metrics.similarity import near_duplicates, thumbnail
from synthbench.plugin.api import Progress, silent
from synthbench.samples import Sample, SampleSet, kind_of_image
from synthbench.types import AnyArray

__all__ = ["check_dataset"]

QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)


def check_dataset(samples: SampleSet, progress: Progress = silent) -> DatasetReport:
    """Check a sample set, reading each sample once.

    Raises
    ------
    DataError
        If the set is empty.
    """
    if not samples:
        raise DataError(f"sample set {samples.name!r}: is empty")
    report = DatasetReport(samples.name, samples.task, samples.fingerprint, len(samples))
    _summarise(samples, report)
    seen: dict[str, list[str]] = defaultdict(list)
    thumbs: list[AnyArray] = []
    read: list[int] = []
    counts: list[int] = []
    areas: list[AnyArray] = []
    statistics: list[MaskStatistics] = []
    pixels = np.zeros(max(len(samples.classes), 1), np.int64)
    for position, entry in enumerate(samples.entries):
        try:
            sample = samples[position]
        except DataError as error:
            report.unreadable[entry.id] = str(error)
            continue
        read.append(position)
        seen[pixel_hash(sample.image)].append(sample.id)
        thumbs.append(thumbnail(sample.image))
        if sample.image.min() == sample.image.max():
            report.blank_images.append(sample.id)
        if is_unlabelled(entry):
            pass
        elif samples.task == "instances":
            area = _check_objects(sample, report)
            areas.append(area)
            statistics.append(mask_statistics(sample.labels, sample.id))
            counts.append(len(area))
        else:
            pixels += _check_classes(sample, len(pixels), report)
        progress(position + 1, len(samples), sample.id)
    report.duplicates = [ids for ids in seen.values() if len(ids) > 1]
    report.near_duplicates = _near_duplicates(samples, read, thumbs, report.duplicates)
    report.shared_groups = _shared_groups(samples, report.near_duplicates)
    report.leaks = _leaks(samples, report)
    report.suspicious_masks = _suspicious_masks(statistics, samples.name)
    if samples.task == "instances" and counts:
        joined = np.concatenate(areas)
        report.objects = len(joined)
        report.objects_per_image = _quantiles(np.array(counts))
        report.object_areas = _quantiles(joined)
        report.tiny_objects = int((joined < TINY).sum())
    elif samples.task == "semantic":
        shares = pixels / max(int(pixels.sum()), 1)
        report.class_fractions = {name: float(share) for name, share in zip(samples.classes, shares, strict=False)}
    return report


def _suspicious_masks(masks: Sequence[MaskStatistics], name: str) -> list[str]:
    """Return the messages of the plausibility checks: of single masks, or else of all masks together."""
    messages = []
    for mask in masks:
        try:
            check_mask(mask)
        except DataError as error:
            messages.append(str(error))
    if not messages:
        try:
            check_masks(masks, name)
        except DataError as error:
            messages.append(str(error))
    return messages


def _summarise(samples: SampleSet, report: DatasetReport) -> None:
    entries = samples.entries
    report.sizes = dict(Counter(f"{e.height}×{e.width}" for e in entries).most_common())
    report.kinds = dict(Counter(f"{kind_of_image(e.channels)} {e.dtype}" for e in entries).most_common())
    report.channels = list(samples.channel_names)
    report.splits = dict(Counter(e.groups["split"] for e in entries if "split" in e.groups))
    annotated = [e for e in entries if not is_unlabelled(e)]
    pixels = sum(e.height * e.width for e in annotated)
    report.unlabelled = len(entries) - len(annotated)
    report.ignored = sum(e.ignored * e.height * e.width for e in annotated) / max(pixels, 1)
    report.samples_with_ignored = sum(e.ignored > 0 for e in annotated)
    names = sorted({name for e in entries for name in e.groups} - {"split"})
    report.groups = {name: len({e.groups[name] for e in entries if name in e.groups}) for name in names}


def _check_objects(sample: Sample, report: DatasetReport) -> AnyArray:
    """Return the areas of the objects; report an empty mask and disconnected objects."""
    areas: AnyArray
    labels, areas = np.unique(sample.labels[sample.labels > 0], return_counts=True)
    if not len(labels):
        report.empty_masks.append(sample.id)
        return areas
    owners, components = np.unique(connected_components(sample.labels).label, return_counts=True)
    disconnected = owners[components > 1].tolist()
    if disconnected:
        report.disconnected_objects[sample.id] = disconnected
    return areas


def _check_classes(sample: Sample, classes: int, report: DatasetReport) -> AnyArray:
    """Return the number of pixels of each class; report a mask of background only, and unnamed classes."""
    if not (sample.labels > 0).any():
        report.empty_masks.append(sample.id)
    unnamed = np.unique(sample.labels[sample.labels >= classes])
    if len(unnamed):
        report.unnamed_classes[sample.id] = [int(value) for value in unnamed]
    known = sample.marked
    return np.bincount(known[(known >= 0) & (known < classes)], minlength=classes)


def _near_duplicates(
    samples: SampleSet, read: Sequence[int], thumbs: Sequence[AnyArray], duplicates: Sequence[Sequence[str]]
) -> list[NearDuplicate]:
    """Return the near duplicates: across splits where the set has them. Exact duplicates are reported separately."""
    if len(thumbs) < 2:
        return []
    entries = [samples.entries[i] for i in read]
    splits = [entry.groups.get("split", "") for entry in entries]
    same = {name: number for number, ids in enumerate(duplicates) for name in ids}
    stacked = np.stack(thumbs)
    pairs = []
    for i, j, correlation in near_duplicates(stacked, stacked):
        a, b = entries[i].id, entries[j].id
        across = len(set(splits)) == 1 or splits[i] != splits[j]
        if i < j and across and not (a in same and same[a] == same.get(b)):
            pairs.append(NearDuplicate(a, b, round(correlation, 4), (splits[i], splits[j])))
    return sorted(pairs, key=lambda twins: -twins.correlation)


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


def _quantiles(values: AnyArray) -> dict[str, float]:
    if not len(values):
        return {}
    names = ("min", "5 %", "median", "95 %", "max")
    return {name: float(v) for name, v in zip(names, np.quantile(values, QUANTILES), strict=True)}
