"""What images belong to, a well, a slide, a patient: told apart from the files that they are in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from synthbench.datasets.files import ImageName, split_of
from synthbench.datasets.group_table import GroupTable
from synthbench.datasets.import_options import ImportLog
from synthbench.datasets.name_pattern import NamePattern
from synthbench.errors import ConfigError, DataError, join_names
from synthbench.samples import Sample

_LARGEST = 2**22
"""Bytes of a table that is looked into unasked."""


@dataclass
class Grouping:
    """Groups that samples get on their way in.

    Attributes
    ----------
    table : Table or None
    pattern : Pattern or None
        Where both tell a group, the table's counts.
    """

    table: GroupTable | None = None
    pattern: NamePattern | None = None
    strangers: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def of(self, sample: Sample, root: Path, log: ImportLog) -> Sample:
        """Return a sample with its groups; what has none is kept for `finish`."""
        named = _named(sample.id, root, log)
        told: dict[str, str] = {}
        for source, missing in ((self.pattern, self.others), (self.table, self.strangers)):
            found: dict[str, str] | None = {}
            with log.collecting_errors():
                found = source.of(named) if source else {}
            if found is None:
                missing.append(named.path.name)
            told |= found or {}
        if "split" in told:
            split = split_of(told["split"])
            if split is None:
                log.add_problem(f"{named.path}: its split {told['split']!r} is none of train, validation and test")
            told["split"] = split or ""
        for name in told.keys() & sample.groups.keys():
            log.count(
                f"groups {name} of the folders or files replaced by those given", told[name] != sample.groups[name]
            )
        return replace(sample, groups={**sample.groups, **told}) if told else sample

    def finish(self, log: ImportLog) -> None:
        """Note as a problem which images have no row or another name, and count the rows that no image has."""
        if self.pattern and self.others:
            which = f"{len(self.others)} file names aren't of this form: {join_names(self.others)}"
            log.add_problem(f"--group-from {self.pattern.text!r}: {which}")
        if self.table is None:
            return
        unused = self.table.unused()
        if self.strangers:
            rows = f"; rows without an image: {join_names(unused)}" if unused else ""
            which = f"{len(self.strangers)} images have no row: {join_names(self.strangers)}{rows}"
            log.add_problem(f"{self.table.path}: {which}; ids are file names, with or without suffix")
        log.count(f"rows of {self.table.path.name} without an image, passed over ({join_names(unused)})", len(unused))


def make_grouping(table: str | Path | None, pattern: str | None) -> Grouping:
    """Return what a table and a pattern tell; raise `ConfigError` where they can't be understood."""
    return Grouping(GroupTable(Path(table).expanduser()) if table else None, NamePattern(pattern) if pattern else None)


def _named(name: str, root: Path, log: ImportLog) -> ImageName:
    stem, path = log.files.get(name, (name, Path(name)))
    return ImageName(name, stem, path.relative_to(root) if path.is_relative_to(root) else Path(path.name))


def log_unused_tables(root: Path, log: ImportLog) -> None:
    """Say so where a CSV file beside the images has a row for each of them, and wasn't asked for."""
    for path in sorted(root.glob("*.csv")):
        if not path.is_file() or path.stat().st_size > _LARGEST or not log.files:
            continue
        try:
            table = GroupTable(path)
            if any(table.of(_named(name, root, log)) is None for name in log.files):
                continue
        except (ConfigError, DataError):
            continue
        what = f"images described by {path.name} ({join_names(table.columns)}); --groups {path} would make groups of it"
        log.count(what, len(log.files))
