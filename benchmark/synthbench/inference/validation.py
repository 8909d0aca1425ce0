"""Which of several trained segmenters is best on validation images; test images choose nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from synthbench.engine.base import Event, Outcome
from synthbench.engine.schedule import Message, run_tasks
from synthbench.errors import StoreError
from synthbench.plugin.api import Progress
from synthbench.results import collect
from synthbench.results.mean_scores import mean_scores
from synthbench.runner import Machine, plan_study
from synthbench.store import Store
from synthbench.study.model import load_study
from synthbench.study.plan import on_validation_images

__all__ = ["validation_scores"]


def validation_scores(
    study: Path, fits: Collection[str], store: Store, device: str, progress: Progress
) -> dict[str, float]:
    """Return the score of trained segmenters on the validation images of their own training.

    It is the F-score, mean over IoU 0.5 … 0.95; of semantic tasks, mIoU*. What isn't in the store is computed and put
    there, as the evaluation of test images is.

    Parameters
    ----------
    study
        The study file.
    fits
        Keys of the trainings.
    store
    device
        Where predictions are computed: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:n"``.
    progress

    Returns
    -------
    dict
        Key → score, of those that could be scored.

    Raises
    ------
    SynthbenchError
        If the study can't be planned as it was run: its dataset isn't there any more, or code has changed.
    """
    machine = Machine(engine="serial", device=device)
    quiet = Console(stderr=True, markup=False, quiet=True)
    whole = plan_study(load_study(study), store, quiet, machine.kind()).plan
    known = [run for run in whole.training_runs if run.fit in set(fits)]
    if {run.fit for run in known} != set(fits):
        raise StoreError("the study has other keys now: code, versions, device or images have changed since it was run")
    plan = on_validation_images(whole, known)
    tasks = [
        task for task in plan.lacking(store) if task.kind == "evaluate" and store.find("fit-segmenter", task.needs[0])
    ]
    ended: dict[str, str] = {}

    def listen(message: Message) -> None:
        if isinstance(message, Outcome):
            ended[message.key] = message.error
        if isinstance(message, Event) and message.total:
            progress(len(ended) * message.total + message.done, len(tasks) * message.total, "validation images")

    if tasks:
        run_tasks(tasks, machine.build(Store(store.root)), store, listen)
    scores: dict[str, float] = {}
    for run in plan.training_runs:
        found = mean_scores(collect(replace(plan, training_runs=[run]), store, {}))
        if found:
            scores[run.fit] = next(iter(found.values()))
    return scores
