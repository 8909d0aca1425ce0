"""How fast the generators train, how much memory that takes, and how long they wait for data.

``python tests/perf/generator_speed.py`` prints a table in Markdown: by default for each generator's ``quick`` budget on
a CPU; with ``--device cuda --budget standard --patch 256 --batch 16`` for the sizes that are made for a GPU.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from typing import Any

from synthbench import Budget
from synthbench.engine import resource_monitor
from synthbench.processes.count import usable_processors

GENERATORS = ("pix2pix", "cgan-seg", "diffusion", "stylegan2-mask", "vqvae-pixelcnn")
WARM = 5
"""Steps before the clock starts: compilation, first uploads."""
IMAGES = 24


def measure(name: str, device: str, budget: str, patch: int | None, batch: int | None, steps: int) -> dict[str, Any]:
    """Train for some steps with the networks of a budget, and look at the clock whenever a batch is asked for."""
    import torch

    from synthbench import Context, SampleSet
    from synthbench.plugin.registry import registry
    from synthbench.toolkit.training.batches import Batches

    cls = registry().load("generator", name)
    named = cls.budgets[budget]
    config = cls.Config().resolve(named)
    side, count = patch or named.patch_size, batch or named.batch_size
    phantom = registry().load("dataset", "phantom-nuclei")
    drawn = phantom(phantom.Config(train=IMAGES, validation=0, test=0, size=max(256, side)))
    train = SampleSet.of(drawn.samples(Context()))
    asked: list[float] = []
    waited: list[float] = []
    plain = Batches.__getitem__

    def timed(self: Batches, step: int) -> Any:
        _finish(device)
        asked.append(time.perf_counter())
        found = plain(self, step)
        _finish(device)
        waited.append(time.perf_counter() - asked[-1])
        return found

    Batches.__getitem__ = timed  # type: ignore[method-assign]
    budgeted = Budget(steps + WARM, count, side)
    cls(config).fit(train, Context(seed=0, budget=budgeted, device=device, threads=usable_processors()))
    seconds = asked[WARM + steps - 1] - asked[WARM]
    resident = resource_monitor.Memory().peak_mb() * 2**20
    return {
        "name": name,
        "patch": side,
        "batch": count,
        "per_second": count * (steps - 1) / seconds,
        "waiting": sum(waited[WARM : WARM + steps - 1]) / seconds,
        "memory": resident if device == "cpu" else torch.cuda.max_memory_allocated(device),
    }


def _finish(device: str) -> None:
    """Let a GPU finish what it was given."""
    if device != "cpu":
        import torch

        torch.cuda.synchronize(device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--budget", default="quick")
    parser.add_argument("--patch", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--only", help="one generator, as JSON")
    chosen = parser.parse_args()
    if chosen.only:
        print(json.dumps(measure(chosen.only, chosen.device, chosen.budget, chosen.patch, chosen.batch, chosen.steps)))
        return
    print(f"{_machine(chosen.device)}, {chosen.budget}, {chosen.steps} steps\n")
    print("| generator | patch | batch | images per s | waiting for data | memory, GiB |\n|:--|--:|--:|--:|--:|--:|")
    for name in GENERATORS:
        command = [sys.executable, *sys.argv, "--only", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        row = json.loads(done.stdout.splitlines()[-1])
        print(
            f"| `{name}` | {row['patch']}² | {row['batch']} | {row['per_second']:.1f} | {row['waiting']:.1%} | "
            f"{row['memory'] / 2**30:.1f} |",
            flush=True,
        )


def _machine(device: str) -> str:
    import torch

    if device != "cpu":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    return f"{usable_processors()} processors ({platform.machine()}), torch {torch.__version__}"


if __name__ == "__main__":
    main()
