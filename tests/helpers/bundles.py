"""Bundles taken apart, changed, and put together again as someone would who knows how they are sealed."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

MANIFEST = "manifest.json"
CRATE = "ro-crate-metadata.json"
SEAL = "results/seal.json"


@dataclass(frozen=True)
class Made:
    """A run, its bundle, and what they were made of."""

    data: Path
    run: Path
    store: Path
    bundle: Path


def study(data: Path, **changes: object) -> dict[str, object]:
    """A small study of trial plugins on a dataset at a path."""
    return {
        "name": "trial",
        "datasets": [str(data)],
        "generators": [
            "duplicate",
            {"name": "duplicate", "label": "again"},
            {"name": "brighter", "config": {"gain": 1.3, "noise": 60}},
        ],
        "segmenters": ["threshold"],
        "encoder": "moments",
        "synthetic": [4],
        "seeds": 2,
        "budget": "smoke",
        **changes,
    }


def members(bundle: Path) -> dict[str, bytes]:
    """Return the files of a bundle."""
    with zipfile.ZipFile(bundle) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(bundle: Path, files: Mapping[str, bytes], *, sealed: bool = True) -> Path:
    """Write a bundle; `sealed`: with the checksums and sizes of these files, instead of those that it had."""
    files = dict(files)
    if sealed:
        tables = {name: _sha256(files[f"results/{name}"]) for name in json.loads(files[SEAL])}
        files[SEAL] = json.dumps(tables).encode()
        crate = json.loads(files[CRATE])
        for entity in crate["@graph"]:
            if "contentSize" in entity and entity["@id"] in files:
                entity["contentSize"] = str(len(files[entity["@id"]]))
        files[CRATE] = json.dumps(crate).encode()
        manifest = json.loads(files.pop(MANIFEST))
        manifest["files"] = {n: {"bytes": len(c), "sha256": _sha256(c)} for n, c in files.items()}
        files[MANIFEST] = json.dumps(manifest).encode()
    with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return bundle


def change_json(files: dict[str, bytes], name: str, change: Any) -> None:
    """Replace a JSON file by what `change` makes of its content, in place or by what it returns."""
    content = json.loads(files[name])
    result = change(content)
    files[name] = json.dumps(content if result is None else result).encode()


def change_table(files: dict[str, bytes], name: str, change: Any) -> None:
    """Replace a table by what `change` makes of it, in place or by what it returns."""
    table = pd.read_csv(io.BytesIO(files[name]), dtype=str, keep_default_na=False)
    result = change(table)
    files[name] = (table if result is None else result).to_csv(index=False).encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
