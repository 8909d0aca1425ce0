"""Groups of images from a CSV table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from synthbench.datasets.files import ImageName, nfc
from synthbench.errors import ConfigError, DataError

__all__ = ["GroupTable"]

ID_COLUMNS = ("id", "image", "image_id", "file", "filename", "file_name", "name", "sample")
_DELIMITERS = (",", ";", "\t")
_MAX_TEXT = 200
_MAX_BYTES = 2**26

_UNKNOWN = ("nan", "na", "n/a", "<na>", "null", "none")
"""What programs write for a missing value."""


class GroupTable:
    """A CSV table of images: a column of ids, and one for each group.

    The column of ids is the first that is called id, image, file or the like, else the first of all. An id is that of a
    sample, or the image's file name, with or without its suffix and the folders before it. Columns are separated by
    commas, semicolons or tabs.

    Parameters
    ----------
    path

    Raises
    ------
    ConfigError
        If it can't be read, has no second column, or gives one id twice.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, dict[str, str]] = {}
        self.used: dict[str, str] = {}
        try:
            with path.open("rb") as file:
                content = file.read(_MAX_BYTES + 1)
            if len(content) > _MAX_BYTES:
                raise ConfigError(f"{path}: is larger than {_MAX_BYTES // 2**20} MiB; is this the right table?")
            self._read(iter(io.StringIO(content.decode("utf-8-sig"), newline="")))
        except FileNotFoundError:
            raise ConfigError(f"{path}: no such table") from None
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(f"{path}: can't be read: {reason}; save it as CSV, in UTF-8") from None

    def _read(self, lines: Iterator[str]) -> None:
        first = next(lines, "")
        if first.strip().lower().startswith("sep="):  # Excel's declaration of the separator
            first = next(lines, "")
        delimiter = max(_DELIMITERS, key=first.count)
        header = [_clean(name) for name in next(csv.reader([first], delimiter=delimiter), [])]
        if len(header) < 2:
            raise ConfigError(
                f"{self.path}: has no second column; expected ids and a column per group, such as id,well"
            )
        for name in header:
            if not name or header.count(name) > 1:
                problem = f"the column {name!r} occurs twice" if name else "a column has no name"
                raise ConfigError(f"{self.path}: {problem}; use unique names")
        key = next((i for i, name in enumerate(header) if name.lower() in ID_COLUMNS), 0)
        self.columns = [name for i, name in enumerate(header) if i != key]
        reader = csv.reader(lines, delimiter=delimiter)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            where = f"{self.path}: the row of {cells[min(key, len(cells) - 1)]!r}"
            if len(cells) != len(header):
                raise ConfigError(f"{where} has {len(cells)} cells, but the header {len(header)}")
            name, values = nfc(cells[key].strip().replace("\\", "/")), [_clean(cell) for cell in cells]
            groups = {column: value for column, value in zip(header, values, strict=True) if value}
            groups.pop(header[key], None)
            if self.rows.setdefault(name, groups) != groups:
                raise ConfigError(f"{where} occurs twice with different values; keep one")

    def of(self, named: ImageName) -> dict[str, str] | None:
        """Return an image's groups; None where no row is its; `DataError` where the row is another's as well."""
        name = next((name for name in named.names if name in self.rows), None)
        if name is None:
            return None
        other = self.used.setdefault(name, named.id)
        if other != named.id:
            raise DataError(f"{self.path}: {name!r} matches {other!r} and {named.id!r}; use these ids instead")
        return self.rows[name]

    def unused(self) -> list[str]:
        """Return the ids of rows that no image has claimed."""
        return [name for name in self.rows if name not in self.used]


def _clean(text: str) -> str:
    """Return a cell's text; an empty string for a missing value."""
    value = " ".join(nfc(text).split())[:_MAX_TEXT]
    return "" if value.lower() in _UNKNOWN else value
