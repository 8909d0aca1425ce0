"""Safe extraction of archives: no paths outside the folder, no links, no partial result."""

from __future__ import annotations

import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from synthbench.errors import DataError
from synthbench.plugin.api import Context, Stopped

__all__ = ["unpack"]

CHUNK = 2**20
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,
    NotImplementedError,
)


def unpack(archive: Path, folder: Path, context: Context, wanted: Callable[[str], bool] = lambda name: True) -> Path:
    """Unpack a zip or tar archive into `folder`, which appears when it is complete; return the folder.

    A folder that exists already is returned as it is.

    Parameters
    ----------
    archive, folder, context
    wanted
        Says by the name in the archive (``"a/b.tif"``) which files to unpack.

    Raises
    ------
    DataError
        If it is damaged, is neither zip nor tar, holds a path that leads outside or a link, or the disk is full.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with _opened(archive) as members:
            chosen = [m for m in members if wanted(m.name)]
            _check_disk_space(archive, sum(m.size for m in chosen), beside)
            for done, member in enumerate(chosen, 1):
                target = beside.joinpath(*PurePosixPath(member.name).parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with member.open() as source, target.open("wb") as destination:
                    shutil.copyfileobj(source, destination, CHUNK)
                context.progress(done, len(chosen), f"unpacking {archive.name}")
                if context.should_stop():
                    raise Stopped(f"{archive} is kept")
        beside.chmod(0o755)
        os.replace(beside, folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return folder


@dataclass(frozen=True)
class _Member:
    """A regular file in an archive: its checked name, its size in bytes, how to open it."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]


@contextmanager
def _opened(archive: Path) -> Iterator[list[_Member]]:
    """Open an archive and list its files; whatever goes wrong while it is read is a `DataError`."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                yield [m for info in opened.infolist() if (m := _of_zip(archive, opened, info))]
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as packed:
                yield [m for entry in packed.getmembers() if (m := _of_tar(archive, packed, entry))]
        else:
            raise DataError(f"{archive}: not a zip or tar archive")
    except _DAMAGE as error:
        raise DataError(f"{archive}: damaged or unsupported: {error}") from None
    except FileNotFoundError as error:
        raise DataError(f"{error.filename}: no such file") from None
    except OSError as error:
        raise DataError(f"{archive}: can't be unpacked: {error.strerror or error}") from None


def _of_zip(archive: Path, opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise DataError(f"{archive}: contains a link or a device, {info.filename!r}; not unpacked")
    _check_name(archive, info.filename)
    return None if info.is_dir() else _Member(info.filename, info.file_size, lambda: opened.open(info))


def _of_tar(archive: Path, packed: tarfile.TarFile, entry: tarfile.TarInfo) -> _Member | None:
    if not (entry.isreg() or entry.isdir()):
        raise DataError(f"{archive}: contains a link or a device, {entry.name!r}; not unpacked")
    _check_name(archive, entry.name)

    def opened() -> IO[bytes]:
        file = packed.extractfile(entry)
        assert file is not None
        return file

    return None if entry.isdir() else _Member(entry.name, entry.size, opened)


def _check_name(archive: Path, name: str) -> None:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0] or "\0" in name:
        raise DataError(f"{archive}: contains {name!r}, a path outside the folder; not unpacked")


def _check_disk_space(archive: Path, size: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise DataError(f"{archive}: needs {size / 1e9:.1f} GB in {folder.parent}, but {free / 1e9:.1f} GB are free")
