"""Where the processor time of a segmenter goes: from the first image that it reads to the last one that is scored.

``python tests/perf/segmenter_cost.py FOLDER`` prints tables in Markdown, and with ``--page`` writes them into
``docs/speed.md``. FOLDER is a set of annotated images that has no splits; images for training, validation and test are
taken from it, evenly spaced. Each segmenter is trained with its ``quick`` budget, in a process of its own, with one
thread. With ``--models`` trained models are kept, and used again: then the thresholds, the predictions and the scores
are measured anew, and the figures of the training are those that were measured when the model was trained.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from helpers.machine import machine, replace_section

SEGMENTERS = ("cellpose", "deepsea", "instanseg", "mask-rcnn", "mediar", "stardist", "unet")
"""Without cellpose-sam, which needs weights that can't be made here; its decoding is Cellpose's."""
SETS = {"train": 100, "validation": 30, "test": 50}
TRAINING = ("first use of an image", "patches", "steps")
SECTION = "## Segmenters"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "speed.md"


class Clock:
    """Processor seconds by stage; time in a stage within another counts for the inner one alone.

    A thread other than the main one is measured by its own processor time, which is taken from the stage that the main
    thread is in: `time.process_time` counts all threads.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._main = threading.current_thread()
        self._stacks: dict[int, list[list[Any]]] = defaultdict(list)
        self._lock = threading.Lock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        on_main = threading.current_thread() is self._main
        now = time.process_time if on_main else time.thread_time
        stack = self._stacks[threading.get_ident()]
        stack.append([name, now(), 0.0])
        try:
            yield
        finally:
            _, began, inner = stack.pop()
            spent = now() - began
            with self._lock:
                self.seconds[name] += spent - inner
                self.calls[name] += 1
                if stack:
                    stack[-1][2] += spent
                elif not on_main and (outer := self._stacks[self._main.ident or 0]):
                    outer[-1][2] += spent

    def wrap(self, owner: Any, attribute: str, name: str) -> None:
        """Let a function count as a stage from now on."""
        plain: Callable[..., Any] = getattr(owner, attribute)

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.stage(name):
                return plain(*args, **kwargs)

        setattr(owner, attribute, timed)


def measure(name: str, folder: Path, models: Path | None, steps: int | None) -> dict[str, Any]:
    """Return processor seconds by stage of one segmenter, and what it says of the test images."""
    from dataclasses import replace

    from synthbench import Context, SampleSet, TrainingMix
    from synthbench.engine.tasks.evaluate import checked, score_instances
    from synthbench.plugin.registry import registry
    from synthbench.samples import suffix_for, write_array

    clock = Clock()
    cls = registry().load("segmenter", name)
    budget = cls.budgets["quick"]
    budget = replace(budget, steps=steps) if steps else budget
    sets = {each: SampleSet.open(folder / each) for each in SETS}
    context = Context(seed=0, budget=budget, device="cpu", threads=1)
    kept = models / name if models is not None else None
    watch(clock, cls)
    if kept is not None and kept.is_dir():
        segmenter = cls.load(kept, context)
        training = json.loads((kept / "cost.json").read_text())
        with clock.stage("tuning: other"):
            if name == "stardist":
                with segmenter.on_device():
                    segmenter.tune_thresholds(sets["validation"])
            else:
                found = segmenter.tune_thresholds(sets["validation"], context)
                segmenter.thresholds = found or segmenter.thresholds
    else:
        segmenter = cls()
        with clock.stage("setting up"):
            segmenter.fit(TrainingMix(sets["train"]), sets["validation"], context)
        training = {stage: clock.seconds[stage] for stage in ("setting up", *TRAINING)}
        if kept is not None:
            kept.mkdir(parents=True)
            segmenter.save(kept)
            (kept / "cost.json").write_text(json.dumps(training))
    tuning = {stage.split(": ")[1]: seconds for stage, seconds in clock.seconds.items() if stage.startswith("tuning")}
    chosen = (segmenter.model if name == "stardist" else segmenter).thresholds
    if name == "stardist":
        chosen = {"prob": chosen.prob, "nms": chosen.nms}
    watch_network(clock, segmenter)
    segmenter.predict(sets["test"][0].image)
    clock.seconds.clear()
    digest, samples, answers = hashlib.sha256(), [], []
    with tempfile.TemporaryDirectory() as written:
        for position in range(len(sets["test"])):
            with clock.stage("reading"):
                sample = sets["test"][position]
            with clock.stage("decoding"):
                answer = segmenter.predict(sample.image)
            with clock.stage("writing"):
                answer = checked(answer, sample)
                write_array(Path(written) / f"{sample.id}{suffix_for(answer.labels)}", answer.labels)
            digest.update(answer.labels.astype("<i4").tobytes())
            digest.update(answer.scores.astype("<f8").tobytes())
            samples.append(sample)
            answers.append(answer)
    with clock.stage("scoring"):
        scores = score_instances(samples, answers)
    tp = sum(sum(row["tp"]) for row in scores["images"])
    pairs = sum(10 * (row["true"] + row["predicted"]) for row in scores["images"])
    return {
        "name": name,
        "budget": [budget.steps, budget.batch_size, budget.patch_size],
        "training": training,
        "tuning": tuning,
        "images": len(samples),
        "evaluation": dict(clock.seconds),
        "thresholds": chosen,
        "digest": digest.hexdigest()[:16],
        "score": tp / (pairs - tp),
    }


