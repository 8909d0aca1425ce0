"""Samples of a generator that exist before anything runs: enough of them, fit for the dataset, not its test images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from synthbench.datasets.copies import Copy, same_content
from synthbench.datasets.splits import Split
from synthbench.datasets.unlabelled import labelled_samples
from synthbench.errors import ConfigError, DataError, join_names
from synthbench.plugin.api import Context, ExistingSamples
from synthbench.samples import SampleSet
from synthbench.store import Store
from synthbench.study._copies import copies_between, repeated_images
from synthbench.study._declared_images import find_images
from synthbench.study._inits import NOT_DECLARED, NOT_SEEN
from synthbench.study._scales import Scaling, check_scaled_sizes

__all__ = ["ExistingSets", "copies_note", "equal_arms", "open_existing"]

_NAMED = 4
_CONSEQUENCES = {
    "test": ("its arm would be tested on what it has seen", ""),
    "validation": (
        "the thresholds of its arm would be chosen on what it has seen",
        ", give the dataset a folder val/ with other images",
    ),
}
"""What follows where the maker of samples has seen a part, and what else can be done."""
_SHOWN = 3


@dataclass(frozen=True)
class ExistingSets:
    """What is known of a generator's existing samples, beside one dataset.

    Attributes
    ----------
    title : str
        Of the generator.
    dataset : str
    sets : tuple of SampleSet
        One per generator seed.
    trained_on : frozenset of str or None
        Ids of the dataset's images that their maker has seen; None where nobody says so.
    unknown : tuple of str
        Ids that were given and that the dataset doesn't have.
    copies : tuple of Copy
        Images of the sets that are copies of images of the dataset.
    repeated : tuple of (str, str)
        Images of the sets that are equal to one before them: the id of the first, and their own.
    """

    title: str
    dataset: str
    sets: tuple[SampleSet, ...]
    trained_on: frozenset[str] | None
    unknown: tuple[str, ...]
    copies: tuple[Copy, ...]
    repeated: tuple[tuple[str, str], ...] = ()

    def more_seen(self, train: SampleSet) -> str:
        """Return what their maker has seen beside an arm's training images: `NOT_DECLARED`, `NOT_SEEN`, or a number."""
        if self.trained_on is None:
            return NOT_DECLARED
        more = len(self.trained_on - set(train.ids))
        return str(more) if more else NOT_SEEN

    def check_split(self, split: Split) -> None:
        """Raise `ConfigError` if their maker has seen test or validation images, or a sample is one of them."""
        for part in ("test", "validation"):
            held = set(split.parts[part])
            if seen := sorted(held & (self.trained_on or set())):
                what, more = _CONSEQUENCES[part]
                raise ConfigError(
                    f"generator {self.title!r}: its trained_on names {len(seen)} {part} image(s) of dataset "
                    f"{self.dataset!r}: {join_names(seen)}; {what}: make the images without these{more}, or take it "
                    "out of the study"
                )
            copies = [copy for copy in self.copies if copy.exact and copy.of in held]
            if copies:
                named = join_names(f"{copy.image} = {copy.of}" for copy in copies)
                raise ConfigError(
                    f"generator {self.title!r}: {len({copy.image for copy in copies})} of its images are {part} images "
                    f"of dataset {self.dataset!r}, pixel by pixel: {named}; remove them"
                )

    def check_seeds(self, seeds: int) -> None:
        """Raise `ConfigError` if there are fewer sets than generator seeds."""
        if seeds > len(self.sets):
            raise ConfigError(
                f"generator_seeds: {seeds}, and generator {self.title!r} has {len(self.sets)} set(s) of samples; give "
                f"it one for each seed, or seeds: {len(self.sets)}"
            )

    def check_segmenter(self, title: str, patch_size: int | None, *, supports_ignore: bool, scaling: Scaling) -> None:
        """Raise an error if a segmenter can't be trained on the samples: too small ones, or ones with unknown pixels.

        Parameters
        ----------
        title
            Of the segmenter.
        patch_size
            Side of its training patches; None if it takes none.
        supports_ignore
            Whether it leaves out pixels of unknown label.
        scaling
            How they are scaled, as the images of the dataset are.
        """
        for samples in self.sets:
            if patch_size is not None:
                check_scaled_sizes(samples, patch_size, scaling)
            if samples.has_ignored and not supports_ignore:
                raise ConfigError(
                    f"segmenter {title!r} would take the ignored pixels of {self.title!r} for background; take one of "
                    "them out of the study"
                )

    def check_amount(self, amount: int | str, count: int, real: int, seeds: int) -> None:
        """Raise `ConfigError` if there are fewer samples than an arm takes.

        Parameters
        ----------
        amount, count
            As the study says it, and the number that it comes to.
        real
            Number of training images that a multiple refers to.
        seeds
            Number of generator seeds.
        """
        smallest = min(self.sets[:seeds], key=len)
        if count > len(smallest):
            comes_to = f" of {real} real images is {count} samples" if isinstance(amount, str) else " samples"
            raise ConfigError(
                f"synthetic: {amount}{comes_to}, and generator {self.title!r} has {len(smallest)} "
                f"({smallest.name}); use at most {len(smallest)}, as in synthetic: [{len(smallest)}]"
            )

    def check_kinds(self, train: SampleSet) -> None:
        """Raise `ConfigError` if the images aren't of the type of the training images; grey ones may become RGB."""
        known = {(entry.dtype, entry.channels) for entry in train.entries}
        for samples in self.sets:
            for entry in samples.entries:
                kind = entry.dtype, entry.channels
                if kind in known or (kind[1] == 1 and (kind[0], 3) in known):
                    continue
                trained = " and ".join(f"{dtype} with {channels}" for dtype, channels in sorted(known))
                raise ConfigError(
                    f"generator {self.title!r}: {entry.id!r} is read as {entry.dtype} with {entry.channels} "
                    f"channel(s), and the training images of dataset {self.dataset!r} are {trained}; save the images "
                    "in that type, on the intensity scale of the training images"
                )

    def notes(self, splits: Sequence[Split], trained: Sequence[SampleSet]) -> list[str]:
        """Return what a user should know of these samples before they are used, in a sentence each."""
        lines = []
        where = f"{self.title} on {self.dataset}"
        if self.trained_on is None:
            lines.append(f"{where}: training images not declared (trained_on), so it may have seen test images")
        elif more := sorted({int(text) for text in map(self.more_seen, trained) if text.isdigit()}):
            most = f"up to {more[-1]}" if len(trained) > 1 else str(more[-1])
            lines.append(f"{where}: its images were made with {most} real images more than the arm real has")
        if self.unknown:
            lines.append(
                f"{where}: {len(self.unknown)} ids of its trained_on are no images of this dataset: "
                f"{_first(self.unknown)}"
            )
        if not any(entry.objects for samples in self.sets for entry in samples.entries):
            lines.append(f"{where}: none of its masks has an object")
        if self.repeated:
            twins = [f"{first} = {name}" for first, name in self.repeated]
            lines.append(f"{where}: {len(twins)} of its images occur twice: {_first(twins)}")
        for part in ("test", "validation", "train"):
            if (copied := self.copied(splits, part)) and not (part == "train" and len(splits) > 1):
                exact = f" ({copied[True]} pixel by pixel)" if copied[True] else ""
                lines.append(copies_note(self.title, self.dataset, copied.total(), part) + exact)
        return lines

    def copied(self, splits: Iterable[Split], part: str) -> Counter[bool]:
        """Return how many images are copies of a part's images in any split: exact ones (True), and near ones."""
        held = {name for split in splits for name in split.parts[part]}
        return Counter(copy.exact for copy in {c.image: c for c in self.copies if c.of in held}.values())


