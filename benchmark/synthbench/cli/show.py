"""Show a plugin: what it does, its budgets, and every key of its configuration with its default.

Where a default depends on the budget, it is shown for each. --config shows what a value, such as
--config preset=paper, makes of the other keys.
"""

from __future__ import annotations

import argparse
import json
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from synthbench.cli._arguments import add_config, add_plugin, located, pairs_from
from synthbench.cli._budget_text import budget_text

if TYPE_CHECKING:
    from synthbench.plugin.docs import Option, PluginDocs

__all__ = ["add_arguments", "run"]

MARGIN = "    "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plugin(parser)
    add_config(parser, "plugin")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    config = pairs_from(args)
    name, environment, kinds = located(args.name, args.kind)
    if environment:
        from synthbench.environments.commands import run_command

        options = [word for pair in args.config for word in ("--config", pair)]
        options += ["--kind", args.kind] if args.kind else []
        return run_command(environment, ["show", name, *options, *["--json"] * args.json])

    from synthbench.plugin.docs import plugin_docs

    plugins = [plugin_docs(kind, name, config) for kind in kinds]
    if args.json:
        print(json.dumps({"plugins": [asdict(plugin) for plugin in plugins]}, indent=1, ensure_ascii=False))
        return 0
    width = min(100, shutil.get_terminal_size((100, 24)).columns)
    print("\n\n".join("\n".join(_lines(plugin, width)) for plugin in plugins))
    return 0


def _value(option: Option) -> str:
    """Return the default, by budget if that determines it: ``"24 (smoke, quick), 64 (standard, paper)"``."""
    if not option.resolved:
        return "none" if option.default is None else json.dumps(option.default, ensure_ascii=False)
    names: dict[str, list[str]] = {}
    for budget, value in option.resolved.items():
        names.setdefault("none" if value is None else json.dumps(value, ensure_ascii=False), []).append(budget)
    return ", ".join(f"{value} ({', '.join(budgets)})" for value, budgets in names.items())


def _lines(plugin: PluginDocs, width: int) -> Iterator[str]:
    yield f"{plugin.kind} {plugin.name}, for {' and '.join(plugin.tasks)} ({plugin.source})"
    for paragraph in plugin.description.split("\n\n"):
        yield ""
        yield textwrap.fill(" ".join(paragraph.split()), width, break_on_hyphens=False)
    if plugin.supports_ignore:
        yield "\nPixels of unknown label (an ignore region) are supported."
    if plugin.budgets:
        yield "\nbudgets"
    for name, budget in plugin.budgets.items():
        reason = f" (not with this configuration: {plugin.refused[name]})" if name in plugin.refused else ""
        yield f"  {name}: {budget_text(budget.steps, budget.batch_size, budget.patch_size)}{reason}"
    if plugin.options:
        yield "\nconfig"
    for option in plugin.options:
        value = _value(option)
        kind = option.kind.removesuffix(", optional")
        yield f"  {option.name}: {value}" + (f"    {kind}" if kind else "")
        if option.description:
            yield textwrap.fill(
                option.description, width, initial_indent=MARGIN, subsequent_indent=MARGIN, break_on_hyphens=False
            )
