"""RO-Crate 1.1 metadata of a bundle: what it is, its files, datasets and software, as JSON-LD.

Source: https://www.researchobject.org/ro-crate/1.1/
"""

from __future__ import annotations

import datetime
import json
import mimetypes
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from synthbench.bundle.layout import CRATE, MANIFEST
from synthbench.errors import DataError

__all__ = ["CONTEXT", "SPECIFICATION", "check_crate", "date_of", "make_crate"]

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
SPECIFICATION = "https://w3id.org/ro/crate/1.1"
_TYPES = {".json": "application/json", ".yaml": "application/yaml", ".csv": "text/csv", ".png": "image/png"}
_ABOUT = {
    "study.yaml": "the study, with every default",
    "plan.json": "what each task's key is made of",
    "sources.json": "datasets image by image, without pixels, and the tasks behind each training",
    "environment.json": "machine, distributions and versions, plugins and commits",
    "methods.json": "generators, segmenters and encoders, with their descriptions",
    "costs.json": "time and memory by kind of task",
    "leaderboard.json": "the leaderboard, a row per arm and segmenter",
    "manifest.json": "size and SHA-256 of every other file",
}


def make_crate(
    name: str,
    date: str,
    files: Mapping[str, int],
    datasets: Mapping[str, Mapping[str, Any]],
    software: Sequence[tuple[str, str]],
) -> str:
    """Return the metadata file of a bundle.

    Parameters
    ----------
    name
        Of the study.
    date
        When its tables were written, as ISO 8601.
    files
        Name → size in bytes, of all files but the metadata file. That of the manifest isn't used: it depends on this
        file.
    datasets
        Title → ``licence``, ``citation`` and ``source``, empty where they aren't known.
    software
        Name and version of what the run was computed with.
    """
    used = [f"#dataset-{quote(title, safe='')}" for title in datasets]
    instruments = [f"#software-{quote(title, safe='')}" for title, _ in software]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"synthbench study {name}",
        "description": "A benchmark of synthetic training images for segmentation: study, splits, predictions on the "
        "test images, scores and leaderboard; 'synthbench verify' checks it. The images of the datasets aren't part "
        "of it.",
        "datePublished": date,
        "license": {"@id": "#licence"},
        "hasPart": [{"@id": _address(file)} for file in sorted(files)],
        "mentions": [{"@id": each} for each in [*used, "#run"]],
    }
    licence = {
        "@id": "#licence",
        "@type": "CreativeWork",
        "name": "not stated",
        "description": "Whoever publishes the bundle chooses its licence; the datasets have licences of their own.",
    }
    run = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": "synthbench run",
        "endTime": date,
        "object": _references(used),
        "instrument": _references(instruments),
        "result": {"@id": "./"},
    }
    graph: list[dict[str, Any]] = [
        {
            "@id": CRATE,
            "@type": "CreativeWork",
            "conformsTo": {"@id": SPECIFICATION},
            "about": {"@id": "./"},
        },
        root,
        licence,
        run,
        *(_file(file, size) for file, size in sorted(files.items())),
        *(_dataset(each, title, about) for each, (title, about) in zip(used, datasets.items(), strict=True)),
        *(
            {"@id": each, "@type": "SoftwareApplication", "name": title, "softwareVersion": version}
            for each, (title, version) in zip(instruments, software, strict=True)
        ),
    ]
    return json.dumps({"@context": CONTEXT, "@graph": graph}, indent=1, ensure_ascii=False) + "\n"


def _references(identifiers: Sequence[str]) -> Any:
    """Return references to entities; one alone is no list, as the specification recommends."""
    found = [{"@id": each} for each in identifiers]
    return found[0] if len(found) == 1 else found


def _address(file: str) -> str:
    return quote(file, safe="/+,=@")


def _file(name: str, size: int) -> dict[str, Any]:
    suffix = name[name.rfind(".") :]
    kind = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    folder = name.partition("/")[0]
    about = _ABOUT.get(name) or {
        "results": "table of the run",
        "splits": "identifiers of the training, validation and test images",
        "predictions": "predicted label map of a test image",
        "samples": "drawn synthetic sample",
        "weights": "trained weights, or how their networks are made",
    }.get(folder, "file of the bundle")
    whole = {"@id": _address(name), "@type": "File", "name": about, "encodingFormat": kind}
    return whole if name == MANIFEST else {**whole, "contentSize": str(size)}  # which has the hash of the metadata file


def _dataset(identifier: str, title: str, about: Mapping[str, Any]) -> dict[str, Any]:
    names = {"license": "licence", "citation": "citation", "url": "source"}
    known = {key: str(about[name]) for key, name in names.items() if about.get(name)}
    return {"@id": identifier, "@type": "Dataset", "name": title, **known}


_PROSE = ("name", "description")
"""What may be worded otherwise by another version."""


def check_crate(content: Any, expected: Any) -> list[str]:
    """Return what is wrong with a metadata file, in words.

    Parameters
    ----------
    content
        What the JSON file says.
    expected
        What `make_crate` gives; names and descriptions may be worded otherwise.
    """
    try:
        found = {str(entity["@id"]): entity for entity in content["@graph"]}
        if content["@context"] != CONTEXT:
            return [f"@context is {str(content['@context'])[:80]!r}, expected {CONTEXT!r}"]
        right = {str(entity["@id"]): entity for entity in expected["@graph"]}
        problems = [f"describes {name!r}, expected no such thing" for name in sorted(found.keys() - right.keys())]
        problems += [f"doesn't describe {name!r}" for name in sorted(right.keys() - found.keys())]
        for name in sorted(found.keys() & right.keys()):
            for key in sorted(found[name].keys() | right[name].keys()):
                value, wanted = found[name].get(key), right[name].get(key)
                if not isinstance(value, str) if key in _PROSE else value != wanted:
                    problems.append(f"{key} of {name!r} is {str(value)[:80]}, expected {str(wanted)[:80]}")
    except (KeyError, TypeError, AttributeError) as error:
        return [f"lacks {error}, which RO-Crate 1.1 requires"]
    return problems


def date_of(content: Any) -> str:
    """Return the day that a metadata file gives as the date of the bundle; raise `DataError` if there is none."""
    try:
        dates = [entity["datePublished"] for entity in content["@graph"] if entity["@id"] == "./"]
        return datetime.date.fromisoformat(dates[0]).isoformat()
    except (KeyError, TypeError, AttributeError, IndexError, ValueError):
        raise DataError(f"{CRATE}: './' has no datePublished, expected a date such as 2026-01-31") from None
