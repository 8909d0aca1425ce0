"""Datasets in several archives, downloaded or in a folder of the user."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, TypeVar

from pydantic import Field

import synthbench
from synthbench import Context
from synthbench.datasets.download import Remote, cache_folder, fetch, sha256_of
from synthbench.datasets.unpack import unpack
from synthbench.errors import DataError, NotDownloaded, join_names
from synthbench_catalogue.base import CatalogueDataset, LocalConfig

__all__ = ["ArchivesConfig", "ArchivesDataset", "OwnArchives"]

SUFFIXES = (".zip", ".tar.gz", ".tgz", ".tar")


class ArchivesConfig(LocalConfig):
    """`archive` is a folder with all the published archives, or with what was unpacked from them."""

    url: str | None = Field(None, description="base address of a mirror that has files of the same names")


LocalConfigT = TypeVar("LocalConfigT", bound=LocalConfig)
ArchivesConfigT = TypeVar("ArchivesConfigT", bound=ArchivesConfig)


class OwnArchives(CatalogueDataset[LocalConfigT]):
    """A dataset from the user's own copy: one archive, a folder of archives, or the folder of unpacked files.

    Attributes
    ----------
    hashes : frozenset of str
        SHA-256 of the published archives: others are refused. Empty if none are published.
    """

    hashes: ClassVar[frozenset[str]] = frozenset()

    def unpacked(self, context: Context) -> Path:
        """Return a folder with one folder for each archive, or the user's folder of unpacked files."""
        local_copy = self._local_copy()
        if local_copy is None:
            raise NotDownloaded(
                f"{self.name}: {self.obtain}, then run 'synthbench dataset add {self.name} --from PATH'"
            )
        if not local_copy.exists():
            raise DataError(f"{local_copy}: no such file; {self.obtain}")
        paths = archives_in(local_copy) if local_copy.is_dir() else [local_copy]
        for path in paths:
            if self.hashes and (digest := sha256_of(path)) not in self.hashes:
                raise DataError(
                    f"{path}: its SHA-256 {digest} isn't that of a published file of {self.name}; {self.obtain}, "
                    "or give the folder of the unpacked files"
                )
        return self.unpack_all(paths, context) if paths else local_copy

    def unpack_all(self, paths: list[Path], context: Context) -> Path:
        """Unpack each archive into a folder of its name, all in one folder; return that folder."""
        together = hashlib.sha256("".join(sha256_of(path) for path in paths).encode()).hexdigest()
        root = (context.folder or cache_folder(self.name)) / f"unpacked-{together[:16]}"
        for path in paths:
            unpack(path, root / _stem(path), context, self.wanted)
        return root


class ArchivesDataset(OwnArchives[ArchivesConfigT]):
    """A dataset in several archives that can be downloaded without an account.

    Attributes
    ----------
    site : str
        Base address.
    archives : tuple of pairs
        File name, and SHA-256 or None if none is published.
    """

    Config: ClassVar[type[synthbench.Config]] = ArchivesConfig
    site: ClassVar[str]
    archives: ClassVar[tuple[tuple[str, str | None], ...]]

    def needed(self) -> Mapping[str, str | None]:
        """Return the archives that this configuration reads: file name → SHA-256."""
        return dict(self.archives)

    def remotes(self) -> tuple[Remote, ...]:
        if self._local_copy() is not None:
            return ()
        return self._published()

    def _published(self) -> tuple[Remote, ...]:
        base = (self.config.url or self.site).rstrip("/")
        return tuple(Remote(f"{base}/{name}", sha256, name) for name, sha256 in self.needed().items())

    def unpacked(self, context: Context) -> Path:
        local_copy = self._local_copy()
        if local_copy is not None and not local_copy.is_dir():
            raise DataError(f"{local_copy}: not a folder; give the folder that holds {join_names(self.needed())}")
        if local_copy is not None and not archives_in(local_copy):
            return local_copy
        if local_copy is not None and (missing := [name for name in self.needed() if not (local_copy / name).exists()]):
            raise DataError(f"{local_copy}: {join_names(missing)} not found; download from {self.source}")
        folder = context.folder or cache_folder(self.name)
        own = {name: local_copy / name if local_copy is not None else None for name in self.needed()}
        paths = [fetch(remote, folder, context, own[remote.filename]) for remote in self._published()]
        return self.unpack_all(paths, context)


def archives_in(folder: Path) -> list[Path]:
    """Return the archives directly in a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.name.lower().endswith(SUFFIXES) and path.is_file())


def _stem(path: Path) -> str:
    end = next((end for end in SUFFIXES if path.name.lower().endswith(end)), "")
    return path.name[: len(path.name) - len(end)]
