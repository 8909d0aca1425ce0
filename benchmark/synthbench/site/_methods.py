"""Cards of methods: what entries say of generators and segmenters, with which settings they ran, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from synthbench.board.entries import Entry
from synthbench.bundle import layout
from synthbench.bundle.reading import BundleFile
from synthbench.errors import DataError
from synthbench.leaderboard.parts import GENERATOR_COSTS, counted, delta, duration, kind_of, records, short
from synthbench.results import trained_and_tested
from synthbench.site._rows import kind_of_generator
from synthbench.site._safety import plain, references, slug
from synthbench.site._sheets import Sheet

__all__ = ["Method", "Methods", "Result", "Use", "plugins_of"]

_OWN = "synthbench"
_OWN_LICENCE = "BSD-3-Clause"
_MOST_VALUE = 120


@dataclass(frozen=True)
class Result:
    """What a generator's images did for a segmenter: where, the difference from real images alone, and the verdict.

    `kind` is the class of a row with this verdict.
    """

    where: str
    difference: str
    verdict: str
    kind: str


@dataclass
class Use:
    """How a method was used on a board.

    Attributes
    ----------
    board, title, entry : str
        `title` is what the board's table calls the method.
    budget, cost : str
    settings : tuple of (str, str)
        The whole configuration.
    results : list of Result
    """

    board: str
    title: str
    entry: str
    budget: str
    settings: tuple[tuple[str, str], ...]
    cost: str = ""
    results: list[Result] = field(default_factory=list)


@dataclass
class Method:
    """A generator or segmenter, as the entries describe it.

    Attributes
    ----------
    kind, name, summary, description, distribution, licence : str
    sort : str
        The kind of images of a generator; see `synthbench.site._rows.kind_of_generator`.
    papers : tuple of (str, str)
        Title and address.
    uses : list of Use
    sheets : list of Sheet
    """

    kind: str
    name: str
    summary: str = ""
    description: str = ""
    distribution: str = ""
    licence: str = ""
    sort: str = ""
    papers: tuple[tuple[str, str], ...] = ()
    uses: list[Use] = field(default_factory=list)
    sheets: list[Sheet] = field(default_factory=list)

    @property
    def record(self) -> str:
        """In how many comparisons its images made segmenters better or worse; empty for a segmenter."""
        kinds = [result.kind for use in self.uses for result in use.results]
        if not kinds:
            return ""
        better, worse = kinds.count("better"), kinds.count("worse")
        return f"better in {better} and worse in {worse} of {counted(len(kinds), 'comparison')}"

    @property
    def page(self) -> str:
        """The address of its page, from the front of the site."""
        return f"methods/{slug(f'{self.kind}-{self.name}')}.html"


class Methods:
    """The methods of all boards."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Method] = {}

    def all(self, kind: str) -> list[Method]:
        """Return the generators or the segmenters by name."""
        return [self._known[key] for key in sorted(self._known) if key[0] == kind]

    def page(self, kind: str, name: str) -> str:
        """Return the address of the page of a plugin, or an empty string."""
        known = self._known.get((kind, name))
        return known.page if known else ""

    def add(self, board: str, entry: Entry, table: pd.DataFrame, sheets: Iterable[Sheet]) -> None:
        """Add the methods of an entry.

        Parameters
        ----------
        board
        entry
        table
            The leaderboard of the board's group that the entry is in.
        sheets
            Of the entry.
        """
        about = _described(entry)
        for kind, titles in plugins_of(entry).items():
            for title, (name, settings, budget) in titles.items():
                method = self._known.setdefault((kind, name), Method(kind, name))
                _describe(method, about.get((kind, name), {}))
                use = Use(board, title, entry.name, budget, settings)
                if all((known.board, known.title, known.settings) != (board, title, settings) for known in method.uses):
                    method.uses.append(use)
                    if kind == "generator":
                        _add_results(method, use, table, entry.name)
                    else:
                        _add_segmenter_cost(use, table)
        for sheet in sheets:
            name = _plugin_of(entry, sheet.title)
            own = self._known.get(("generator", name))
            if own is not None and sheet.pictures and len(own.sheets) < 2:
                own.sheets.append(sheet)


