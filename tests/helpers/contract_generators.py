"""Generators that keep the contract; tests break one promise of it at a time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch

from synthbench import Budget, Context, Generator, Sample, SampleSet, Stopped
from synthbench.testing import CheckResult, check_generator


class Copies(Generator):
    """Training images again, chosen by seed and index: a generator that keeps the contract."""

    def fit(self, train: SampleSet, context: Context) -> None:
        self.train = train

    def sample(self, index: int, seed: int) -> Sample:
        rng = np.random.default_rng((seed, index))
        chosen = self.train[int(rng.integers(len(self.train)))]
        image, labels = (np.ascontiguousarray(np.rot90(plane, index % 4)) for plane in (chosen.image, chosen.labels))
        return Sample(f"{index:06d}", image, labels)

    def save(self, folder: Path) -> None:
        super().save(folder)
        self.train.save(folder / "train")

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        new = super().load(folder, context)
        new.train = SampleSet.open(folder / "train")
        return new


class Trained(Copies):
    """Copies whose light a torch optimiser finds: keeps the contract of what trains."""

    budgets: ClassVar = {
        name: Budget(steps=5, batch_size=2, patch_size=32) for name in ("smoke", "quick", "standard", "paper")
    }

    def fit(self, train: SampleSet, context: Context) -> None:
        super().fit(train, context)
        mark = context.folder / "mark.json" if context.folder else None
        first, value = json.loads(mark.read_text()) if mark and mark.exists() else (0, context.seed / 10)
        gain = torch.nn.Parameter(torch.tensor([value]))
        optimiser = torch.optim.SGD([gain], lr=0.1)
        for step in range(first, self.steps(context)):
            if self.asks(context):
                if mark:
                    mark.write_text(json.dumps([step, gain.item()]))
                raise Stopped
            optimiser.zero_grad()
            (gain - 1 - step).square().sum().backward()
            optimiser.step()
            context.progress(step + 1, context.budget.steps, "")
        self.light = gain.item()

    def steps(self, context: Context) -> int:
        return context.budget.steps

    def asks(self, context: Context) -> bool:
        return context.should_stop()

    def sample(self, i: int, seed: int) -> Sample:
        plain = super().sample(i, seed)
        light = np.clip(plain.image * (1 + 0.01 * self.light), 0, np.iinfo(plain.image.dtype).max)
        return replace(plain, image=light.astype(plain.image.dtype))

    def save(self, folder: Path) -> None:
        super().save(folder)
        np.save(folder / "light.npy", self.light)

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        new = super().load(folder, context)
        new.light = float(np.load(folder / "light.npy", allow_pickle=False))
        return new


def results_of(cls: type[Generator], config: dict[str, Any] | None = None) -> dict[str, CheckResult]:
    """Check a generator of instances, and return the results by check."""
    return {result.check: result for result in check_generator(cls, tasks=("instances",), config=config)}
