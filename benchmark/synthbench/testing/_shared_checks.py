"""Contract checks for plugins of several kinds."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from synthbench.plugin.api import BUDGET_NAMES, LOG, Budget, Config, Encoder, Stopped
from synthbench.samples import Sample, SampleSet
from synthbench.testing._harness import SEED, Fitted, Harness, perturbed_global_rng
from synthbench.testing._learning import changed
from synthbench.testing._watch import Watch
from synthbench.testing.check_results import CheckFailure, FatalCheckFailure, Skipped, plugin_call, require

__all__ = [
    "GRADIENTS_PER_STEP",
    "Untouched",
    "budgets_are_named",
    "check_another_seed",
    "check_config",
    "check_config_class",
    "check_no_steps",
    "check_steps",
    "configuration_is_declared",
    "in_memory",
    "methods_are_implemented",
    "progress_is_reported",
    "stop_and_resume",
]

GRADIENTS_PER_STEP = 16
"""More computations of gradients for each optimiser step are taken for steps that aren't an optimiser's."""


class _OfClass(Protocol):
    """What has a plugin class, as the harness of every kind does."""

    cls: Any


def methods_are_implemented(harness: _OfClass) -> None:
    """Every abstract method of the base class is implemented."""
    missing = sorted(getattr(harness.cls, "__abstractmethods__", ()))
    if missing:
        raise FatalCheckFailure(f"{harness.cls.__name__} doesn't implement {', '.join(missing)}")


def configuration_is_declared(harness: Harness[Any, Any]) -> None:
    """Config is a synthbench.Config: keys have defaults, unknown ones are refused, it survives a JSON round trip."""
    check_config(harness.cls, harness.keys)


def check_config(cls: Any, keys: Mapping[str, Any]) -> None:
    """Raise `CheckFailure` as `check_config_class` does, or if the class doesn't keep its configuration."""
    config = check_config_class(cls, keys)
    require(cls(config).config == config, f"{cls.__name__}(config).config is not that configuration")
    if not issubclass(cls, Encoder):
        _check_fingerprint(cls, config)


def check_config_class(cls: Any, keys: Mapping[str, Any]) -> Config:
    """Return the configuration that keys make.

    Raises
    ------
    CheckFailure
        If the class's `Config` isn't as required; `FatalCheckFailure` if it can't be created.
    """
    require(
        isinstance(cls.Config, type) and issubclass(cls.Config, Config),
        f"{cls.__name__}.Config is no subclass of synthbench.Config",
    )
    open_keys = [name for name, field in cls.Config.model_fields.items() if field.is_required()]
    if open_keys:
        kind = CheckFailure if set(open_keys) <= set(keys) else FatalCheckFailure
        raise kind(f"{cls.__name__}.Config: {' and '.join(open_keys)} has no default; give every key one")
    with plugin_call(f"{cls.__name__}.Config() without arguments"):
        cls.Config()
    config: Config = cls.Config(**keys)
    try:
        cls.Config(**{**keys, "no_such_key_": 1})
    except ValueError:
        pass
    else:
        raise CheckFailure(
            f"{cls.__name__}.Config accepts a key it doesn't declare; leave model_config as synthbench.Config has it"
        )
    with plugin_call(f"{cls.__name__}.Config read back from its JSON"):
        again = cls.Config.model_validate_json(config.model_dump_json())
    require(again == config, f"{cls.__name__}.Config written to JSON and read back is another configuration")
    return config


def _check_fingerprint(cls: Any, config: Config) -> None:
    """Raise `CheckFailure` unless `fingerprint` says the same text of two objects."""
    with plugin_call(f"{cls.__name__}.fingerprint()"):
        found, again = (cls(config).fingerprint() for _ in range(2))
    require(isinstance(found, str), f"fingerprint() gave {type(found).__name__}: return text, by default an empty one")
    require(found == again, "fingerprint() says something else each time, so that no result would be found again")


def budgets_are_named(harness: Harness[Any, Any]) -> None:
    """What trains has the budgets smoke, quick, standard and paper; what doesn't train has none."""
    harness.require_training()
    budgets = harness.cls.budgets
    for name in BUDGET_NAMES:
        require(
            name in budgets,
            f"there is no budget {name!r}: {harness.cls.__name__}.budgets names smoke, quick, standard and paper",
        )
    for name, budget in budgets.items():
        require(name in BUDGET_NAMES, f"budget {name!r} has no meaning; the names are {', '.join(BUDGET_NAMES)}")
        require(isinstance(budget, Budget), f"budget {name!r} is {type(budget).__name__}, not synthbench.Budget")
        require(budget.steps > 0, f"budget {name!r} has no steps; what doesn't train leaves `budgets` empty")


