"""Additional groups of images (well, slide, patient …), from a table or from parts of their file names."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from synthbench.datasets.files import ImageName, split_of
from synthbench.datasets.group_table import GroupTable
from synthbench.datasets.import_options import ImportLog
from synthbench.datasets.name_pattern import NamePattern
from synthbench.errors import ConfigError, DataError, join_names
from synthbench.samples import UNLABELLED, Sample

__all__ = ["Grouping", "log_unused_tables", "make_grouping"]

_LARGEST = 2**22
"""Bytes of the largest table that is read without being named by the user."""


@dataclass
class Grouping:
    """Groups that imported samples get.

    Attributes
    ----------
    table : Table or None
    pattern : Pattern or None
        Where both define a group, the table takes precedence.
    """

    table: GroupTable | None = None
    pattern: NamePattern | None = None
    without_row: list[str] = field(default_factory=list)
    without_match: list[str] = field(default_factory=list)

    def of(self, sample: Sample, root: Path, log: ImportLog) -> Sample:
        """Return a sample with its groups; annotated images without any are kept for `finish`."""
        unlabelled = sample.groups.get("split") == UNLABELLED
        named = _named(sample.id, root, log)
        groups: dict[str, str] = {}
        for source, missing in ((self.pattern, self.without_match), (self.table, self.without_row)):
            source_groups: dict[str, str] | None = {}
            with log.collecting_errors():
                source_groups = source.of(named) if source else {}
            if source_groups is None and not unlabelled:
                missing.append(named.path.name)
            groups |= source_groups or {}
        if unlabelled:
            groups.pop("split", None)
        if "split" in groups:
            split = split_of(groups["split"])
            if split is None:
                log.add_problem(f"{named.path}: unknown split {groups['split']!r}; expected train, validation or test")
            groups["split"] = split or ""
        for name in groups.keys() & sample.groups.keys():
            log.count(f"groups {name} of folders or files replaced", groups[name] != sample.groups[name])
        return replace(sample, groups={**sample.groups, **groups}) if groups else sample

    def finish(self, log: ImportLog) -> None:
        """Report images without a row or match as problems, and count the rows without an image."""
        if self.pattern and self.without_match:
            which = f"{len(self.without_match)} file names don't match: {join_names(self.without_match)}"
            log.add_problem(f"--group-from {self.pattern.text!r}: {which}")
        if self.table is None:
            return
        unused = self.table.unused()
        if self.without_row:
            rows = f"; rows without an image: {join_names(unused)}" if unused else ""
            which = f"{len(self.without_row)} images have no row: {join_names(self.without_row)}{rows}"
            log.add_problem(f"{self.table.path}: {which}; expected ids or file names, with or without suffix")
        log.count(f"rows of {self.table.path.name} without an image, ignored ({join_names(unused)})", len(unused))


def make_grouping(table: str | Path | None, pattern: str | None) -> Grouping:
    """Read a table and a pattern; raise `ConfigError` where they are invalid."""
    return Grouping(GroupTable(Path(table).expanduser()) if table else None, NamePattern(pattern) if pattern else None)


def _named(name: str, root: Path, log: ImportLog) -> ImageName:
    stem, path = log.files.get(name, (name, Path(name)))
    return ImageName(name, stem, path.relative_to(root) if path.is_relative_to(root) else Path(path.name))


def log_unused_tables(root: Path, log: ImportLog) -> None:
    """Log CSV files beside the images that have a row for each of them and aren't used."""
    for path in sorted(root.glob("*.csv")):
        if not path.is_file() or path.stat().st_size > _LARGEST or not log.files:
            continue
        try:
            table = GroupTable(path)
            annotated = [name for name in log.files if not name.startswith(f"{UNLABELLED}-")]
            if any(table.of(_named(name, root, log)) is None for name in annotated):
                continue
        except (ConfigError, DataError):
            continue
        columns = join_names(table.columns)
        what = f"images listed in {path.name} ({columns}); --groups {path} would import these columns"
        log.count(what, len(log.files))
