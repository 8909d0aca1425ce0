"""A finished run as one file: `write_bundle`."""

from __future__ import annotations

import datetime
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from synthbench import leaderboard
from synthbench.bundle import layout
from synthbench.bundle._machines import WEIGHTS, costs_of, environment_of, plugins_of, software_of
from synthbench.bundle._privacy import check_private, without_paths
from synthbench.bundle._samples import drawn_samples
from synthbench.bundle._weights import trained_weights
from synthbench.bundle.crate import make_crate
from synthbench.bundle.label_png import encode_labels
from synthbench.datasets.weights_card import read_card
from synthbench.errors import ConfigError, DataError, SynthbenchError
from synthbench.io.atomic import atomic_write
from synthbench.plugin.registry import registry
from synthbench.results import TABLES, Results, load_results
from synthbench.results.sources import read_sources
from synthbench.samples import read_array
from synthbench.store import Artifact, Store
from synthbench.study.model import Study
from synthbench.version import __version__

__all__ = ["Written", "write_bundle"]

_DATE = (1980, 1, 1, 0, 0, 0)
"""Of every entry: the earliest that a ZIP file can hold."""
_MODE = 0o100644
_TEXTS = (".json", ".yaml", ".csv")


@dataclass(frozen=True)
class Written:
    """A bundle that was written.

    Attributes
    ----------
    path : Path
    size : int
        In bytes.
    predictions, samples : int
        Predicted label maps, and drawn samples.
    notes : tuple of str
        Sentences on what was left out.
    """

    path: Path
    size: int
    predictions: int
    samples: int
    notes: tuple[str, ...] = ()


def write_bundle(run: Path, store: Store, out: Path, *, every_sample: bool = False, weights: bool = False) -> Written:
    """Write a finished run into one ZIP file, with the same bytes every time.

    Parameters
    ----------
    run
        The run folder.
    store
        Where the run's artifacts are.
    out
    every_sample
        All drawn samples instead of a few of each generator.
    weights
        Trained weights too, as safetensors.

    Raises
    ------
    DataError
        If it is no run folder, its run isn't finished, or its tables were changed.
    ConfigError
        If trainings failed or are missing, or a path or a name of this machine would get into the bundle.
    StoreError
        If the store lacks an artifact.
    """
    results = load_results(run)
    sources = read_sources(run)
    _check_finished(run, results)
    plan = _read_json(run / layout.PLAN)
    predictions = dict(_predictions(store, sources))
    samples, notes = drawn_samples(store, results.study, sources, results.fidelity, every=every_sample)
    trained: dict[str, bytes] = {}
    if weights:
        trained, left_out = trained_weights(store, sources)
        notes += left_out
    records = [artifact.record for artifact in _artifacts(store, results)]
    environment = environment_of(_read_json(run / layout.ENVIRONMENT), records)
    files: dict[str, bytes] = {
        layout.STUDY: yaml.safe_dump(without_paths(results.study), sort_keys=False, allow_unicode=True).encode(),
        layout.PLAN: _json(plan),
        layout.SOURCES: _json(sources),
        layout.ENVIRONMENT: _json(environment),
        layout.METHODS: _json([*_methods(plan), *_weights(results.study)]),
        layout.COSTS: _json(costs_of(results.tasks)),
        layout.LEADERBOARD: leaderboard.as_json(leaderboard.table(results)).encode(),
        layout.SEAL: _bytes(run / layout.SEAL),
        **{layout.table_file(name): _bytes(run / layout.table_file(name)) for name in TABLES},
        **{layout.split_file(title): _bytes(run / layout.split_file(title)) for title in sources["datasets"]},
        **predictions,
        **samples,
        **trained,
    }
    _check_private(files)
    sizes = {name: len(content) for name, content in files.items()} | {layout.MANIFEST: 0}
    software = software_of(environment)
    files[layout.CRATE] = make_crate(results.study.name, _date(run), sizes, sources["datasets"], software).encode()
    files[layout.MANIFEST] = _manifest(files)
    atomic_write(out, _zipped(files))
    drawn = sum(name.startswith("samples/") and "/images/" in name for name in files)
    return Written(out, out.stat().st_size, len(predictions), drawn, tuple(notes))


