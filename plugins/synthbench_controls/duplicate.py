"""Control `duplicate`: training samples again, as many as there are synthetic ones."""

from __future__ import annotations

from synthbench import Config, Sample
from synthbench.samples import MASK
from synthbench_controls.base import Control, sample_id


class Duplicate(Control[Config]):
    """Training samples, unchanged, in random order.

    Every one is used once before any is used again. This control shows what more repetitions of the same data are
    worth; Pink (2026, PMLR 318) found that synthetic data did not beat it.
    """

    def make_sample(self, index: int, seed: int) -> Sample:
        """Return sample `index` of a seed."""
        source = self.training_sample(self.position(index, seed))
        groups = {"source": source.id, MASK: "training"}
        return Sample(sample_id(index), source.image, source.labels, groups, source.ignore)
