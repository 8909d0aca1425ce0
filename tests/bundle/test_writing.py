"""What is in a bundle, what isn't, and which runs are refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import zipfile
from pathlib import Path

import numpy as np
import pytest

import synthbench
from helpers.bundles import Made, change_table, members, study
from synthbench.bundle import _privacy, _samples
from synthbench.bundle.label_png import decode_labels, encode_labels
from synthbench.bundle.verifying import verify_bundle
from synthbench.bundle.writing import write_bundle
from synthbench.cli import main
from synthbench.errors import ConfigError, DataError, SynthbenchError
from synthbench.results import load_results, save_results
from synthbench.samples import SampleSet, read_array
from synthbench.store import Store
from synthbench.study.model import make_study


def test_the_same_run_gives_the_same_bytes(made: Made, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(made.run, tmp_path / "copied"))
    for path in copied.rglob("*"):
        os.utime(path, (0, 0))
    again = write_bundle(copied, Store(made.store), tmp_path / "again.zip")
    assert again.path.read_bytes() == made.bundle.read_bytes()
    with zipfile.ZipFile(made.bundle) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {(entry.date_time[0], entry.external_attr >> 16) for entry in entries} == {(1980, 0o100644)}


def test_a_run_without_what_it_needs_no_more_is_bundled(made: Made, tmp_path: Path) -> None:
    """A store may have lost the encodings of images whose distances it has; a run doesn't compute them again."""
    store, run = tmp_path / "store", tmp_path / "trial"
    shutil.copytree(made.store, store)
    shutil.rmtree(store / "encode")
    synthbench.run(study(made.data), store=store, folder=run, engine="serial", device="cpu")
    tasks = load_results(run).tasks
    assert set(tasks.loc[tasks["kind"] == "encode", "status"]) == {"missing"}
    write_bundle(run, Store(store), tmp_path / "trial.zip")
    assert verify_bundle(tmp_path / "trial.zip", [str(made.data)]).problems == []


def test_a_bundle_tells_no_path_and_no_name_of_the_machine(made: Made) -> None:
    names = re.compile(rf"\b{re.escape(socket.gethostname())}\b")
    for name, content in members(made.bundle).items():
        text = content.decode("latin-1")
        for path in (str(made.data.parent), str(Path.home()), str(Path.cwd())):
            assert path not in text, name
        assert name.endswith(".png") or not names.search(text), name
    study = make_study(dict(_yaml(members(made.bundle)["study.yaml"])), "bundle")
    assert study.datasets[0].name == "blobs"


def _yaml(content: bytes) -> dict[str, object]:
    import yaml

    return dict(yaml.safe_load(content))


def test_predictions_are_those_of_the_store(made: Made) -> None:
    files = members(made.bundle)
    names = [name for name in files if name.startswith("predictions/")]
    assert len(names) == 3 * 2 * 4
    for name in names:
        _, key, image = name.split("/")
        stored = read_array(made.store / "evaluate" / key / "labels" / image)
        assert np.array_equal(decode_labels(files[name], stored.shape, name), stored)


def test_drawn_samples_are_a_sample_set_and_copies_of_the_dataset_are_left_out(made: Made, tmp_path: Path) -> None:
    few = members(made.bundle)
    drawings = {name.split("/")[1] for name in few if name.startswith("samples/")}
    assert len(drawings) == 1
    with zipfile.ZipFile(made.bundle) as archive:
        archive.extractall(tmp_path)
    drawn = SampleSet.open(tmp_path / "samples" / drawings.pop())
    assert (drawn.name, len(list(drawn))) == ("brighter", 4)
    written = write_bundle(made.run, Store(made.store), tmp_path / "all.zip", every_sample=True)
    assert any("duplicate" in note for note in written.notes)
    assert written.samples == 4


