"""The images without labels that a condition's generators may learn from: none that shows what is tested."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from synthbench.datasets.copies import Copy
from synthbench.datasets.splits import Split
from synthbench.datasets.unlabelled import labelled_samples, unlabelled_samples
from synthbench.errors import ConfigError
from synthbench.plugin.api import Progress
from synthbench.samples import SampleSet
from synthbench.store import Store
from synthbench.study._copies import copies_between

__all__ = ["UnlabelledImages", "UnlabelledPool", "check_kinds"]


@dataclass(frozen=True)
class UnlabelledImages:
    """Images without labels, for one split of a dataset.

    Attributes
    ----------
    samples : SampleSet or None
        What generators get; None where there is none.
    left_out : mapping
        Why images were left out → how many.
    """

    samples: SampleSet | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)


class UnlabelledPool:
    """All images of a dataset without labels, and which annotated images they are copies of.

    Parameters
    ----------
    samples
        The dataset.
    group
        The group that a split keeps together.
    store
        Remembers which images are copies.
    progress
        Called while images are compared.
    elsewhere
        Test images of other datasets, copies of which are left out as well.
    """

    def __init__(
        self,
        samples: SampleSet,
        group: str | None,
        store: Store,
        progress: Progress,
        elsewhere: Sequence[SampleSet] = (),
    ) -> None:
        self._samples, self._group = samples, group
        self._pool = unlabelled_samples(samples)
        self._copies: Sequence[Copy] = ()
        self._copies_elsewhere: set[str] = set()
        if len(self._pool):
            self._copies = copies_between(store, self._pool, labelled_samples(samples), progress)
            found = (copies_between(store, self._pool, tested, progress) for tested in elsewhere)
            self._copies_elsewhere = {copy.image for copies in found for copy in copies}

    def without(self, split: Split) -> UnlabelledImages:
        """Return the images that show nothing that a split tests or validates with.

        Left out are copies of its test and validation images and, where it keeps a group together, images of the
        groups of these, and images whose group isn't known.
        """
        held = {*split.validation, *split.test}
        copies = {copy.image for copy in self._copies if copy.of in held} | self._copies_elsewhere
        groups = {self._samples.entries[self._samples.position(name)].groups.get(self._group or "") for name in held}
        left_out: Counter[str] = Counter()
        kept = []
        for entry in self._pool.entries:
            value = entry.groups.get(self._group or "")
            if self._group and value is None:
                left_out[f"without group {self._group!r}"] += 1
            elif self._group and value in groups:
                left_out[f"of a {self._group} that is tested or validated with"] += 1
            elif entry.id in copies:
                left_out["copies of test or validation images"] += 1
            else:
                kept.append(entry.id)
        return UnlabelledImages(self._pool.subset(kept) if kept else None, left_out)


def check_kinds(unlabelled: SampleSet | None, train: SampleSet, dataset: str) -> None:
    """Raise `ConfigError` if images without labels have another type or other channels than all training images."""
    known = {(entry.dtype, entry.channels) for entry in train.entries}
    for entry in unlabelled.entries if unlabelled is not None else ():
        if (entry.dtype, entry.channels) not in known:
            trained = " and ".join(f"{dtype} with {channels}" for dtype, channels in sorted(known))
            raise ConfigError(
                f"dataset {dataset!r}: {entry.id!r} without labels is read as {entry.dtype} with {entry.channels} "
                f"channel(s), and the training images are {trained}; convert it, or take it out"
            )
