"""A few images of each kind for the report."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from synthbench.errors import SynthbenchError
from synthbench.samples import Sample, SampleSet
from synthbench.store import Store
from synthbench.study.inputs import open_set
from synthbench.study.plan import Plan
from synthbench.study.scaling import scale_set

__all__ = ["PREVIEWS", "previews"]

PREVIEWS = 6
"""Images of each kind."""


def previews(plan: Plan, store: Store, notify: Callable[[str], None]) -> dict[str, list[Sample]]:
    """Return a few real training samples as they are trained on, and the first of each synthetic set of seed 0.

    What can't be read is left out, and `notify` hears of it; a synthetic set is then drawn again by the next run.
    """
    condition = plan.resolved.conditions[0]
    sets: dict[str, Callable[[], SampleSet]] = {
        "real": lambda: scale_set(
            open_set(store, condition.folder).subset(condition.train.ids), condition.scaling.factor
        )
    }
    for run in plan.training_runs:
        if run.condition == 0 and run.draw and run.generator_seed == 0 and run.generator not in sets:
            drawn = store.find("draw", run.draw)
            if drawn:
                sets[run.generator] = partial(open_set, store, drawn.folder / "samples")
    return {title: shown for title, get in sets.items() if (shown := _first(title, get, notify))}


def _first(title: str, get: Callable[[], SampleSet], notify: Callable[[str], None]) -> list[Sample]:
    try:
        samples = get()
        return [samples[i] for i in range(min(PREVIEWS, len(samples)))]
    except (SynthbenchError, OSError) as error:
        notify(f"no pictures of {title} in the report: {error}")
        return []
