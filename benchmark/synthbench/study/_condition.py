"""A condition: one dataset, one fold, one amount of real training data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from synthbench.datasets.splits import Split
from synthbench.samples import SampleSet
from synthbench.study._origins import Origins
from synthbench.study._scales import Scaling
from synthbench.study._unlabelled import UnlabelledImages

__all__ = ["Condition"]


@dataclass(frozen=True)
class Condition:
    """One dataset, one fold, one amount of real training data: where arms are compared.

    Attributes
    ----------
    dataset, folder
        Its title, and where its samples are.
    fold : int
    split : Split
        Of the whole dataset, frozen.
    train, validation, test : SampleSet
        `train` is the fraction of the split's training samples.
    unlabelled : UnlabelledImages
        Images without labels, whatever the fraction; none where no generator of the study uses them.
    origins : Origins
        The dataset, and those that its images come from.
    scaling : Scaling
        How all its images are scaled before generators and segmenters see them; these sets have the original images.
    real_only : bool
        Whether segmenters are trained on real images alone here.
    init_scalings : mapping
        Title of a segmenter that is trained on another dataset first → how the images of that one are scaled.
    """

    dataset: str
    folder: Path
    fold: int
    split: Split
    train: SampleSet
    validation: SampleSet
    test: SampleSet
    unlabelled: UnlabelledImages = field(default_factory=UnlabelledImages)
    origins: Origins = field(default_factory=Origins)
    scaling: Scaling = field(default_factory=Scaling)
    real_only: bool = False
    init_scalings: Mapping[str, Scaling] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Name for messages: dataset, fold and number of training images."""
        return f"{self.dataset}, fold {self.fold}, {len(self.train)} images"
