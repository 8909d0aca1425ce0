"""What the datasets of the catalogue share: an archive that is fetched, or given by hand, checked and unpacked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

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

    archive: Path | None = Field(None, description="the copy: an archive, or the folder it was unpacked to")


class ArchiveConfig(LocalConfig):
    """A dataset in one archive.

    A folder given as `archive` is used as it is; a file must have the published hash.
    """

    url: str | None = Field(None, description="where to fetch it instead, say a mirror")
    sha256: str | None = Field(
        None, pattern="^[0-9a-fA-F]{64}$", description="the hash it must have instead of the published one"
    )


class CatalogueDataset(Dataset):
    """A dataset that lies in an archive.

    Attributes
    ----------
    name : str
        As the user types it.
    obtain : str
        How to get a copy, where it can't be downloaded without signing up.
    """

    Config = LocalConfig
    name: ClassVar[str]
    obtain: ClassVar[str] = ""

    import_notes: Sequence[str] = ()
    """What was done to the data, once the last sample was taken: kept with the samples, and shown."""

    def remotes(self) -> tuple[Remote, ...]:
        """Return the files that `samples` would fetch now."""
        return ()

    def unpacked(self, context: Context) -> Path:
        """Return the folder of the unpacked dataset.

        Raises
        ------
        DataError
            If it can't be had.
        """
        given = self._given()
        if given is not None and given.is_dir():
            return given
        folder = context.folder or cache_folder(self.name)
        remotes = self.remotes()
        if remotes:
            path = fetch(remotes[0], folder, context, given)
        elif given is not None and given.is_file():
            path = given
        else:
            raise (DataError if given else NotDownloaded)(
                f"{given or self.name}: {'no such file; ' if given else ''}{self.obtain}, and give it by "
                f"'synthbench dataset add {self.name} --from PATH'"
            )
        return unpack(path, folder / f"unpacked-{sha256_of(path)[:16]}", context, self.wanted)

    def _given(self) -> Path | None:
        archive: Path | None = self.config.archive
        return archive.expanduser() if archive is not None else None

    @staticmethod
    def wanted(name: str) -> bool:
        """Whether a file of the archive is needed."""
        return True

    def with_import_notes(self, samples: Iterable[Sample], log: ImportLog, context: Context) -> Iterator[Sample]:
        """Yield the samples, report progress, and keep the notes of the import at the end."""
        for done, sample in enumerate(samples, 1):
            yield sample
            context.progress(done, max(log.total, done), f"{self.name}: {sample.id}")
        self.import_notes = log.lines()


class DownloadableDataset(CatalogueDataset):
    """A dataset whose one archive can be downloaded by anyone.

    Attributes
    ----------
    url : str
    sha256 : str or None
        None where no hash is published.
    """

    Config = ArchiveConfig
    url: ClassVar[str]
    sha256: ClassVar[str | None] = None

    def remotes(self) -> tuple[Remote, ...]:
        if self.config.archive is not None and self._given().is_dir():
            return ()
        return (Remote(self.config.url or self.url, self.config.sha256 or self.sha256, f"{self.name}.zip"),)


def find_root(root: Path, *parts: str) -> Path:
    """Return the folder at or below `root`, at most two levels down, that holds all of `parts`.

    Raises
    ------
    DataError
        If there is none: it is another archive than it should be.
    """
    level = [root]
    for _ in range(3):
        for folder in level:
            if all((folder / part).exists() for part in parts):
                return folder
        level = sorted(child for folder in level for child in folder.iterdir() if child.is_dir())
    raise DataError(f"{root}: has no {' and '.join(parts)} in it; is this the right archive?")
