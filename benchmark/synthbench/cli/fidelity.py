"""Compare synthetic images, and their masks, with real ones; no training.

Two folders of images, or of images with masks in any format that `synthbench dataset add` detects. Reports feature
distances with their real-vs-real baseline and a p-value, precision, recall, density and coverage; with --train, a
search for duplicates of training images; and, if both folders have masks of objects, distances between the
distributions of object shapes. The kernel distance and the search for duplicates use all images; the other figures use
the same number of images from each set.
"""

from __future__ import annotations

import argparse
import json
import sys

from synthbench.cli._arguments import add_config, pairs_from

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("synthetic", metavar="SYNTHETIC", help="folder of synthetic images, or of samples")
    parser.add_argument(
        "real", metavar="REAL", help="folder of real images that no generator was trained on (test images)"
    )
    parser.add_argument(
        "--train",
        metavar="FOLDER",
        help="real images that the generator was trained on; adds baselines and a search for duplicates",
    )
    parser.add_argument(
        "--encoder", metavar="NAME", help="encoder plugin (default: inception if it can run, else untrained)"
    )
    parser.add_argument("--inception", metavar="FILE", help="Inception weights, for FID and KID")
    add_config(parser, "encoder")
    parser.add_argument("--task", choices=("instances", "semantic"), help="what the masks contain (default: instances)")
    parser.add_argument("--white", type=float, metavar="VALUE", help="white level of images that aren't 8 or 16 bit")
    parser.add_argument("--components", action="store_true", help="make each connected component of a mask an object")
    parser.add_argument("--device", default="auto", help="where the encoder runs: auto (default), cpu, cuda, cuda:1")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    import os

    from synthbench.cli._fidelity_text import fidelity_text
    from synthbench.engine.devices import choose
    from synthbench.errors import ConfigError
    from synthbench.folders.fidelity.evaluate import evaluate_fidelity
    from synthbench.plugin.api import silent
    from synthbench.processes.count import usable_processors

    config: dict[str, str] = pairs_from(args)
    if args.inception and args.encoder not in (None, "inception"):
        raise ConfigError(f"--inception contradicts --encoder {args.encoder!r}; remove one of them")
    if args.inception:
        config["weights"] = args.inception
    encoder = "inception" if args.inception else args.encoder
    if config and not encoder:
        raise ConfigError("--config: name the encoder with --encoder")
    if encoder:
        _refuse_elsewhere(encoder)
    device = args.device if args.device != "auto" else "cuda" if choose("auto") else "cpu"
    choose(device)
    threads = os.environ.get("OMP_NUM_THREADS", "")
    result = evaluate_fidelity(
        args.synthetic,
        args.real,
        train=args.train,
        encoder=encoder,
        config=config,
        task=args.task,
        components=args.components,
        white=args.white,
        device=device,
        threads=int(threads) if threads.isdigit() else usable_processors(),
        progress=_counter if sys.stderr.isatty() else silent,
    )
    print(json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) if args.json else fidelity_text(result))
    return 0


def _refuse_elsewhere(encoder: str) -> None:
    """Raise `ConfigError` if an encoder is in another environment: this command runs encoders itself."""
    from synthbench.environments.plugins import find_plugin, split_name
    from synthbench.environments.registered import environment_named
    from synthbench.errors import ConfigError

    if environment := find_plugin("encoder", *split_name(encoder)).environment:
        python = environment_named(environment).python
        raise ConfigError(
            f"--encoder {encoder}: is in environment {environment!r}; run {python} -m synthbench fidelity …"
        )


def _counter(done: int, total: int, note: str = "") -> None:
    print("\r\x1b[K" if done == total else f"\r{done}/{total} images", end="", file=sys.stderr, flush=True)
