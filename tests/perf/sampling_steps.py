"""Distance of drawn images from real ones by the number of sampling steps: diffusion and flow matching.

``python tests/perf/sampling_steps.py REAL --weights squeezenet1_0.safetensors`` trains both in the same budget on some
images of a folder of annotated images, and prints a table of distances. A network is trained once per
seed; with each number of steps it draws from the same noise, for the same masks.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from synthbench import Context, Sample, SampleSet
from synthbench.folders.fidelity.feature_extraction import load_encoder
from synthbench.folders.fidelity.reading import open_pictures
from synthbench.metrics.kernel import kernel_distance, kernel_interval
from synthbench.plugin.registry import registry
from synthbench.processes.count import usable_processors
from synthbench.samples.contact_sheets import contact_sheet

STEPS = (1, 2, 4, 8, 16, 50)
SAMPLERS = {"diffusion": {"ddim": 50}, "flow-matching": {"euler": 50, "midpoint": 8}}
"""By generator: the samplers, and the most steps that are measured of each."""
SHOWN = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("real", type=Path, help="annotated images")
    parser.add_argument("--weights", type=Path, help="SqueezeNet's; without them, the encoder is `untrained`")
    parser.add_argument("--images", type=int, default=45, help="training images")
    parser.add_argument("--compared", type=int, default=200, help="other images that drawn ones are compared with")
    parser.add_argument("--side", type=int, default=128, help="of drawn and of real squares; joint: the patches'")
    parser.add_argument("--drawn", type=int, default=40, help="images drawn with each number of steps")
    parser.add_argument("--mode", default="conditional", choices=("conditional", "joint"))
    parser.add_argument("--budget", default="quick")
    parser.add_argument("--steps", type=int, help="training steps, instead of the budget's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=usable_processors())
    parser.add_argument("--sheets", type=Path, help="folder for pictures of what is drawn")
    given = parser.parse_args()
    train, others = divide(given.real, given.images)
    name, config = ("torchvision", {"weights": given.weights}) if given.weights else ("untrained", {})
    encode = load_encoder(name, config, Context()).encoder.encode
    rng = np.random.default_rng(0)
    real = encode([square(sample.image, given.side, rng) for sample in others[: given.compared]])
    training = encode([square(sample.image, given.side, rng) for sample in train])
    print(f"{len(train)} training images; squares of {given.side}² of {len(real)} others; {given.drawn} drawn")
    print(f"training squares, in thousands: {kernel_distance(training, real) / 1e3:,.0f}", flush=True)
    for name, samplers in SAMPLERS.items():
        generator, seconds = fit(name, train, given)
        print(f"{name}: trained for {seconds:.0f} s", flush=True)
        for sampler, longest in samplers.items():
            for steps in [steps for steps in STEPS if steps <= longest]:
                began = time.perf_counter()
                drawn = draw(generator, steps, sampler, given.drawn)
                spent = (time.perf_counter() - began) / given.drawn
                features = encode([sample.image for sample in drawn])
                low, high = kernel_interval(features, real, 0)
                row = [f"{value / 1e3:,.0f}" for value in (kernel_distance(features, real), low, high)]
                print(f"{name} {sampler} | {steps} | {row[0]} [{row[1]}, {row[2]}] | {spent:.2f} s", flush=True)
                if given.sheets:
                    given.sheets.mkdir(parents=True, exist_ok=True)
                    title = f"{name}, {given.mode}, {sampler}, {steps} steps"
                    sheet = contact_sheet({title: drawn[:SHOWN]}, tile=128)
                    sheet.save(given.sheets / f"{title.replace(', ', '-')}.png")


def divide(folder: Path, count: int) -> tuple[SampleSet, list[Sample]]:
    """Return training samples, chosen at random once and for all, and the others."""
    pictures = open_pictures(folder)
    samples = []
    for position in np.random.default_rng(0).permutation(len(pictures)).tolist():
        image, labels, _ = pictures.read(position)
        samples.append(Sample(f"{position:06d}", image, labels))
    return SampleSet.of(samples[:count]), samples[count:]


def square(image: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """Return a random square of an image, as large as what is drawn."""
    top, left = (int(rng.integers(length - side + 1)) for length in image.shape[:2])
    return np.ascontiguousarray(image[top : top + side, left : left + side])


def fit(name: str, train: SampleSet, given: argparse.Namespace) -> tuple[Any, float]:
    cls = registry().load("generator", name)
    budget = cls.budgets[given.budget]
    config = {"mode": given.mode, **({"max_side": given.side} if given.mode == "conditional" else {})}
    generator = cls(cls.Config(**config))
    began = time.perf_counter()
    context = Context(seed=given.seed, budget=replace(budget, steps=given.steps or budget.steps))
    generator.fit(train, replace(context, threads=given.threads))
    return generator, time.perf_counter() - began


def draw(generator: Any, steps: int, solver: str, count: int) -> list[Sample]:
    changed = {"sampling_steps": steps, **({} if solver == "ddim" else {"solver": solver})}
    method = generator.method
    method.config = method.config.model_copy(update=changed)
    method.process = method.config.process()
    return list(generator.sample_batch(range(count), 0))


if __name__ == "__main__":
    main()
