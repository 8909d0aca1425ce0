"""What needs a GPU, in the minutes that there are: tests, speeds, then a study's trainings and their synthetic sets.

``python tests/perf/on_gpu.py STUDY.yaml --out DIR --minutes 9`` does as much of it as fits, and the same command goes
on where it stopped. Steps that are done aren't done again; a training that the end of the time interrupts has a
checkpoint.

| in DIR | |
|:--|:--|
| `steps.json` | what was done, and in how many seconds |
| `tests.txt` | output of the tests with the mark `gpu` |
| `speed.md` | images per second, waiting for data, memory, and the price of deterministic algorithms, for each method |
| `store/`, `run/` | the study, with checkpoints |
| `sets/NAME.zip` | the synthetic set of each trained generator, for `ready-made` |
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from training_speed import chosen_methods, heading

from synthbench.plugin.registry import registry
from synthbench.store import Store

ROOT = Path(__file__).resolve().parents[2]
SPEED = ("--budget", "standard", "--patch", "256", "--batch", "16", "--steps", "20", "--price", "--rows-only")
GRACE = 30
"""Seconds that an interrupted command has for its checkpoint; they are part of the minutes."""


class Steps:
    """Runs one command after the other until the time is up, and remembers those that came to their end.

    Parameters
    ----------
    folder
        Where `steps.json` is kept.
    seconds
        The time for all of them.
    """

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder = folder
        self._file = folder / "steps.json"
        self._until = time.monotonic() + seconds
        self.done: dict[str, float] = json.loads(self._file.read_text()) if self._file.exists() else {}
        self.failed: list[str] = []

    @property
    def left(self) -> float:
        """Seconds for work, without those that an interrupted command needs."""
        return self._until - time.monotonic() - GRACE

    def run(self, name: str, command: Sequence[object], output: str, keep_failed: bool = False) -> bool:
        """Run a command, appending what it prints to a file; return whether it has come to its end, now or before.

        A step that fails is named and the next one begins; with `keep_failed` it counts as done.
        """
        if name in self.done:
            return True
        if self.left <= 0:
            return False
        print(f"{name} …", flush=True)
        began = time.monotonic()
        with (self.folder / output).open("a", encoding="utf-8") as written:
            words = [str(word) for word in command]
            process = subprocess.Popen(words, cwd=ROOT, stdout=written, stderr=written, start_new_session=True)
            code = self._wait(process)
        seconds = time.monotonic() - began
        if code is None:
            print(f"{name}: interrupted after {seconds:.0f} s; the same command goes on", flush=True)
            return False
        if code:
            self.failed.append(name)
            print(f"{name}: exit {code}, see {self.folder / output}", flush=True)
            if not keep_failed:
                return False
        self.done[name] = round(seconds, 1)
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(self.done, indent=1) + "\n")
        fresh.replace(self._file)
        print(f"{name}: {seconds:.0f} s", flush=True)
        return True

    def _wait(self, process: subprocess.Popen[bytes]) -> int | None:
        """Return the exit code, or None if the time was up before."""
        try:
            return process.wait(self.left)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return None


def measure_speed(steps: Steps, device: str, methods: str) -> None:
    """Measure each method by itself, so that one that fails or is interrupted costs no other."""
    page = steps.folder / "speed.md"
    if not page.exists():
        page.write_text(heading(device, "standard", 20, price=True) + "\n", encoding="utf-8")
    script = ROOT / "tests" / "perf" / "training_speed.py"
    for name in chosen_methods(methods):
        command = [sys.executable, script, "--methods", name, "--device", device, *SPEED]
        steps.run(f"speed of {name}", command, "speed.md")


def train(steps: Steps, study: Path, device: str, images: int) -> None:
    """Run the study; then draw a set of each generator whose training is done, also if the run is not."""
    store, run = steps.folder / "store", steps.folder / "run"
    synthbench = [sys.executable, "-m", "synthbench"]
    common = ["--store", store, "--device", device]
    steps.run("study", [*synthbench, "run", study, "--out", run, "--workers", 1, *common], "study.txt")
    (steps.folder / "sets").mkdir(exist_ok=True)
    for key, name in _trained(store):
        target = steps.folder / "sets" / f"{name}-{key[:8]}"
        drawing = [*synthbench, "draw", key, "--n", images, "--out", target, *common]
        if steps.run(f"{images} images of {name} {key[:8]}", drawing, "sets.txt"):
            _pack(target)


def _trained(store: Path) -> list[tuple[str, str]]:
    """Return the keys and names of a store's generators that have learned; what others draw needs no GPU."""
    records = [record for record in Store(store).records("fit-generator") if record["status"] == "ok"]
    found = [(record["key"], record["plugin"]) for record in records]
    return sorted((key, name) for key, name in found if registry().load("generator", name).budgets)


def _pack(folder: Path) -> None:
    """Write a folder as NAME.zip beside it, once."""
    packed = folder.with_suffix(".zip")
    if packed.exists():
        return
    fresh = folder.with_suffix(".zip.new")
    with zipfile.ZipFile(fresh, "w") as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(file, file.relative_to(folder.parent))
    fresh.replace(packed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="a study file")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True, help="the time for everything")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--methods", default="all", help="whose speed is measured: names, all or none")
    parser.add_argument("--images", type=int, default=500, help="in each synthetic set")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    steps = Steps(chosen.out.resolve(), 60 * chosen.minutes)
    tests = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "--ignore", "tests/perf"]
    steps.run("tests", tests, "tests.txt", keep_failed=True)
    if chosen.methods != "none":
        measure_speed(steps, chosen.device, chosen.methods)
    train(steps, chosen.study.resolve(), chosen.device, chosen.images)
    return 1 if steps.failed else 0


if __name__ == "__main__":
    sys.exit(main())
