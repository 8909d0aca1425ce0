"""Arguments that several commands share, and the study that they define."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def add_store(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--store", metavar="DIR", help="where artifacts are kept (default: $SYNTHBENCH_HOME/store)")


def label_value(text: str) -> int:
    """Return a value of a mask, for argparse."""
    if not text.isdecimal() or int(text) > 2**31 - 1:
        raise argparse.ArgumentTypeError(f"{text!r} can't be a value of a mask; expected an integer ≥ 0, such as 255")
    return int(text)


def open_store(args: argparse.Namespace, *, create: bool = True) -> Any:
    """Return the store; `create`: whether one that isn't there is created."""
    from synthbench.store import Store, default_store_folder

    return Store(args.store or default_store_folder(), create=create)


def add_plugin(parser: argparse.ArgumentParser) -> None:
    """Add the name of a plugin, and its kind."""
    from synthbench.plugin.specs import KINDS

    parser.add_argument("name", metavar="NAME", help="name of a plugin, or NAME@ENV; see 'synthbench list'")
    parser.add_argument(
        "--kind", choices=list(KINDS), help="kind of the plugin, where several have this name (default: all of them)"
    )


def add_config(parser: argparse._ActionsContainer, of: str) -> None:
    """Add keys of a plugin's configuration; `pairs_from` reads them."""
    parser.add_argument(
        "--config", metavar="KEY=VALUE", action="append", default=[], help=f"configuration of the {of}; repeatable"
    )


def pairs_from(args: argparse.Namespace) -> dict[str, str]:
    """Return what `add_config` took, by key; raise `ConfigError` for what is no pair."""
    return _pairs("--config", args.config)


def _pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    from synthbench.errors import ConfigError

    if wrong := [pair for pair in given if "=" not in pair]:
        raise ConfigError(f"{option} {wrong[0]}: expected KEY=VALUE")
    return dict(pair.partition("=")[::2] for pair in given)


def located(name: str, kind: str | None) -> tuple[str, str, list[str]]:
    """Return the name of a plugin, the environment that it is in (an empty string for this one), and its kinds.

    Parameters
    ----------
    name
        ``NAME`` or ``NAME@ENV``.
    kind
        The kind that was given; None for all that have a plugin of this name.

    Raises
    ------
    PluginError
        If there is none.
    ConfigError
        If the plugins of this name are in several environments.
    """
    from synthbench.environments.plugins import find_plugin, plugin_kinds, split_name
    from synthbench.errors import ConfigError

    plain, chosen = split_name(name)
    kinds = [kind] if kind is not None else plugin_kinds(plain, chosen)
    environments = list(dict.fromkeys(find_plugin(each, plain, chosen).environment for each in kinds))
    if len(environments) > 1:
        raise ConfigError(f"{plain!r} is the name of plugins in several environments; add --kind {kinds[0]}, say")
    return plain, environments[0], kinds


