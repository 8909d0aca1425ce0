"""What a board shows: ``README.md``, the tables as Markdown, CSV and JSON, and the page."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from synthbench import leaderboard
from synthbench.board.joining import Group
from synthbench.board.opening import OpenBoard
from synthbench.bundle.findings import same
from synthbench.io.atomic import atomic_write
from synthbench.io.escaping import printable
from synthbench.leaderboard.advice import advice

__all__ = ["CSV", "FILES", "JSON", "as_csv", "as_json", "as_markdown", "is_current", "notes_of", "render", "rendered"]

README, MARKDOWN, CSV, JSON, PAGE = "README.md", "leaderboard.md", "leaderboard.csv", "leaderboard.json", "report.html"
FILES = (README, MARKDOWN, CSV, JSON, PAGE)
_NUMBER = re.compile(r"-?\d+\.\d+(?:[eE][+-]?\d+)?")
_SIGNS = str.maketrans({"<": "&lt;", ">": "&gt;", "&": "&amp;", "|": "&#124;", "*": "\\*", "`": "\\`", "[": "\\["})


def render(opened: OpenBoard) -> list[Path]:
    """Write what a board shows into its folder, and return the paths."""
    texts = rendered(opened)
    return [atomic_write(opened.folder / name, text, "check the folder") for name, text in texts.items()]


def rendered(opened: OpenBoard) -> dict[str, str]:
    """Return what a board shows, by the names `FILES`."""
    tables = [leaderboard.table(group.results) for group in opened.groups]
    return {
        README: _readme(opened, tables),
        MARKDOWN: as_markdown(opened.groups, tables, f"# {opened.board.name}, version {opened.board.version}\n\n"),
        CSV: as_csv(opened.groups, tables),
        JSON: as_json(opened.groups, tables, {"board": opened.board.name, "version": opened.board.version}),
        PAGE: leaderboard.page(opened.groups[0].results, opened.folder, found=tables[0]),
    }


def is_current(name: str, written: str, expected: str) -> bool:
    """Whether a file shows what it should: the same text, in which numbers may differ by rounding."""
    if written == expected:
        return True
    if name == JSON:
        try:
            return same(json.loads(written), json.loads(expected))
        except (ValueError, RecursionError):
            return False
    if _NUMBER.sub("#", written) != _NUMBER.sub("#", expected):
        return False
    pairs = zip(_NUMBER.findall(written), _NUMBER.findall(expected), strict=True)
    return all(math.isclose(float(a), float(b), rel_tol=1e-9, abs_tol=1e-12) for a, b in pairs)


def as_markdown(groups: list[Group], tables: list[pd.DataFrame], head: str = "", *, brief: bool = False) -> str:
    """Return joined results as Markdown: the table, notes, and what stands apart, with the reasons.

    Parameters
    ----------
    groups, tables
    head
        What stands before it.
    brief
        Only the main columns, and no definitions.
    """
    parts: list[str] = []
    for group, table in zip(groups, tables, strict=True):
        if group.reasons:
            parts.append(f"## Apart: {_plain(', '.join(group.entries))}\n")
            parts.append(f"Can't be paired with the others: {_plain('; '.join(group.reasons))}.\n")
        found = leaderboard.overview(group.results, table)
        if found is not None:
            parts.append(f"### All comparisons: mean over datasets, amounts and segmenters\n\n{_overview(found)}")
        parts.append(_brief(group, table) if brief else leaderboard.markdown(table))
        if notes := notes_of(group):
            parts.append("\n".join(f"- {_plain(note)}" for note in notes) + "\n")
    return head + "\n".join(parts)


def _brief(group: Group, table: pd.DataFrame) -> str:
    """Return the main columns, after what to do next with each amount of real images that has arms."""
    compared = set(table.loc[table["generator"] != "", "fraction"])
    found = advice(group.results, board=table)
    return leaderboard.brief_markdown(table, [each.answer for each in found if each.fraction in compared])


def _overview(found: pd.DataFrame) -> str:
    return f"{leaderboard.overview_markdown(found)}\n{leaderboard.ABOUT_OVERVIEW}\n"


def notes_of(group: Group) -> list[str]:
    """Return what is said of trainings that several entries have."""
    repeats, notes = group.repeats, list(group.notes)
    if repeats.confirmed:
        notes.append(f"{repeats.confirmed} trainings were run again by another entry, with the same scores")
    if repeats.differing:
        notes.append(
            f"{len(repeats.differing)} trainings were run again by another entry, with other scores; the first: "
            f"{repeats.differing[0]}"
        )
    return notes


def as_json(groups: list[Group], tables: list[pd.DataFrame], head: Mapping[str, Any]) -> str:
    """Return joined results as JSON: a list of groups, each with ``entries``, ``apart``, ``notes`` and its table."""
    found = [
        {
            "entries": list(group.entries),
            "apart": list(group.reasons),
            "notes": notes_of(group),
            "overview": _overview_rows(group, table),
            **json.loads(leaderboard.as_json(table)),
        }
        for group, table in zip(groups, tables, strict=True)
    ]
    return json.dumps({**head, "groups": found}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _overview_rows(group: Group, table: pd.DataFrame) -> list[dict[str, Any]] | None:
    found = leaderboard.overview(group.results, table)
    return None if found is None else json.loads(found.to_json(orient="records"))


def as_csv(groups: list[Group], tables: list[pd.DataFrame]) -> str:
    """Return all rows; the column ``apart`` says why some can't be paired with the others."""
    parts = [table.assign(apart="; ".join(group.reasons)) for group, table in zip(groups, tables, strict=True)]
    return leaderboard.csv(pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0])