def copies_note(generator: str, dataset: str, count: int, part: str) -> str:
    """Return the sentence that says how many ready-made images are copies of a part of a dataset."""
    kind = "training" if part == "train" else part
    return f"{generator} on {dataset}: {count} of its images are copies of {kind} images, or nearly"


def equal_arms(existing: Iterable[ExistingSets]) -> list[str]:
    """Return in a sentence each which generators hold the same samples as another, for the same dataset."""
    return [
        f"{one.title} and {other.title} on {one.dataset}: they hold the same images and masks"
        for one, other in combinations(existing, 2)
        if one.dataset == other.dataset and any(same_content(a, b) for a in one.sets for b in other.sets)
    ]


Ask = Callable[[SampleSet, Context], ExistingSamples | None]
"""Asks a generator for its samples, for a dataset."""


def open_existing(
    title: str, dataset: str, samples: SampleSet, store: Store, ask: Ask, context: Context
) -> ExistingSets | None:
    """Return a generator's existing samples, read and compared with a dataset; None if it has none.

    Parameters
    ----------
    title
        Of the generator.
    dataset, samples
        The dataset, with its title.
    store
        Remembers which images are copies.
    ask
    context
        Its folder is where sample sets are kept that are read from other files.

    Raises
    ------
    SynthbenchError
        If they can't be read, or aren't of the dataset's task.
    """
    answer = ask(samples, context)
    if answer is None:
        return None
    sets = tuple(labelled_samples(SampleSet.open(path)) for path in answer.folders)
    for made in sets:
        if made.task != samples.task or made.classes != samples.classes:
            raise DataError(
                f"generator {title!r}: {made.name} is {_described(made)}, and dataset {dataset!r} is "
                f"{_described(samples)}"
            )
    annotated = labelled_samples(samples)
    copies = [copy for made in sets for copy in copies_between(store, made, annotated, context.progress)]
    repeated = tuple(repeated_images(store, sets, context.progress))
    trained_on: frozenset[str] | None = None
    unknown: tuple[str, ...] = ()
    if answer.trained_on is not None:
        try:
            named = find_images(answer.trained_on, samples)
        except ConfigError as error:
            raise ConfigError(f"generator {title!r}: its trained_on: {error}") from None
        trained_on = frozenset(named.values())
        unknown = tuple(name for name in dict.fromkeys(answer.trained_on) if name not in named)
        if unknown and not trained_on:
            raise ConfigError(
                f"generator {title!r}: its trained_on names no image of dataset {dataset!r}: "
                f"{join_names(sorted(answer.trained_on)[:_NAMED])}; expected ids such as {samples.ids[0]}"
            )
    return ExistingSets(title, dataset, sets, trained_on, unknown, tuple(copies), repeated)


def _first(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _described(samples: SampleSet) -> str:
    return " ".join([samples.task, *([f"({', '.join(samples.classes)})"] if samples.classes else [])])
