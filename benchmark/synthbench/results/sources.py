"""What the tables of a run come from: datasets, image by image, and the keys of the tasks behind each training.

A run writes it beside its tables, in ``sources.json``. With it the artifacts behind a row are found in a store, and the
fingerprints in ``plan.json`` can be computed again without an image. It holds no path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from synthbench.errors import DataError
from synthbench.results._collecting import run_head
from synthbench.samples import SampleSet
from synthbench.samples.entries import Loader, Pixels, read_entry
from synthbench.study.plan import Plan

__all__ = ["ABOUT", "FORMAT", "SOURCES", "dataset_of", "read_sources", "sources_of", "trainings_of"]

SOURCES = "sources.json"
FORMAT = 1
ABOUT = ("source", "licence", "citation")
"""What is kept of where a dataset comes from."""


def sources_of(plan: Plan) -> dict[str, Any]:
    """Return what the tables of a plan come from, as JSON.

    Returns
    -------
    dict
        ``datasets``: title → task, classes, `ABOUT`, fingerprint, and the index entry of each sample.
        ``trainings``: a row per training and test set, with the columns of `synthbench.results.Results.runs` that tell
        them apart, and the keys of its tasks: ``fit``, ``evaluate``, and ``draw`` and ``fit_generator`` or null.
    """
    folders = {condition.dataset: condition.folder for condition in plan.resolved.conditions}
    folders |= {tested.dataset: tested.folder for tested in plan.resolved.test_sets}
    datasets = {title: _described(SampleSet.open(folder)) for title, folder in folders.items()}
    return {"format": FORMAT, "datasets": datasets, "trainings": trainings_of(plan)}


def trainings_of(plan: Plan) -> list[dict[str, Any]]:
    """Return the trainings of a plan, a row for each and each test set; see `sources_of`."""
    return [
        {
            **run_head(plan, run),
            "synthetic_ratio": run.synthetic_ratio,
            "schedule": run.schedule,
            "init": run.init,
            "fit": run.fit,
            "evaluate": run.evaluate,
            "draw": run.draw,
            "fit_generator": run.fit_generator,
        }
        for run in plan.training_runs
    ]


def _described(samples: SampleSet) -> dict[str, Any]:
    return {
        "task": samples.task,
        "classes": list(samples.classes),
        **{name: str(samples.info.get(name) or "") for name in ABOUT},
        "fingerprint": samples.fingerprint,
        "samples": [{**asdict(entry), "groups": dict(entry.groups)} for entry in samples.entries],
    }


def read_sources(run: Path) -> dict[str, Any]:
    """Read what a run folder says of where its tables come from.

    Raises
    ------
    DataError
        If the folder has no such file, as a run of an earlier version leaves it, or the file is damaged.
    """
    path = run / SOURCES
    again = f"the same 'synthbench run' command writes it: synthbench run {run / 'study.yaml'} --out {run}"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise DataError(f"{path}: has format {content['format']}, and this version reads {FORMAT}; {again}")
        return {name: content[name] for name in ("format", "datasets", "trainings")}
    except FileNotFoundError:
        raise DataError(f"{path}: is missing; {again}") from None
    except DataError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise DataError(f"{path}: can't be read; {again}") from None


def dataset_of(described: Mapping[str, Any], name: str) -> SampleSet:
    """Return a dataset as a sample set without pixels, from its description in `sources_of`.

    Raises
    ------
    DataError
        If a sample is asked for; or an entry is damaged.
    """
    try:
        entries = [read_entry({"image": "", "labels": "", **_ignored(row), **row}) for row in described["samples"]]
        classes: Sequence[str] = [str(text) for text in described["classes"]]
        loaders = [Loader(_no_pixels)] * len(entries)
        return SampleSet(entries, loaders, name=name, task=described["task"], classes=classes)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"dataset {name!r}: damaged description ({error!r})") from None


def _ignored(row: Mapping[str, Any]) -> dict[str, str]:
    return {"ignore": ""} if row.get("ignored") else {}


def _no_pixels() -> Pixels:
    raise DataError("only the description of this dataset is known, not its images")