def plugins_of(entry: Entry) -> dict[str, dict[str, tuple[str, tuple[tuple[str, str], ...], str]]]:
    """Return by kind and title the plugin of a method, its settings and its budget, from the plan of an entry."""
    found: dict[str, dict[str, tuple[str, tuple[tuple[str, str], ...], str]]] = {"generator": {}, "segmenter": {}}
    for row in entry.contents.trainings:
        for kind, key in (("generator", row["fit_generator"]), ("segmenter", row["fit"])):
            title = str(row[kind])
            if not title or not key or title in found[kind]:
                continue
            try:
                plugin = entry.contents.plan[key]["content"]["plugin"]
                found[kind][title] = str(plugin["name"]), _settings(plugin["config"]), _budget(plugin["budget"])
            except (KeyError, TypeError, AttributeError):
                raise DataError(f"{entry.path}: plan.json: task {str(key)[:12]!r} has no plugin") from None
    return found


def _plugin_of(entry: Entry, title: str) -> str:
    return plugins_of(entry)["generator"].get(title, (title,))[0]


def _settings(config: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((plain(str(key), 80), plain(str(value), _MOST_VALUE)) for key, value in sorted(config.items()))


def _budget(budget: Mapping[str, Any]) -> str:
    steps = budget.get("steps")
    if not isinstance(steps, int) or not steps:
        return "no training"
    return f"{steps:,} steps of {budget.get('batch_size', '?')} patches, {budget.get('patch_size', '?')} pixels wide"


def _described(entry: Entry) -> dict[tuple[str, str], dict[str, str]]:
    with BundleFile(entry.path) as file:
        rows = file.json(layout.METHODS)
    if not isinstance(rows, list):
        raise DataError(f"{entry.path}: {layout.METHODS}: expected a list of methods")
    keys = ("summary", "description", "distribution")
    return {
        (plain(row.get("kind"), 40), str(row.get("name"))): {key: plain(row.get(key)) for key in keys}
        for row in rows
        if isinstance(row, dict)
    }


def _describe(method: Method, about: Mapping[str, str]) -> None:
    """Take what is said of a method, unless an earlier entry has said it."""
    method.summary = method.summary or about.get("summary", "")
    method.distribution = method.distribution or about.get("distribution", "")
    text = about.get("description", "")
    for heading in ("Attributes ---", "Parameters ---", "Notes ---"):
        text = text.partition(heading)[0].strip()
    method.description = method.description or text
    method.papers = tuple(references(method.description))
    own = method.distribution.partition(" ")[0] == _OWN
    method.licence = _OWN_LICENCE if own else ""


def _add_results(method: Method, use: Use, table: pd.DataFrame, entry: str) -> None:
    mine = table["generator"].isin([use.title, f"{use.title} ({entry})"])
    rows = records(table[mine])
    if not rows:
        return
    method.sort = method.sort or kind_of_generator(rows[0], method.name)
    known = [name for name in GENERATOR_COSTS if name in table]
    seconds = [sum(float(row[name]) for name in known if not pd.isna(row[name])) for row in rows]
    device = plain(str(rows[0].get("device", "")), 80)
    use.cost = f"{duration(max(seconds))} to train it and to draw its images{f' ({device})' if device else ''}"
    for row in rows:
        where = f"{row['segmenter']} on {trained_and_tested(row['dataset'], row['tested_on'])}, {row['fraction']} real"
        use.results.append(Result(f"{where}, {short(row['arm'])}", delta(row), str(row["verdict"]), kind_of(row)))


def _add_segmenter_cost(use: Use, table: pd.DataFrame) -> None:
    seconds = table.loc[table["segmenter"] == use.title, "fit_seconds"].dropna()
    if len(seconds):
        use.cost = f"{duration(float(seconds.mean()))} for a training, on average"