def watch(clock: Clock, cls: Any) -> None:
    """Measure the stages of a training."""
    from synthbench.toolkit.segmenters.network_segmenter import NetworkSegmenter
    from synthbench.toolkit.training import loop
    from synthbench.toolkit.training.patches import PatchStream

    clock.wrap(PatchStream, "planes", "first use of an image")
    clock.wrap(PatchStream, "batch", "patches")
    clock.wrap(loop, "train", "steps")
    module = importlib.import_module(cls.__module__)
    if cls.__name__ == "StarDist":
        clock.wrap(importlib.import_module("synthbench_stardist.training"), "targets", "patches")
    if cls.__name__ == "MaskRCNN":
        clock.wrap(module, "training_batch", "patches")
    clock.wrap(cls if "tune_thresholds" in vars(cls) else NetworkSegmenter, "tune_thresholds", "tuning: other")
    tuning = importlib.import_module("synthbench.toolkit.training.threshold_tuning")
    clock.wrap(tuning, "count", "tuning: scoring")
    plain = tuning.tune_on

    def tune_on(validation: Any, context: Any, predict: Any, decode: Any, *rest: Any) -> Any:
        class Both:
            network, decoding = staticmethod(predict), staticmethod(decode)

        clock.wrap(Both, "network", "tuning: network")
        clock.wrap(Both, "decoding", "tuning: decoding")
        return plain(validation, context, Both.network, Both.decoding, *rest)

    for place in (tuning, module, sys.modules[NetworkSegmenter.__module__]):
        if hasattr(place, "tune_on"):
            place.tune_on = tune_on


def watch_network(clock: Clock, segmenter: Any) -> None:
    """Measure the network within a prediction."""
    model = getattr(segmenter, "model", None)
    if hasattr(model, "keras_model"):
        clock.wrap(model.keras_model, "predict", "network")
    elif model is not None:
        clock.wrap(model.net, "forward", "network")
    else:
        predictor = getattr(segmenter, "predictor", segmenter)
        clock.wrap(predictor.network, "forward", "network")


