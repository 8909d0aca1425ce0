"""One training of a bundle taken again, on the user's copy of the dataset, with the plugins that are installed."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from synthbench.bundle import layout
from synthbench.bundle._data_checks import open_data
from synthbench.bundle._retrained_scores import Compared, compare_scores
from synthbench.bundle.contents import Contents, read_contents
from synthbench.bundle.findings import Findings
from synthbench.bundle.reading import BundleFile
from synthbench.engine.progress import Display
from synthbench.engine.schedule import run_tasks
from synthbench.errors import ConfigError, DataError
from synthbench.plugin.precision import Precision
from synthbench.results import FAILURES, Results, collect
from synthbench.runner.machine import Machine
from synthbench.runner.plan_study import resolve_and_plan
from synthbench.store import Store
from synthbench.study.explain import differences, flat
from synthbench.study.model import Study
from synthbench.study.plan import Plan, TrainingRun
from synthbench.study.runtime_estimates import RuntimeEstimates

__all__ = ["Retrained", "add_outcome", "retrain"]

_SAME = ("fold", "arm", "generator", "synthetic", "segmenter", "generator_seed", "seed", "synthetic_ratio", "schedule")
_MOST = 8


@dataclass(frozen=True)
class Retrained:
    """The outcome of a training that was taken again.

    Attributes
    ----------
    key : str
        The bundle's key of its scores.
    label : str
    same_key : bool
        Whether code, versions, configuration and inputs are those of the bundle.
    differences : list of str
        What differs in the keys behind the scores, in a line each.
    machine : str
        How this machine differs from the bundle's; an empty string where processor and versions are the same.
    scores : Compared
    """

    key: str
    label: str
    same_key: bool
    differences: list[str]
    machine: str
    scores: Compared = field(repr=False)


def retrain(path: Path, prefix: str, data: Sequence[str], findings: Findings, console: Console) -> Retrained:
    """Take one training of a verified bundle again, with its generator and synthetic images, and compare the scores.

    It runs the plugins that are installed here, with the configuration that the bundle states, in a temporary store.

    Parameters
    ----------
    path
    prefix
        First digits of the training's key: ``fit`` or ``evaluate`` of `layout.SOURCES`.
    data
        The datasets that it needs, by name or path.
    findings
        Of `synthbench.bundle.verifying.verify_bundle`; whether the scores agree is added.
    console
        For progress.

    Raises
    ------
    ConfigError
        If the bundle has problems, there is no such training, or it needs what a bundle doesn't hold.
    DataError
        If a dataset isn't that of the bundle, or the training fails.
    """
    if findings.problems:
        raise ConfigError(f"--retrain {prefix}: {path} has problems, so nothing of it is run; leave --retrain out")
    with BundleFile(path) as file:
        contents, environment = read_contents(file), file.json(layout.ENVIRONMENT)
    row = _training(contents, prefix)
    if row["init"] != "scratch":
        raise ConfigError(
            f"--retrain {prefix}: starts from {row['init']}, which a bundle doesn't hold; choose one from scratch"
        )
    study = _own_study(contents, row, _places(contents, row, data, prefix))
    compute = contents.plan[row["fit"]]["content"]["compute"]
    machine = Machine("serial", device=compute["device"], precision=_precision(compute))
    machine.check()
    with tempfile.TemporaryDirectory(prefix="synthbench-retrain-") as folder:
        store = Store(folder)
        plan = resolve_and_plan(study, store, console, machine.kind(), machine.precision)
        plan, run = _reduced(plan, row, contents)
        results = _run(plan, store, machine, console)
        facts = _record(store, run)
        seen = _changes(contents, row, plan, run)
        scores = compare_scores(contents.results, row, results, study.iou)
    found = Retrained(
        row["evaluate"],
        contents.plan[row["evaluate"]]["label"],
        run.evaluate == row["evaluate"],
        seen,
        _machine_differences(environment, facts),
        scores,
    )
    add_outcome(found, findings)
    return found


def _training(contents: Contents, prefix: str) -> Mapping[str, Any]:
    """Return the training of a key; of several test sets the first one that it names."""
    for name in ("evaluate", "fit"):
        rows = [row for row in contents.trainings if prefix and str(row[name]).startswith(prefix)]
        if len({row[name] for row in rows}) == 1:
            return rows[0]
        if rows:
            raise ConfigError(f"--retrain {prefix}: {len(rows)} keys begin so; give more digits")
    first = contents.trainings[0]
    raise ConfigError(
        f"--retrain {prefix}: no training of the bundle has this key; {layout.SOURCES} lists them, such as "
        f"{first['evaluate'][:12]} ({first['segmenter']} on {first['arm']}, seed {first['seed']})"
    )


def _places(contents: Contents, row: Mapping[str, Any], data: Sequence[str], prefix: str) -> dict[str, str]:
    """Return where the datasets of a training are here: title in the bundle → name or path."""
    found = {title: name for name in data for title in open_data(contents, [name])}
    for title in dict.fromkeys((row["dataset"], row["tested_on"])):
        if title not in found:
            raise ConfigError(f"--retrain {prefix}: needs the images of {title}; give them with --data NAME|PATH")
    return found


def _own_study(contents: Contents, row: Mapping[str, Any], places: Mapping[str, str]) -> Study:
    """Return the bundle's study, with as little as the training needs, on the datasets that are here."""
    study = contents.study
    choices = {title: contents.choice(title) for title in places}
    datasets = [choices[row["dataset"]].model_copy(update={"name": _located(places[row["dataset"]])})]
    other = row["tested_on"] != row["dataset"]
    tests = [choices[row["tested_on"]].model_copy(update={"name": _located(places[row["tested_on"]])})] if other else []
    amounts = {"real_only": [], "fractions": study.fractions} if row["generator"] else {}
    generators = [each for each in study.generators if each.title == row["generator"]]
    changes: dict[str, Any] = {
        "datasets": datasets,
        "test_on": tests,
        "generators": generators,
        "decide": None,
        **amounts,
    }
    return study.model_copy(update={**changes, "check_convergence": False})