def _check_finished(run: Path, results: Results) -> None:
    again = f"the same 'synthbench run' command resumes it: synthbench run {run / 'study.yaml'} --out {run}"
    wrong = results.runs[results.runs["status"] != "ok"]
    if len(wrong):
        first = wrong.iloc[0]
        reason = f" ({first['error']})" if first.get("error") else ""
        raise ConfigError(
            f"{run}: {len(wrong)} of {len(results.runs)} trainings are {first['status']}, the first "
            f"{first['segmenter']} on {first['arm']}, seed {first['seed']:g}{reason}; a bundle takes "
            f"a finished run: {again}"
        )
    missing = results.tasks[~results.tasks["stored"].astype(bool) & ~results.tasks["kind"].isin(layout.INTERMEDIATE)]
    if len(missing):
        first = missing.iloc[0]
        raise ConfigError(
            f"{run}: {first['kind']} has no result: {first['label']} ({len(missing)} in all); a bundle takes a "
            f"finished run: {again}"
        )


def _artifacts(store: Store, results: Results) -> Iterator[Artifact]:
    for kind, key in zip(results.tasks["kind"], results.tasks["key"], strict=True):
        found = store.find(str(kind), str(key))
        if found is not None:
            yield found


def _predictions(store: Store, sources: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield the predicted label maps of the test images."""
    for key in dict.fromkeys(row["evaluate"] for row in sources["trainings"]):
        artifact = store.get("evaluate", key)
        for path in sorted((artifact.folder / "labels").iterdir()):
            yield layout.prediction_file(key, path.stem), encode_labels(read_array(path))


def _methods(plan: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what the installed plugins say of the plan's methods, with their citations where they name any."""
    found = []
    for kind, name in plugins_of(plan):
        about = {"kind": kind, "name": name, "summary": "", "description": "", "distribution": ""}
        try:
            entry = registry().get(kind, name)
            about |= {"summary": entry.spec.summary, "distribution": f"{entry.distribution} {entry.version}"}
            about["description"] = " ".join((registry().load(kind, name).__doc__ or "").split())
        except (SynthbenchError, ImportError):  # of another environment, or not installed any more
            pass
        found.append(about)
    return found


def _weights(study: Study) -> Iterator[dict[str, str]]:
    """Yield what is declared or known of the files of weights that segmenters start from."""
    owners = [("", study.init), *((segmenter.name, segmenter.init or ()) for segmenter in study.segmenters)]
    for segmenter, inits in owners:
        for init in inits:
            if init.file is not None:
                card = read_card(Path(init.file).expanduser(), segmenter or None)
                about = {name: getattr(card, name) for name in ("licence", "source", "citation")}
                yield {"kind": WEIGHTS, "name": init.title, "trained_on": ", ".join(card.trained_on or ()), **about}


def _check_private(files: Mapping[str, bytes]) -> None:
    texts = ((name, content.decode("utf-8")) for name, content in files.items() if name.endswith(_TEXTS))
    check_private(texts, machine_made=(layout.ENVIRONMENT,))


def _date(run: Path) -> str:
    """Return the day on which the run began; of a folder that doesn't tell, that of its tables."""
    begun = _read_json(run / layout.ENVIRONMENT).get("begun")
    if begun:
        return str(datetime.date.fromisoformat(begun))
    changed = (run / layout.SEAL).stat().st_mtime
    return datetime.datetime.fromtimestamp(changed, datetime.UTC).date().isoformat()


def _manifest(files: Mapping[str, bytes]) -> bytes:
    listed = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in sorted(files.items())
    }
    return _json({"format": layout.FORMAT, "synthbench": __version__, "files": listed})


def _zipped(files: Mapping[str, bytes]) -> bytes:
    """Return a ZIP file with the same bytes for the same files: sorted, all of one date, with the same permissions."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system = 3  # Unix, whose permissions these are
            entry.external_attr = _MODE << 16
            entry.compress_type = (
                zipfile.ZIP_STORED if name.endswith((".png", ".safetensors")) else zipfile.ZIP_DEFLATED
            )
            archive.writestr(entry, files[name], compresslevel=9)
    return out.getvalue()


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _read_json(path: Path) -> Any:
    try:
        return json.loads(_bytes(path))
    except (ValueError, RecursionError):
        raise DataError(f"{path}: can't be read; the same 'synthbench run' command writes it again") from None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: can't be read ({error.strerror or error}); the same 'synthbench run' command writes it again"
        ) from None
