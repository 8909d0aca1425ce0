"""Test a plugin against the contract.

Fits it on small synthetic images with the smoke budget, in a process of its own, and prints one line per check:
✓ passed, ✗ failed, – skipped. Python warnings are printed below the check that caused them.
A path in place of NAME is a folder of images with masks that another tool has made: its images are checked, and with
--dataset D they are compared with those of a dataset.
The exit code is 1 if a check fails, and 3 if none fails but more were skipped than passed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthbench.cli._arguments import add_config, add_plugin, located, pairs_from

if TYPE_CHECKING:
    from synthbench.testing import CheckResult

__all__ = ["add_arguments", "run"]

FAILED, MOSTLY_SKIPPED = 1, 3
MARKS = {"passed": "✓", "failed": "✗", "skipped": "–"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plugin(parser)
    add_config(parser, "plugin")
    parser.add_argument(
        "--dataset", metavar="D", help="a dataset that ready-made images are compared with: a name or a path"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    from synthbench.environments.plugins import has_plugin, split_name
    from synthbench.plugin.specs import KINDS
    from synthbench.study.model import READY_MADE, is_image_folder

    config: dict[str, Any] = pairs_from(args)
    if is_image_folder(args.name) and not any(has_plugin(kind, split_name(args.name)[0]) for kind in KINDS):
        args.name, args.kind, config = READY_MADE, "generator", {"path": args.name, **config}
    name, environment, kinds = located(args.name, args.kind)
    if environment:
        from synthbench.environments.commands import run_command

        options = [word for pair in args.config for word in ("--config", pair)]
        options += ["--dataset", args.dataset] if args.dataset else []
        options += ["--kind", args.kind] if args.kind else []
        return run_command(environment, ["check", name, *options, *["--json"] * args.json])

    from synthbench.errors import ConfigError
    from synthbench.plugin.api import has_existing
    from synthbench.plugin.registry import registry
    from synthbench.study.provenance.plugin_settings import full_config
    from synthbench.testing.check_results import DEPENDS, mostly_skipped
    from synthbench.testing.subprocess import iter_contract_in_subprocess

    if config:
        for kind in kinds:
            full_config(registry().load(kind, name), config, f"{kind} {name!r}")
    if args.dataset and not ("generator" in kinds and has_existing(registry().load("generator", name))):
        raise ConfigError(f"--dataset {args.dataset}: is for ready-made images, and {name!r} draws its own; remove it")
    dataset = _dataset_folder(args.dataset) if args.dataset else None
    rows, warning = [], ""
    for kind in kinds:
        results: list[CheckResult] = []
        if not args.json:
            print(f"{kind} {name}")
        for result in iter_contract_in_subprocess(kind, name, config, dataset):
            results.append(result)
            rows.append({"kind": kind, **vars(result)})
            if not args.json and result.message != DEPENDS:
                _print_result(result)
        dependent = sum(result.message == DEPENDS for result in results)
        if dependent and not args.json:
            print(f"  {MARKS['skipped']} {dependent} more: they depend on the check that failed")
        warning = warning or mostly_skipped(results)
    failed = sum(row["status"] == "failed" for row in rows)
    if args.json:
        print(
            json.dumps(
                {"name": name, "failed": failed, "mostly_skipped": bool(warning), "results": rows},
                indent=1,
                ensure_ascii=False,
            )
        )
    else:
        counts = [(sum(row["status"] == status for row in rows), status) for status in MARKS]
        print(", ".join(f"{count} {status}" for count, status in counts if count))
        if warning:
            print(f"! {warning}")
    return FAILED if failed else MOSTLY_SKIPPED if warning else 0


def _dataset_folder(name: str) -> Path:
    """Return the folder of a dataset's sample set."""
    from synthbench.datasets.library import open_dataset

    return open_dataset(name)[1]


def _print_result(result: CheckResult) -> None:
    message = f": {result.message}" if result.message else ""
    print(f"  {MARKS[result.status]} {result.description}{message}", flush=True)
    for warning in result.warnings:
        print(f"      warning: {warning}", flush=True)