def add_study(parser: argparse.ArgumentParser) -> None:
    """Add the study file, and the options that replace parts of it."""
    parser.add_argument(
        "study",
        nargs="?",
        metavar="STUDY.yaml|BOARD",
        help="a study file, or the folder of a board (default: a small demonstration)",
    )
    grid = parser.add_argument_group("what is compared (overrides the study file)")
    grid.add_argument("--name", help="name of the study, and of its run folder")
    grid.add_argument("--dataset", metavar="A,B", help="datasets: names of plugins or imported sets, or paths")
    grid.add_argument("--test-on", metavar="A,B", help="other datasets on whose test images segmenters are scored too")
    grid.add_argument(
        "--generators",
        metavar="A,B",
        help="generators or folders of images with masks; 'none' for none; A@ENV for an environment's",
    )
    grid.add_argument("--segmenters", metavar="A,B", help="segmenters, comma-separated")
    grid.add_argument(
        "--init", metavar="A,B", help="what segmenters start from: scratch, a file of weights, dataset:NAME"
    )
    grid.add_argument("--synthetic", metavar="N,M", help="synthetic samples per arm: numbers, or multiples such as 2x")
    grid.add_argument("--synthetic-ratio", metavar="F,G", help="fraction of the training patches that are synthetic")
    grid.add_argument("--schedule", metavar="A,B", help="mix, synthetic-first, or both: an arm each")
    grid.add_argument("--fractions", metavar="F,G", help="real training data: fractions (0.1) or numbers of images")
    grid.add_argument(
        "--real-only", metavar="F,G", help="more amounts of real training data, without synthetic images: the control"
    )
    grid.add_argument("--seeds", metavar="N", help="segmenter seeds")
    grid.add_argument("--generator-seeds", metavar="N", help="generator seeds")
    grid.add_argument(
        "--scale",
        metavar="N",
        help="diameter in pixels that objects are brought to; auto: a third of a patch, where they are larger; none",
    )
    grid.add_argument(
        "--decide",
        metavar="M",
        help="train in rounds until arms are better, worse or within ±M of real, such as 0.02; --seeds is the maximum",
    )
    grid.add_argument("--iou", metavar="T", help="threshold that differences refer to: 0.5 … 0.95, or mean")
    grid.add_argument("--budget", help="smoke, quick, standard or paper")
    grid.add_argument("--steps", metavar="N", help="optimiser steps; auto: chosen on real images")
    grid.add_argument(
        "--check-convergence",
        action="store_true",
        help="also train on real images with half the steps, to see whether segmenters are trained far enough",
    )
    grid.add_argument("--patch", metavar="N", help="side of a training patch in pixels, instead of the budget's")
    grid.add_argument(
        "--border-objects", metavar="WHAT", help="whether objects at the image border are scored: include or exclude"
    )
    grid.add_argument("--encoder", help="encoder for the fidelity of the images")
    grid.add_argument("--inception", metavar="FILE", help="Inception weights, for FID and KID")


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Add how a study is run; `plan` takes the same, so that a command line can be tried first."""
    how = parser.add_argument_group("how it is run")
    how.add_argument(
        "--engine", default="local", metavar="NAME", help="local (processes), serial (in this process), or a plugin's"
    )
    how.add_argument(
        "--engine-option",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="option of the engine; repeatable; 'synthbench show ENGINE' lists them",
    )
    how.add_argument("--scheduler", metavar="ADDRESS", help="Dask's scheduler, such as tcp://host:8786 (--engine dask)")
    how.add_argument("--cluster", metavar="FILE", help="a file that says how to ask a cluster for jobs (--engine dask)")
    how.add_argument("--workers", type=int, metavar="N", help="tasks at a time")
    how.add_argument(
        "--threads", type=int, metavar="N", help="CPU threads for each task; another number can change last digits"
    )
    how.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:n")
    how.add_argument(
        "--precision",
        default="auto",
        help="fp32; bf16, bfloat16 in part, for which a CPU must have instructions; auto: bf16 on a GPU, fp32 on a CPU",
    )
    how.add_argument("--time-limit", type=float, metavar="S", help="seconds a task may take")
    how.add_argument("--within", metavar="TIME", help="with --decide: the time that a run may take, such as 45m or 6h")
    how.add_argument("--out", metavar="DIR", help="run folder (default: runs/NAME)")
    how.add_argument("--columns", metavar="A,B", help=COLUMNS)
    how.add_argument("--quiet", action="store_true", help="no progress, only the table")
    add_store(how)


COLUMNS = "further columns of the table: pq, aji, aji+, precision, recall, jaccard_ap@0.75, coco_ap50 …"


def columns_from(args: argparse.Namespace) -> list[str]:
    """Return what ``--columns`` names; raise `ConfigError` for what is no column."""
    from synthbench.leaderboard.optional_columns import columns_of, names_of

    names = names_of(args.columns)
    columns_of(names, "mean")
    return names


def machine_from(args: argparse.Namespace) -> Any:
    """Return what `add_machine` took, as a `synthbench.runner.Machine`."""
    from synthbench.errors import ConfigError
    from synthbench.plugin.registry import registry
    from synthbench.runner import Machine

    config = _pairs("--engine-option", args.engine_option)
    for key in ("scheduler", "cluster"):
        if (given := getattr(args, key)) is not None:
            engine: Any = registry().load("engine", args.engine)
            if key not in engine.Config.model_fields:
                raise ConfigError(f"--{key} {given}: the {args.engine} engine takes none; add --engine dask")
            config[key] = given
    return Machine(args.engine, args.workers, args.threads, args.device, args.time_limit, config, args.precision)


def loggers_from(args: argparse.Namespace) -> list[Any]:
    """Return the loggers of ``--log``, with their names."""
    from synthbench.loggers.choosing import make_loggers

    return make_loggers(_split(args.log or ""), _pairs("--log-option", args.log_option))


def within_from(args: argparse.Namespace) -> float | None:
    """Return the seconds of ``--within``: 90, 45m, 6h or 2d; None where it isn't given."""
    from synthbench.errors import ConfigError

    if args.within is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([smhd]?)", args.within)
    if match is None or not float(match[1]) > 0:
        raise ConfigError(f"--within {args.within}: expected a time above 0, such as 45m, 6h or 2d")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def run_folder(args: argparse.Namespace, study: Any) -> Path:
    """Return where a run of the study goes."""
    return Path(args.out or Path("runs") / study.name)


