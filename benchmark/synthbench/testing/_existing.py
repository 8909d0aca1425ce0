"""The checks of a generator whose samples exist already: of the samples, instead of what draws any number must do."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from synthbench.datasets.copies import Copy, find_copies, pixel_hash
from synthbench.errors import SynthbenchError, join_names
from synthbench.plugin.api import Context, ExistingSamples, Generator
from synthbench.samples import UNLABELLED, Entry, Sample, SampleSet, Task
from synthbench.testing._shared_checks import check_config, methods_are_implemented
from synthbench.testing.check_results import (
    CheckFailure,
    CheckResult,
    FatalCheckFailure,
    Skipped,
    plugin_call,
    require,
    run_checks_in_folder,
)

__all__ = ["iter_existing_checks"]


def iter_existing_checks(
    cls: type[Generator[Any]], tasks: Iterable[str], config: Mapping[str, Any] | None, dataset: Path | None
) -> Iterator[CheckResult]:
    """Return an iterator over the results of the checks as they come.

    Parameters
    ----------
    cls
    tasks
        The tasks its spec claims.
    config
        Keys of its configuration.
    dataset
        A sample set that the samples should suit; None for none.
    """
    return run_checks_in_folder(CHECKS, lambda folder: _Harness(cls, tasks, folder, dict(config or {}), dataset))


class _Harness:
    def __init__(
        self, cls: Any, tasks: Iterable[str], folder: Path, keys: Mapping[str, Any], dataset: Path | None
    ) -> None:
        self.cls, self.tasks, self.folder, self.keys = cls, sorted(tasks), folder, dict(keys)
        self._dataset = dataset
        self.sets: tuple[SampleSet, ...] = ()

    @cached_property
    def dataset(self) -> SampleSet:
        """The annotated samples of the dataset; skip without one."""
        if self._dataset is None:
            raise Skipped("no dataset was given; add --dataset NAME")
        found = SampleSet.open(self._dataset)
        return found.subset(entry.id for entry in found.entries if entry.groups.get("split") != UNLABELLED)

    @property
    def kind(self) -> tuple[Task, tuple[str, ...]]:
        """Task and classes that masks are read with: those of the dataset, or else of objects."""
        if self._dataset is not None:
            return self.dataset.task, self.dataset.classes
        return "instances" if "instances" in self.tasks else "semantic", ()

    def read(self) -> ExistingSamples:
        """Ask the class for its samples."""
        task, classes = self.kind
        config = self.cls.Config(**self.keys)
        found: ExistingSamples = self.cls.existing(config, task, classes, Context(folder=self.folder / "sets"))
        return found

    @property
    def entries(self) -> list[Entry]:
        return [entry for samples in self.sets for entry in samples.entries]

    def fit(self, seed: int) -> Generator[Any]:
        """Return a generator fitted on the dataset, or on a few of its own samples."""
        train = self.dataset if self._dataset is not None else self.sets[0][:2]
        generator: Generator[Any] = self.cls(self.cls.Config(**self.keys))
        work = self.folder / f"fit{seed}-{len(list(self.folder.iterdir()))}"
        work.mkdir()
        with plugin_call("fit"):
            generator.fit(train, Context(seed=seed, folder=work))
        return generator


def configuration_is_declared(harness: _Harness) -> None:
    """Config is a synthbench.Config: keys have defaults, unknown ones are refused, it survives a JSON round trip."""
    check_config(harness.cls, harness.keys)


def samples_can_be_read(harness: _Harness) -> str:
    """The samples can be read: every image has a mask of its size, and masks hold what the task says."""
    try:
        found = harness.read()
    except SynthbenchError as error:
        raise FatalCheckFailure(str(error)) from None
    except Exception as error:  # a plugin may raise anything
        raise FatalCheckFailure(f"existing() raised {type(error).__name__}: {error}") from error
    if not isinstance(found, ExistingSamples) or not found.folders:
        raise FatalCheckFailure(f"existing() returned {found!r}; expected ExistingSamples with a folder")
    opened = [SampleSet.open(folder) for folder in found.folders]
    harness.sets = tuple(
        samples.subset(entry.id for entry in samples.entries if entry.groups.get("split") != UNLABELLED)
        for samples in opened
    )
    for samples in harness.sets:
        for _ in samples:
            pass
    numbers = " + ".join(str(len(samples)) for samples in harness.sets)
    return f"{numbers} samples, {harness.sets[0].task}"


def images_are_of_one_type(harness: _Harness) -> str:
    """All images have the same type and channels."""
    kinds = Counter(f"{entry.dtype} with {entry.channels} channel(s)" for entry in harness.entries)
    require(len(kinds) == 1, f"there are {', '.join(f'{count} images of {kind}' for kind, count in kinds.items())}")
    sizes = Counter(f"{entry.height}×{entry.width}" for entry in harness.entries).most_common(3)
    more = len({(entry.height, entry.width) for entry in harness.entries}) - len(sizes)
    listed = ", ".join(f"{count} of {size}" for size, count in sizes)
    return f"{next(iter(kinds))}; {listed}" + (f" and {more} other sizes" if more else "")


def masks_have_objects(harness: _Harness) -> str:
    """Masks have objects, not all of them are empty, and how much they cover."""
    entries = harness.entries
    empty = sum(entry.objects == 0 for entry in entries)
    require(empty < len(entries), "no mask has an object")
    covered = np.quantile([entry.covered for entry in entries], (0.05, 0.5, 0.95))
    objects = np.median([entry.objects for entry in entries])
    what = f"{objects:.0f} objects per image, " if harness.sets[0].task == "instances" else ""
    low, middle, high = (f"{100 * value:.0f}" for value in covered)
    return f"{what}{middle} % of the pixels (5 to 95 % of the images: {low} to {high} %); {empty} masks are empty"


def images_differ(harness: _Harness) -> None:
    """No image occurs twice."""
    seen: dict[str, str] = {}
    twins = []
    for number, samples in enumerate(harness.sets):
        for sample in samples:
            name = sample.id if len(harness.sets) == 1 else f"{sample.id} (set {number})"
            first = seen.setdefault(pixel_hash(sample.image), name)
            if first != name:
                twins.append(f"{first} = {name}")
    require(not twins, f"{len(twins)} images occur twice: {join_names(twins)}")


def images_are_not_flat(harness: _Harness) -> None:
    """No image has a single value."""
    flat = [sample.id for samples in harness.sets for sample in samples if sample.image.min() == sample.image.max()]
    require(not flat, f"{len(flat)} images have a single value: {join_names(flat)}")


def every_sample_is_returned_once(harness: _Harness) -> None:
    """Fitted, it returns each sample once, with the id f"{i:06d}", and refuses to return more in one line."""
    for seed, samples in enumerate(harness.sets):
        generator = harness.fit(seed)
        with plugin_call("sample"):
            drawn = generator.sample_batch(range(len(samples)), seed)
        for index, sample in enumerate(drawn):
            require(sample.id == f"{index:06d}", f"sample {index} has the id {sample.id!r}, not '{index:06d}'")
        require(
            sorted(map(_mask, drawn)) == sorted(map(_mask, samples)),
            f"the masks of samples 0 … {len(samples) - 1} of seed {seed} aren't those of the set",
        )
        _refuses(partial(generator.sample, len(samples), seed), f"sample({len(samples)}, {seed})")
    _refuses(partial(harness.fit, len(harness.sets)), f"fit with seed {len(harness.sets)}")


def _refuses(call: Callable[[], object], what: str) -> None:
    try:
        call()
    except SynthbenchError as error:
        require("\n" not in str(error), f"{what} raised a message of more than one line")
    except CheckFailure as failure:
        require(isinstance(failure.__cause__, SynthbenchError), str(failure))
    else:
        raise CheckFailure(f"{what} returned something, and there are no more samples; raise DataError")


def _mask(sample: Sample) -> str:
    """Return the foreground of a sample as text."""
    return pixel_hash((sample.labels > 0).astype(np.uint8))


def saved_is_enough(harness: _Harness) -> None:
    """load needs nothing but the saved folder, and returns the same samples."""
    generator = harness.fit(0)
    folder = harness.folder / "model"
    folder.mkdir()
    with plugin_call("save"):
        generator.save(folder)
    indices = range(len(harness.sets[0]))
    expected = [sample.digest for sample in generator.sample_batch(indices, 0)]
    moved = folder.rename(harness.folder / "moved")
    with plugin_call("load"):
        loaded = harness.cls.load(moved, Context())
        found = [sample.digest for sample in loaded.sample_batch(indices, 0)]
    require(found == expected, "what load gives returns other samples than what was saved")


def samples_suit_the_dataset(harness: _Harness) -> str:
    """Images have the type and channels of the dataset's images; how sizes and coverage compare."""
    known = {(entry.dtype, entry.channels) for entry in harness.dataset.entries}
    for entry in harness.entries:
        fits = (entry.dtype, entry.channels) in known or (entry.channels == 1 and (entry.dtype, 3) in known)
        require(
            fits,
            f"{entry.id!r} is read as {entry.dtype} with {entry.channels} channel(s), and the images of the "
            "dataset are " + " and ".join(f"{dtype} with {channels}" for dtype, channels in sorted(known)),
        )
    return "; ".join(
        f"{name} {_median(harness.entries, of):.{digits}f}{unit}, in the dataset "
        f"{_median(harness.dataset.entries, of):.{digits}f}{unit} (medians)"
        for name, of, digits, unit in (
            ("pixels", lambda entry: entry.height * entry.width, 0, ""),
            ("objects", lambda entry: entry.objects, 0, ""),
            ("covered", lambda entry: 100 * entry.covered, 0, " %"),
        )
    )


