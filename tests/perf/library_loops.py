"""The training loops of this project beside those of the libraries: steps per second and processor time of a step.

``python tests/perf/library_loops.py --cganseg CLONE --stylegan2 CLONE`` measures all methods in one run. The loops that
are compared train the same network on patches of the same size, in processes of their own, and take turns.
With ``--page`` the table is written into docs/speed.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from library_training import BUDGETS, train_cellpose, train_ours, train_stardist
from reference_training import cganseg_network, train_cganseg, train_stylegan2, vgg19_weights

from helpers.machine import machine, replace_section
from helpers.turns import Turn, Turns, alternate
from synthbench.engine.devices import KEEP_MEMORY, worker_environment
from synthbench.plugin.precision import bfloat16_problem

PAGE = Path(__file__).resolve().parents[2] / "docs" / "speed.md"
SECTION = "## Training loops beside those of the libraries"
LIBRARY = "library"


@dataclass(frozen=True)
class Method:
    """A method whose two trainings are compared.

    Attributes
    ----------
    name : str
        Of this project's plugin.
    library : str
        What its loop is compared with, in Markdown.
    share : float
        Steps of a turn, relative to ``--steps``.
    period : int
        The steps of a turn are a multiple of it, so that all turns have the same work.
    precisions : tuple of str
        That this project's loop is measured in; the library's is always in float32.
    """

    name: str
    library: str
    share: float
    period: int = 1
    precisions: tuple[str, ...] = ("fp32", "bf16")

    def steps(self, steps: int) -> int:
        """Return the steps of a turn."""
        return max(1, round(steps * self.share / self.period)) * self.period


METHODS = (
    Method("stardist", "StarDist, `StarDist2D.train`", share=5, precisions=("fp32",)),
    Method("cellpose", "Cellpose 3, `train_seg`", share=1),
    Method("cgan-seg", "cGAN-Seg, `train.py` of abzargar/cGAN-Seg", share=0.2),
    Method("stylegan2-mask", "StyleGAN2, `train.py` of rosinality/stylegan2-pytorch", share=1, period=16),
)
WARM = 4
"""Steps of each loop before it is measured."""

INTRODUCTION = """\
`python tests/perf/library_loops.py --cganseg CLONE --stylegan2 CLONE` compares the training loops of this project with
those that the libraries or the authors publish, in one run: the same network, and as many patches of the same size in a
step. Each loop is a process of its own; they take turns of a few steps. Speeds and processor times (of all threads) are
medians of the turns. Ratios are medians over the rounds, with their range: above 1, ours is faster, or uses less. The
libraries' loops compute in float32."""

REMARKS = """\
Everything that a loop does in a step counts: drawing and augmenting patches, targets, the network forward and backward,
the optimiser, and what is printed. Not counted are the start, compilation, validation and checkpoints. What differs:

- StarDist: the library's loop doesn't augment, which is its default, and Keras decides whether to compile its step with
  XLA; ours augments its patches and makes them in a thread of its own.
- Cellpose: the library's loop rotates, flips and resizes; ours flips and turns by right angles.
- cGAN-Seg: both with the published U-Net as segmenter, half as wide as published, and a VGG19 with random weights. Our
  masks have two planes instead of one. The published code was changed where it needs a GPU, and to that width, to
  images of this size, and to reading them in the process that trains. On a CPU it computes in float32.
- StyleGAN2: without masks, classes and augmentation; the R1 penalty in every 16th step and that of the path length in
  every 4th. Ours carries features instead of colours on the skip path, which is more to compute. The published code was
  changed to fewer channels; on a CPU it uses none of its CUDA operations. Images come from memory.
- Processes of this project are started with `KEEP_MEMORY` of `synthbench.engine.devices`, as every task of a run is;
  the others aren't, unless `--keep-memory` is given."""


def train(side: str, chosen: argparse.Namespace) -> None:
    """Train one side of a comparison, ``"method:precision"`` or ``"method:library"``, in turns."""
    name, _, what = side.partition(":")
    before_step = Turns.of_process()
    weights, clone = chosen.folder / "vgg19.safetensors", chosen.cganseg
    if what != LIBRARY:
        changes: dict[str, Any] = {}
        if name == "cgan-seg":
            import synthbench_cganseg.generator

            synthbench_cganseg.generator.SegmentationUNet = cganseg_network(clone)  # type: ignore[misc]
            changes = {"perceptual_weights": weights}
        train_ours(name, what, chosen.threads, before_step, changes)
    elif name == "stardist":
        train_stardist(chosen.threads, before_step)
    elif name == "cellpose":
        train_cellpose(chosen.threads, before_step)
    elif name == "cgan-seg":
        train_cganseg(clone, weights, chosen.folder / "pairs", chosen.threads, before_step)
    else:
        train_stylegan2(chosen.stylegan2, chosen.threads, before_step)


