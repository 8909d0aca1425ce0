"""The generator: it keeps a folder of images with masks, and returns them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Self

from synthbench import Config, Context, ExistingSamples, Generator, Sample, SampleSet
from synthbench.errors import DataError
from synthbench.samples import Task
from synthbench_ready_made.config import ReadyMadeConfig
from synthbench_ready_made.reading import check_distinct, open_folder, ordered_samples

__all__ = ["ReadyMade"]

SAMPLES = "samples"


class ReadyMade(Generator[ReadyMadeConfig]):
    """Images with masks that another tool has made, as they are.

    Sample i is image i of a fixed order, which the pixels determine. Nothing is learned from the training images, and
    nothing is drawn: there are as many samples as there are images.
    """

    Config: ClassVar[type[Config]] = ReadyMadeConfig
    supports_ignore = True
    bfloat16_on_cpu = False

    @classmethod
    def existing(
        cls,
        config: ReadyMadeConfig,
        task: Task,
        classes: Sequence[str],
        context: Context,
    ) -> ExistingSamples:
        """Return the folders as sample sets; see `synthbench.Generator.existing`."""
        config.files()
        opened = [open_folder(path, config, task, classes, context) for path in config.path]
        check_distinct(config.path, [samples for samples, _ in opened])
        return ExistingSamples(tuple(folder for _, folder in opened), config.ids_seen())

    def fit(self, train: SampleSet, context: Context) -> None:
        """Keep the images of the folder of this seed.

        Raises
        ------
        DataError
            If there is no folder for the seed, or its images can't be used.
        """
        self.config.files()
        if context.seed >= len(self.config.path):
            raise DataError(f"path: there are {len(self.config.path)} folder(s), and none for seed {context.seed}")
        self._work = tempfile.TemporaryDirectory(prefix="synthbench-ready-made-", dir=context.folder)
        work = Path(self._work.name)
        path = self.config.path[context.seed]
        read = replace(context, folder=work / "read")
        found, _ = open_folder(path, self.config, train.task, train.classes, read)
        rgb = {entry.channels for entry in train.entries} == {3}
        self.samples = SampleSet.write(
            work / SAMPLES,
            ordered_samples(found, rgb=rgb),
            name=Path(path).name,
            task=train.task,
            classes=train.classes,
        )

    def sample(self, index: int, seed: int) -> Sample:
        """Return image `index`.

        Raises
        ------
        DataError
            If there are fewer.
        """
        if index >= len(self.samples):
            raise DataError(f"sample {index} of {len(self.samples)} images; ask for at most as many as there are")
        return self.samples[index]

    def save(self, folder: Path) -> None:
        """Write the configuration and the images."""
        super().save(folder)
        self.samples.save(folder / SAMPLES)

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        """Return what `save` wrote."""
        new = super().load(folder, context)
        new.samples = SampleSet.open(folder / SAMPLES)
        return new