def _median(entries: Sequence[Entry], of: Callable[[Entry], float]) -> float:
    return float(np.median([of(entry) for entry in entries]))


def no_image_is_the_dataset_s(harness: _Harness) -> str:
    """No image is a copy of one of the dataset's test and validation images, or nearly."""
    copies = [copy for samples in harness.sets for copy in find_copies(samples, harness.dataset)]
    split = {entry.id: entry.groups.get("split", "") for entry in harness.dataset.entries}
    held = [copy for copy in copies if split[copy.of] in ("test", "validation")]
    kinds = ", ".join(sorted({split[copy.of] for copy in held}))
    require(not held, f"copies of {kinds} images (=), or nearly (≈): {_pairs(held)}")
    known = [copy for copy in copies if split[copy.of] == "train"]
    other = [copy for copy in copies if split[copy.of] != "train"]
    parts = [f"{len(known)} of training images ({_pairs(known)})"] if known else []
    where = "of images that a study may test ({})" if any(split.values()) else "of its images ({})"
    if other:
        parts.append(f"{len(other)} {where.format(_pairs(other))}")
        warnings.warn("copies of images that a study may test; plan the study to see if it does", stacklevel=2)
    return f"copies, or nearly: {'; '.join(parts)}" if parts else "no copies"


def _pairs(copies: Sequence[Copy]) -> str:
    return join_names(f"{copy.image} {'=' if copy.exact else '≈'} {copy.of}" for copy in copies)


CHECKS: tuple[Callable[[_Harness], str | None], ...] = (
    methods_are_implemented,
    configuration_is_declared,
    samples_can_be_read,
    images_are_of_one_type,
    masks_have_objects,
    images_differ,
    images_are_not_flat,
    every_sample_is_returned_once,
    saved_is_enough,
    samples_suit_the_dataset,
    no_image_is_the_dataset_s,
)
