"""Import, check and show datasets.

  add PATH     import annotated images; the format is detected: images/ with labels/ or masks/, image.png with
               image_masks.png, one mask file per object, COCO JSON, npz with X and y, Cell Tracking Challenge folders
               --groups TABLE.csv reads groups of images from a table (id,well,…), --group-from '{well}_{site}' from
               their file names; a study then keeps a well together with split: {group: well}
  add NAME     create or download a dataset of a plugin (see 'synthbench list datasets'); licence and citation are
               shown first. To import a path with the name of a plugin, write ./NAME
  check        duplicates, near duplicates across splits, empty masks, disconnected objects, masks that don't seem to
               be label maps of objects, ignored pixels, sizes
  show         write a contact sheet
  list         datasets in the library

Datasets are kept in $SYNTHBENCH_HOME/datasets, by default ~/.local/share/synthbench/datasets.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthbench.cli._arguments import label_value

if TYPE_CHECKING:
    from synthbench.datasets.library import Library
    from synthbench.samples import SampleSet

__all__ = ["add_arguments", "run"]

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".pdf")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    add = actions.add_parser("add", help="import annotated images, or create or download a dataset of a plugin")
    add.add_argument("what", metavar="PATH|NAME")
    add.add_argument("--name", help="name of the dataset (default: that of the folder or plugin)")
    _add_import_options(add)
    add.add_argument(
        "--groups", metavar="TABLE.csv", help="table of groups: a column of file names or ids, and one per group"
    )
    add.add_argument(
        "--group-from",
        metavar="PATTERN",
        help="named parts of the file name, as in '{well}_{site}'; {row:1} is one character, * any text",
    )
    add.add_argument(
        "--truth",
        choices=["gold", "silver", "each"],
        help="segmentations of Cell Tracking Challenge folders; each: gold where a sequence has it, else silver",
    )
    add.add_argument("--from", dest="archive", metavar="PATH", help="a manually downloaded copy of the file")
    add.set_defaults(action=_add)
    check = actions.add_parser("check", help="check a dataset: duplicates, leaks between splits, implausible masks")
    check.add_argument("what", metavar="NAME|PATH")
    _add_import_options(check)
    check.set_defaults(action=_check)
    show = actions.add_parser("show", help="write a contact sheet: images beside their outlines or classes")
    show.add_argument("what", metavar="NAME|PATH")
    show.add_argument("--out", metavar="FILE.png", help="output file (default: NAME.png in the current folder)")
    show.add_argument("--count", type=_positive, default=8, help="samples of each split (default 8)")
    _add_import_options(show)
    show.set_defaults(action=_show)
    listing = actions.add_parser("list", help="datasets in the library")
    listing.set_defaults(action=_list)
    for action in (add, check, show, listing):
        action.add_argument("--json", action="store_true", help="print JSON")


def _add_import_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", choices=["instances", "semantic"], help="what the masks contain (default: instances)")
    parser.add_argument(
        "--classes", type=_names, default=(), metavar="A,B", help="classes of a semantic set, background first"
    )
    parser.add_argument("--components", action="store_true", help="make each connected component of a mask an object")
    parser.add_argument(
        "--ignore",
        type=label_value,
        metavar="VALUE",
        help="value of masks where the label is unknown, such as 255; these pixels are neither trained on nor scored",
    )
    parser.add_argument(
        "--white",
        type=_number,
        metavar="VALUE",
        help="white level of all images (4095 for 12 bits in 16, 1 for some floats)",
    )
    parser.add_argument(
        "--trust-masks",
        dest="trusted",
        action="store_true",
        help="don't check whether label maps are binary masks, classes or photographs",
    )


def _import_options(args: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(args, name) for name in ("task", "classes", "components", "ignore", "white", "trusted")}


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} isn't a number; expected a pixel value such as 4095") from None


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected an integer ≥ 1")
    return int(text)


def run(args: argparse.Namespace) -> int:
    return int(args.action(args))


def _add(args: argparse.Namespace) -> int:
    from synthbench.datasets.library import Library
    from synthbench.errors import ConfigError
    from synthbench.plugin.registry import registry

    library = Library()
    if args.what in registry().names("dataset"):
        if any(_import_options(args).values()) or args.ignore == 0 or args.groups or args.group_from or args.truth:
            raise ConfigError(
                f"{args.what} is a dataset plugin; --task, --classes, --components, --ignore, --white, "
                "--trust-masks, --groups, --group-from and --truth apply only to imports"
            )
        _print_terms(args.what, sys.stderr if args.json else sys.stdout)
        config = {"archive": _archive(args.what, args.archive)} if args.archive else {}
        with _bar(args.what) as progress:
            samples = library.build(args.what, config, name=args.name, progress=progress)
        folder = library.folder(args.name or args.what)
    else:
        if args.what in library.names() and not Path(args.what).exists():
            raise ConfigError(f"{args.what}: already exists in {library.root}; view it with 'synthbench dataset show'")
        if args.archive:
            raise ConfigError(
                f"--from applies only to dataset plugins, not to {args.what!r} (see 'synthbench list datasets')"
            )
        from synthbench.datasets.importing import prepare_import

        options = _import_options(args) | {"groups": args.groups, "group_from": args.group_from, "truth": args.truth}
        found = prepare_import(args.what, name=args.name, **options)
        if not args.json:
            print(f"found {found.description}", flush=True)
        with _bar(found.name) as progress:
            samples = library.add(args.what, name=args.name, progress=progress, **options)
        folder = library.folder(found.name)
    _print_added(samples, folder, args.json)
    return 0


def _archive(name: str, archive: str) -> str:
    from synthbench.errors import ConfigError
    from synthbench.plugin.registry import registry

    plugin: Any = registry().load("dataset", name)
    if "archive" not in plugin.Config.model_fields:
        raise ConfigError(f"--from: dataset {name!r} can't be read from a file; remove it")
    return str(Path(archive).expanduser().resolve())


def _print_terms(name: str, to: Any) -> None:
    from synthbench.plugin.registry import registry

    dataset = registry().load("dataset", name)
    for title in ("source", "licence", "citation"):
        print(f"{title}: {getattr(dataset, title) or 'not stated'}", file=to, flush=True)


def _print_added(samples: SampleSet, folder: Path, as_json: bool) -> None:
    if as_json:
        row = _row(folder.name, samples) | {"folder": str(folder), "info": dict(samples.info)}
        print(json.dumps(row, indent=1, ensure_ascii=False))
        return
    for line in samples.info.get("import", ()):
        print(f"  {line}")
    groups = _groups_in_words(_groups(samples))
    print(f"added {folder.name}: {len(samples)} samples, task {samples.task}{groups}, at {folder}")


def _groups(samples: SampleSet) -> dict[str, int]:
    """Return how many values each group of the samples has."""
    values: dict[str, set[str]] = {}
    for entry in samples.entries:
        for name, value in entry.groups.items():
            values.setdefault(name, set()).add(value)
    return {name: len(found) for name, found in sorted(values.items())}


def _groups_in_words(groups: dict[str, int]) -> str:
    """Return ``", groups site (2), well (36)"``, or an empty string, without splits and groups of a single value."""
    from synthbench.io.escaping import printable

    listing = ", ".join(
        f"{printable(name)} ({count})" for name, count in groups.items() if count > 1 and name != "split"
    )
    return f", groups {listing}" if listing else ""


def _check(args: argparse.Namespace) -> int:
    from synthbench.datasets.checks import check_dataset

    samples, _ = _resolve(args)
    with _bar(samples.name) as progress:
        report = check_dataset(samples, progress)
    print(report.json() if args.json else report.text())
    return 0


def _show(args: argparse.Namespace) -> int:
    from PIL import Image

    from synthbench.errors import DataError
    from synthbench.io.atomic import atomic_write
    from synthbench.samples.pictures import contact_sheet

    samples, _ = _resolve(args)
    out = Path(args.out or f"{samples.name}.png").expanduser()
    if out.suffix.lower() not in PICTURES:
        raise DataError(f"{out}: unsupported file type; use one of {', '.join(PICTURES)}")
    picture = contact_sheet(_rows(samples, args.count), task=samples.task)
    file = io.BytesIO()
    picture.save(file, Image.registered_extensions()[out.suffix.lower()])
    atomic_write(out, file.getvalue())
    groups = _groups(samples)
    row = {"name": samples.name, "out": str(out), "groups": groups}
    print(json.dumps(row) if args.json else f"wrote {out}{_groups_in_words(groups)}")
    return 0


def _rows(samples: SampleSet, count: int) -> dict[str, SampleSet]:
    """Return `count` samples of each split, spread evenly over it."""
    splits: dict[str, list[str]] = {}
    for entry in samples.entries:
        splits.setdefault(entry.groups.get("split", ""), []).append(entry.id)
    rows = {}
    for split, ids in splits.items():
        chosen = [ids[i * len(ids) // min(count, len(ids))] for i in range(min(count, len(ids)))]
        rows[f"{samples.name}{f', {split}' if split else ''}: {len(chosen)} of {len(ids)}"] = samples.subset(chosen)
    return rows


def _list(args: argparse.Namespace) -> int:
    from synthbench.datasets.library import Library

    library = Library()
    rows = [_listed(name, library) for name in library.names()]
    if args.json:
        print(json.dumps({"folder": str(library.root), "datasets": rows}, indent=1, ensure_ascii=False))
        return 0
    for row in rows:
        if "damaged" in row:
            print(f"{row['name']}: damaged: {row['damaged']}")
            continue
        licence = f", {row['licence']}" if row["licence"] else ""
        print(f"{row['name']}: {row['samples']} samples, task {row['task']}{_groups_in_words(row['groups'])}{licence}")
    if not rows:
        print(f"no datasets in {library.root} yet; 'synthbench list datasets' shows those of plugins")
    return 0


def _listed(name: str, library: Library) -> dict[str, Any]:
    """Return a dataset's row, or its error, so that a damaged dataset doesn't hide the others."""
    from synthbench.errors import DataError

    try:
        return _row(name, library.open(name))
    except DataError as error:
        return {"name": name, "damaged": str(error)}


def _row(name: str, samples: SampleSet) -> dict[str, Any]:
    return {
        "name": name,
        "task": samples.task,
        "classes": list(samples.classes),
        "samples": len(samples),
        "groups": _groups(samples),
        "fingerprint": samples.fingerprint,
        "licence": samples.info.get("licence", ""),
        "citation": samples.info.get("citation", ""),
    }


def _resolve(args: argparse.Namespace) -> tuple[SampleSet, Path]:
    from synthbench.datasets.library import open_dataset

    with _bar(Path(args.what).name) as progress:
        return open_dataset(args.what, **_import_options(args), progress=progress)


@contextmanager
def _bar(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show a progress bar with an estimate on stderr, when that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, markup=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None, note="")

        def progress(done: int, total: int, note: str = "") -> None:
            bar.update(task, completed=done, total=total or None, note=note[:40])

        yield progress
