"""Drawn images are the study's own, in forms that other programs read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from pycocotools import mask
from pycocotools.coco import COCO

from synthbench.cli import main
from synthbench.errors import ConfigError, StoreError, SynthbenchError
from synthbench.inference.drawing import choose_generator, draw_images
from synthbench.results import load_results
from synthbench.results.sources import read_sources
from synthbench.samples import Sample, SampleSet
from synthbench.store import Store


def study_samples(made, generator: str = "brighter", seed: int = 0) -> SampleSet:
    """The synthetic set that the study drew."""
    rows = read_sources(made.run)["trainings"]
    key = next(r["draw"] for r in rows if r["generator"] == generator and r["generator_seed"] == seed)
    return SampleSet.open(made.store.get("draw", key).folder / "samples")


def drawn(made, out: Path, count: int = 6, form: str = "folders", size: str = "original", **chosen: object):
    found = choose_generator(str(made.run), made.store, **{"generator": "brighter", **chosen})
    return draw_images(found, count, out, form=form, size=size, device="cpu")


@pytest.mark.parametrize("seed", [0, 1])
def test_the_first_images_are_those_that_the_study_drew(made, tmp_path: Path, seed: int) -> None:
    drawn(made, tmp_path / "out", seed=seed)
    for sample in study_samples(made, seed=seed):
        assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "images" / f"{sample.id}.png")), sample.image)
        assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "masks" / f"{sample.id}.png")), sample.labels)
    assert len(list((tmp_path / "out" / "images").iterdir())) == 6


@pytest.mark.slow
def test_cellpose_reads_images_with_their_masks(made, tmp_path: Path) -> None:
    io = pytest.importorskip("cellpose.io")
    drawn(made, tmp_path / "out", 4, "cellpose")
    images, labels, names = io.load_images_labels(str(tmp_path / "out"), mask_filter="_masks")[:3]
    assert [Path(name).stem for name in names] == [f"{i:06d}" for i in range(4)]
    for sample, image, found in zip(study_samples(made), images, labels, strict=True):
        assert np.array_equal(image, sample.image)
        assert np.array_equal(found, sample.labels)


def test_pycocotools_decodes_the_masks(made, tmp_path: Path) -> None:
    drawn(made, tmp_path / "out", 4, "coco")
    coco = COCO(str(tmp_path / "out" / "annotations.json"))
    for sample, (number, image) in zip(study_samples(made), sorted(coco.imgs.items()), strict=True):
        assert (tmp_path / "out" / "images" / image["file_name"]).is_file()
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=[number]))
        found = np.zeros(sample.labels.shape, int)
        for label, annotation in zip(np.unique(sample.labels)[1:], annotations, strict=True):
            inside = coco.annToMask(annotation).astype(bool)
            found[inside] = label
            assert annotation["area"] == inside.sum()
            assert annotation["bbox"] == mask.toBbox(annotation["segmentation"]).tolist()
        assert np.array_equal(found, sample.labels)


def test_the_summary_says_what_was_drawn_and_that_it_copies(made, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    words = ["draw", str(made.run), "--generator", "duplicate", "--n", "3", "--out", str(out), "--json"]
    assert main([*words, "--store", str(made.store.root), "--device", "cpu"]) == 0
    printed, errors = capsys.readouterr()
    about = json.loads((out / "about.json").read_text())
    assert json.loads(printed) == {"folder": str(out), **about}
    assert (about["generator"], about["images"], about["seed"]) == ("duplicate", 3, 0)
    assert about["masks"] == {"training": 3}
    assert "3 of 3 masks are training masks, rotated, warped, cropped or unchanged" in errors
    assert "took generator-seed 0 (there are 0, 1)" in errors


def test_scaled_generators_draw_at_the_scale_of_the_dataset_unless_asked_not_to(scaled, tmp_path: Path) -> None:
    of_study = drawn(scaled, tmp_path / "study", 4, size="study")
    original = drawn(scaled, tmp_path / "original", 4)
    assert of_study.about["scaled_by"] == 1
    factor = original.about["scaled_by"]
    assert factor > 1
    for sample in study_samples(scaled):
        image, labels = (
            np.asarray(Image.open(tmp_path / "original" / name / f"{sample.id}.png")) for name in ("images", "masks")
        )
        assert image.shape == labels.shape == (64, 64)
        assert set(np.unique(labels)) == set(np.unique(sample.labels))
        grown = (labels > 0).sum() / (sample.labels > 0).sum()
        assert grown == pytest.approx(factor**2, rel=0.15)
        same = np.asarray(Image.open(tmp_path / "study" / "images" / f"{sample.id}.png"))
        assert np.array_equal(same, sample.image)


def test_a_key_is_that_of_the_generator_or_of_what_it_drew(made) -> None:
    row = next(r for r in read_sources(made.run)["trainings"] if r["generator"] == "brighter")
    for key in (row["fit_generator"], row["fit_generator"][:12], row["draw"][:12]):
        assert choose_generator(key, made.store).trained.key == row["fit_generator"]


def test_a_study_file_finds_what_its_run_has_trained(made, tmp_path: Path) -> None:
    of_run = choose_generator(str(made.run), made.store, generator="brighter", seed=1)
    assert choose_generator(str(made.study), made.store, generator="brighter", seed=1).trained.key == of_run.trained.key


def test_images_of_16_bit_and_of_two_channels_are_kept(tmp_path: Path) -> None:
    from synthbench.formats.image_sets import ImageSetWriter

    rng = np.random.default_rng(1)
    labels = np.zeros((20, 30), np.uint8)
    labels[3:9, 4:12] = 1
    grey = rng.integers(0, 65536, (20, 30)).astype(np.uint16)
    two = rng.integers(0, 65536, (20, 30, 2)).astype(np.uint16)
    writer = ImageSetWriter(tmp_path, "folders", "instances")
    writer.add(Sample("grey", grey, labels))
    writer.add(Sample("two", two, labels, ignore=np.eye(20, 30, dtype=bool)))
    writer.close({})
    assert np.array_equal(np.asarray(Image.open(tmp_path / "images" / "grey.png")), grey)
    assert np.array_equal(np.moveaxis(tifffile.imread(tmp_path / "images" / "two.tif"), 0, -1), two)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "ignore" / "two.png")) > 0, np.eye(20, 30, dtype=bool))


MISTAKES = {
    "several generators": ({}, ConfigError, "has several values of generator: duplicate, brighter; name one with"),
    "a misspelt generator": ({"generator": "brigter"}, ConfigError, "did you mean 'brighter'"),
    "a seed that there isn't": ({"generator": "brighter", "seed": 7}, ConfigError, "--generator-seed 7.*there are: 0"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_names_no_generator_is_refused(made, mistake: str) -> None:
    chosen, error, message = MISTAKES[mistake]
    with pytest.raises(error, match=message):
        choose_generator(str(made.run), made.store, **chosen)


def test_targets_that_are_nothing_are_refused(made, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run folder, study file or key"):
        choose_generator("nothing", made.store)
    with pytest.raises(StoreError, match="no key begins so"):
        choose_generator("0123456789", made.store)
    row = read_sources(made.run)["trainings"][0]
    with pytest.raises(StoreError, match="is of the kind fit-segmenter; expected a trained generator"):
        choose_generator(row["fit"], made.store)
    made_elsewhere = tmp_path / "empty"
    made_elsewhere.mkdir()
    with pytest.raises(StoreError, match=r"brighter of seed 0.*isn't in the store .*--store"):
        choose_generator(str(made.run), Store(made_elsewhere, create=False), generator="brighter")


def test_more_than_a_generator_has_leaves_nothing(made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trial_plugins import Brighter

    usual = Brighter.sample
    monkeypatch.setattr(Brighter, "sample", lambda self, index, seed: usual(self, index, seed) if index < 3 else 1 / 0)
    with pytest.raises(SynthbenchError, match=r"generator 'brighter': ZeroDivisionError"):
        drawn(made, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_refused(made, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(ConfigError, match="isn't empty; give a new or empty folder with --out"):
        drawn(made, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "coko"}, r"--form coko.*did you mean 'coco'"),
        ({"size": "large"}, "--size large: expected original or study"),
        ({"count": 0}, "--n 0: expected"),
    ],
)
def test_invalid_options_are_refused(made, tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        drawn(made, tmp_path / "out", **options)


def test_changed_code_is_mentioned(made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthbench.inference.trained.changes_since", lambda *_, **__: "generator 'brighter': changed")
    assert any("changed since the training" in note for note in drawn(made, tmp_path / "out", 1).notes)


@pytest.mark.parametrize(
    ("copies", "said"),
    [(3, "3 images of this generator were duplicates"), (0, ""), (None, "the run has no search for")],
)
def test_copies_that_the_run_found_are_mentioned(
    made, monkeypatch: pytest.MonkeyPatch, copies: int | None, said: str
) -> None:
    results = load_results(made.run)
    table = results.fidelity.drop(columns="train_duplicates", errors="ignore")
    others = table["generator"] != "brighter"
    table = table.assign(train_duplicates=np.where(others, 9, np.nan if copies is None else copies))
    monkeypatch.setattr("synthbench.inference.duplicates.load_results", lambda _: replace(results, fidelity=table))
    notes = choose_generator(str(made.run), made.store, generator="brighter").notes
    assert [note for note in notes if "duplicates" in note] == (list(notes[-1:]) if said else [])
    assert not said or said in notes[-1]