def _located(place: str) -> str:
    path = Path(place).expanduser()
    return str(path.resolve()) if path.exists() else place


def _precision(compute: Mapping[str, str]) -> Precision:
    """Return the precision that a key's task was planned with."""
    narrow = "bfloat16" in compute["precision"]
    if compute["device"] == "cpu":
        return "bf16" if narrow else "auto"
    return "auto" if narrow else "fp32"


def _reduced(plan: Plan, row: Mapping[str, Any], contents: Contents) -> tuple[Plan, TrainingRun]:
    """Return a plan of one training run, the one of a row of the bundle."""
    for run in plan.training_runs:
        amount = len(plan.resolved.conditions[run.condition].train)
        fold = plan.resolved.conditions[run.condition].fold
        values = {**vars(run), "fold": fold}
        if (
            amount == row["fraction"]
            and all(values[name] == row[name] for name in _SAME)
            and (bool(run.tested_on) == (row["tested_on"] != row["dataset"]))
        ):
            return replace(plan, fidelity=[], label_consistency=[]).restricted([run]), run
    raise DataError(
        f"{layout.STUDY}: its plan has no {row['segmenter']} on {row['arm']}, seed {row['seed']}, with this version of "
        "synthbench; install the version that made the bundle"
    )


def _run(plan: Plan, store: Store, machine: Machine, console: Console) -> Results:
    tasks = plan.lacking(store)
    engine = machine.build(store)
    estimates = engine.estimates = RuntimeEstimates(store, ())
    with Display(tasks, 0, estimates, engine.slots, console) as display:
        run_tasks(tasks, engine, store, display)
    for key, ended in display.ended.items():
        if ended["status"] in FAILURES:
            raise DataError(f"{plan.tasks[key].kind}: {plan.tasks[key].label}: {ended['error']}")
    return collect(plan, store, display.ended)


def _record(store: Store, run: TrainingRun) -> Mapping[str, Any]:
    return store.get("fit-segmenter", run.fit).record


def _changes(contents: Contents, row: Mapping[str, Any], plan: Plan, run: TrainingRun) -> list[str]:
    """Return what differs between the bundle's keys and those here, without what follows from another difference."""
    pairs = [(row["fit_generator"], run.fit_generator), (row["draw"], run.draw), (row["fit"], run.fit)]
    found: dict[str, None] = {}
    for there, here in [*pairs, (row["evaluate"], run.evaluate)]:
        if there and here and there != here:
            kind = contents.plan[there]["kind"]
            mine, theirs = flat(plan.tasks[here].content), flat(contents.plan[there]["content"])
            for place, now, before in differences(mine, theirs):
                if place not in ("generator", "segmenter", "synthetic.drawn"):
                    found[f"{kind}: {place}: {_short(before)} in the bundle, {_short(now)} here"] = None
    lines = list(found)
    return lines if len(lines) <= _MOST else [*lines[:_MOST], f"and {len(lines) - _MOST} more"]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:12]}…"


def _machine_differences(environment: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    """Return how this machine differs from the one that the bundle names, as far as numbers may depend on it."""
    hardware = environment.get("hardware") or {}
    here = record.get("hardware") or {}
    parts = [
        f"{name} is {hardware.get(name)} in the bundle, {here.get(name)} here"
        for name in ("system", "processor", "cores")
        if hardware.get(name) != here.get(name)
    ]
    for name, version in (record.get("versions") or {}).items():
        known = environment["distributions"].get(name, [])
        if known and known != [version]:
            parts.append(f"{name} is {', '.join(map(str, known))} in the bundle, {version} here")
    return "; ".join(parts)


def add_outcome(found: Retrained, findings: Findings) -> None:
    """Add to the findings whether the scores agree; the rule is in docs/bundles.md."""
    scores, what = found.scores, f"the training {found.label!r} taken again"
    numbers = f"{scores.metric} {scores.here:.4f} here, {scores.bundle:.4f} in the bundle"
    if scores.identical:
        findings.verified.append(f"{what}: all predictions and scores are equal ({numbers})")
        return
    if found.same_key and not found.machine:
        findings.add(
            layout.table_file("images"),
            f"{what}: {numbers}; code, versions and processor are the same, expected equal predictions",
        )
        return
    why = found.machine or "; ".join(found.differences)
    if scores.limit is None:
        findings.not_verified.append(
            f"{what}: {numbers}; they may differ ({why}), and the bundle has no two seeds of one arm to say by how much"
        )
    elif scores.within:
        findings.verified.append(f"{what}: {numbers}, within ±{scores.limit:.4f} of the noise between seeds ({why})")
    else:
        findings.add(
            layout.table_file("images"),
            f"{what}: {numbers}, expected within ±{scores.limit:.4f}, the noise between seeds ({why})",
        )
