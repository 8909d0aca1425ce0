"""What a shell is offered for the arguments of commands: names of plugins, datasets and environments, files.

Nothing here may import torch or a plugin's class: it runs at each press of the key.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator

from argcomplete.completers import DirectoriesCompleter, FilesCompleter

__all__ = ["add_completers"]

Completer = Callable[..., Iterable[str]]


def add_completers(parser: argparse.ArgumentParser) -> None:
    """Attach to each argument of a parser and its commands what completes it."""
    for command, action in _arguments(parser, ""):
        names = action.option_strings
        completer = _OPTIONS.get(names[0]) if names else _POSITIONAL.get(str(action.metavar))
        if not names:
            completer = _OF_COMMANDS.get(command, completer)
        if completer is not None:
            action.completer = completer  # type: ignore[attr-defined]


def _arguments(parser: argparse.ArgumentParser, command: str) -> Iterator[tuple[str, argparse.Action]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from _arguments(inner, f"{command} {name}".strip())
        else:
            yield command, action


def _one(names: Callable[[], Iterable[str]]) -> Completer:
    def complete(prefix: str, **_: object) -> list[str]:
        return [name for name in names() if name.startswith(prefix)]

    return complete


def _several(names: Callable[[], Iterable[str]]) -> Completer:
    """Complete the last of names that are separated by commas, by one that isn't among them."""

    def complete(prefix: str, **_: object) -> list[str]:
        head, comma, last = prefix.rpartition(",")
        given = head.split(",")
        return [f"{head}{comma}{name}" for name in names() if name.startswith(last) and name not in given]

    return complete


def _plugins(*kinds: str) -> Callable[[], list[str]]:
    def names() -> list[str]:
        from synthbench.plugin.registry import registry

        return [name for kind in kinds for name in registry().names(kind)]

    return names


def _plugin_of_kind(prefix: str, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    from synthbench.plugin.specs import KINDS

    kind = getattr(parsed_args, "kind", None)
    names = _plugins(*([kind] if kind else KINDS))()
    return [name for name in dict.fromkeys(names) if name.startswith(prefix)]


def _datasets_here() -> list[str]:
    from synthbench.datasets.library import Library

    return Library().names()


def _datasets() -> list[str]:
    return list(dict.fromkeys([*_datasets_here(), *_plugins("dataset")()]))


def _environments() -> list[str]:
    from synthbench.environments.registered import interpreters

    return list(interpreters())


def _words(*words: str) -> Callable[[], list[str]]:
    return lambda: list(words)


_OPTIONS: dict[str, Completer] = {
    "--dataset": _several(_datasets),
    "--data": _one(_datasets),
    "--test-on": _several(_datasets),
    "--generators": _several(lambda: ["none", *_plugins("generator")()]),
    "--segmenters": _several(_plugins("segmenter")),
    "--encoder": _one(_plugins("encoder")),
    "--engine": _one(_plugins("engine")),
    "--log": _several(_plugins("logger")),
    "--budget": _one(_words("smoke", "quick", "standard", "paper")),
    "--precision": _one(_words("auto", "fp32", "bf16")),
    "--device": _one(_words("auto", "cpu", "cuda")),
    "--schedule": _several(_words("mix", "synthetic-first")),
    "--border-objects": _one(_words("include", "exclude")),
    "--store": DirectoriesCompleter(),
}
"""By option."""

_POSITIONAL: dict[str, Completer] = {
    "NAME": _plugin_of_kind,
    "RUN": DirectoriesCompleter(),
    "BUNDLE": FilesCompleter(("zip",)),
    "STUDY.yaml": FilesCompleter(("yaml", "yml")),
}
"""By the metavar of arguments that aren't options."""

_OF_COMMANDS: dict[str, Completer] = {
    "dataset check": _one(_datasets_here),
    "dataset show": _one(_datasets_here),
    "env check": _one(_environments),
    "env remove": _one(_environments),
}
"""By the command whose argument it is."""