def study_from(args: argparse.Namespace) -> Any:
    """Return the study that the arguments name; raise `ConfigError` if it isn't one."""
    from synthbench.board.model import is_board
    from synthbench.errors import ConfigError
    from synthbench.study.model import DEFAULT, make_study, named_after, read_study

    if args.study is not None and is_board(args.study):
        return _study_of_board(args)
    content = read_study(args.study or DEFAULT)
    if args.study is None and any(getattr(args, option) is not None for option in _OWN):
        content = {key: [_bare(entry) for entry in content[key]] for key in ("datasets", "generators", "segmenters")}
    lists = {"dataset": "datasets", "generators": "generators", "segmenters": "segmenters"}
    for option, key in lists.items():
        if (given := getattr(args, option)) is not None:
            names = _split(given)
            if not names:
                raise ConfigError(f"--{option} {given!r}: expected names" + (", or none" * (key == "generators")))
            content[key] = _chosen(content.get(key), [] if names == ["none"] else names)
    if args.synthetic is not None:
        content["synthetic"] = [int(part) if part.isdigit() else part for part in _split(args.synthetic)]
    if args.synthetic_ratio is not None:
        content["synthetic_ratio"] = [_number(part) for part in _split(args.synthetic_ratio)]
    if args.schedule is not None:
        content["schedule"] = _split(args.schedule)
    if args.init is not None:
        content["init"] = _split(args.init)
        _drop_own(content, "segmenters", "init")
    if args.test_on is not None:
        content["test_on"] = _chosen(content.get("test_on"), _split(args.test_on))
    for option in ("fractions", "real_only"):
        if (given := getattr(args, option)) is not None:
            content[option] = [_number(part) for part in _split(given)]
    if args.scale is not None:
        content["scale"] = _number(args.scale)
    for option in ("seeds", "generator_seeds"):
        if (given := getattr(args, option)) is not None:
            content[option] = _number(given)
            _drop_own(content, "segmenters" if option == "seeds" else "generators", "seeds")
    if args.decide is not None:
        content["decide"] = _number(args.decide)
    _replace_budget(content, args)
    _replace_encoder(content, args)
    if args.iou is not None:
        content["iou"] = _number(args.iou)
    if args.check_convergence:
        content["check_convergence"] = True
    if args.border_objects is not None:
        content["border_objects"] = args.border_objects
    if args.name:
        content["name"] = args.name
    elif args.study is None and args.dataset is not None:
        joined = "-".join(Path(part).expanduser().resolve().name for part in _split(args.dataset))
        content["name"] = named_after(joined)
    return make_study(content, args.study or "the command line")


