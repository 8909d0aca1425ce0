"""The images of a run's dataset, where they are at hand: what is published of the run is compared with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from synthbench.datasets import library
from synthbench.errors import SynthbenchError
from synthbench.samples import SampleSet
from synthbench.store import Store
from synthbench.study.inputs import IMPORTED
from synthbench.study.model import DatasetConfig, Study

__all__ = ["open_originals"]


def open_originals(store: Store, study: Study, sources: Mapping[str, Any], title: str) -> SampleSet | None:
    """Return the dataset of a run with its images, or None where it isn't at hand or has changed.

    Parameters
    ----------
    store, study
    sources
        See `synthbench.results.sources.sources_of`.
    title
        Of the dataset.
    """
    fingerprint = sources["datasets"][title]["fingerprint"]
    choices = [choice for choice in (*study.datasets, *study.test_on) if Path(choice.name).name == title]
    for samples in _candidates(store, choices):
        if samples.fingerprint == fingerprint:
            return samples
    return None


def _candidates(store: Store, choices: list[DatasetConfig]) -> Iterator[SampleSet]:
    """Yield datasets of these names or paths, then those that the store holds of plugins."""
    for choice in choices:
        how: dict[str, Any] = {"task": choice.task, "classes": choice.classes, "ignore": choice.ignore}
        try:
            yield library.open_dataset(choice.name, store.root / IMPORTED, **how)[0]
        except SynthbenchError:
            continue
    for record in store.records("dataset"):
        artifact = store.find("dataset", str(record["key"]))
        if artifact is not None:
            yield SampleSet.open(artifact.folder / "samples")