@pytest.mark.parametrize(
    ("changes", "left_out"),
    [
        ({"generators": [{"name": "brighter", "config": {"gain": 1.3}}]}, ["brighter"]),
        ({"generators": ["shuffled"]}, ["shuffled"]),
        ({"generators": ["duplicate", "shuffled"], "scale": 12}, ["duplicate", "shuffled"]),
    ],
    ids=["nearly", "with other masks", "at another scale"],
)
def test_images_of_the_dataset_stay_out_without_a_search_for_duplicates_too(
    made: Made, tmp_path: Path, changes: dict[str, object], left_out: list[str]
) -> None:
    run = tmp_path / "run"
    few = study(made.data, encoder=None, seeds=1, synthetic=[2], **changes)
    synthbench.run(few, store=made.store, folder=run, engine="serial", device="cpu")
    for every in (False, True):
        written = write_bundle(run, Store(made.store), tmp_path / "out.zip", every_sample=every)
        assert written.notes == tuple(
            f"no samples of {title}: some are copies of images of blobs" for title in left_out
        )
        assert not [name for name in members(written.path) if name.startswith("samples/")]


def test_without_the_dataset_nothing_tells_copies_and_no_sample_is_published(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.data, tmp_path / "blobs")
    run, store = tmp_path / "run", tmp_path / "store"
    few = study(tmp_path / "blobs", encoder=None, seeds=1, generators=study(made.data)["generators"][2:])
    synthbench.run(few, store=store, folder=run, engine="serial", device="cpu")
    assert write_bundle(run, Store(store), tmp_path / "with.zip").samples == 4
    shutil.rmtree(tmp_path / "blobs")
    written = write_bundle(run, Store(store), tmp_path / "without.zip")
    assert (written.samples, len(written.notes)) == (0, 1)
    assert written.notes[0].startswith("no samples of brighter: blobs isn't at hand")
    assert verify_bundle(written.path).problems == []


