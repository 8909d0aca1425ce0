"""What a fit has learned, as far as the numbers that it saves tell it."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthbench.plugin.api import CONFIG_FILE

__all__ = ["Numbers", "TEXTS", "arrays", "changed", "numbers"]

Numbers = dict[str, float | str]
"""Numbers by file and place in it; of an array, and of a file of unknown form, a SHA-256."""

TEXTS = {".txt", ".csv", ".tsv", ".yaml", ".yml", ".toml", ".md", ".log", ".jsonl"}


def numbers(folder: Path) -> Numbers:
    """Return every number that a plugin has saved, but its configuration.

    Texts are left out: the name or the fingerprint of a training set is nothing that was learned from it.
    """
    found: Numbers = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / CONFIG_FILE:
            name = path.relative_to(folder).as_posix()
            found.update((f"{name}:{place}", value) for place, value in _inside(path))
    return found


def arrays(found: Numbers) -> Numbers:
    """Return those that are arrays or files of unknown form."""
    return {name: value for name, value in found.items() if isinstance(value, str)}


def changed(one: Numbers, other: Numbers, given: Collection[float] = ()) -> set[str]:
    """Return the names of numbers that differ, but for those that hold what the fit was given, like its seed."""
    names = one.keys() | other.keys()
    return {
        name
        for name in names
        if one.get(name) != other.get(name) and not {one.get(name), other.get(name)} <= {*given, None}
    }


def _inside(path: Path) -> Iterator[tuple[str, float | str]]:
    try:
        if path.suffix == ".json":
            yield from _leaves(json.loads(path.read_text(encoding="utf-8")))
        elif path.suffix in TEXTS:
            yield from _in_text(path.read_text(encoding="utf-8"))
        elif path.suffix == ".npy":
            yield "", _digest(np.load(path, allow_pickle=False))
        elif path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                yield from [(name, _digest(archive[name])) for name in archive.files]
        elif path.suffix == ".safetensors":
            yield from _tensors(path.read_bytes())
        else:
            yield "", hashlib.sha256(path.read_bytes()).hexdigest()
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile):
        yield "", hashlib.sha256(path.read_bytes()).hexdigest()


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _leaves(part, f"{place}.{name}")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _leaves(part, f"{place}[{index}]")
    elif isinstance(value, int | float):
        yield place, float(value)


def _in_text(text: str) -> Iterator[tuple[str, float]]:
    for index, word in enumerate(text.replace(",", " ").replace(";", " ").split()):
        try:
            yield str(index), float(word)
        except ValueError:
            continue


def _digest(array: NDArray[Any]) -> str:
    return hashlib.sha256(f"{array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes()).hexdigest()


def _tensors(content: bytes) -> Iterator[tuple[str, str]]:
    """Yield the tensors of a safetensors file: the length of the header, the header, the bytes."""
    begin = 8 + int.from_bytes(content[:8], "little")
    for name, entry in json.loads(content[8:begin]).items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            yield name, hashlib.sha256(content[begin + first : begin + last]).hexdigest()
