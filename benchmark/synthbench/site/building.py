"""The site: every board of a folder as static pages, written at once or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup, escape

from synthbench.board.model import BOARD, is_board
from synthbench.board.rendering import CSV, JSON, as_csv, as_json
from synthbench.errors import ConfigError
from synthbench.io.escaping import printable
from synthbench.leaderboard.page_templates import page_environment
from synthbench.leaderboard.parts import COST_WORDS
from synthbench.site._boards import BoardPage, read_board_page
from synthbench.site._datasets import Datasets
from synthbench.site._local_data import LocalData
from synthbench.site._methods import Methods, plugins_of
from synthbench.site._picture_files import PictureFiles
from synthbench.version import __version__

__all__ = ["Built", "build_site"]

LIST = "boards.json"
"""What the site holds, for programs; by it a folder is recognised as a site that may be replaced."""
_MADE_BY = "synthbench site"


@dataclass(frozen=True)
class Built:
    """A site that was written.

    Attributes
    ----------
    folder : Path
    boards, pages, pictures : int
    size : int
        In bytes, with bundles.
    notes : tuple of str
        Sentences on what isn't shown.
    """

    folder: Path
    boards: int
    pages: int
    pictures: int
    size: int
    notes: tuple[str, ...]


@dataclass
class _Site:
    templates: Environment
    files: dict[str, bytes] = field(default_factory=dict)
    copies: dict[str, Path] = field(default_factory=dict)

    def add(self, name: str, template: str, **values: Any) -> None:
        """Add a page."""
        depth = name.count("/")
        text = self.templates.get_template(template).render(root="../" * depth, here=name, **values)
        self.files[name] = text.encode()


def build_site(source: Path, out: Path, data: Sequence[str] = ()) -> Built:
    """Write the boards of a folder as static pages.

    Parameters
    ----------
    source
        A folder of boards, or a board.
    out
        The folder of the site: new, empty, or a site, which is replaced.
    data
        Datasets whose images may be shown, by their names in the library or as paths; those of the library that the
        boards are about are found without.

    Raises
    ------
    ConfigError, DataError
        If there is no board, one can't be read, or the folder holds something else: one line; nothing is written then.
    """
    _check_free(out)
    notes: list[str] = []
    folders = list(_boards_of(source, notes))
    pictures, local = PictureFiles(), LocalData(data)
    boards = [read_board_page(folder, local, pictures, notes) for folder in folders]
    names = [board.name for board in boards]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{source}: two boards are called {name!r}; rename one in its {BOARD}")
    methods, datasets = Methods(), Datasets(local, pictures)
    for board in boards:
        _collect(board, methods, datasets)
    site = _Site(_templates())
    _add_pages(site, boards, methods, datasets)
    site.files |= {"site.css": _text("report.css", "site.css"), "site.js": _text("sort.js", "filter.js")}
    site.files["icon.svg"] = (files("synthbench.site") / "templates" / "icon.svg").read_bytes()
    site.files[LIST] = _listing(boards)
    pages = sum(name.endswith(".html") for name in site.files)
    site.files |= pictures.files
    _write(site, out)
    size = sum(map(len, site.files.values())) + sum(path.stat().st_size for path in site.copies.values())
    return Built(out, len(boards), pages, len(pictures.files), size, tuple(dict.fromkeys(notes)))


def _boards_of(source: Path, notes: list[str]) -> Iterator[Path]:
    if is_board(source):
        yield source if source.is_dir() else source.parent
        return
    if not source.is_dir():
        raise ConfigError(f"{source}: no such folder; give a folder of boards, such as leaderboards")
    folders = sorted(path for path in source.iterdir() if path.is_dir() and not path.name.startswith("."))
    others = [folder for folder in folders if not is_board(folder)]
    notes.extend(f"{folder}: has no {BOARD}, so it is no board, and is ignored" for folder in others)
    found = [folder for folder in folders if is_board(folder)]
    if not found:
        raise ConfigError(f"{source}: has no board in it; make one with 'synthbench board new RUN --out {source}/NAME'")
    yield from found


def _collect(board: BoardPage, methods: Methods, datasets: Datasets) -> None:
    tables = {name: each.parts.table for each in board.groups for name in each.group.entries}
    for entry in board.results:
        own = [sheet for sheet in board.sheets if sheet.entry == entry.name]
        methods.add(board.board.name, entry, tables[entry.name], own)
        datasets.add(board.board.name, entry)


def _add_pages(site: _Site, boards: list[BoardPage], methods: Methods, datasets: Datasets) -> None:
    pages = {board.board.name: board.page for board in boards}
    common = {"version": __version__, "methods": methods, "datasets": datasets, "board_pages": pages}
    site.add("index.html", "index.html", boards=boards, **common)
    for board in boards:
        real = [datasets.sheet(board.results[0], title) for title in board.results[0].contents.datasets]
        site.add(
            board.page,
            "board.html",
            page=board,
            cost_words=COST_WORDS,
            real_sheets=[sheet for sheet in real if sheet is not None],
            plugin_pages=_plugin_pages(board, methods),
            study=board.board.study.to_yaml(),
            **common,
        )
        groups, tables = board.opened.groups, [each.parts.table for each in board.groups]
        head = {"board": board.board.name, "version": board.board.version}
        site.files[f"boards/{board.name}/{CSV}"] = as_csv(groups, tables).encode()
        site.files[f"boards/{board.name}/{JSON}"] = as_json(groups, tables, head).encode()
        for entry in board.entries:
            if entry.file is not None:
                site.copies[entry.href] = entry.file
    site.add("methods.html", "methods.html", **common)
    for method in (*methods.all("generator"), *methods.all("segmenter")):
        site.add(method.page, "method.html", method=method, **common)
    site.add("datasets.html", "datasets.html", **common)
    for dataset in datasets.all():
        site.add(dataset.page, "dataset.html", dataset=dataset, **common)
    site.add("how-to-read.html", "how-to-read.html", boards=boards, **common)
    site.add("how-to-join.html", "how-to-join.html", boards=boards, **common)


def _plugin_pages(board: BoardPage, methods: Methods) -> dict[str, str]:
    """Return by title the page of a generator; titles of another entry are followed by its name."""
    pages = {}
    for entry in board.results:
        for title, (name, *_) in plugins_of(entry)["generator"].items():
            pages[title] = pages[f"{title} ({entry.name})"] = methods.page("generator", name)
    return pages


def _templates() -> Environment:
    found = page_environment("synthbench.site")
    found.filters["code"] = _code
    return found


def _code(text: str) -> Markup:
    """Return a text in which what stands between backticks is code."""
    parts = printable(text).split("`")
    if len(parts) % 2 == 0:
        return escape(printable(text))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if i % 2 else escape(part) for i, part in enumerate(parts)
    )


def _text(shared: str, own: str) -> bytes:
    """Return a file of the report's style or script, followed by that of the site."""
    parts = (files("synthbench.leaderboard") / "templates" / shared, files("synthbench.site") / "templates" / own)
    return "\n".join(part.read_text(encoding="utf-8") for part in parts).encode()


