"""``synthbench dataset check`` and ``show``."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from synthbench.cli._dataset_row import describe_groups, group_sizes
from synthbench.cli._import_options import import_options
from synthbench.cli._progress_bar import progress_bar

if TYPE_CHECKING:
    from synthbench.samples import SampleSet

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".pdf")
"""File types of contact sheets."""


def check(args: argparse.Namespace) -> int:
    """Print the report of a dataset check; return the exit code."""
    from synthbench.datasets.checks import check_dataset

    samples = _open_samples(args)
    with progress_bar(samples.name) as progress:
        report = check_dataset(samples, progress)
    print(report.json() if args.json else report.text())
    return 0


def show(args: argparse.Namespace) -> int:
    """Write a contact sheet, or print Croissant metadata; return the exit code."""
    if args.croissant:
        return _show_croissant(args)
    from PIL import Image

    from synthbench.errors import DataError
    from synthbench.io.atomic import atomic_write
    from synthbench.io.escaping import printable
    from synthbench.samples.contact_sheets import contact_sheet
    from synthbench.samples.pictures import describe_channels

    samples = _open_samples(args)
    output = Path(args.out or f"{samples.name}.png").expanduser()
    if output.suffix.lower() not in PICTURES:
        raise DataError(f"{output}: unsupported file type; use one of {', '.join(PICTURES)}")
    picture = contact_sheet(_samples_by_split(samples, args.count), task=samples.task)
    buffer = io.BytesIO()
    picture.save(buffer, Image.registered_extensions()[output.suffix.lower()])
    atomic_write(output, buffer.getvalue())
    groups = group_sizes(samples)
    row = {"name": samples.name, "out": str(output), "groups": groups, "channels": list(samples.channel_names)}
    channels = printable(describe_channels(samples))
    channels = f", channels {channels}" if channels else ""
    print(json.dumps(row) if args.json else f"wrote {output}{channels}{describe_groups(groups)}")
    return 0


def _show_croissant(args: argparse.Namespace) -> int:
    from synthbench.datasets.croissant import describe_plugin, describe_samples
    from synthbench.datasets.library import Library, open_dataset
    from synthbench.errors import ConfigError
    from synthbench.plugin.registry import registry

    if args.out:
        raise ConfigError(f"--out {args.out}: --croissant prints to standard output; use one of the two")
    if args.what in registry().names("dataset") and args.what not in Library().names():
        content = describe_plugin(args.what)
    else:
        with progress_bar(Path(args.what).name) as progress:
            content = describe_samples(*open_dataset(args.what, **import_options(args), progress=progress))
    print(json.dumps(content, indent=1, ensure_ascii=False))
    return 0


def _samples_by_split(samples: SampleSet, count: int) -> dict[str, SampleSet]:
    """Return `count` samples of each split, spread evenly over it."""
    splits: dict[str, list[str]] = {}
    for entry in samples.entries:
        splits.setdefault(entry.groups.get("split", ""), []).append(entry.id)
    rows = {}
    for split, ids in splits.items():
        chosen = [ids[i * len(ids) // min(count, len(ids))] for i in range(min(count, len(ids)))]
        rows[f"{samples.name}{f', {split}' if split else ''}: {len(chosen)} of {len(ids)}"] = samples.subset(chosen)
    return rows


def _open_samples(args: argparse.Namespace) -> SampleSet:
    from synthbench.datasets.library import open_dataset

    with progress_bar(Path(args.what).name) as progress:
        samples, _ = open_dataset(args.what, **import_options(args), progress=progress)
    return samples