def prepare(source: Path, folder: Path) -> None:
    """Write images of a folder as three sample sets."""
    from synthbench import Sample, SampleSet
    from synthbench.folders.fidelity.reading import open_pictures

    pictures = open_pictures(source)
    total = sum(SETS.values())
    order = [i * len(pictures) // total for i in range(total)]
    taken = iter(sorted(range(total), key=lambda i: (i * 7919) % total))
    for name, count in SETS.items():
        chosen = [order[next(taken)] for _ in range(count)]
        SampleSet.write(folder / name, [Sample(f"{i:06d}", *pictures.read(i)[:2]) for i in chosen])


def tables(rows: list[dict[str, Any]]) -> str:
    """Return the Markdown tables of what was measured."""
    lines = [
        "Training and tuning, seconds; in brackets the share of the training, which is the sum of the three columns "
        "before:",
        "",
        "| segmenter | steps × batch × patch² | steps | first use of images | patches | tuning of thresholds "
        "| of it: network, decoding, scoring |",
        "|:--|:--|--:|--:|--:|--:|:--|",
    ]
    for row in rows:
        first, patches, steps = (row["training"][stage] for stage in TRAINING)
        whole = first + patches + steps
        tuned = sum(row["tuning"].values())
        parts = ", ".join(f"{row['tuning'].get(part, 0.0):.1f}" for part in ("network", "decoding", "scoring"))
        parts = parts if "network" in row["tuning"] else "–"
        lines.append(
            f"| `{row['name']}` | {row['budget'][0]:,} × {row['budget'][1]} × {row['budget'][2]}² | {steps:.1f} "
            f"| {first:.1f} ({first / whole:.1%}) | {patches:.1f} ({patches / whole:.1%}) "
            f"| {tuned:.1f} ({tuned / whole:.1%}) | {parts} |"
        )
    lines += [
        "",
        "Evaluation, milliseconds per image; of all test images together the seconds and the share of the training; "
        "the score is the pooled `jaccard_ap`, mean over IoU 0.50 … 0.95:",
        "",
        "| segmenter | network | decoding | reading, writing | scoring | all images | score |",
        "|:--|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        spent = {stage: 1e3 * seconds / row["images"] for stage, seconds in row["evaluation"].items()}
        whole = sum(row["training"][stage] for stage in TRAINING)
        seconds = sum(row["evaluation"].values())
        lines.append(
            f"| `{row['name']}` | {spent['network']:.0f} | {spent['decoding']:.0f} "
            f"| {spent['reading'] + spent['writing']:.0f} | {spent['scoring']:.0f} "
            f"| {seconds:.1f} ({seconds / whole:.1%}) | {row['score']:.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="annotated images")
    parser.add_argument("--segmenters", nargs="+", default=SEGMENTERS)
    parser.add_argument("--steps", type=int, help="of a training, instead of the budget's")
    parser.add_argument("--models", type=Path, help="folder in which trained models are kept")
    parser.add_argument("--page", action="store_true", help="write the tables into docs/speed.md")
    parser.add_argument("--only", help="one segmenter, as JSON; FOLDER has the sample sets already")
    chosen = parser.parse_args()
    if chosen.only:
        warnings.simplefilter("ignore")
        print(json.dumps(measure(chosen.only, chosen.folder, chosen.models, chosen.steps)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        prepare(chosen.folder, Path(folder))
        for name in chosen.segmenters:
            command = [sys.executable, __file__, folder, "--only", name]
            command += ["--steps", str(chosen.steps)] if chosen.steps else []
            command += ["--models", str(chosen.models)] if chosen.models else []
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            print(f"{name}: {rows[-1]['thresholds']}, predictions {rows[-1]['digest']}", file=sys.stderr, flush=True)
    libraries = ", ".join(f"{each} {version(each)}" for each in ("torch", "tensorflow", "cellpose", "stardist"))
    counts = ", ".join(f"{count} for {name}" for name, count in SETS.items())
    text = f"{machine()}, one thread; {libraries}. Images of `{chosen.folder.parent.name}`: {counts}.\n\n{tables(rows)}"
    print(text)
    if chosen.page:
        replace_section(PAGE, SECTION, text)


if __name__ == "__main__":
    main()
