"""Do splits, datasets and trainings of a bundle follow from its study, and agree with its plan?

The key of a task is the SHA-256 of its content, and the keys of a training name one another. So a plan can't be changed
in one place, and what it says of images is compared with fingerprints that are computed again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synthbench.bundle import layout
from synthbench.bundle._contents import Contents
from synthbench.bundle.findings import Findings
from synthbench.datasets.fractions import take_fraction
from synthbench.datasets.splits import make_splits
from synthbench.store import key_of

__all__ = ["check_plan", "check_splits", "check_trainings"]


def check_splits(contents: Contents, findings: Findings) -> None:
    """Compute fingerprints of datasets and splits again."""
    with findings.check(layout.SOURCES, "fingerprints of the datasets follow from the digests of their images"):
        for title, samples in contents.datasets.items():
            findings.expect(
                layout.SOURCES, f"fingerprint of {title!r}", contents.fingerprints[title], samples.fingerprint
            )
    with findings.check("splits", "splits follow from the study"):
        fixed = [title for title in contents.datasets if contents.choice(title).split.file]
        if fixed:
            findings.not_verified.append(f"how the splits of {', '.join(fixed)} were made: a file gave them")
        for title in [title for title in contents.datasets if title not in fixed]:
            choice = contents.choice(title).split
            expected = make_splits(contents.datasets[title], **choice.model_dump(exclude={"file"}))
            file, written = layout.split_file(title), contents.splits[title]
            findings.expect(file, "number of folds", len(written), len(expected))
            for fold, (found, right) in enumerate(zip(written, expected, strict=False)):
                for part in right.parts:
                    _compare_ids(findings, file, f"fold {fold}, {part}", found.parts[part], right.parts[part])


def _compare_ids(findings: Findings, file: str, what: str, found: Sequence[str], expected: Sequence[str]) -> None:
    if tuple(found) == tuple(expected):
        return
    extra, lost = sorted(set(found) - set(expected)), sorted(set(expected) - set(found))
    if extra or lost:
        has, lacks = ", ".join(extra[:3]) or "no other image", ", ".join(lost[:3]) or "none of these"
        findings.add(file, f"{what}: has {has}, expected {lacks}")
    else:
        findings.add(file, f"{what}: the order is {', '.join(found[:3])} …, expected {', '.join(expected[:3])} …")


def check_plan(contents: Contents, findings: Findings) -> None:
    """Compute the keys of all tasks again."""
    with findings.check(layout.PLAN, f"keys of {len(contents.plan)} planned tasks follow from their content"):
        for key, task in contents.plan.items():
            findings.expect(layout.PLAN, f"key of {task['kind']} {task['label']!r}", key, key_of(task["content"]))
            findings.expect(layout.PLAN, f"kind of {key[:12]}", task["kind"], task["content"]["kind"])


def check_trainings(contents: Contents, findings: Findings) -> None:
    """Compare the trainings with the plan, the study and the images."""
    with findings.check(layout.SOURCES, f"{len(contents.trainings)} trainings are those that study and plan ask for"):
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
                layout.SOURCES, f"{where}: has {len(seeds)} pairs of generator seed and seed, expected {len(expected)}"
            )


def _seeds(contents: Contents, segmenter: str, generator: str, found: set[tuple[Any, Any]]) -> set[tuple[Any, Any]]:
    """Return the seeds that the study asks for, of generator and segmenter."""
    study = contents.study
    own = [
        each.seeds for each in study.segmenters if f"{segmenter} ".startswith((f"{each.title} ", f"{each.title} from "))
    ]
    count = max((seeds or study.seeds for seeds in own), default=study.seeds)
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
            samples, split = self._contents.datasets[dataset], self._contents.splits[dataset][fold]
            seed = self._contents.choice(dataset).split.seed
            amounts = self._contents.study.real_amounts
            taken = [take_fraction(samples, split.train, amount, seed=seed) for amount in amounts]
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
    findings.expect(
        layout.SOURCES, f"{label}: generator of the arm {row['arm']!r}", bool(row["generator"]), row["arm"] != "real"
    )
