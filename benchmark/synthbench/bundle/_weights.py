"""Weights of the trainings of a bundle, as safetensors: which are written, and what is checked of them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

from synthbench.bundle import layout
from synthbench.bundle.contents import Contents
from synthbench.bundle.findings import Findings
from synthbench.bundle.reading import MAX_FILE, BundleFile, parse_json
from synthbench.errors import DataError
from synthbench.store import Store

__all__ = ["check_weights", "header_of", "trained_weights"]

_MAX_HEADER = 2**24
_BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}
"""Type of a tensor → bits of a number."""


def trained_weights(store: Store, sources: Mapping[str, Any]) -> tuple[dict[str, bytes], list[str]]:
    """Return the files of weights of all trained generators and segmenters, and sentences on what is left out.

    Of each trained model these are its safetensors and the JSON files beside them, which say how its networks are
    made. Other files, such as the masks that a generator keeps, are images of the dataset, or may be.
    """
    files: dict[str, bytes] = {}
    notes: dict[str, None] = {}
    kinds = {"fit": "fit-segmenter", "fit_generator": "fit-generator"}
    for row in sources["trainings"]:
        for name, kind in kinds.items():
            if not (key := row[name]) or any(file.startswith(f"{layout.WEIGHTS}/{key}/") for file in files):
                continue
            folder = store.get(kind, key).folder / "model"
            tensors = sorted(folder.rglob("*.safetensors"))
            title = row["segmenter"] if name == "fit" else row["generator"]
            if not tensors:
                notes[f"no weights of {title}: it stores none as safetensors"] = None
                continue
            if large := [path for path in tensors if path.stat().st_size > MAX_FILE]:
                size = large[0].stat().st_size
                notes[f"no weights of {title}: {size:,} bytes, and a bundle takes files of {MAX_FILE:,}"] = None
                continue
            for path in [*tensors, *sorted(folder.glob("*.json"))]:
                files[layout.weights_file(key, path.relative_to(folder).as_posix())] = path.read_bytes()
    return files, list(notes)


def check_weights(file: BundleFile, contents: Contents, findings: Findings) -> None:
    """Check the files of weights: names, and headers that fit their sizes. No tensor is made of them."""
    names = [name for name in file.names if name.startswith(f"{layout.WEIGHTS}/")]
    if not names:
        return
    tensors = sum(name.endswith(".safetensors") for name in names)
    with findings.check(layout.WEIGHTS, f"headers and sizes of {tensors} files of weights, which belong to trainings"):
        for name in names:
            key, inner = name.split("/")[1], PurePosixPath(name)
            kind = contents.plan[key]["kind"] if key in contents.plan else ""
            if not kind.startswith("fit-") or len(inner.parts) < 3:
                findings.add(name, f"belongs to no training of {layout.PLAN}, expected {layout.WEIGHTS}/KEY/NAME")
            elif inner.suffix == ".safetensors":
                header_of(file.read(name), name)
            elif inner.suffix == ".json":
                parse_json(file.read(name), name)
            else:
                findings.add(name, "is neither .safetensors nor .json, expected no such file")
    findings.not_verified.append("that these weights give the predictions: that takes the plugins and the test images")


def header_of(data: bytes, name: str) -> dict[str, Any]:
    """Return the header of a file of safetensors: name of a tensor → ``dtype``, ``shape`` and ``data_offsets``.

    Source: https://github.com/huggingface/safetensors, "Format".

    Raises
    ------
    DataError
        If it isn't one: tensors must have known types, fill the file, and not overlap.
    """
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(_MAX_HEADER, len(data) - 8):
        raise DataError(f"{name}: is no file of safetensors: its header is {length:,} bytes of {len(data):,}")
    header = parse_json(data[8 : 8 + length], name)
    room = len(data) - 8 - length
    try:
        tensors = {key: row for key, row in header.items() if key != "__metadata__"}
        spans = sorted(_span(row, key, name) for key, row in tensors.items())
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name}: has a header that no file of safetensors has ({type(error).__name__})") from None
    ends = [(0, 0), *spans, (room, room)]
    if any(before[1] != after[0] for before, after in pairwise(ends)):
        raise DataError(f"{name}: its tensors overlap, or don't fill its {room:,} bytes")
    return dict(tensors)


def _span(row: Mapping[str, Any], key: str, name: str) -> tuple[int, int]:
    first, last = row["data_offsets"]
    shape = row["shape"]
    whole = all(type(number) is int and number >= 0 for number in (first, last, *shape))
    bits = _BITS.get(row["dtype"]) if isinstance(row["dtype"], str) else None
    if not whole or bits is None or (last - first) * 8 != math.prod(shape) * bits:
        about = json.dumps([row["dtype"], shape])[:80]
        raise DataError(
            f"{name}: the tensor {str(key)[:80]!r} has {last - first} bytes, which isn't what {about} takes"
        )
    return first, last
