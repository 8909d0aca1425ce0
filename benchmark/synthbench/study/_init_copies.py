"""Trainings on another dataset whose images are training images of the study too: these are trained on twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from synthbench.datasets.unlabelled import labelled_samples
from synthbench.plugin.api import Progress
from synthbench.samples import SampleSet
from synthbench.store import Store
from synthbench.study._condition import Condition
from synthbench.study._copies import copies_between
from synthbench.study._study_plugins import StudyPlugin

__all__ = ["repeated_training_images"]


def repeated_training_images(
    segmenters: Iterable[StudyPlugin],
    conditions: Sequence[Condition],
    datasets: Mapping[str, SampleSet],
    store: Store,
    progress: Progress,
) -> tuple[str, ...]:
    """Return in a sentence each which trainings on another dataset see training images of the study before it does.

    Parameters
    ----------
    segmenters, conditions
    datasets
        The study's, by title.
    store
        Remembers which images are copies.
    progress
        Called while images are compared.
    """
    lines = []
    for segmenter, (title, samples) in product(segmenters, datasets.items()):
        pretraining = segmenter.init.pretraining if segmenter.init else None
        if pretraining is None:
            continue
        trained = {name for each in conditions if each.dataset == title for name in each.train.ids}
        found = copies_between(store, pretraining.train, labelled_samples(samples), progress)
        if copies := {copy.image for copy in found if copy.of in trained}:
            lines.append(
                f"{segmenter.title}: {len(copies)} of the {len(pretraining.train)} images that it is trained on first "
                f"are copies of training images of {title}, or nearly: it is trained on them twice"
            )
    return tuple(lines)
