"""Which images of a dataset a list of names means: ids, or files with folders and suffixes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from synthbench.datasets.files import safe_id, without_suffix
from synthbench.errors import ConfigError, join_names
from synthbench.samples import Entry, SampleSet

__all__ = ["find_images"]

_PLACES = ("split", "folder")
"""Groups that stand before the name of a file in an id, where several files of a dataset have the same name."""


def find_images(given: Sequence[str], samples: SampleSet) -> dict[str, str]:
    """Return the ids of images by what names them: an id, or a file with its folder or suffix, as ``raw/cell-7.png``.

    Where several files of the dataset have the same name, their folders say which is meant. Names that the set doesn't
    have are left out.

    Raises
    ------
    ConfigError
        If a name could be any of several images: one of them may be tested.
    """
    known = set(samples.ids)
    same_name = _by_file_name(samples)
    found = {}
    for name in given:
        *folders, file = name.replace("\\", "/").split("/")
        stem = without_suffix(file)
        candidates = (name, without_suffix(name), file, stem, safe_id(stem))
        if image := next((text for text in candidates if text in known), ""):
            found[name] = image
            continue
        entries = same_name.get(safe_id(stem), [])
        best = max((_agreeing(entry, folders) for entry in entries), default=0)
        if images := [entry.id for entry in entries if _agreeing(entry, folders) == best]:
            if len(images) > 1:
                raise ConfigError(f"{name!r} is the name of {len(images)} images: {join_names(images)}; give the id")
            found[name] = images[0]
    return found


def _by_file_name(samples: SampleSet) -> Mapping[str, Sequence[Entry]]:
    """Return the entries whose id is the name of a file behind its split and folder, by this name."""
    found = defaultdict(list)
    for entry in samples.entries:
        places = [entry.groups[group] for group in _PLACES if entry.groups.get(group)]
        for before in dict.fromkeys(("-".join(places), *places)):
            start = safe_id(f"{before}-")
            if before and entry.id.startswith(start) and (name := entry.id.removeprefix(start)):
                found[name].append(entry)
                break
    return found


def _agreeing(entry: Entry, folders: Sequence[str]) -> int:
    """Return how many parts of an image's split and folder are among the folders of a name."""
    places = {part for group in _PLACES for part in re.split(r"[/\\]", entry.groups.get(group, "").lower()) if part}
    return len(places & {folder.lower() for folder in folders})
