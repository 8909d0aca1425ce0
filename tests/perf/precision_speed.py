"""How much processor time bfloat16 saves on a CPU that has instructions for it: training steps and predictions.

``python tests/perf/precision_speed.py`` prints a table in Markdown, measured in one run. Both precisions alternate
within one process per method and number of threads; networks, patches and batches are those of the budget ``quick``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from synthbench.engine.devices import worker_environment

METHODS = {
    "segmenter": ("unet", "deepsea", "cellpose", "mask-rcnn", "mediar", "instanseg"),
    "generator": ("pix2pix", "diffusion", "stylegan2-mask"),
}
PRECISIONS = ("fp32", "bf16")
WARM, ROUNDS = 3, 2
"""Steps before the clock starts, and how often each precision has its turn."""
SIDE, IMAGES = 256, 12


class _Enough(Exception):
    """Ends a training whose steps are measured."""


def measure(kind: str, name: str, threads: int, steps: int) -> dict[str, Any]:
    """Return processor milliseconds of a training step, and of a prediction of 256² pixels, by precision."""
    from synthbench import Context, SampleSet
    from synthbench.plugin.precision import computing_in
    from synthbench.plugin.registry import registry

    phantom = registry().load("dataset", "phantom-nuclei")
    drawn = phantom(phantom.Config(train=IMAGES, validation=0, test=0, size=SIDE))
    train = SampleSet.of(drawn.samples(Context()))
    cls = registry().load(kind, name)
    taken: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for _ in range(ROUNDS):
        for precision in PRECISIONS:
            with computing_in(precision):
                taken[precision].append(_training_step(kind, cls, train, threads, steps))
    result: dict[str, Any] = {"training": {precision: min(times) for precision, times in taken.items()}}
    if kind == "segmenter":
        result["prediction"] = _predictions(cls, train, threads)
    return result


def _training_step(kind: str, cls: Any, train: Any, threads: int, steps: int) -> float:
    from dataclasses import replace

    from synthbench import Context, TrainingMix
    from synthbench.toolkit.training import loop

    times: list[float] = []
    plain = loop.train

    def timed(context: Any, *, step: Callable[[int], Any], **kwargs: Any) -> None:
        def measured(number: int) -> Any:
            began = time.process_time()
            losses = step(number)
            times.append(time.process_time() - began)
            if len(times) == WARM + steps:
                raise _Enough
            return losses

        plain(context, step=measured, **kwargs)

    # networks are those of the whole budget
    context = Context(seed=0, budget=replace(cls.budgets["quick"]), threads=threads)
    loop.train = timed
    try:
        cls().fit(*((train,) if kind == "generator" else (TrainingMix(train), train)), context)
    except _Enough:
        return 1000 * statistics.median(times[WARM:])
    finally:
        loop.train = plain
    raise RuntimeError(f"{cls.__name__} took {len(times)} steps")


def _predictions(cls: Any, train: Any, threads: int) -> dict[str, float]:
    from dataclasses import replace

    from synthbench import Context, TrainingMix
    from synthbench.plugin.precision import computing_in

    model = cls()
    budget = replace(cls.budgets["quick"], steps=40)
    model.fit(TrainingMix(train), train[:2], Context(seed=0, budget=budget, threads=threads))
    taken: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for number in range(5):
        for precision in PRECISIONS:
            with computing_in(precision):
                began = time.process_time()
                model.predict(train[number].image)
                taken[precision].append(1000 * (time.process_time() - began))
    return {precision: statistics.median(times[1:]) for precision, times in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", nargs="+", help="names of methods")
    parser.add_argument("--one", nargs=2, metavar=("KIND", "NAME"), help="one method, as JSON")
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(measure(*chosen.one, chosen.threads[0], chosen.steps)))
        return
    columns = ["training step: fp32 (ms)", "bf16 (ms)", "ratio", "prediction: fp32 (ms)", "bf16 (ms)", "ratio"]
    print(f"| method | threads | {' | '.join(columns)} |\n|:--{'|--:' * (1 + len(columns))}|", flush=True)
    for kind, names in METHODS.items():
        for name in names:
            if chosen.only and name not in chosen.only:
                continue
            for threads in chosen.threads:
                command = [sys.executable, __file__, "--one", kind, name, "--threads", str(threads)]
                done = subprocess.run(
                    [*command, "--steps", str(chosen.steps)],
                    capture_output=True,
                    text=True,
                    check=True,
                    env={**os.environ, **worker_environment([], threads)},
                )
                found = json.loads(done.stdout.splitlines()[-1])
                cells = [name, str(threads)]
                for part in ("training", "prediction"):
                    slow, fast = (found.get(part, {}).get(precision) for precision in PRECISIONS)
                    cells += [f"{slow:,.0f}", f"{fast:,.0f}", f"{slow / fast:.2f}"] if slow else ["–"] * 3
                print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
