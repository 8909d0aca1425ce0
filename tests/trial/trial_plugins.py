"""Plugins that train in no time, and plugins that misbehave: what the engine's tests run."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from scipy import ndimage

import synthbench
from synthbench import Budget, DatasetSpec, EncoderSpec, GeneratorSpec, SegmenterSpec, hookimpl
from synthbench.errors import ConfigError, PluginError


@hookimpl
def synthbench_generators():
    yield GeneratorSpec("brighter", "trial_plugins:Brighter")
    yield GeneratorSpec("troubled", "trial_plugins:Troubled")
    yield GeneratorSpec("level", "trial_plugins:Level")


@hookimpl
def synthbench_segmenters():
    yield SegmenterSpec("threshold", "trial_plugins:Threshold")
    yield SegmenterSpec("only-semantic", "trial_plugins:Threshold", tasks={"semantic"})
    yield SegmenterSpec("foreground", "trial_plugins:Foreground", tasks={"semantic"})
    yield SegmenterSpec("hungry", "trial_plugins:Hungry")
    yield SegmenterSpec("patient", "trial_plugins:Patient")
    yield SegmenterSpec("stepwise", "trial_plugins:Stepwise")
    yield SegmenterSpec("warm", "trial_plugins:Warm")
    yield SegmenterSpec("blind", "trial_plugins:Blind", tasks={"instances"})


@hookimpl
def synthbench_encoders():
    yield EncoderSpec("moments", "trial_plugins:Moments")


@hookimpl
def synthbench_datasets():
    yield DatasetSpec("discs", "trial_plugins:Discs", tasks={"instances"}, derived_from="Discs 2018")
    yield DatasetSpec("rings", "trial_plugins:Rings", tasks={"instances"})


class Brighter(synthbench.Generator):
    """Training images, brighter, and with noise, so that they are no copies."""

    class Config(synthbench.Config):
        """By how much, and the standard deviation of the noise."""

        gain: float = 1.2
        noise: float = 0.0

        def unsupported_reason(self, task):
            return (
                f"gain: {self.gain} leaves nothing of objects; give less"
                if task == "instances" and self.gain > 8
                else ""
            )

    def fit(self, train, context):
        self.train = train
        self.counts["lost"] = 2

    def save(self, folder):
        super().save(folder)
        self.train.save(folder / "train")

    @classmethod
    def load(cls, folder, context):
        new = super().load(folder, context)
        new.train = synthbench.SampleSet.open(folder / "train")
        return new

    def sample(self, index, seed) -> synthbench.Sample:
        sample = self.train[(index + seed) % len(self.train)]
        noise = np.random.default_rng([seed, index]).normal(0, self.config.noise, sample.image.shape)
        image = np.clip(sample.image * self.config.gain + noise, 0, 255).astype(np.uint8)
        self.counts["drawn"] += 1
        return synthbench.Sample(f"{index:06d}", image, sample.labels)


class Level(Brighter):
    """Training images, shifted to the mean of images without labels."""

    class Config(Brighter.Config):
        """How many of them it looks at, and groups that training images must have."""

        share: float = 1.0
        groups: tuple[str, ...] = ()

        def required_groups(self):
            return self.groups

        def learns_from_unlabelled(self):
            return self.share > 0

    uses_unlabelled: ClassVar = True

    def fit(self, train, context):
        super().fit(train, context)
        self.counts["unlabelled"] = len(context.unlabelled or ())


STUBBORN = "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]; time.sleep(600)"


def start_a_family() -> None:
    """Start what is hard to get rid of: children that ignore signals, one in a session of its own, one forked twice."""
    subprocess.Popen([sys.executable, "-c", STUBBORN])
    subprocess.Popen([sys.executable, "-c", STUBBORN], start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)


class Troubled(Brighter):
    """Fails in the way it is told to."""

    class Config(Brighter.Config):
        """What goes wrong."""

        trouble: str = "raise"
        gain: float = 1.0

    def fit(self, train, context):
        if self.config.trouble == "warn":
            warnings.warn("the light is odd", RuntimeWarning, stacklevel=1)
        if self.config.trouble == "raise":
            raise RuntimeError("the loss is NaN")
        if self.config.trouble == "network":
            raise ConnectionError("the licence server is away")
        if self.config.trouble == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.config.trouble == "sleep":
            time.sleep(600)
        if self.config.trouble == "wait":
            for step in range(6000):
                context.progress(step, 6000, "waiting")
                time.sleep(0.1)
                if context.should_stop():
                    (context.folder / "mark.txt").write_text(str(step))
                    raise synthbench.Stopped
        if self.config.trouble == "pool":
            with ProcessPoolExecutor(2) as pool:
                assert list(pool.map(abs, [-1, -2])) == [1, 2]
        if self.config.trouble in ("litter", "family", "frozen"):
            start_a_family()
            (context.folder / "begun").touch()
        if self.config.trouble == "family":
            time.sleep(600)
        if self.config.trouble == "frozen":
            ctypes.PyDLL(None).sleep(600)  # no thread of this process runs meanwhile
        self.train = train

    def sample(self, index, seed):
        sample = super().sample(index, seed)
        if self.config.trouble == "wide":
            return synthbench.Sample(sample.id, sample.image.astype(np.uint16), sample.labels)
        return sample

    def sample_batch(self, indices, seed):
        samples = super().sample_batch(indices, seed)
        return samples[:-1] if self.config.trouble == "few" else samples


class Threshold(synthbench.Segmenter):
    """The mean of the training foreground and background means."""

    class Config(synthbench.Config):
        """How slowly it learns, and a file that it says it reads."""

        seconds: float = 0.0
        beside: Path | None = None

        def resolve(self, budget):
            if budget.patch_size % 2:
                raise ConfigError(f"a patch of {budget.patch_size} is odd; use --patch {budget.patch_size + 1}")
            return self

        def files(self):
            return {"beside": self.beside} if self.beside else {}

    budgets: ClassVar = dict.fromkeys(("smoke", "quick"), Budget(steps=3, batch_size=2, patch_size=16))

    def fit(self, train, validation, context):
        sets = [s for s in (train.real, train.synthetic) if s]
        bright = [s.image[s.labels > 0].mean() for part in sets for s in part if s.labels.any()]
        dark = [s.image[s.labels == 0].mean() for part in sets for s in part]
        self.level = float(np.mean(bright) + np.mean(dark)) / 2
        time.sleep(self.config.seconds)

    def predict(self, image):
        labels, count = ndimage.label(image > self.level)
        return synthbench.Instances(labels, np.ones(count))

    def save(self, folder):
        super().save(folder)
        (folder / "level.txt").write_text(repr(self.level))

    @classmethod
    def load(cls, folder, context):
        new = super().load(folder, context)
        new.level = float((folder / "level.txt").read_text())
        return new


class Foreground(Threshold):
    """One class of all that is bright."""

    def predict(self, image):
        return synthbench.Instances((image > self.level).astype(np.uint8))


class Warm(Threshold):
    """Moves half of the way from where it starts to what it is trained on; without steps, not at all."""

    supports_init: ClassVar = frozenset({"model", "file"})

    @classmethod
    def check_init(cls, config, file):
        try:
            float(file.read_text())
        except ValueError:
            raise PluginError(f"{file}: holds no level") from None

    def fit(self, train, validation, context):
        super().fit(train, validation, context)
        start = context.init
        if start:
            level = float((start.file or start.model / "level.txt").read_text())
            self.level = (level + self.level) / 2 if context.budget.steps else level


class Stepwise(Threshold):
    """Takes many steps, each of which depends on those before, with a checkpoint after each."""

    class Config(synthbench.Config):
        """How many, and how long each takes."""

        rounds: int = 100
        seconds: float = 0.05

    def fit(self, train, validation, context):
        checkpoint = context.folder / "round.json"
        done, state = json.loads(checkpoint.read_text()) if checkpoint.exists() else (0, "")
        if done:
            context.notify(f"resumed at round {done}")
        for number in range(done, self.config.rounds):
            state = hashlib.sha256(f"{state}{number}{context.seed}".encode()).hexdigest()
            beside = checkpoint.with_suffix(".part")
            beside.write_text(json.dumps([number + 1, state]))
            beside.replace(checkpoint)
            context.progress(number + 1, self.config.rounds)
            time.sleep(self.config.seconds)
            if context.should_stop():
                raise synthbench.Stopped
        self.level = 80 + int(state[:8], 16) / 2**32


class Patient(Threshold):
    """Needs steps: from black to the right level in as many as are configured."""

    class Config(Threshold.Config):
        """How many it needs."""

        needed: int = 12

    def fit(self, train, validation, context):
        super().fit(train, validation, context)
        self.level *= min(1.0, context.budget.steps / self.config.needed)

    def predict(self, image):
        labels, count = ndimage.label(image > self.level)
        return synthbench.Instances(labels, np.ones(count))


class Hungry(Threshold):
    """Wants patches larger than any image."""

    budgets: ClassVar = {"smoke": Budget(steps=3, batch_size=2, patch_size=4096)}


class Blind(Threshold):
    """Never looks at synthetic images, if there are others."""

    budgets: ClassVar = {}

    def fit(self, train, validation, context):
        super().fit(replace(train, synthetic=None, synthetic_ratio=0.0) if train.real else train, validation, context)

    def predict(self, image):
        grey = image.mean(axis=2) if image.ndim == 3 else image
        labels, count = ndimage.label(grey > self.level)
        return synthbench.Instances(labels, np.full(count, self.level))


class Moments(synthbench.Encoder):
    """Mean, spread and a few quantiles of the pixels."""

    def encode(self, images):
        return np.array([[i.mean(), i.std(), *np.quantile(i, (0.1, 0.5, 0.9))] for i in images])

    def fingerprint(self):
        return "moments 1"


class Rings(synthbench.Dataset):
    """Discs with a hole, or exactly the discs of another dataset."""

    class Config(synthbench.Config):
        """Whether they have a hole."""

        hole: bool = True

    def samples(self, context):
        for sample in Discs().samples(context):
            image = sample.image.copy()
            if self.config.hole:
                image[::4, ::4] = 30
            yield synthbench.Sample(f"ring-{sample.id}", image, sample.labels, sample.groups)


class Discs(synthbench.Dataset):
    """Bright discs on a dark ground."""

    class Config(synthbench.Config):
        """How many."""

        count: int = 12

    def samples(self, context):
        yy, xx = np.mgrid[:48, :48]
        for i in range(self.config.count):
            rng = np.random.default_rng((5, i))
            labels = np.zeros((48, 48), np.uint8)
            for label in range(1, 5):
                y, x = rng.uniform(6, 42, 2)
                labels[((yy - y) ** 2 + (xx - x) ** 2 < 25) & (labels == 0)] = label
            image = (40 + 120 * (labels > 0) + rng.normal(0, 12, labels.shape)).clip(0, 255).astype(np.uint8)
            split = "test" if i % 3 == 2 else "train"
            yield synthbench.Sample(f"disc-{i}", image, labels, {"split": split, "well": f"w{i % 4}"})
