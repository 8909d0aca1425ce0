"""Reading a bundle of unknown origin: nothing is extracted, and nothing is read before its limits are checked.

Names, sizes and kinds of all entries are checked when a bundle is opened. An entry is then decompressed in memory, up
to its limit, whatever size it declares.
"""

from __future__ import annotations

import hashlib
import json
import stat
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from synthbench.bundle.layout import FORMAT, MANIFEST
from synthbench.errors import ConfigError, DataError

__all__ = ["MAX_ENTRIES", "MAX_FILE", "MAX_RATIO", "MAX_TOTAL", "BundleFile", "Refused", "parse_json"]

MAX_ENTRIES = 200_000
MAX_FILE = 2**28
"""Bytes of one entry, decompressed."""
MAX_TOTAL = 2**33
"""Bytes of all entries, decompressed."""
MAX_RATIO = 250
"""How many times as large an entry may become, beyond `_SMALL`: a run's texts come to 60, bombs to 1,000."""
_SMALL = 2**20
_CHUNK = 2**20
_MAX_NAME = 500
_MAX_SHOWN = 150
_END = b"PK\5\6" + bytes(18)
"""Last record of a ZIP file without a comment; its values are zero here."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Refused(ConfigError):
    """A file is no bundle that this version reads, or has an entry that no bundle has."""


class BundleFile:
    """A bundle that is open for reading.

    Parameters
    ----------
    path

    Attributes
    ----------
    path : Path
    manifest : dict

    Raises
    ------
    Refused
        If it is no bundle, has a later format, or has an entry that no bundle has: one line, naming the entry.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except FileNotFoundError:
            raise Refused(f"{path}: no such file; give a file that 'synthbench bundle' wrote") from None
        except IsADirectoryError:
            raise Refused(f"{path}: is a folder; make a bundle of it: synthbench bundle {path}") from None
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, OverflowError) as error:
            raise Refused(f"{path}: is no bundle: {error}; give a file that 'synthbench bundle' wrote") from None
        try:
            self._entries = self._checked(self._zip.infolist())
            self.manifest = self._read_manifest()
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> BundleFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    @property
    def names(self) -> list[str]:
        """Names of all files, sorted."""
        return sorted(self._entries)

    def read(self, name: str, limit: int = MAX_FILE) -> bytes:
        """Return the content of a file.

        Raises
        ------
        DataError
            If it is missing.
        Refused
            If its size isn't the one declared, is above the limit, or it can't be decompressed.
        """
        if name not in self._entries:
            raise DataError(f"{name}: is missing")
        entry = self._entries[name]
        if entry.file_size > limit:
            self._refuse(name, f"is {entry.file_size:,} bytes, and at most {limit:,} are read")
        parts, total = [], 0
        try:
            with self._zip.open(entry) as file:
                while part := file.read(min(_CHUNK, limit - total + 1)):
                    parts.append(part)
                    total += len(part)
                    if total > limit:
                        self._refuse(name, f"is more than {limit:,} bytes, which its header denies")
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            NotImplementedError,
            RuntimeError,
            ValueError,
        ) as error:
            if isinstance(error, Refused):
                raise
            self._refuse(name, f"can't be decompressed ({error})")
        if total != entry.file_size:
            self._refuse(name, f"is {total:,} bytes, but declares {entry.file_size:,}")
        return b"".join(parts)

    def size(self, name: str) -> int:
        """Return the declared size of a file in bytes; `read` checks it."""
        return self._entries[name].file_size

    def json(self, name: str) -> Any:
        """Return the content of a JSON file.

        Raises
        ------
        DataError
            If it is missing, or is no JSON.
        Refused
            See `read`.
        """
        return parse_json(self.read(name), name)

    def sha256(self, name: str) -> str:
        """Return the SHA-256 of a file; errors as those of `read`."""
        return hashlib.sha256(self.read(name)).hexdigest()

    def _refuse(self, name: str, why: str) -> NoReturn:
        shown = name if len(name) <= _MAX_SHOWN else f"{name[:_MAX_SHOWN]}…"
        raise Refused(f"{self.path}: refused: {shown!r} {why}; get the bundle again from who made it")

    def _checked(self, entries: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
        if len(entries) > MAX_ENTRIES:
            raise Refused(f"{self.path}: refused: has {len(entries):,} entries, and at most {MAX_ENTRIES:,} are read")
        for entry in entries:
            self._check_name(entry)
            self._check_kind(entry)
            self._check_size(entry)
        total = sum(entry.file_size for entry in entries)
        if total > MAX_TOTAL:
            raise Refused(f"{self.path}: refused: comes to {total:,} bytes, and at most {MAX_TOTAL:,} are read")
        self._check_distinct([entry.filename for entry in entries])
        self._check_apart(entries)
        self._check_ends(entries)
        return {entry.filename: entry for entry in entries}

    def _check_name(self, entry: zipfile.ZipInfo) -> None:
        name = entry.orig_filename
        parts = name.split("/")
        if name != entry.filename or not name.isprintable() or len(name) > _MAX_NAME:
            self._refuse(name, "has a name that no bundle has")
        if "\\" in name or ":" in name:
            self._refuse(name, "has a backslash or a colon in its name")
        if name.startswith("/"):
            self._refuse(name, "is an absolute path")
        if any(part in ("", ".", "..") for part in parts):
            self._refuse(name, "leads out of the bundle, or is a folder")

    def _check_kind(self, entry: zipfile.ZipInfo) -> None:
        if entry.flag_bits & 0x1:
            self._refuse(entry.filename, "is encrypted")
        mode = entry.external_attr >> 16
        if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            self._refuse(entry.filename, "is a link, or no regular file")
        if entry.compress_type not in _METHODS:
            self._refuse(entry.filename, f"is compressed by method {entry.compress_type}, expected deflate")

    def _check_size(self, entry: zipfile.ZipInfo) -> None:
        if entry.file_size > MAX_FILE:
            self._refuse(entry.filename, f"is {entry.file_size:,} bytes, and at most {MAX_FILE:,} are read")
        if entry.file_size > _SMALL and entry.file_size > MAX_RATIO * entry.compress_size:
            self._refuse(
                entry.filename,
                f"decompresses from {entry.compress_size:,} to {entry.file_size:,} bytes, as decompression bombs do",
            )

    def _check_distinct(self, names: Iterable[str]) -> None:
        seen: dict[str, str] = {}
        for name in names:
            other = seen.setdefault(name.casefold(), "")
            if other:
                self._refuse(name, "occurs twice" if other == name else f"differs from {other!r} by case only")
            seen[name.casefold()] = name

    def _check_apart(self, entries: Iterable[zipfile.ZipInfo]) -> None:
        """Refuse entries that share compressed bytes: so a small file declares any number of large ones."""
        end = 0
        for entry in sorted(entries, key=lambda each: each.header_offset):
            if entry.header_offset < end:
                self._refuse(entry.filename, "shares its bytes with another entry")
            end = entry.header_offset + entry.compress_size

    def _check_ends(self, entries: Sequence[zipfile.ZipInfo]) -> None:
        """Refuse what stands before the first entry, or after the end that a ZIP file without a comment has."""
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - len(_END)))
            ends = file.read(4) == _END[:4]
        if self._zip.comment or not ends or (entries and min(entry.header_offset for entry in entries) > 0):
            raise Refused(
                f"{self.path}: refused: has bytes before or after what a ZIP file consists of; get the bundle "
                "again from who made it"
            )

    def _read_manifest(self) -> dict[str, Any]:
        if MANIFEST not in self._entries:
            raise Refused(
                f"{self.path}: is no bundle: it has no {MANIFEST}; give a file that 'synthbench bundle' wrote"
            )
        try:
            manifest = self.json(MANIFEST)
            version = manifest["format"]
            if type(version) is int and version > FORMAT:
                made_by = str(manifest.get("synthbench", ""))[:40]
                raise Refused(
                    f"{self.path}: has format {version}, and this version reads {FORMAT}; install synthbench "
                    f"{made_by or 'of a later version'} or later"
                )
            if type(version) is not int or version < 1:
                raise Refused(f"{self.path}: {MANIFEST}: format is {str(version)[:40]!r}, expected {FORMAT}")
            files = manifest["files"]
            known = all(isinstance(name, str) and isinstance(row["sha256"], str) for name, row in files.items())
        except Refused:
            raise
        except (DataError, KeyError, TypeError, AttributeError) as error:
            raise Refused(f"{self.path}: {MANIFEST}: can't be read ({error}); get the bundle again") from None
        if not known or not isinstance(manifest.get("synthbench"), str):
            raise Refused(f"{self.path}: {MANIFEST}: has no version of synthbench, or a file without its SHA-256")
        return dict(manifest)


def parse_json(data: bytes, name: str) -> Any:
    """Return what a JSON text says.

    Raises
    ------
    DataError
        If it is no strict JSON: UTF-8, each key once, no NaN, not nested too deeply.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a key occurs twice")
        return found

    def refuse(text: str) -> NoReturn:
        raise ValueError(f"{text} is no number of JSON")

    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=once, parse_constant=refuse)
    except RecursionError:
        raise DataError(f"{name}: is nested too deeply") from None
    except ValueError as error:
        raise DataError(f"{name}: is no valid JSON ({error})") from None