def test_a_few_samples_are_fewer_where_they_are_large(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = members(made.bundle)
    size = sum(len(content) for name, content in whole.items() if name.startswith("samples/"))
    for most, expected in ((size - 1, 3), (1, 1)):
        monkeypatch.setattr(_samples, "FEW_BYTES", most)
        assert write_bundle(made.run, Store(made.store), tmp_path / "few.zip").samples == expected
    assert verify_bundle(tmp_path / "few.zip").problems == []


def test_the_crate_lists_every_file(made: Made) -> None:
    files = members(made.bundle)
    crate = json.loads(files["ro-crate-metadata.json"])
    entities = {entity["@id"]: entity for entity in crate["@graph"]}
    assert crate["@context"] == "https://w3id.org/ro/crate/1.1/context"
    assert len(entities) == len(crate["@graph"])
    root = entities["./"]
    assert {part["@id"] for part in root["hasPart"]} == files.keys() - {"ro-crate-metadata.json"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", root["datePublished"])
    references = re.findall(r'{\s*"@id": "([^"]+)"\s*}', files["ro-crate-metadata.json"].decode())
    assert [name for name in references if name not in entities and not name.startswith("https://")] == []


def test_weights_that_segmenters_start_from_are_cited(made: Made, tmp_path: Path) -> None:
    weights = tmp_path / "level.txt"
    weights.write_text("90.0")
    weights.with_name("level.txt.yaml").write_text("trained_on: [livecell]\nlicence: CC0-1.0\ncitation: Roe 2025\n")
    changes = {"name": "warm", "generators": [], "segmenters": ["warm"], "init": [str(weights)], "seeds": 1}
    run = tmp_path / "warm"
    synthbench.run(study(made.data, **changes), store=made.store, folder=run, engine="serial", device="cpu")
    bundle = write_bundle(run, Store(made.store), tmp_path / "warm.zip").path
    rows = json.loads(members(bundle)["methods.json"])
    (cited,) = [row for row in rows if row["kind"] == "weights"]
    assert (cited["name"], cited["licence"], cited["citation"]) == ("level.txt", "CC0-1.0", "Roe 2025")
    assert verify_bundle(bundle, [str(made.data)]).problems == []


@pytest.mark.parametrize("highest", [0, 255, 256, 65_535, 65_536, 2**31 - 1])
def test_label_maps_survive(highest: int) -> None:
    labels = np.zeros((5, 7), np.uint32)
    labels[1, 2], labels[4, 6] = highest, highest // 2
    data = encode_labels(labels)
    assert np.array_equal(decode_labels(data, (5, 7), "x"), labels)
    assert encode_labels(labels.astype(np.int64)) == data


@pytest.fixture
def run(made: Made, tmp_path: Path) -> Path:
    """A copy of the run folder, to be changed."""
    return Path(shutil.copytree(made.run, tmp_path / "run"))


def without_tables(run: Path) -> None:
    (run / "study.yaml").unlink()


def without_sources(run: Path) -> None:
    (run / "sources.json").unlink()


def of_another_format(run: Path) -> None:
    (run / "sources.json").write_text('{"format": 9}')


def with_a_failed_training(run: Path) -> None:
    results = load_results(run)
    lost = results.runs.index == 0
    first = results.runs.iloc[0]
    images = results.images[~((results.images["arm"] == first["arm"]) & (results.images["seed"] == first["seed"]))]
    results.runs.loc[lost, "status"] = "failed"
    save_results(type(results)(**{**vars(results), "images": images}), run)


def with_a_missing_task(run: Path) -> None:
    results = load_results(run)
    results.tasks.loc[results.tasks["kind"] == "assess", "stored"] = False
    save_results(results, run)


def with_an_edited_table(run: Path) -> None:
    files = {"t": (run / "results" / "runs.csv").read_bytes()}
    change_table(files, "t", lambda table: table.assign(fit_seconds="1"))
    (run / "results" / "runs.csv").write_bytes(files["t"])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (without_tables, "synthbench run"),
        (without_sources, "sources.json"),
        (of_another_format, "9"),
        (with_a_failed_training, "threshold on real, seed 0"),
        (with_a_missing_task, "assess"),
        (with_an_edited_table, "runs.csv"),
    ],
)
def test_an_unfinished_or_edited_run_is_refused(
    run: Path, made: Made, tmp_path: Path, change: object, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change(run)
    out = tmp_path / "out.zip"
    assert main(["bundle", str(run), "--store", str(made.store), "--out", str(out)]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert named in line
    assert not out.exists()


def test_a_store_without_the_predictions_is_refused(made: Made, tmp_path: Path) -> None:
    with pytest.raises(SynthbenchError, match="evaluate/"):
        write_bundle(made.run, Store(tmp_path / "empty"), tmp_path / "out.zip")


def test_no_run_folder_is_refused(made: Made, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no run folder"):
        write_bundle(tmp_path, Store(made.store), tmp_path / "out.zip")


@pytest.mark.parametrize(
    "text",
    [
        "/home/mia/cells",
        "weights: /data/w.pt",
        '"~/cells/a"',
        "C:\\cells\\a.png",
        "mia@microscope",
        "file:///srv/x",
        "(/mnt/scratch/run)",
        "\\\\server\\share",
    ],
)
def test_paths_and_addresses_are_private(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_privacy.getpass, "getuser", lambda: "mia")
    with pytest.raises(ConfigError, match=r"^study\.yaml: "):
        _privacy.check_private([("study.yaml", text)])


@pytest.mark.parametrize(
    "text",
    ["https://osf.io/xmury", "real + b × 4, 3/4 of 1 / 2", "doi:10.1038/s41592-022-01639-4", "mia, and/or cells"],
)
def test_addresses_of_the_web_and_fractions_are_not_private(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_privacy.getpass, "getuser", lambda: "mia")
    _privacy.check_private([("study.yaml", text)])


def test_names_of_user_and_machine_are_private_where_only_the_machine_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_privacy.getpass, "getuser", lambda: "mia")
    monkeypatch.setattr(_privacy.socket, "gethostname", lambda: "scope-7.example.org")
    for text in ('"node": "scope-7"', '"user": "mia"'):
        _privacy.check_private([("environment.json", text)])
        with pytest.raises(ConfigError, match=r"environment\.json"):
            _privacy.check_private([("environment.json", text)], ["environment.json"])


def test_paths_of_a_study_become_names_and_titles_stay() -> None:
    content = {
        "datasets": ["/data/mia/nuclei", {"name": "./cells", "split": {"file": "/data/mia/split.json"}}],
        "generators": ["/data/mia/Made by GAN", {"name": "g", "label": "half/half", "config": {"weights": "~/w.pt"}}],
        "segmenters": [{"name": "unet", "init": ["scratch", "/data/mia/weights one.pt", "dataset:/data/mia/other"]}],
    }
    study = make_study(content, "x")
    clean = make_study(_privacy.without_paths(study), "x")
    assert "mia" not in clean.to_yaml()
    assert [each.name for each in clean.datasets] == ["nuclei", "cells"]
    assert [each.title for each in clean.generators] == [each.title for each in study.generators]
    titles = [[init.title for init in each.segmenters[0].init] for each in (clean, study)]
    assert titles[0] == titles[1]