def _readme(opened: OpenBoard, tables: list[pd.DataFrame]) -> str:
    return "\n".join(_lines(opened, tables)) + "\n"


def _lines(opened: OpenBoard, tables: list[pd.DataFrame]) -> Iterator[str]:
    board, study = opened.board, opened.board.study
    yield f"# {board.name}, version {board.version}\n"
    if board.question:
        yield f"{_plain(board.question)}\n"
    yield "| frozen | |"
    yield "|:--|:--|"
    for dataset in (*study.datasets, *study.test_on):
        only = " (test images only)" if dataset in study.test_on else ""
        yield f"| dataset | {_plain(dataset.name)}{only}, fingerprint `{str(dataset.fingerprint)[:12]}…` |"
    yield f"| real images | {_listed(study.fractions)} |"
    if study.real_only:
        yield f"| real images, without synthetic ones | {_listed(study.real_only)} |"
    yield f"| synthetic images | {_listed(study.synthetic)}, in {_listed(study.synthetic_ratio)} of the patches |"
    yield f"| segmenters | {_listed([each.title for each in study.segmenters])} |"
    yield f"| seeds | {study.seeds} of segmenters, {study.generator_seeds or 1} of generators |"
    yield f"| IoU threshold of Δ | {study.iou} |"
    yield f"| made with | synthbench {_plain(board.synthbench)}, protocol {board.protocol} |\n"
    yield "## Entries\n"
    yield "| entry | generators | scores | bundle |"
    yield "|:--|:--|:--|:--|"
    for entry in board.entries:
        generators = _listed(_generators(opened, entry.name)) or "none"
        where = entry.address or f"entries/{entry.name}.zip"
        yield f"| {entry.name} | {generators} | {entry.verification} | [{entry.sha256[:12]}…]({where}) |"
    yield ""
    yield as_markdown(opened.groups, tables, "## Leaderboard\n\n", brief=True)
    yield f"[{MARKDOWN}]({MARKDOWN}) has all columns, cautions and definitions, [{PAGE}]({PAGE}) charts.\n"
    yield "## Add your method\n"
    yield "```"
    yield f"synthbench run leaderboards/{board.name} --generators my-method --name my-method"
    yield "synthbench bundle runs/my-method"
    yield f"synthbench board add leaderboards/{board.name} my-method.zip"
    yield "```\n"
    yield "`docs/boards.md` says what is verified and how to read the table."


def _generators(opened: OpenBoard, entry: str) -> list[str]:
    """Return the generators whose trainings an entry has."""
    found: dict[str, None] = {}
    for group in opened.groups:
        runs = group.results.runs
        for title, names in zip(runs["generator"], runs["entry"], strict=True):
            if title and entry in names.split(", "):
                found[str(title)] = None
    return list(found)


def _listed(values: list[Any]) -> str:
    return ", ".join(_plain(f"{value:.0%}" if isinstance(value, float) else str(value)) for value in values)


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is, in one line."""
    return " ".join(printable(text).split()).translate(_SIGNS)
