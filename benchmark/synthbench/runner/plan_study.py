"""What a study would do: its tasks, those that the store lacks, how long they take, and what it can detect."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console

from synthbench.plugin.precision import Precision
from synthbench.results import Results
from synthbench.results.power import DetectableEffect, detectable_effects
from synthbench.runner.step_choice import choose_steps
from synthbench.store import Store
from synthbench.study.model import Study
from synthbench.study.notes import scale_lines, study_notes
from synthbench.study.plan import Plan, Task, make_plan, missing_control
from synthbench.study.resolve import resolve
from synthbench.study.runtime_estimates import RuntimeEstimates

__all__ = ["StudyPlan", "plan_study", "resolve_and_plan"]


@dataclass(frozen=True)
class StudyPlan:
    """A study that is planned, and not run.

    Attributes
    ----------
    plan : Plan
        Tasks by key, in an order in which they can run.
    missing : tuple of Task
        Those that a run would start; the store has the others.
    estimates : RuntimeEstimates
        Seconds per task, from what this store has run.
    detectable_effects : tuple of DetectableEffect
        One per dataset, amount of real data and segmenter: the smallest difference that the study would find.
    scales : tuple of str
        How the images of each dataset are scaled, in a sentence each; empty where the study scales none.
    warnings : tuple of str
        What the study lacks, and what of its data is left out, in a sentence each.
    """

    plan: Plan
    missing: tuple[Task, ...]
    estimates: RuntimeEstimates
    detectable_effects: tuple[DetectableEffect, ...]
    scales: tuple[str, ...]
    warnings: tuple[str, ...]


def plan_study(
    study: Study,
    store: Store,
    console: Console,
    device: str = "cpu",
    pilot: Results | None = None,
    precision: Precision = "auto",
) -> StudyPlan:
    """Plan a study for a kind of device, ``"cpu"`` or ``"cuda"``; datasets are generated or downloaded if needed.

    Parameters
    ----------
    study, store
    console
        For progress and messages.
    device
    pilot
        An earlier run, to estimate the noise of scores from.
    precision
        How precisely tasks compute, where a plugin leaves the choice.

    Raises
    ------
    SynthbenchError
        If the study can't be run; one line that says what is wrong.
    """

    def planned(part: Study) -> Plan:
        return resolve_and_plan(part, store, console, device, precision)

    assumed: list[str] = []
    study = choose_steps(study, planned, store, None, assumed.append)
    plan = planned(study)
    control = missing_control(plan.resolved)
    return StudyPlan(
        plan,
        tuple(plan.lacking(store)),
        RuntimeEstimates(store, (task.kind for task in plan.tasks.values())),
        tuple(detectable_effects(plan, store, pilot)),
        tuple(scale_lines(plan.resolved)),
        (*((control,) if control else ()), *assumed, *study_notes(plan.resolved)),
    )


def resolve_and_plan(
    study: Study, store: Store, console: Console, device: str = "cpu", precision: Precision = "auto"
) -> Plan:
    """Resolve and plan a study for a kind of device; datasets are generated or downloaded on the way."""
    with console.status("reading the study's datasets and plugins") as status:

        def progress(done: int, total: int, note: str = "") -> None:
            status.update(f"dataset: {note or 'preparing'} {done}/{total}")

        def notify(line: str) -> None:
            if line:
                console.print(line, highlight=False, soft_wrap=True)

        return make_plan(resolve(study, store, progress, notify), device, precision)
