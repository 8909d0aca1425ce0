"""Base classes of the catalogue: an archive is downloaded or taken from the user, verified and unpacked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

from pydantic import Field

import synthbench
from synthbench import Context, Dataset, Sample
from synthbench.datasets.download import Remote, cache_folder, fetch, sha256_of
from synthbench.datasets.import_options import ImportLog
from synthbench.datasets.unpack import unpack
from synthbench.errors import DataError, NotDownloaded

__all__ = ["ArchiveConfig", "CatalogueDataset", "DownloadableDataset", "LocalConfig", "find_root"]


class LocalConfig(synthbench.Config):
    """A dataset that can only be read from the user's own copy."""

    archive: Path | None = Field(None, description="your copy: an archive, or the folder that it was unpacked to")


class ArchiveConfig(LocalConfig):
    """A dataset in one archive.

    If `archive` is a folder, it is used as it is; a file must have the published SHA-256.
    """

    url: str | None = Field(None, description="another address to download from, such as a mirror")
    sha256: str | None = Field(
        None, pattern="^[0-9a-fA-F]{64}$", description="expected SHA-256 of the archive, in place of the published one"
    )


LocalConfigT = TypeVar("LocalConfigT", bound=LocalConfig)
ArchiveConfigT = TypeVar("ArchiveConfigT", bound=ArchiveConfig)


class CatalogueDataset(Dataset[LocalConfigT]):
    """A dataset that is read from an archive.

    Attributes
    ----------
    name : str
        Name of the plugin.
    obtain : str
        How to get a copy, if the data can't be downloaded without an account.
    splits, groups : tuple of str
        The official splits, and the other groups that samples may have.
    """

    Config: ClassVar[type[synthbench.Config]] = LocalConfig
    name: ClassVar[str]
    obtain: ClassVar[str] = ""
    splits: ClassVar[tuple[str, ...]] = ()
    groups: ClassVar[tuple[str, ...]] = ()

    import_notes: Sequence[str] = ()
    """Changes made to the data, stored and shown with the samples; complete after the last sample."""

    def remotes(self) -> tuple[Remote, ...]:
        """Return the files that `samples` would download."""
        return ()

    def unpacked(self, context: Context) -> Path:
        """Return the folder of the unpacked dataset.

        Raises
        ------
        DataError
            If it can't be downloaded or read.
        """
        local_copy = self._local_copy()
        if local_copy is not None and local_copy.is_dir():
            return local_copy
        folder = context.folder or cache_folder(self.name)
        remotes = self.remotes()
        if remotes:
            path = fetch(remotes[0], folder, context, local_copy)
        elif local_copy is not None and local_copy.is_file():
            path = local_copy
        else:
            hint = f"{self.obtain}, then run 'synthbench dataset add {self.name} --from PATH'"
            if local_copy is not None:
                raise DataError(f"{local_copy}: no such file; {hint}")
            raise NotDownloaded(f"{self.name}: {hint}")
        return unpack(path, folder / f"unpacked-{sha256_of(path)[:16]}", context, self.wanted)

    def _local_copy(self) -> Path | None:
        archive: Path | None = self.config.archive
        return archive.expanduser() if archive is not None else None

    @staticmethod
    def wanted(name: str) -> bool:
        """Tell whether a file of the archive is needed."""
        return True

    def with_import_notes(self, samples: Iterable[Sample], log: ImportLog, context: Context) -> Iterator[Sample]:
        """Yield the samples and report progress; afterwards, set `import_notes` from `log`."""
        for count, sample in enumerate(samples, 1):
            yield sample
            context.progress(count, max(log.total, count), f"{self.name}: {sample.id}")
        self.import_notes = log.lines()


class DownloadableDataset(CatalogueDataset[ArchiveConfigT]):
    """A dataset in one archive that can be downloaded without an account.

    Attributes
    ----------
    url : str
    sha256 : str or None
        None if no hash is published.
    """

    Config: ClassVar[type[synthbench.Config]] = ArchiveConfig
    url: ClassVar[str]
    sha256: ClassVar[str | None] = None

    def remotes(self) -> tuple[Remote, ...]:
        local_copy = self._local_copy()
        if local_copy is not None and local_copy.is_dir():
            return ()
        return (Remote(self.config.url or self.url, self.config.sha256 or self.sha256, f"{self.name}.zip", self.name),)


def find_root(root: Path, *parts: str) -> Path:
    """Return `root`, or the folder at most two levels below it, that contains all of `parts`.

    Raises
    ------
    DataError
        If there is none: this is the wrong archive.
    """
    level = [root]
    for _ in range(3):
        for folder in level:
            if all((folder / part).exists() for part in parts):
                return folder
        level = sorted(child for folder in level for child in folder.iterdir() if child.is_dir())
    raise DataError(f"{root}: {' and '.join(parts)} not found; is this the right archive?")
