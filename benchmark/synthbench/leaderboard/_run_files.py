"""What the report page shows of the files of a run folder: pictures, tracebacks and the environment."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup
from PIL import Image

from synthbench.leaderboard._formatting import MISSING

__all__ = ["INDEX", "PICTURES", "environment", "pictures", "read_text"]

PICTURES = "pictures"
INDEX = "index.json"


def pictures(folder: Path) -> list[dict[str, Any]]:
    """Return the pictures of a run folder, embedded as data."""
    index = folder / PICTURES / INDEX
    if not _own(index, folder):
        return []
    try:
        return [
            {
                "title": str(row["title"]),
                "shots": [
                    _shot(folder, Path(str(item["file"])).name, str(item["caption"])) for item in row["pictures"]
                ],
            }
            for row in json.loads(index.read_text(encoding="utf-8"))
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        caption = f"The list of pictures, {PICTURES}/{INDEX}, is damaged; run the study again to recreate it."
        return [{"title": "", "shots": [{"data": "", "caption": caption}]}]


def _shot(folder: Path, name: str, caption: str) -> dict[str, Any]:
    """Return a picture as data; where it can't be shown, a caption that says so."""
    file = folder / PICTURES / name
    try:
        if not _own(file, folder):
            raise FileNotFoundError
        with Image.open(file) as picture:
            picture.verify()
    except Exception:  # decoders raise anything on damaged files
        return {"data": "", "caption": f"{caption} (not shown: its file is missing or damaged)"}
    return {"data": Markup("data:image/png;base64,") + base64.b64encode(file.read_bytes()).decode(), "caption": caption}


def environment(folder: Path, rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Return what the study was run on; without ``environment.json``, what its tables say."""
    facts = {"Segmenters trained on": ", ".join(sorted({d for d in rows["device"] if d})) or MISSING}
    try:
        known = json.loads(read_text(folder / "environment.json") or "{}")
        machine, versions = known["hardware"], known["versions"]
        facts["Machine"] = f"{machine['system']}, {machine['processor']}, {machine['cores']} cores"
        facts["Versions"] = ", ".join(f"{name} {version}" for name, version in versions.items())
        facts["Source"] = known["source_state"].get("commit", "installed")
    except (ValueError, KeyError, TypeError, AttributeError):
        facts["Machine"] = MISSING
    return list(facts.items())


def read_text(path: Path) -> str:
    """Return the text of a file of a run folder; "" where there is none."""
    return path.read_text(encoding="utf-8", errors="replace") if _own(path, path.parent) else ""


def _own(path: Path, folder: Path) -> bool:
    """Whether this is a regular file of the folder: a link could put any file of the machine on the page."""
    return path.is_file() and path.resolve() == folder.resolve() / path.relative_to(folder)