def check_steps(harness: Harness[Any, Any], *watches: Watch) -> None:
    """Raise `CheckFailure` unless the watched fits took the smoke budget's steps; without budgets, none.

    No optimiser and no parameter may get more steps than the budget has, and all optimisers together no fewer.
    """
    watch = max(watches, key=lambda watch: (sum(watch.counts()), watch.gradients))
    counts, updates, gradients = watch.counts(), max(watch.updates.values(), default=0), watch.gradients
    total, budget, name = sum(counts), harness.budget.steps, harness.cls.__name__
    if not harness.trains:
        way = f"and {name}.budgets is empty: name its budgets, and take context.budget.steps of them"
        require(not total, f"fit took {total:,} optimiser steps, {way}")
        require(not gradients, f"fit computed gradients {gradients:,} times, {way}")
    unseen = "it starts processes of its own" if watch.processes else "it may be JAX's" if "jax" in sys.modules else ""
    if not total and unseen:
        raise Skipped(f"{unseen}, so optimiser steps can't be counted")
    if not harness.trains:
        return
    require(total, "fit took no optimiser step; what doesn't train leaves `budgets` empty")
    require(max(counts) <= budget, f"fit took {max(counts):,} steps with one optimiser, and the budget is {budget}")
    require(updates <= budget, f"fit took {updates:,} steps with one parameter, and the budget is {budget}")
    require(total >= budget, f"fit took {total} optimiser steps, and the budget is {budget}: take them all")
    require(
        gradients <= GRADIENTS_PER_STEP * total,
        f"fit computed gradients {gradients:,} times for {total} optimiser steps: what changes weights is a step",
    )


def check_no_steps(watch: Watch, what: str) -> None:
    """Raise `CheckFailure` if optimiser steps were taken where there should be none."""
    count = sum(watch.counts())
    require(not count, f"{what} took {count:,} optimiser steps: all training belongs in fit, and in its budget")


def progress_is_reported(harness: Harness[Any, Any]) -> None:
    """The progress of fit is reported from time to time, and its end."""
    harness.require_training()
    watch = harness.watch
    require(watch.reports, "fit never called context.progress(done, total, note)")
    for done, total, note in watch.reports:
        require(
            isinstance(note, str) and 0 <= done <= total,
            f"progress({done!r}, {total!r}, {note!r}): give 0 ≤ done ≤ total and a text",
        )
    done, total, _ = watch.reports[-1]
    require(done == total, f"the last report was progress({done}, {total}): report the end too")


def stop_and_resume(harness: Harness[Any, Fitted]) -> Fitted:
    """Stop a fit at its second question, fit again in the same folder, and return what that gives.

    Parameters
    ----------
    harness

    Raises
    ------
    CheckFailure
        If it doesn't raise `Stopped`, leaves no checkpoint, or takes steps again that it had taken.
    """
    harness.require_training()
    uninterrupted, data = harness.watch, harness.training_data
    folder, watch, later = harness.new_folder("checkpoints"), Watch(stop_after=1), Watch()
    try:
        with perturbed_global_rng(3), watch.counting():
            harness.fit(data, harness.context(folder=folder, should_stop=watch.should_stop, progress=watch.progress))
    except Stopped:
        pass
    else:
        raise CheckFailure(
            f"fit asked context.should_stop() {watch.asked} times and went on to the end: ask between steps, and "
            "when it is true leave a checkpoint and raise synthbench.Stopped"
        )
    left = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    require(
        any(path.parts[0] != LOG for path in left),
        "fit was stopped and left nothing in context.folder: leave a checkpoint before it raises synthbench.Stopped",
    )
    with plugin_call("fit, resumed after it was stopped,"), perturbed_global_rng(4), later.counting():
        resumed = harness.fit(data, harness.context(folder=folder))
    before, after, all_steps = (sum(seen.steps.values()) for seen in (watch, later, uninterrupted))
    require(
        before + after <= all_steps,
        f"fit took {before} optimiser steps before it was stopped and {after} when it was resumed, and an "
        f"uninterrupted one takes {all_steps}: go on from the checkpoint",
    )
    return resumed


def check_another_seed(harness: Harness[Any, Fitted], fitted: Fitted, other: Fitted) -> None:
    """Raise `CheckFailure` unless two fits, with `SEED` and with the next seed, have learned different numbers."""
    require(
        changed(harness.numbers(other), harness.numbers(fitted), (SEED, SEED + 1)),
        "a fit with another seed saves the same numbers: derive every random choice from context.seed",
    )


def in_memory(samples: SampleSet) -> SampleSet:
    """Return a copy of a sample set whose arrays are in memory, and can be written to."""
    copies = [Sample(s.id, s.image.copy(), s.labels.copy(), s.groups, s.ignore) for s in samples]
    return SampleSet.of(copies, name=samples.name, task=samples.task, classes=samples.classes)


class Untouched:
    """Remembers the arrays of samples, to say later whether somebody has written into them."""

    def __init__(self, samples: SampleSet) -> None:
        arrays = [array for sample in samples for array in (sample.image, sample.labels)]
        self._pairs = [(array, array.copy()) for array in arrays]

    def __bool__(self) -> bool:
        return all(np.array_equal(now, before) for now, before in self._pairs)
