"""RO-Crate 1.1 metadata of a bundle: what it is, its files, datasets and software, as JSON-LD.

Source: https://www.researchobject.org/ro-crate/1.1/
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from synthbench.bundle.layout import CRATE

__all__ = ["CONTEXT", "SPECIFICATION", "check_crate", "make_crate"]

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
        Name → size in bytes, of all files but the metadata file.
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
        "object": [{"@id": each} for each in used],
        "instrument": [{"@id": each} for each in instruments],
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
    }.get(folder, "file of the bundle")
    return {"@id": _address(name), "@type": "File", "name": about, "encodingFormat": kind, "contentSize": str(size)}


def _dataset(identifier: str, title: str, about: Mapping[str, Any]) -> dict[str, Any]:
    names = {"license": "licence", "citation": "citation", "url": "source"}
    known = {key: str(about[name]) for key, name in names.items() if about.get(name)}
    return {"@id": identifier, "@type": "Dataset", "name": title, **known}


def check_crate(content: Any, files: Mapping[str, int]) -> list[str]:
    """Return what is wrong with a metadata file, in words; nothing where it is RO-Crate 1.1 and names all files.

    Parameters
    ----------
    content
        What the JSON file says.
    files
        Name → size, of the files of the bundle but the metadata file.
    """
    try:
        entities = {str(entity["@id"]): entity for entity in content["@graph"]}
        if content["@context"] != CONTEXT:
            return [f"@context is {str(content['@context'])[:80]!r}, expected {CONTEXT!r}"]
        if entities[CRATE]["conformsTo"] != {"@id": SPECIFICATION} or entities[CRATE]["about"] != {"@id": "./"}:
            return [f"{CRATE!r} doesn't describe './' by {SPECIFICATION}"]
        root = entities["./"]
        parts = {unquote(part["@id"]) for part in root["hasPart"]}
        sizes = {unquote(name): entity.get("contentSize") for name, entity in entities.items()}
        if root["@type"] != "Dataset" or not isinstance(root["datePublished"], str):
            return ["'./' is no Dataset with a datePublished"]
    except (KeyError, TypeError, AttributeError) as error:
        return [f"lacks {error}, which RO-Crate 1.1 requires"]
    problems = [f"names {name!r}, which the bundle hasn't" for name in sorted(parts - files.keys())]
    problems += [f"doesn't name {name!r}" for name in sorted(files.keys() - parts)]
    for name in sorted(parts & files.keys()):
        if name != "manifest.json" and sizes.get(name) != str(files[name]):
            problems.append(f"contentSize of {name!r} is {sizes.get(name)}, expected {files[name]}")
    return problems
