"""Training images again, as many as there are synthetic ones: what more data of the same kind is worth by itself."""

from __future__ import annotations

from synthbench import Config, Sample
from synthbench.samples import MASK
from synthbench_controls.base import Control, name


class Duplicate(Control[Config]):
    """Sample i is the training image at the i-th place of seeded permutations, unchanged.

    All are used once before any repeats. A study of Pink (2026, PMLR 318) found that synthetic data did not beat
    this control; a benchmark without it can't tell new information from more repetition.
    """

    def _sample(self, index: int, seed: int) -> Sample:
        source = self._read(self.position(index, seed))
        groups = {"source": source.id, MASK: "training"}
        return Sample(name(index), source.image, source.labels, groups, source.ignore)