_FROZEN = (
    *("test_on", "segmenters", "init", "synthetic", "synthetic_ratio", "schedule", "fractions", "real_only", "seeds"),
    *("generator_seeds", "scale", "decide", "iou", "budget", "steps", "check_convergence", "patch", "border_objects"),
)
"""Options that would change the study of a board."""


def known_baselines(path: str | None) -> frozenset[str]:
    """Return the keys of the evaluations of a board's trainings on real images alone."""
    from synthbench.board.model import is_board
    from synthbench.board.opening import baseline_keys
    from synthbench.errors import ConfigError

    if path is None or not is_board(path):
        raise ConfigError("--reuse-baseline: only a board has trainings to reuse; give its folder in place of a study")
    return baseline_keys(path)


def _study_of_board(args: argparse.Namespace) -> Any:
    """Return the study of a board with the generators of the arguments."""
    from synthbench.board.participating import study_content
    from synthbench.errors import ConfigError
    from synthbench.study.model import make_study

    if changed := [name for name in _FROZEN if getattr(args, name)]:
        option = changed[0].replace("_", "-")
        raise ConfigError(f"--{option}: {args.study} is a board, whose study is frozen; leave the option out")
    if args.generators is None:
        raise ConfigError(f"{args.study}: is a board, which has no generators; name yours with --generators, or none")
    names = _split(args.generators)
    content = study_content(args.study, [] if names == ["none"] else names, _split(args.dataset or ""))
    _replace_encoder(content, args)
    if args.name:
        content["name"] = args.name
    return make_study(content, args.study)


_OWN = ("dataset", "generators", "segmenters")
"""With any of these it is the user's own study: the reduced networks and trainings of the demonstration don't apply."""


def _bare(entry: Any) -> str:
    return str(entry["name"] if isinstance(entry, dict) else entry)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _chosen(known: Any, names: list[str]) -> list[Any]:
    """Return the study's own entries of these names or labels, with their configuration; bare names for the rest."""
    from synthbench.environments.plugins import split_name

    entries = [entry for entry in known or [] if isinstance(entry, dict) and "name" in entry]
    chosen: list[Any] = []
    for name in names:
        plain, environment = split_name(name)
        found = [e for e in entries if e.get("label") == name] or [e for e in entries if e["name"] == name]
        if not found and environment:
            same = [entry for entry in entries if entry["name"] == plain]
            found = [entry for entry in same if entry.get("environment") == environment]
            found = found or [{**entry, "environment": environment, "label": ""} for entry in same[:1]]
        chosen += found or [name]
    return chosen


def _drop_own(content: dict[str, Any], key: str, part: str) -> None:
    content[key] = [
        {k: v for k, v in entry.items() if k != part} if isinstance(entry, dict) else entry
        for entry in content.get(key, [])
    ]


def _replace_encoder(content: dict[str, Any], args: argparse.Namespace) -> None:
    from synthbench.errors import ConfigError

    if args.inception and args.encoder not in (None, "inception"):
        raise ConfigError(f"--inception contradicts --encoder {args.encoder}; remove one of them")
    if args.inception:
        content["encoder"] = {"name": "inception", "config": {"weights": args.inception}}
    elif args.encoder:
        content["encoder"] = args.encoder


def _replace_budget(content: dict[str, Any], args: argparse.Namespace) -> None:
    given = {"name": args.budget, "steps": args.steps, "patch_size": args.patch}
    given = {key: value if key == "name" else _number(value) for key, value in given.items() if value is not None}
    if given:
        before = content.get("budget", {})
        content["budget"] = ({"name": before} if isinstance(before, str) else dict(before)) | given
        for key in ("generators", "segmenters"):
            _drop_own(content, key, "budget")
