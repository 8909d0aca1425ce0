"""Are the trainings of a bundle those that its study asks for, on the images that its splits name?

The key of a task is the SHA-256 of its content, and the keys of a training name one another. So a plan can't be changed
in one place, and what it says of images is compared with fingerprints that are computed again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synthbench.bundle import layout
from synthbench.bundle._arm_checks import check_alike, check_arms, segmenter_of
from synthbench.bundle.contents import Contents
from synthbench.bundle.findings import Findings
from synthbench.results import SCRATCH
from synthbench.store import key_of
from synthbench.study.model import PluginConfig, Study

__all__ = ["check_trainings"]


def check_trainings(contents: Contents, findings: Findings) -> None:
    """Compare the trainings with the plan, the study and the images."""
    with findings.check(layout.SOURCES, f"{len(contents.trainings)} trainings are those that study and plan ask for"):
        check_arms(contents, findings)
        check_alike(contents, findings)
        _check_complete(contents, findings)
        real = _Real(contents)
        for row in contents.trainings:
            _check_training(contents, row, real, findings)


def _check_complete(contents: Contents, findings: Findings) -> None:
    """Every planned evaluation on test images is there; of a study that decides, those of the first seeds."""
    tested = {key for key, task in contents.plan.items() if task["kind"] == "evaluate" and "test" in task["content"]}
    known = {row["evaluate"] for row in contents.trainings}
    if contents.study.decide is None:
        for key in sorted(tested - known):
            findings.add(layout.SOURCES, f"lacks the planned training {contents.plan[key]['label']!r} ({key[:12]})")
    for key in sorted(known - tested):
        findings.add(layout.SOURCES, f"has the evaluation {str(key)[:12]}, expected one of {layout.PLAN}")
    found: dict[tuple[Any, ...], set[tuple[Any, Any]]] = {}
    names = ("dataset", "tested_on", "fold", "fraction", "segmenter", "arm", "generator")
    for row in contents.trainings:
        found.setdefault(tuple(row[name] for name in names), set()).add((row["generator_seed"], row["seed"]))
    for arm, seeds in found.items():
        where = f"{arm[4]} on {arm[5]}, {arm[0]}, fold {arm[2]}, {arm[3]} images"
        expected = _seeds(contents, arm[4], arm[6], seeds)
        if seeds != expected:
            findings.add(
                layout.SOURCES,
                f"{where}: has {len(seeds)} pairs of generator seed and seed ({_pairs(seeds)}), "
                f"expected {len(expected)} ({_pairs(expected)})",
            )


def _pairs(seeds: set[tuple[Any, Any]]) -> str:
    shown = [f"{'–' if first is None else first}/{second}" for first, second in sorted(seeds, key=str)]
    return f"{', '.join(shown[:6])}{' …' if len(shown) > 6 else ''}"


def _seeds(contents: Contents, segmenter: str, generator: str, found: set[tuple[Any, Any]]) -> set[tuple[Any, Any]]:
    """Return the seeds that the study asks for, of generator and segmenter."""
    study = contents.study
    count = segmenter_of(study, segmenter).seeds or study.seeds
    if study.decide is not None:
        count = min(count, 1 + max(seed for _, seed in found))
    drawn: list[int | None] = [None]
    if any(first is not None for first, _ in found):
        asked = next((each.seeds for each in study.generators if each.title == generator), None)
        drawn = list(range(asked or study.generator_seeds or 1))
    return {(first, seed) for first in drawn for seed in range(count)}


class _Real:
    """Fingerprints of the real images of each condition, from the identifiers that the study's splits give."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._known: dict[tuple[str, int], dict[int, str]] = {}

    def train(self, dataset: str, fold: int) -> dict[int, str]:
        """Return number of real training images → their fingerprint, for all amounts of the study."""
        if (dataset, fold) not in self._known:
            samples = self._contents.datasets[dataset]
            taken = self._contents.real_images(dataset, fold).values()
            self._known[dataset, fold] = {len(ids): samples.subset(ids).fingerprint for ids in taken}
        return self._known[dataset, fold]

    def validation(self, dataset: str, fold: int) -> str:
        """Return the fingerprint of the validation images."""
        return self._contents.datasets[dataset].subset(self._contents.splits[dataset][fold].validation).fingerprint


