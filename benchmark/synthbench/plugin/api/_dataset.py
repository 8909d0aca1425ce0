"""The base class of datasets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from synthbench.plugin.api._configured import ConfigT, Configured
from synthbench.plugin.api._context import Context
from synthbench.samples import Sample

__all__ = ["Dataset"]


class Dataset(Configured[ConfigT], ABC):
    """A dataset that is drawn or downloaded.

    Attributes
    ----------
    source, licence, citation : str
        Shown before anything is downloaded, and stored with the samples.
    classes : tuple of str
        Names of the classes of a semantic dataset, background first.
    channels : tuple of str
        Names of the channels of the images, in their order, such as nuclear and membrane; may be left out.
    """

    source: ClassVar[str] = ""
    licence: ClassVar[str] = ""
    citation: ClassVar[str] = ""
    classes: ClassVar[tuple[str, ...]] = ()
    channels: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def samples(self, context: Context) -> Iterator[Sample]:
        """Yield all samples in a fixed order; official splits go to ``groups["split"]``.

        Images without labels are of the split ``unlabelled``, with a label map of 0 that is ignored everywhere.

        Downloads go to ``context.folder``, and resume from what is there.
        """
