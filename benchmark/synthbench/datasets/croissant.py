"""Descriptions of datasets in the Croissant format of MLCommons, version 1.0 (http://mlcommons.org/croissant/1.0).

A dataset of a plugin is described without downloading it: its files, their hashes where published, and the records that
are read from them. A sample set is described as it is stored, so that other tools can read its records.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synthbench.datasets.download import Remote
from synthbench.plugin.api import Dataset
from synthbench.plugin.registry import registry
from synthbench.samples import INDEX, SampleSet

__all__ = ["describe_plugin", "describe_samples"]

Json = dict[str, Any]

_VERSION = "http://mlcommons.org/croissant/1.0"
_TERMS = (
    "citeAs column equivalentProperty extract field fileObject fileProperty fileSet format includes isLiveDataset "
    "jsonPath key md5 parentField path recordSet references regex repeated replace samplingRate separator source "
    "subField transform"
)
_CONTEXT: Json = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _TERMS.split()},
}
_SUFFIX_FORMATS = {".zip": "application/zip", ".gz": "application/gzip", ".tgz": "application/gzip"}


def describe_plugin(name: str) -> Json:
    """Return the description of a dataset plugin, as JSON-LD; nothing is downloaded.

    Its records are those of the sample set that ``synthbench dataset add`` makes. The published files are listed with
    their hashes, where these are published. The dataset is "live", as files of it have no hash yet.

    Raises
    ------
    PluginError
        If there is no such plugin, or it can't be loaded.
    """
    cls: type[Dataset[Any]] = registry().load("dataset", name)
    spec = registry().get("dataset", name).spec
    page = _page(cls.source)
    remotes: Sequence[Remote] = getattr(cls(cls.Config()), "remotes", tuple)()
    files = [_remote(remote) for remote in remotes]
    if not files and page:
        how = getattr(cls, "obtain", "") or "described on this page"
        files = [_file("page", page, page, "text/html") | {"description": how}]
    added = f"written by 'synthbench dataset add {name}'"
    splits = getattr(cls, "splits", ())
    groups = {"split": f"official split: {', '.join(splits)}"} if splits else {}
    groups |= {group: f"group: {group}" for group in getattr(cls, "groups", ())}
    task = next(iter(spec.tasks))
    return {
        **_head(name, spec.summary, cls.licence, cls.citation, page),
        "isLiveDataset": True,
        "distribution": [
            *files,
            _file("index", INDEX, INDEX, "application/json") | {"description": added},
            _file_set("image-files", "images", (".png", ".tif")),
            _file_set("mask-files", "labels", (".png", ".tif")),
        ],
        "recordSet": _record_sets(task, cls.classes, cls.channels, groups),
    }


def describe_samples(samples: SampleSet, folder: Path) -> Json:
    """Return the description of a sample set as it lies in `folder`, as JSON-LD.

    Addresses of files are relative to the folder. Groups that every sample has are fields.
    """
    index = (folder / INDEX).read_bytes()
    rows = json.loads(index)["samples"]
    names = sorted({name for entry in samples.entries for name in entry.groups})
    shared = [name for name in names if all(name in entry.groups for entry in samples.entries)]
    licence, citation, source = (str(samples.info.get(key, "")) for key in ("licence", "citation", "source"))
    about = f"{len(samples)} micrographs with masks, task {samples.task}"
    return {
        **_head(samples.name, about, licence, citation, _page(source)),
        "distribution": [
            _file("index", INDEX, INDEX, "application/json") | {"sha256": hashlib.sha256(index).hexdigest()},
            _file_set("image-files", "images", [Path(row["image"]).suffix for row in rows]),
            _file_set("mask-files", "labels", [Path(row["labels"]).suffix for row in rows]),
        ],
        "recordSet": _record_sets(
            samples.task,
            samples.classes,
            samples.channel_names,
            {name: _described_group(name, samples) for name in shared},
        ),
    }


def _record_sets(task: str, classes: Sequence[str], channels: Sequence[str], groups: Mapping[str, str]) -> list[Json]:
    """Return the record sets of a sample set: rows of the index, images, and masks; each has the id of the sample.

    They aren't joined: mlcroissant 1.1 doesn't join files with JSON, and gives the image for the mask of joined files.
    """
    shown = f"micrograph; channels {', '.join(channels)}" if channels else "micrograph"
    labels = "label map: 0 is background, each other value an object"
    if task == "semantic":
        labels = f"class map: {', '.join(f'{n} {name}' for n, name in enumerate(classes))}"
    rows = {name: (about, _in_index(f"groups.[{name!r}]")) for name, about in groups.items()}
    return [
        _record_set("samples", "Official split and groups of each sample.", _in_index("id"), "sc:Text", rows),
        _record_set("images", "Images.", _stem("image-files"), *_pixels("image", shown)),
        _record_set("masks", "Masks.", _stem("mask-files"), *_pixels("mask", labels)),
    ]


def _pixels(name: str, description: str) -> tuple[str, Mapping[str, tuple[str, Json]]]:
    return "sc:ImageObject", {name: (description, _content(f"{name}-files"))}


def _head(name: str, description: str, licence: str, citation: str, page: str) -> Json:
    year = re.search(r"\((\d{4})\)", citation)
    authors = re.match(r"(.+? et al\.)", citation)
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": _VERSION,
        "name": name,
        "description": description,
        **({"license": licence} if licence else {}),
        **({"citeAs": citation} if citation else {}),
        **({"datePublished": year[1]} if year else {}),
        **({"creator": {"@type": "sc:Person", "name": authors[1]}} if authors else {}),
        **({"url": page} if page else {}),
    }


def _remote(remote: Remote) -> Json:
    name = remote.filename
    kind = _SUFFIX_FORMATS.get(Path(name).suffix.lower()) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return _file(name, name, remote.url, kind) | ({"sha256": remote.sha256.lower()} if remote.sha256 else {})


def _file(identity: str, name: str, url: str, kind: str) -> Json:
    return {"@type": "cr:FileObject", "@id": identity, "name": name, "contentUrl": url, "encodingFormat": kind}


def _file_set(identity: str, subfolder: str, suffixes: Sequence[str]) -> Json:
    used = sorted(set(suffixes))
    return {
        "@type": "cr:FileSet",
        "@id": identity,
        "name": identity,
        "encodingFormat": [mimetypes.guess_type(f"a{suffix}")[0] or "application/octet-stream" for suffix in used],
        "includes": [f"{subfolder}/*{suffix}" for suffix in used],
    }


def _record_set(name: str, description: str, identity: Json, kind: str, fields: Mapping[str, tuple[str, Json]]) -> Json:
    """Return a record set of an id and of fields of one kind: name → description and source."""
    rows = [_field(name, "id", "sc:Text", "id of the sample", identity)]
    rows += [_field(name, field, kind, about, source) for field, (about, source) in fields.items()]
    head = {"@type": "cr:RecordSet", "@id": name, "name": name, "key": {"@id": f"{name}/id"}}
    return {**head, "description": description, "field": rows}


def _field(record_set: str, name: str, kind: str, description: str, source: Json) -> Json:
    head = {"@type": "cr:Field", "@id": f"{record_set}/{name}", "name": name}
    return {**head, "description": description, "dataType": kind, "source": source}


def _in_index(path: str) -> Json:
    return {"fileObject": {"@id": "index"}, "extract": {"jsonPath": f"$.samples[*].{path}"}}


def _stem(files: str) -> Json:
    transform = {"regex": r"^(.+)\.[^.]+$"}
    return {"fileSet": {"@id": files}, "extract": {"fileProperty": "filename"}, "transform": transform}


def _content(files: str) -> Json:
    return {"fileSet": {"@id": files}, "extract": {"fileProperty": "content"}}


def _page(source: str) -> str:
    return source.split(maxsplit=1)[0] if source.startswith("http") else ""


def _described_group(name: str, samples: SampleSet) -> str:
    values = sorted({entry.groups[name] for entry in samples.entries})
    shown = ", ".join(values[:12]) + (" …" if len(values) > 12 else "")
    return f"{'split' if name == 'split' else 'group'}: {shown}"
