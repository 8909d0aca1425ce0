"""Make, add, list, check and remove environments, in which plugins run that don't fit in here.

The plugins of all environments stand in 'synthbench list' and can be used in one study. Environments are kept in
$SYNTHBENCH_HOME/envs, by default ~/.local/share/synthbench/envs.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from synthbench.cli._tables import table_lines

if TYPE_CHECKING:
    from synthbench.environments.offers import Offer

__all__ = ["add_arguments", "run"]

FAILED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True, dest="action")
    create = actions.add_parser("create", help="make an environment with synthbench and further packages")
    create.add_argument("name", metavar="NAME", help="what to call it")
    create.add_argument("packages", nargs="*", metavar="PACKAGE", help="as pip takes it: a requirement, folder or URL")
    create.add_argument("--python", metavar="PATH", help="interpreter to make it from (default: this one)")
    create.add_argument(
        "--pip-arg", metavar="ARG", action="append", default=[], help="further argument of pip install; repeatable"
    )
    create.add_argument(
        "--share", action="store_true", help="let it see this environment's packages, such as torch, after its own"
    )
    _take_options_anywhere(create)
    add = actions.add_parser("add", help="add an environment that exists, such as conda's")
    add.add_argument("name", metavar="NAME", help="what to call it")
    add.add_argument("--python", metavar="PATH", required=True, help="its interpreter, or its folder")
    listing = actions.add_parser("list", help="list the environments")
    check = actions.add_parser("check", help="ask environments for their plugins, and say what is wrong with them")
    check.add_argument("name", nargs="?", metavar="NAME", help="only this one")
    remove = actions.add_parser("remove", help="remove an environment; what was only added isn't deleted")
    remove.add_argument("name", metavar="NAME", help="the environment")
    for action in (listing, check):
        action.add_argument("--json", action="store_true", help="print JSON")


def _take_options_anywhere(parser: argparse.ArgumentParser) -> None:
    """Let options stand between positional arguments too; argparse has that for the parsers of whole command lines."""
    plain = parser.parse_known_args

    def parse(args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        parser.parse_known_args = plain  # type: ignore[method-assign]
        try:
            return parser.parse_known_intermixed_args(args, namespace)
        finally:
            parser.parse_known_args = parse  # type: ignore[method-assign]

    parser.parse_known_args = parse  # type: ignore[method-assign]


def run(args: argparse.Namespace) -> int:
    return {"create": _create, "add": _add, "list": _list, "check": _check, "remove": _remove}[args.action](args)


def _create(args: argparse.Namespace) -> int:
    from collections import deque

    from rich.console import Console

    from synthbench.environments.making import LAST_LINES, create_environment
    from synthbench.errors import ConfigError

    console, last = Console(stderr=True, markup=False), deque[str](maxlen=LAST_LINES)
    with console.status(f"making environment {args.name}") as status:

        def report(line: str) -> None:
            last.append(line)
            status.update(f"making environment {args.name}: {line.strip()[:80]}")

        try:
            environment = create_environment(
                args.name,
                args.packages,
                python=args.python,
                pip_arguments=args.pip_arg,
                share=args.share,
                report=report,
            )
        except (ConfigError, KeyboardInterrupt):
            for line in last:
                console.print(line, highlight=False, soft_wrap=True)
            raise
    return _accept(environment)


def _add(args: argparse.Namespace) -> int:
    from synthbench.environments.making import add_environment

    return _accept(add_environment(args.name, args.python))


def _accept(environment: Any) -> int:
    """Print what a new environment offers; remove it again if that is nothing, with the reason."""
    from synthbench.environments.offers import offer_of
    from synthbench.environments.registered import remove_environment
    from synthbench.errors import PluginError

    offer = offer_of(environment, afresh=True)
    if offer.problem:
        remove_environment(environment.name)
        raise PluginError(f"environment {environment.name!r} can't be used: {offer.problem}")
    print("\n".join(_report(offer)))
    return 0


def _list(args: argparse.Namespace) -> int:
    from synthbench.environments.offers import offers

    found = list(offers().values())
    if args.json:
        print(json.dumps({"environments": [_row(offer) for offer in found]}, indent=1, ensure_ascii=False))
    elif not found:
        print("no environments; 'synthbench env create NAME PACKAGE' makes one")
    else:
        rows = [
            [
                offer.environment.name,
                offer.python or "–",
                "–" if offer.problem else str(sum(not entry.disabled_reason for entry in offer.entries.values())),
                offer.environment.python + (f"\nDISABLED: {offer.problem}" if offer.problem else ""),
            ]
            for offer in found
        ]
        print("\n".join(table_lines(["ENVIRONMENT", "Python", "plugins", "interpreter"], rows, left=(0, 1, 3))))
    return 0


def _check(args: argparse.Namespace) -> int:
    from synthbench.environments.offers import offer_of
    from synthbench.environments.registered import environment_named, registered_environments

    chosen = [environment_named(args.name)] if args.name else list(registered_environments().values())
    found = [offer_of(environment, afresh=True) for environment in chosen]
    if args.json:
        print(json.dumps({"environments": [_row(offer) for offer in found]}, indent=1, ensure_ascii=False))
    else:
        print("\n\n".join("\n".join(_report(offer)) for offer in found) or "no environments")
    return FAILED if any(offer.problem for offer in found) else 0


def _remove(args: argparse.Namespace) -> int:
    from synthbench.environments.registered import remove_environment

    environment = remove_environment(args.name)
    kept = f"; {environment.python} is kept" if not environment.made and environment.python else ""
    print(f"removed environment {environment.name}{kept}", file=sys.stdout)
    return 0


def _row(offer: Offer) -> dict[str, Any]:
    environment = offer.environment
    return {
        "name": environment.name,
        "interpreter": environment.python,
        "made": environment.made,
        "python": offer.python,
        "problem": offer.problem,
        "plugins": [
            {"kind": kind, "name": name, "disabled_reason": entry.disabled_reason}
            for (kind, name), entry in offer.entries.items()
        ],
        "broken": [{"plugin": p.plugin, "from": p.distribution, "reason": p.reason} for p in offer.problems],
    }


def _report(offer: Offer) -> list[str]:
    """Return what there is to say of an environment, in lines: the plugins that it alone has enabled by name."""
    from synthbench.plugin.registry import registry

    environment = offer.environment
    lines = [f"{environment.name}: {environment.python}"]
    if offer.problem:
        return [*lines, f"  ✗ {offer.problem}"]
    here = {key for key, entry in registry().entries.items() if not entry.disabled_reason}
    enabled = [key for key, entry in offer.entries.items() if not entry.disabled_reason]
    lines.append(f"  ✓ Python {offer.python}, {len(enabled)} plugins, {len(here & set(enabled))} of them also here")
    lines += [f"  ✓ {kind} {name}" for kind, name in enabled if (kind, name) not in here]
    disabled = {key: reason for key, entry in offer.entries.items() if (reason := entry.disabled_reason)}
    lines += [f"  – {kind} {name}: {reason}" for (kind, name), reason in disabled.items()]
    return lines + [f"  ✗ plugin {p.plugin!r} of {p.distribution} is disabled: {p.reason}" for p in offer.problems]