def measure(method: Method, chosen: argparse.Namespace) -> dict[str, list[Turn]]:
    """Return the turns of a method's loops, by precision, and ``"library"``."""
    with tempfile.TemporaryDirectory() as folder:
        if method.name == "cgan-seg":
            vgg19_weights(Path(folder) / "vgg19.safetensors")
            (Path(folder) / "pairs").mkdir()
        shared = [sys.executable, __file__, "--threads", str(chosen.threads), "--folder", folder]
        for option in ("cganseg", "stylegan2"):
            clone = getattr(chosen, option)
            shared += [f"--{option}", str(clone.resolve())] if clone else []
        ours = {**os.environ, **worker_environment([], chosen.threads)}
        theirs = {name: value for name, value in ours.items() if chosen.keep_memory or name not in KEEP_MEMORY}
        precisions = [each for each in method.precisions if each == "fp32" or not bfloat16_problem()]
        commands = {
            side: ([*shared, "--side", f"{method.name}:{side}"], theirs if side == LIBRARY else ours)
            for side in (LIBRARY, *precisions)
        }
        steps = method.steps(chosen.steps)
        return alternate(commands, warm=WARM, steps=steps, rounds=chosen.rounds)


def spread(values: Sequence[float]) -> str:
    """Return the median of ratios with their range, ``"1.25 (1.21–1.30)"``."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def lines(method: Method, turns: Mapping[str, Sequence[Turn]], steps: int) -> list[str]:
    """Return the table's lines of a method, one per precision: medians, and ratios of the turns of one round."""
    batch, side = BUDGETS[method.name]
    theirs = turns[LIBRARY]
    found = []
    for precision, ours in turns.items():
        if precision == LIBRARY:
            continue
        pairs = list(zip(ours, theirs, strict=True))
        speeds = [1 / statistics.median(each.wall for each in each_side) for each_side in (ours, theirs)]
        used = [1e3 * statistics.median(each.processor for each in each_side) for each_side in (ours, theirs)]
        cells = [
            f"{method.library} | {batch} × {side}² | {len(theirs)} × {steps} | {precision}",
            *(f"{speed:.2f}" for speed in speeds),
            spread([b.wall / a.wall for a, b in pairs]),
            *(f"{milliseconds:,.0f}" for milliseconds in used),
            spread([b.processor / a.processor for a, b in pairs]),
        ]
        found.append(f"| {' | '.join(cells)} |")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10, help="of a turn of Cellpose; other methods have more or fewer")
    parser.add_argument("--rounds", type=int, default=4, help="turns of each loop")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=[each.name for each in METHODS], help="methods")
    parser.add_argument("--cganseg", type=Path, metavar="CLONE", help="of github.com/abzargar/cGAN-Seg")
    parser.add_argument("--stylegan2", type=Path, metavar="CLONE", help="of github.com/rosinality/stylegan2-pytorch")
    parser.add_argument("--keep-memory", action="store_true", help="start the libraries' processes as ours are")
    parser.add_argument("--page", action="store_true", help="write the table into docs/speed.md")
    parser.add_argument("--side", help="train one side, in turns that come from stdin")
    parser.add_argument("--folder", type=Path, help="for the files of a side")
    chosen = parser.parse_args()
    if chosen.side:
        train(chosen.side, chosen)
        return
    load = os.getloadavg()[0]
    table = [
        "| loop of the library | patches | turns × steps | ours | ours, steps/s | library, steps/s | times as fast "
        "| ours, ms | library, ms | times less |",
        "|:--|--:|--:|:--|--:|--:|--:|--:|--:|--:|",
    ]
    skipped = []
    for method in METHODS:
        clone = {"cgan-seg": ("--cganseg", chosen.cganseg), "stylegan2-mask": ("--stylegan2", chosen.stylegan2)}
        option, path = clone.get(method.name, ("", Path()))
        if chosen.only and method.name not in chosen.only:
            continue
        if path is None or (option and not (path / "train.py").is_file()):
            skipped += [f"{method.library}: not measured, since {option} gave no clone with a train.py.", ""]
            continue
        table += lines(method, measure(method, chosen), method.steps(chosen.steps))
        print("\n".join(table), flush=True)
    packages = ", ".join(f"{each} {version(each)}" for each in ("torch", "tensorflow", "cellpose", "stardist"))
    setting = f"{machine()}, {chosen.threads} threads; {packages}; load average {load:.1f} before the run."
    text = "\n".join([INTRODUCTION, "", setting, "", *table, "", *skipped, REMARKS])
    print(text)
    if chosen.page:
        replace_section(PAGE, SECTION, text)


if __name__ == "__main__":
    main()
