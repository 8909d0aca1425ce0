"""``synthbench dataset add``: import a path, or create or download the dataset of a plugin."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from synthbench.cli._dataset_row import dataset_row, describe_groups, group_sizes
from synthbench.cli._import_options import import_options
from synthbench.cli._progress_bar import progress_bar

if TYPE_CHECKING:
    from synthbench.datasets.library import Library
    from synthbench.samples import SampleSet


def add_dataset(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from synthbench.datasets.library import Library
    from synthbench.environments.plugins import find_plugin, has_plugin, split_name

    plain, environment = split_name(args.what)
    is_plugin = has_plugin("dataset", plain) and (not environment or not Path(args.what).exists())
    if is_plugin and (found := find_plugin("dataset", plain, environment)).environment:
        from synthbench.environments.commands import run_command

        _refuse_import_options(args)
        options = [word for name in ("name", "from") if (value := _option(args, name)) for word in (f"--{name}", value)]
        return run_command(found.environment, ["dataset", "add", plain, *options, *["--json"] * args.json])
    samples, folder = (_build if is_plugin else _import)(args, Library())
    _print_added(samples, folder, args.json)
    return 0


def _build(args: argparse.Namespace, library: Library) -> tuple[SampleSet, Path]:
    """Create or download the dataset of a plugin, and show its licence and citation first."""
    _refuse_import_options(args)
    _print_terms(args.what, sys.stderr if args.json else sys.stdout)
    config = {"archive": _archive(args.what, args.archive)} if args.archive else {}
    with progress_bar(args.what) as progress:
        samples = library.build(args.what, config, name=args.name, progress=progress)
    return samples, library.folder(args.name or args.what)


def _option(args: argparse.Namespace, name: str) -> str | None:
    """Return an option for the same command in another environment."""
    return args.name if name == "name" else args.archive and str(Path(args.archive).expanduser().resolve())


def _only_of_imports(args: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(args, name) for name in ("groups", "group_from", "truth", "channels", "derived_from")}


def _refuse_import_options(args: argparse.Namespace) -> None:
    from synthbench.errors import ConfigError

    if (
        any(import_options(args).values())
        or args.ignore == 0
        or any(v is not None and v != () for v in _only_of_imports(args).values())
    ):
        raise ConfigError(
            f"{args.what} is a dataset plugin; --task, --classes, --components, --ignore, --white, "
            "--trust-masks, --groups, --group-from, --truth, --channels and --derived-from apply only to imports"
        )


def _import(args: argparse.Namespace, library: Library) -> tuple[SampleSet, Path]:
    from synthbench.datasets.importing import prepare_import
    from synthbench.errors import ConfigError

    if args.what in library.names() and not Path(args.what).exists():
        raise ConfigError(f"{args.what}: already exists in {library.root}; view it with 'synthbench dataset show'")
    if args.archive:
        raise ConfigError(
            f"--from applies only to dataset plugins, not to {args.what!r} (see 'synthbench list datasets')"
        )
    prepared = prepare_import(args.what, name=args.name, **import_options(args), **_only_of_imports(args))
    if not args.json:
        print(f"found {prepared.description}", flush=True)
    with progress_bar(prepared.name) as progress:
        samples = library.add(prepared, progress)
    return samples, library.folder(prepared.name)


def _archive(name: str, archive: str) -> str:
    from synthbench.errors import ConfigError
    from synthbench.plugin.registry import registry

    plugin: Any = registry().load("dataset", name)
    if "archive" not in plugin.Config.model_fields:
        raise ConfigError(f"--from: dataset {name!r} can't be read from a file; remove it")
    return str(Path(archive).expanduser().resolve())


def _print_terms(name: str, stream: TextIO) -> None:
    from synthbench.plugin.registry import registry

    dataset = registry().load("dataset", name)
    for title in ("source", "licence", "citation"):
        print(f"{title}: {getattr(dataset, title) or 'not stated'}", file=stream, flush=True)


def _print_added(samples: SampleSet, folder: Path, as_json: bool) -> None:
    if as_json:
        row = dataset_row(folder.name, samples) | {"folder": str(folder), "info": dict(samples.info)}
        print(json.dumps(row, indent=1, ensure_ascii=False))
        return
    for line in samples.info.get("import", ()):
        print(f"  {line}")
    groups = describe_groups(group_sizes(samples))
    print(f"added {folder.name}: {len(samples)} samples, task {samples.task}{groups}, at {folder}")
