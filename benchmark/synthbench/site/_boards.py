"""A board as its page shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from synthbench.board.entries import Entry, open_entry
from synthbench.board.joining import Group
from synthbench.board.model import Board, BoardEntry, entry_file
from synthbench.board.opening import OpenBoard, open_board
from synthbench.board.rendering import notes_of
from synthbench.leaderboard.advice import Advice
from synthbench.leaderboard.parts import PageParts, gain_charts, page_parts
from synthbench.site._gallery import Gallery, gallery
from synthbench.site._local_data import LocalData
from synthbench.site._methods import plugins_of
from synthbench.site._picture_files import PictureFiles
from synthbench.site._rows import FilteredTable, filtered_table
from synthbench.site._safety import slug
from synthbench.site._sheets import Sheet, sheets

__all__ = ["BoardPage", "ListedEntry", "PageGroup", "read_board_page"]

QUESTION = "Does synthetic training data help to segment these images?"
"""What a board answers that doesn't say so itself."""


@dataclass(frozen=True)
class ListedEntry:
    """An entry of the board, what it brings, and where its bundle is: an address, or a file of the site."""

    listed: BoardEntry
    generators: tuple[str, ...]
    made_with: str
    href: str
    file: Path | None

    @property
    def megabytes(self) -> str:
        """Its size."""
        return f"{self.listed.bytes / 1e6:.1f} MB"


@dataclass(frozen=True, eq=False)
class PageGroup:
    """Results that can be paired: their parts, table, charts and gallery; and why they stand apart, if they do."""

    group: Group
    parts: PageParts
    advice: list[Advice]
    table: FilteredTable
    gains: list[dict[str, object]]
    galleries: list[Gallery]
    notes: list[str]
    counts: tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class BoardPage:
    """What the page of a board shows.

    Attributes
    ----------
    board : Board
    opened : OpenBoard
    question, answer : str
    groups : list of PageGroup
        The first holds what is paired with the oldest entry.
    entries : list of ListedEntry
    results : list of Entry
        The entries, opened.
    sheets : list of Sheet
        Of synthetic images.
    """

    board: Board
    opened: OpenBoard
    question: str
    answer: str
    groups: list[PageGroup]
    entries: list[ListedEntry]
    results: list[Entry]
    sheets: list[Sheet]

    @property
    def page(self) -> str:
        """The address of its page, from the front of the site."""
        return f"boards/{self.name}.html"

    @property
    def name(self) -> str:
        """Its name in addresses."""
        return slug(self.board.name)

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What the frozen study is, in words."""
        study = self.board.study
        amounts = ", ".join(f"{each:.0%}" if isinstance(each, float) else str(each) for each in study.real_amounts)
        synthetic = ", ".join(map(str, study.synthetic))
        found = [
            ("dataset", ", ".join(each.name for each in study.datasets)),
            ("segmenter", ", ".join(each.title for each in study.segmenters)),
            ("real training images", amounts),
            ("synthetic images", synthetic),
            ("trainings of each arm", f"{study.seeds} seeds, all with the same number of steps"),
        ]
        if study.test_on:
            found.insert(1, ("tested on as well", ", ".join(each.name for each in study.test_on)))
        return found


def read_board_page(folder: Path, data: LocalData, pictures: PictureFiles, notes: list[str]) -> BoardPage:
    """Read a board and its entries, and make what its page shows.

    Parameters
    ----------
    folder
        Of the board.
    data
        Where images of its datasets are looked for.
    pictures
        Where pictures are kept.
    notes
        Gets a line for everything that can't be shown.

    Raises
    ------
    ConfigError, DataError
        If it is no board, or an entry is missing, was changed, or can't be read: one line.
    """
    opened = open_board(folder)
    listed = {each.name: each for each in opened.board.entries}
    results = {name: open_entry(entry_file(opened.folder, each), name) for name, each in listed.items()}
    plugins = {
        title: name for entry in results.values() for title, (name, *_) in plugins_of(entry)["generator"].items()
    }
    groups = [
        _group(opened.board, group, [results[name] for name in group.entries], plugins, data, pictures, notes)
        for group in opened.groups
    ]
    found = [sheet for entry in results.values() for sheet in sheets(entry, pictures, notes)]
    return BoardPage(
        opened.board,
        opened,
        opened.board.question or QUESTION,
        groups[0].parts.headline,
        groups,
        [_listed(opened, each, results[name]) for name, each in listed.items()],
        list(results.values()),
        _distinct(found),
    )


def _group(
    board: Board,
    group: Group,
    entries: Sequence[Entry],
    plugins: dict[str, str],
    data: LocalData,
    pictures: PictureFiles,
    notes: list[str],
) -> PageGroup:
    parts = page_parts(group.results)
    caption = f"All results of {board.name}" if not group.reasons else f"Results of {', '.join(group.entries)}"
    return PageGroup(
        group,
        parts,
        _advice(parts),
        filtered_table(caption, parts.table, plugins, len(entries)),
        gain_charts(parts),
        gallery(entries, group.results.study.iou, data, pictures, notes),
        notes_of(group),
        _counts(parts.table),
    )


def _advice(parts: PageParts) -> list[Advice]:
    """Return the advice for amounts of real images at which synthetic ones were tried; where they were at none, all."""
    tried = parts.table.loc[parts.table["generator"] != "", "fraction"]
    return [each for each in parts.advice if each.fraction in set(tried)] or parts.advice


def _counts(table: pd.DataFrame) -> tuple[int, int, int]:
    """Return in how many comparisons synthetic images helped, hurt, and made no significant difference."""
    verdicts = [str(text) for text in table.loc[table["delta"].notna(), "verdict"]]
    better, worse = (sum(text.startswith(word) for text in verdicts) for word in ("better", "worse"))
    return better, worse, len(verdicts) - better - worse


def _listed(opened: OpenBoard, listed: BoardEntry, entry: Entry) -> ListedEntry:
    file = None if listed.address else entry_file(opened.folder, listed)
    generators = tuple(dict.fromkeys(row["generator"] for row in entry.contents.trainings if row["generator"]))
    href = listed.address or f"boards/{slug(opened.board.name)}/{listed.name}.zip"
    machines = dict.fromkeys(str(name) for name in entry.contents.results.runs.get("device", ()) if name)
    return ListedEntry(listed, generators, ", ".join(machines)[:120], href, file)


def _distinct(found: Sequence[Sheet]) -> list[Sheet]:
    """Return a sheet for each generator: the first that has pictures."""
    best: dict[tuple[str, str], Sheet] = {}
    for sheet in found:
        key = sheet.dataset, sheet.title
        if key not in best or (sheet.pictures and not best[key].pictures):
            best[key] = sheet
    return list(best.values())
