"""Synthetic images of a trained generator, drawn for other programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from synthbench.engine.tasks.draw import check_image, check_origin
from synthbench.errors import ConfigError, DataError
from synthbench.formats.image_sets import ImageSetWriter, check_form
from synthbench.inference.duplicates import duplicates_note
from synthbench.inference.picking import ASK, LEAST, MOST, pick
from synthbench.inference.targets import find_key, find_trainings, is_key
from synthbench.inference.trained import Trained, open_trained, plugin_errors
from synthbench.io.new_folder import check_new_folder, new_folder
from synthbench.plugin.api import Progress, has_existing, silent
from synthbench.samples import MASK, Sample
from synthbench.store import Store
from synthbench.study.scaling import resize_image, resize_labels, restore_labels, scale_sample, scaled_shape
from synthbench.version import __version__

__all__ = ["ChosenGenerator", "Drawn", "choose_generator", "draw_images"]

SIZES = ("original", "study")
"""Of drawn images: that of the user's images, or the one that the study's generators and segmenters see."""


@dataclass(frozen=True)
class ChosenGenerator:
    """A trained generator, and how it was found.

    Attributes
    ----------
    trained : Trained
    notes : tuple of str
        What was taken without being named, and what is known of copies of training images.
    """

    trained: Trained
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drawn:
    """A folder of drawn images.

    Attributes
    ----------
    folder : Path
    about : mapping
        What ``about.json`` in the folder says.
    notes : tuple of str
        What the user should know of them, a sentence each.
    """

    folder: Path
    about: Mapping[str, Any]
    notes: tuple[str, ...]


def choose_generator(
    target: str,
    store: Store,
    *,
    generator: str | None = None,
    dataset: str | None = None,
    fold: int | None = None,
    fraction: int | None = None,
    seed: int | None = None,
    device: str = "cpu",
) -> ChosenGenerator:
    """Find a trained generator.

    Parameters
    ----------
    target
        A key of the store, a run folder or a study file.
    store
    generator, dataset, fold, fraction, seed
        Title of the generator, of the dataset, the fold, number of real images and generator seed that it was trained
        with; what is left open must be the same in all trainings, except that the first fold, the largest number of
        images and the first seed are taken.
    device
        The kind that a study file is planned for.

    Raises
    ------
    SynthbenchError
        If there is none, or several; the message names them.
    """
    chosen = {
        "dataset": dataset,
        "generator": generator,
        "fold": fold,
        "fraction": fraction,
        "generator_seed": seed,
    }
    if is_key(target):
        if named := [name for name, value in chosen.items() if value is not None]:
            raise ConfigError(f"--{named[0].replace('_', '-')}: a key is that of one generator; leave it out")
        return ChosenGenerator(open_trained(store, "generator", find_key(store, target, "fit-generator")))
    trainings = find_trainings(target, store, device)
    rows = [row for row in trainings.rows if row["fit_generator"]]
    if not rows:
        raise ConfigError(f"{target}: has no trained generator")
    rules = {"dataset": ASK, "generator": ASK, "fold": LEAST, "fraction": MOST, "generator_seed": LEAST}
    left, notes = pick(rows, chosen, rules, target)
    row = left[0]
    label = f"{row['generator']} of seed {row['generator_seed']}, {row['dataset']}, fold {row['fold']}"
    trained = open_trained(store, "generator", str(row["fit_generator"]), label)
    copies = duplicates_note(trainings.run, row) if trainings.run else ""
    return ChosenGenerator(trained, (*notes, *([copies] if copies else [])))


def draw_images(
    chosen: ChosenGenerator,
    count: int,
    out: Path,
    *,
    form: str = "folders",
    size: str = "original",
    device: str = "auto",
    threads: int | None = None,
    progress: Progress = silent,
) -> Drawn:
    """Draw samples into a new folder, which appears when all are written.

    Sample i depends on the generator and on i alone: the first samples are those that the study drew, unless `size`
    brings them to another size.

    Parameters
    ----------
    chosen
    count
        1 or more.
    out
        Doesn't exist, or is empty.
    form
        One of `synthbench.formats.image_sets.FORMS`.
    size
        Of a study that scaled its images: ``"original"`` brings what is drawn back to the scale of the dataset, and
        ``"study"`` leaves it as segmenters were trained on it.
    device, threads
    progress

    Raises
    ------
    SynthbenchError
        If samples can't be drawn or written, in one line; nothing is left then.
    """
    check_form(form)
    if size not in SIZES:
        raise ConfigError(f"--size {size}: expected {' or '.join(SIZES)}")
    if count < 1:
        raise ConfigError(f"--n {count}: expected a number of images, 1 or more")
    check_new_folder(out)
    trained, origins, empty = chosen.trained, Counter[str](), 0
    with trained.loaded(device, threads) as generator, new_folder(out) as folder:
        factor = _factor(trained, type(generator), size)
        writer = ImageSetWriter(folder, form, trained.task, trained.classes)
        for done, drawn in enumerate(_samples(trained, generator, count), 1):
            sample = _at_scale(drawn, factor)
            writer.add(sample)
            origins[sample.groups.get(MASK) or "not stated"] += 1
            empty += not sample.labels.any()
            progress(done, count, "")
        notes = (*chosen.notes, *trained.notes, *_notes(writer, origins, count))
        about = {
            "synthbench": __version__,
            "generator": trained.plugin,
            "training": trained.label,
            "key": trained.key,
            "seed": trained.seed,
            "images": count,
            "form": form,
            "scaled_by": factor,
            "masks": dict(sorted(origins.items())),
            "without_objects": empty,
            "notes": list(notes),
        }
        writer.close(about)
    return Drawn(out, about, notes)


def _samples(trained: Trained, generator: Any, count: int) -> Iterator[Sample]:
    """Yield the first samples of the generator's seed, each checked as a study does."""
    size = max(1, int(generator.sample_batch_size))
    for first in range(0, count, size):
        indices = range(first, min(first + size, count))
        with plugin_errors("generator", trained.plugin):
            batch = generator.sample_batch(indices, trained.seed)
        if len(batch) != len(indices):
            raise DataError(f"generator {trained.plugin!r} drew {len(batch)} samples, asked for {len(indices)}")
        for sample in batch:
            check_image(sample, trained.record["images"], trained.plugin)
            check_origin(sample, trained.plugin)
            yield sample


def _factor(trained: Trained, cls: Any, size: str) -> float:
    """Return by how much samples are scaled: existing ones have the original size, drawn ones that of the study."""
    if has_existing(cls):
        return 1.0 if size == "original" else trained.factor
    return 1.0 / trained.factor if size == "original" else 1.0


def _at_scale(sample: Sample, factor: float) -> Sample:
    """Return a sample at another scale; outlines of enlarged objects are smooth, and objects numbered without gaps."""
    if factor <= 1:
        return scale_sample(sample, factor)
    shape = scaled_shape(sample.labels.shape, factor)
    ignore = None if sample.ignore is None else resize_labels(sample.ignore, shape)
    labels = restore_labels(sample.labels, shape)
    return replace(sample, image=resize_image(sample.image, shape), labels=labels, ignore=ignore)


def _notes(writer: ImageSetWriter, origins: Counter[str], count: int) -> list[str]:
    notes = []
    if writer.without_ignored:
        notes.append(
            f"{writer.without_ignored} images have pixels of unknown label, which this form can't hold: they are "
            "background here; --form folders keeps them"
        )
    if copied := origins["training"]:
        notes.append(f"{copied} of {count} masks are training masks, rotated, warped, cropped or unchanged")
    return notes
