"""Do splits and fingerprints of a bundle follow from its study, and the keys of its plan from their content?"""

from __future__ import annotations

from collections.abc import Sequence

from synthbench.bundle import layout
from synthbench.bundle.contents import Contents
from synthbench.bundle.findings import Findings
from synthbench.datasets.splits import make_splits
from synthbench.store import key_of

__all__ = ["check_plan", "check_splits"]


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
