"""What `synthbench dataset` prints about a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synthbench.samples import SampleSet


def dataset_row(name: str, samples: SampleSet) -> dict[str, Any]:
    """Return the facts about a dataset that ``--json`` prints."""
    from synthbench.samples import UNLABELLED

    return {
        "name": name,
        "task": samples.task,
        "classes": list(samples.classes),
        "samples": len(samples),
        "unlabelled": sum(entry.groups.get("split") == UNLABELLED for entry in samples.entries),
        "channels": samples.channels,
        "channel_names": list(samples.channel_names),
        "groups": group_sizes(samples),
        "fingerprint": samples.fingerprint,
        "licence": samples.info.get("licence", ""),
        "citation": samples.info.get("citation", ""),
    }


def group_sizes(samples: SampleSet) -> dict[str, int]:
    """Return the number of values of each group."""
    values: dict[str, set[str]] = {}
    for entry in samples.entries:
        for name, value in entry.groups.items():
            values.setdefault(name, set()).add(value)
    return {name: len(group) for name, group in sorted(values.items())}


def describe_groups(groups: dict[str, int]) -> str:
    """Return ``", groups site (2), well (36)"``, or an empty string, omitting splits and groups of a single value."""
    from synthbench.io.escaping import printable

    listing = ", ".join(
        f"{printable(name)} ({count})" for name, count in groups.items() if count > 1 and name != "split"
    )
    return f", groups {listing}" if listing else ""