def _listing(boards: list[BoardPage]) -> bytes:
    rows = [
        {
            "name": board.board.name,
            "version": board.board.version,
            "question": board.question,
            "answer": board.answer,
            "page": board.page,
            "table": f"boards/{board.name}/{JSON}",
            "entries": [entry.listed.name for entry in board.entries],
        }
        for board in boards
    ]
    content = {"made_by": _MADE_BY, "synthbench": __version__, "boards": rows}
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def _check_free(out: Path) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    try:
        is_site = json.loads((out / LIST).read_text(encoding="utf-8"))["made_by"] == _MADE_BY
    except (OSError, ValueError, KeyError, TypeError):
        is_site = False
    if not is_site:
        raise ConfigError(f"{out}: holds something that is no site, which would be replaced; give another --out")


def _write(site: _Site, out: Path) -> None:
    """Write all files beside the folder, and put them in its place."""
    out.resolve().parent.mkdir(parents=True, exist_ok=True)
    target = out.resolve()
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        new = work / "new"
        for name, content in site.files.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_bytes(content)
        for name, path in site.copies.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, new / name)
        _swap(new, target, work / "old")
    except OSError as error:
        raise ConfigError(
            f"{out}: can't be written ({printable(error.strerror or str(error))}); give another --out"
        ) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _swap(new: Path, target: Path, old: Path) -> None:
    """Put a folder in the place of another one, which comes back if that fails."""
    existed = target.exists()
    if existed:
        os.replace(target, old)
    try:
        os.replace(new, target)
    except OSError:
        if existed:
            os.replace(old, target)
        raise
