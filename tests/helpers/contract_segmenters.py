"""Segmenters that keep the contract; tests break one promise of it at a time."""

from __future__ import annotations

import json
from typing import ClassVar

import numpy as np
import torch
from scipy import ndimage

from synthbench import Budget, Config, Instances, Segmenter, Stopped
from synthbench.testing import CheckResult, check_segmenter


class Levels(Segmenter):
    """A level between the light of objects and of the ground: a segmenter that keeps the contract."""

    class Settings(Config):
        offset: float = 0.0

    Config = Settings

    def fit(self, train, validation, context):
        self.semantic = train.task == "semantic"
        real, synthetic = (self.level_of(part) for part in (train.real, train.synthetic))
        share = train.synthetic_ratio if len(train.real) else 1.0
        self.level = ((1 - share) * real + share * synthetic) if share else real

    def level_of(self, samples):
        found = []
        for sample in samples or ():
            grey = sample.image.mean(axis=2) if sample.image.ndim == 3 else sample.image.astype(float)
            inside = grey[sample.labels > 0] if sample.labels.any() else grey.max()
            found.append(0.85 * np.mean(inside) / max(grey.max(), 1))
        return float(np.mean(found)) if found else 0.5

    def predict(self, image):
        grey = image.mean(axis=2) if image.ndim == 3 else image.astype(float)
        mask = grey > grey.min() + (self.level + self.config.offset) * max(np.ptp(grey), 1)
        if self.semantic:
            return Instances(mask.astype(np.uint8))
        labels, count = ndimage.label(mask)
        return Instances(labels, np.linspace(0.1, 0.9, count) * self.level)

    def save(self, folder):
        super().save(folder)
        (folder / "task.json").write_text(json.dumps([self.semantic, self.level]))

    @classmethod
    def load(cls, folder, context):
        new = super().load(folder, context)
        new.semantic, new.level = json.loads((folder / "task.json").read_text())
        return new


class Learned(Levels):
    """Levels that also learn how bright the images are: keeps the contract of what trains."""

    budgets: ClassVar = {
        name: Budget(steps=5, batch_size=2, patch_size=32) for name in ("smoke", "quick", "standard", "paper")
    }

    def fit(self, train, validation, context):
        super().fit(train, validation, context)
        mark = context.folder / "mark.json" if context.folder else None
        first, value = json.loads(mark.read_text()) if mark and mark.exists() else (0, context.seed / 10)
        light = torch.nn.Parameter(torch.tensor([value]))
        optimiser = self.optimiser([light])
        for step in range(first, context.budget.steps):
            if context.should_stop():
                if mark:
                    mark.write_text(json.dumps([step, light.item()]))
                raise Stopped
            samples = train.synthetic if train.synthetic_ratio * (step + 1) % 1 < train.synthetic_ratio else train.real
            optimiser.zero_grad()
            (light - float(samples[step % len(samples)].image.mean())).square().sum().backward()
            optimiser.step()
            context.progress(step + 1, context.budget.steps, "")
        self.light = light.item()

    def optimiser(self, parameters):
        return torch.optim.SGD(parameters, lr=0.1)

    def predict(self, image):
        found = super().predict(image)
        return Instances(found.labels, None if found.scores is None else found.scores / (1 + abs(self.light)))

    def save(self, folder):
        super().save(folder)
        (folder / "light.json").write_text(json.dumps(self.light))

    @classmethod
    def load(cls, folder, context):
        new = super().load(folder, context)
        new.light = json.loads((folder / "light.json").read_text())
        return new


def results_of(cls: type[Segmenter], tasks: tuple[str, ...] = ("instances",)) -> dict[str, CheckResult]:
    """Check a segmenter, and return the results by check."""
    return {result.check: result for result in check_segmenter(cls, tasks=tasks)}
