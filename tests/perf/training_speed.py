"""How fast generators and segmenters train, how much memory that takes, and how long they wait for data.

``python tests/perf/training_speed.py`` prints a table in Markdown: by default for five generators' ``quick`` budgets on
a CPU; with ``--device cuda --methods all --budget standard --patch 256 --batch 16 --price`` for all methods at sizes
that are made for a GPU, and the price of deterministic algorithms there. Of a method that trains several networks one
after the other, the first one is measured.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from synthbench import Budget
from synthbench.engine import resource_monitor
from synthbench.processes.count import usable_processors

FIVE = "pix2pix,cgan-seg,diffusion,stylegan2-mask,vqvae-pixelcnn"
WARM = 5
"""Steps before the clock starts: compilation, first uploads."""
IMAGES = 24
COLUMNS = "| method | patch | batch | images per s | waiting for data | memory, GiB |"


class _Enough(Exception):
    """Ends a training whose steps are measured."""


class _Clock:
    """Looks at the time whenever a training asks for a batch, and ends the training after the last one."""

    def __init__(self, device: str, steps: int, first: Callable[[], None]) -> None:
        self.asked: list[float] = []
        self.waited: list[float] = []
        self._device, self._steps, self._first = device, steps, first
        self._is_inside = False

    def wrap(self, owner: Any, name: str) -> None:
        """Let a function that returns a batch be measured, unless another one calls it."""
        plain = getattr(owner, name)

        def timed(*args: Any) -> Any:
            if self._is_inside:
                return plain(*args)
            if not self.asked:
                self._first()
            finish(self._device)
            self.asked.append(time.perf_counter())
            if len(self.asked) == WARM + self._steps + 1:
                raise _Enough
            self._is_inside = True
            found = plain(*args)
            self._is_inside = False
            finish(self._device)
            self.waited.append(time.perf_counter() - self.asked[-1])
            return found

        setattr(owner, name, timed)


def measure(name: str, device: str, budget: str, patch: int | None, batch: int | None, steps: int, free: bool) -> Any:
    """Train for some steps with the networks of a budget; `free`: without deterministic algorithms."""
    from synthbench import Context, SampleSet, TrainingMix
    from synthbench.plugin.registry import registry
    from synthbench.toolkit.training.batches import Batches
    from synthbench.toolkit.training.patches import PatchStream

    kind = "generator" if name in registry().names("generator") else "segmenter"
    cls = registry().load(kind, name)
    named = cls.budgets[budget]
    config = cls.Config().resolve(named) if kind == "generator" else cls.Config()
    side, count = patch or named.patch_size, batch or named.batch_size
    phantom = registry().load("dataset", "phantom-nuclei")
    drawn = phantom(phantom.Config(train=IMAGES, validation=0, test=0, size=max(256, side)))
    train = SampleSet.of(drawn.samples(Context()))
    clock = _Clock(device, steps, _any_algorithms if free else lambda: None)
    clock.wrap(Batches, "__getitem__")
    clock.wrap(PatchStream, "batch")
    context = Context(seed=0, budget=Budget(named.steps, count, side), device=device, threads=usable_processors())
    try:
        if kind == "generator":
            cls(config).fit(train, context)
        else:
            cls(config).fit(TrainingMix(train), train[:2], context)
    except _Enough:
        pass
    seconds = clock.asked[WARM + steps] - clock.asked[WARM]
    return {
        "name": name,
        "patch": side,
        "batch": count,
        "per_second": count * steps / seconds,
        "waiting": sum(clock.waited[WARM:]) / seconds,
        "memory": _peak_bytes(device),
    }


def _any_algorithms() -> None:
    """Let torch take whatever is fastest, whether or not it gives the same result each time."""
    import torch

    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = False
    torch.backends.cudnn.benchmark = True


def finish(device: str) -> None:
    """Let a GPU finish what it was given."""
    if device != "cpu":
        import torch

        torch.cuda.synchronize(device)


def _peak_bytes(device: str) -> int:
    if device == "cpu":
        return resource_monitor.Memory().peak_mb() * 2**20
    if "tensorflow" in sys.modules:
        return int(sys.modules["tensorflow"].config.experimental.get_memory_info("GPU:0")["peak"])
    import torch

    return torch.cuda.max_memory_allocated(device)


def chosen_methods(text: str) -> list[str]:
    """Return names separated by commas; `all`: each that trains and whose packages are here."""
    from synthbench.plugin.registry import registry

    if text != "all":
        return text.split(",")
    found = [entry for kind in ("generator", "segmenter") for entry in registry().of_kind(kind) if not entry.missing]
    return [entry.name for entry in found if any(budget.steps for budget in entry.load().budgets.values())]


def row(result: dict[str, Any], price: str) -> str:
    """Return a row of the table."""
    return (
        f"| `{result['name']}` | {result['patch']}² | {result['batch']} | {result['per_second']:.1f} | "
        f"{result['waiting']:.1%} | {result['memory'] / 2**30:.1f} |{price}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", default=FIVE, help="names separated by commas, or all")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--budget", default="quick")
    parser.add_argument("--patch", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--price", action="store_true", help="also without deterministic algorithms, and the ratio")
    parser.add_argument("--rows-only", action="store_true", help="without the heading of the table")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("--free", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    sizes = (chosen.device, chosen.budget, chosen.patch, chosen.batch, chosen.steps)
    if chosen.only:
        print(json.dumps(measure(chosen.only, *sizes, chosen.free)))
        return
    if not chosen.rows_only:
        print(heading(chosen.device, chosen.budget, chosen.steps, chosen.price))
    for name in chosen_methods(chosen.methods):
        result = _in_own_process(name)
        price = ""
        if chosen.price:
            ratio = _in_own_process(name, "--free")["per_second"] / result["per_second"]
            price = f" {ratio:.2f} |"
        print(row(result, price), flush=True)


def heading(device: str, budget: str, steps: int, price: bool) -> str:
    """Return the machine and the first lines of the table."""
    columns = COLUMNS + (" speed without determinism |" if price else "")
    rule = "|:--|" + "--:|" * (columns.count("|") - 2)
    return f"{_machine(device)}, budget `{budget}`, {steps} steps\n\n{columns}\n{rule}"


def _in_own_process(name: str, *more: str) -> dict[str, Any]:
    command = [sys.executable, *sys.argv, "--only", name, *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name}: {done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _machine(device: str) -> str:
    import torch

    if device != "cpu":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    return f"{usable_processors()} processors ({platform.machine()}), torch {torch.__version__}"


if __name__ == "__main__":
    main()