def _check_training(contents: Contents, row: Mapping[str, Any], real: _Real, findings: Findings) -> None:
    label = f"{row['segmenter']} on {row['arm']}, seed {row['seed']}"
    dataset, fold = row["dataset"], row["fold"]
    amounts = real.train(dataset, fold)
    if row["fraction"] not in amounts:
        findings.add(layout.SOURCES, f"{label}: fraction is {row['fraction']}, expected one of {sorted(amounts)}")
        return

    def expect(what: str, value: Any, expected: Any) -> None:
        findings.expect(layout.PLAN, f"{label}: {what}", value, expected)

    fit, evaluate = (contents.plan[row[name]]["content"] for name in ("fit", "evaluate"))
    test = contents.datasets[row["tested_on"]].subset(contents.test_ids(row))
    expect("fingerprint of the test images", evaluate["test"], test.fingerprint)
    expect("trained segmenter", evaluate["segmenter"], row["fit"])
    expect("scoring of border objects", evaluate.get("border_objects", "include"), contents.study.border_objects)
    expect("seed", fit["seed"], row["seed"])
    expect("fingerprint of the validation images", fit["validation"], real.validation(dataset, fold))
    if row["synthetic_ratio"] < 1:
        expect("fingerprint of the training images", fit["train"], amounts[row["fraction"]])
    expect("ratio of synthetic patches", fit["synthetic_ratio"], row["synthetic_ratio"])
    if row["schedule"]:
        expect("schedule", fit.get("schedule", "mix"), row["schedule"])
    expect("start from other weights", fit["init"] is not None, row["init"] != SCRATCH)
    joint = [each.title for each in contents.study.generators if each.joint]
    expect("generator trained together with it", fit["joint"] is not None, row["generator"] in joint)
    drawn = fit["synthetic"]
    expect("number of synthetic images", drawn["take"] if drawn else 0, row["synthetic"])
    if drawn:
        draw = contents.plan[row["draw"]]["content"]
        identity = {"generator": row["fit_generator"], "seed": row["generator_seed"]}
        expect("synthetic images", drawn["drawn"], key_of(identity))
        expect("trained generator", draw["generator"], row["fit_generator"])
        expect("generator seed", draw["seed"], row["generator_seed"])
        generator = contents.plan[row["fit_generator"]]["content"]
        expect("training images of the generator", generator["train"], amounts[row["fraction"]])
        for choice in contents.study.generators:
            if choice.title == row["generator"]:
                _check_plugin(f"{label}: generator", generator["plugin"], choice, contents.study, findings)
    _check_plugin(
        f"{label}: segmenter", fit["plugin"], segmenter_of(contents.study, row["segmenter"]), contents.study, findings
    )
    findings.expect(
        layout.SOURCES, f"{label}: generator of the arm {row['arm']!r}", bool(row["generator"]), row["arm"] != "real"
    )


def _is_kept(value: Any) -> bool:
    """Whether a plan has a setting as the study does: numbers and words, but no paths and nothing that is chosen."""
    if isinstance(value, list):
        return all(_is_kept(each) for each in value)
    if isinstance(value, str):
        return value != "auto" and not set(value) & set("./\\")
    return isinstance(value, bool | int | float)


def _check_plugin(
    label: str, planned: Mapping[str, Any], choice: PluginConfig, study: Study, findings: Findings
) -> None:
    """Compare a plugin of the plan with the study: its name, its configuration, and numbers of its budget."""
    findings.expect(layout.PLAN, label, planned["name"], choice.name)
    for name, value in choice.config.items():
        if _is_kept(value):
            findings.expect(layout.PLAN, f"{label}: {name}", planned["config"].get(name), value)
    budget = choice.budget or study.budget
    if planned["budget"].get("steps"):  # 0 of a plugin that isn't trained, whatever the budget
        for name in ("steps", "batch_size", "patch_size"):
            given = getattr(budget, name)
            if isinstance(given, int):
                findings.expect(layout.PLAN, f"{label}: {name}", planned["budget"][name], given)
