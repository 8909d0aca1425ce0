"""Cards of datasets: what entries and boards say of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from synthbench.board.entries import Entry
from synthbench.bundle import layout
from synthbench.bundle.reading import BundleFile
from synthbench.errors import DataError
from synthbench.results.sources import ABOUT
from synthbench.site._local_data import LocalData
from synthbench.site._picture_files import PictureFiles
from synthbench.site._safety import link_to, plain, slug
from synthbench.site._sheets import Sheet, real_sheet

__all__ = ["Dataset", "Datasets"]


_PARTS = {"train": "training", "test": "testing"}


@dataclass
class Dataset:
    """A dataset of a board.

    Attributes
    ----------
    name, task, fingerprint : str
    classes : tuple of str
    facts : tuple of (str, str)
        Numbers of images and objects, sizes.
    source, licence, citation : str
        As the bundle says, or as it is known on this machine.
    address : str
        The source, where it is an address that may be linked.
    boards : list of str
    sheet : Sheet or None
    """

    name: str
    task: str
    fingerprint: str
    classes: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    source: str
    licence: str
    citation: str
    address: str
    boards: list[str] = field(default_factory=list)
    sheet: Sheet | None = None

    @property
    def page(self) -> str:
        """The address of its page, from the front of the site."""
        return f"datasets/{slug(f'{self.name}-{self.fingerprint[:8]}')}.html"


class Datasets:
    """The datasets of all boards.

    Parameters
    ----------
    data
        Where images are looked for.
    pictures
        Where pictures are kept.
    """

    def __init__(self, data: LocalData, pictures: PictureFiles) -> None:
        self._data, self._pictures = data, pictures
        self._known: dict[tuple[str, str], Dataset] = {}

    def all(self) -> list[Dataset]:
        """Return the datasets by name."""
        return [self._known[key] for key in sorted(self._known)]

    def page(self, entry: Entry, title: str) -> str:
        """Return the address of the page of a dataset of an entry that was added."""
        return self._known[title, entry.contents.fingerprints[title]].page

    def sheet(self, entry: Entry, title: str) -> Sheet | None:
        """Return pictures of real images of a dataset of an entry that was added."""
        return self._known[title, entry.contents.fingerprints[title]].sheet

    def add(self, board: str, entry: Entry) -> None:
        """Add the datasets of an entry."""
        with BundleFile(entry.path) as file:
            described = file.json(layout.SOURCES)["datasets"]
        for title, fingerprint in entry.contents.fingerprints.items():
            if (title, fingerprint) not in self._known:
                self._known[title, fingerprint] = self._card(entry, title, fingerprint, described[title])
            known = self._known[title, fingerprint]
            if board not in known.boards:
                known.boards.append(board)

    def _card(self, entry: Entry, title: str, fingerprint: str, about: object) -> Dataset:
        if not isinstance(about, dict):
            raise DataError(f"{entry.path}: {layout.SOURCES}: dataset {title!r} isn't described")
        samples = entry.contents.datasets[title]
        local = self._data.find(entry.contents, title)
        known = {name: plain(about.get(name), 400) or plain(local.terms.get(name), 400) for name in ABOUT}
        return Dataset(
            title,
            samples.task,
            plain(fingerprint, 80),
            tuple(plain(name, 80) for name in samples.classes),
            tuple(_facts(entry, title)),
            known["source"],
            known["licence"],
            known["citation"],
            address=link_to(known["source"]),
            sheet=real_sheet(entry, title, self._data, self._pictures),
        )


def _facts(entry: Entry, title: str) -> list[tuple[str, str]]:
    samples, splits = entry.contents.datasets[title], entry.contents.splits[title]
    first = splits[0]
    parts = ", ".join(f"{len(ids):,} for {_PARTS.get(name, name)}" for name, ids in first.parts.items())
    folds = f", in {len(splits)} folds" if len(splits) > 1 else ""
    heights = np.array([(each.height, each.width) for each in samples.entries])
    least, most = (f"{h} × {w}" for h, w in (heights.min(axis=0), heights.max(axis=0)))
    found = [
        ("images", f"{len(samples):,}: {parts}{folds}"),
        ("size", f"{least} pixels" if least == most else f"{least} to {most} pixels"),
        ("kind", f"{samples.entries[0].dtype}, {samples.channels} channel{'s' * (samples.channels != 1)}"),
    ]
    if samples.task == "instances":
        found.append(("objects", f"{sum(each.objects for each in samples.entries):,}"))
    return found
