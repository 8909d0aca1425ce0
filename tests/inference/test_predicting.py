"""Predictions for one's own images: as the study's, at the size of the images, in forms that other programs read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from pycocotools.coco import COCO

from helpers.blobs import blobs
from synthbench.cli import main
from synthbench.errors import ConfigError, DataError, StoreError
from synthbench.inference import predicting
from synthbench.inference.choosing import choose_segmenter
from synthbench.inference.predicting import predict_folder, predict_image
from synthbench.results.sources import read_sources
from synthbench.samples import SampleSet


def rows(made) -> list[dict[str, object]]:
    return read_sources(made.run)["trainings"]


def saved_test_images(made, folder: Path) -> Path:
    """Write the dataset's test images as plain files."""
    folder.mkdir()
    for sample in SampleSet.open(made.data):
        if sample.groups["split"] == "test":
            Image.fromarray(sample.image).save(folder / f"{sample.id}.png")
    return folder


@pytest.mark.parametrize("which", ["made", "scaled"])
def test_label_maps_are_those_that_the_study_scored(which: str, request, tmp_path: Path) -> None:
    made = request.getfixturevalue(which)
    row = rows(made)[0]
    chosen = choose_segmenter(str(row["fit"]), made.store)
    assert (chosen.trained.factor != 1) == (which == "scaled")
    predict_folder(chosen, saved_test_images(made, tmp_path / "images"), tmp_path / "out", device="cpu")
    scored = sorted((made.store.get("evaluate", row["evaluate"]).folder / "labels").iterdir())
    assert len(scored) == 4
    for file in scored:
        found = tifffile.imread(tmp_path / "out" / "labels" / f"{file.stem}.tif")
        assert np.array_equal(found, np.asarray(Image.open(file)))
        assert (tmp_path / "out" / "overlays" / f"{file.stem}.png").is_file()


def test_coco_and_geojson_say_the_same_as_the_label_maps(made, tmp_path: Path) -> None:
    chosen = choose_segmenter(str(rows(made)[0]["fit"]), made.store)
    out = tmp_path / "out"
    predict_folder(chosen, saved_test_images(made, tmp_path / "images"), out, forms=["coco", "geojson"], device="cpu")
    coco = COCO(str(out / "annotations.json"))
    for number, image in coco.imgs.items():
        labels = tifffile.imread(out / "labels" / f"{Path(image['file_name']).stem}.tif")
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=[number]))
        found = sum(coco.annToMask(a).astype(int) * (k + 1) for k, a in enumerate(annotations))
        assert np.array_equal(found, labels)
        assert all(a["score"] == 1 for a in annotations)
        content = json.loads((out / "geojson" / f"{Path(image['file_name']).stem}.geojson").read_text())
        assert len(content["features"]) == labels.max()


def test_the_best_on_validation_images_is_taken(made, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = choose_segmenter(str(made.run), made.store, device="cpu")
    distinct = {row["fit"] for row in rows(made)}
    assert len(chosen.validation) == len(distinct)
    assert chosen.trained.key in distinct
    assert max(chosen.validation.values()) == next(iter(chosen.validation[name] for name in best_names(chosen)))
    assert "test images weren't looked at" in chosen.notes[-1]
    stored = len(list((made.store.root / "evaluate").iterdir()))
    again = choose_segmenter(str(made.run), made.store, device="cpu")
    assert again == chosen
    assert len(list((made.store.root / "evaluate").iterdir())) == stored


def best_names(chosen) -> list[str]:
    return [name for name in chosen.validation if f"took {name}: " in chosen.notes[-1]]


def test_validation_scores_are_those_of_validation_images(made) -> None:
    """By an own reading of the validation images, which are no test images."""
    from synthbench.metrics.matching import IOU_THRESHOLDS, count_overlap
    from synthbench.metrics.overlap import overlap

    split = json.loads((made.run / "splits" / "blobs.json").read_text())["splits"][0]
    samples = SampleSet.open(made.data).subset(split["validation"])
    assert not set(split["validation"]) & set(split["test"])
    chosen = choose_segmenter(str(made.run), made.store, device="cpu")
    (name,) = best_names(chosen)
    with chosen.trained.loaded("cpu") as segmenter:
        counts = [count_overlap(overlap(s.labels, segmenter.predict(s.image).labels)) for s in samples]
    tp = np.sum([c.tp for c in counts], axis=0)
    objects = sum(c.true + c.predicted for c in counts)
    assert len(tp) == len(IOU_THRESHOLDS)
    assert chosen.validation[name] == pytest.approx(float(np.mean(2 * tp / objects)))


def test_without_validation_images_the_user_is_asked_or_the_first_seed_is_taken(
    made, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> dict[str, float]:
        raise DataError("the dataset is away")

    monkeypatch.setattr("synthbench.inference.choosing.validation_scores", missing)
    with pytest.raises(ConfigError, match=r"values of arm.*validation images can't choose: the dataset is away"):
        choose_segmenter(str(made.run), made.store)
    chosen = choose_segmenter(str(made.run), made.store, chosen={"arm": "real"})
    assert chosen.trained.seed == 0
    assert "without comparing: the dataset is away" in chosen.notes[-1]


def test_options_name_a_training(made) -> None:
    arm = "real + brighter × 4"
    row = next(r for r in rows(made) if (r["arm"], r["generator_seed"], r["seed"]) == (arm, 1, 1))
    named = {"arm": arm, "generator_seed": 1, "seed": 1, "segmenter": "threshold"}
    assert choose_segmenter(str(made.run), made.store, chosen=named).trained.key == row["fit"]
    with pytest.raises(ConfigError, match=r"--arm real \+ brihter × 4.*did you mean 'real \+ brighter × 4'"):
        choose_segmenter(str(made.run), made.store, chosen={"arm": "real + brihter × 4"})
    with pytest.raises(ConfigError, match="--seed: a key is that of one segmenter"):
        choose_segmenter(str(row["fit"]), made.store, chosen={"seed": 1})
    with pytest.raises(StoreError, match="expected a trained segmenter"):
        choose_segmenter(str(next(r["fit_generator"] for r in rows(made) if r["fit_generator"])), made.store)


def test_images_of_many_kinds_are_read_and_stacks_are_skipped(made, tmp_path: Path, capsys) -> None:
    image, folder = blobs(2).image, tmp_path / "images"
    folder.mkdir()
    tifffile.imwrite(folder / "big.tif", image, bigtiff=True)
    tifffile.imwrite(folder / "wide.tif", image.astype(np.uint16) * 3)
    Image.fromarray(image).save(folder / "photo.jpg", quality=95)
    Image.fromarray(image).save(folder / "same.png")
    Image.fromarray(image).save(folder / "same.bmp")
    tifffile.imwrite(folder / "stack.tif", np.stack([image] * 5), imagej=True, metadata={"axes": "ZYX"})
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "gone.png").symlink_to(tmp_path / "moved.png")
    out, key = tmp_path / "out", str(rows(made)[0]["fit"])
    words = ["predict", key, str(folder), "--out", str(out), "--store", str(made.store.root), "--device", "cpu"]
    assert main([*words, "--json"]) == 3
    about = json.loads(capsys.readouterr().out)
    names = {"big.tif", "photo.jpg", "same.bmp.tif", "same.png.tif", "wide.tif"}
    assert {path.name for path in (out / "labels").iterdir()} == {name.replace(".jpg", ".tif") for name in names}
    assert about["images"] == 5
    assert sorted(Path(text.partition(": ")[0]).name for text in about["skipped"]) == [
        "broken.png",
        "gone.png",
        "stack.tif",
    ]
    assert any("5 z slices" in text for text in about["skipped"])


def test_large_images_are_segmented_in_tiles(made, tmp_path: Path) -> None:
    big = np.block([[blobs(10 * y + x).image for x in range(6)] for y in range(5)])
    tifffile.imwrite(tmp_path / "big.tif", big)
    chosen = choose_segmenter(str(rows(made)[0]["fit"]), made.store)
    counts = []
    for tile in (128, 512):
        out = predict_folder(chosen, tmp_path / "big.tif", tmp_path / f"{tile}", tile=tile, overlap=48, device="cpu")
        counts.append(out.about["objects"]["big.tif"])
        assert tifffile.imread(tmp_path / f"{tile}" / "labels" / "big.tif").shape == big.shape
    assert counts[0] == counts[1] > 100


@pytest.mark.parametrize(
    ("prepare", "options", "message"),
    [
        ("nothing", {}, "no such file or folder"),
        ("empty", {}, "has no image files"),
        ("broken", {}, "no image can be segmented: .*broken.png"),
        ("good", {"tile": 64}, "--tile 64: expected 128"),
        ("good", {"tile": 256, "overlap": 200}, "--overlap 200: expected 1 to 128"),
        ("good", {"forms": ["geo-json"]}, "--form geo-json.*did you mean 'geojson'"),
    ],
)
def test_what_can_not_be_predicted_leaves_nothing(
    made, tmp_path: Path, prepare: str, options: dict[str, object], message: str
) -> None:
    folder = tmp_path / "images"
    if prepare != "nothing":
        folder.mkdir()
    if prepare == "broken":
        (folder / "broken.png").write_bytes(b"no picture")
    if prepare == "good":
        Image.fromarray(blobs(0).image).save(folder / "a.png")
    chosen = choose_segmenter(str(rows(made)[0]["fit"]), made.store)
    with pytest.raises((DataError, ConfigError), match=message):
        predict_folder(chosen, folder, tmp_path / "out", device="cpu", **options)
    assert [path.name for path in tmp_path.iterdir()] in ([], ["images"])


def test_what_a_plugin_raises_names_the_image(made, tmp_path: Path) -> None:
    folder = saved_test_images(made, tmp_path / "images")
    chosen = choose_segmenter(str(rows(made)[0]["fit"]), made.store)
    trained = replace(chosen.trained, folder=tmp_path)
    with pytest.raises((StoreError, DataError), match=r"config.json is missing"):
        predict_folder(replace(chosen, trained=trained), folder, tmp_path / "out", device="cpu")


def test_a_command_that_was_stopped_goes_on_where_it_was(made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, out = saved_test_images(made, tmp_path / "images"), tmp_path / "out"
    chosen = choose_segmenter(str(rows(made)[0]["fit"]), made.store)
    expected = predict_folder(chosen, folder, tmp_path / "whole", device="cpu")
    count = len(list(folder.iterdir()))
    seen: list[str] = []

    def stopping(done: int, total: int, name: str) -> None:
        seen.append(name)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_folder(chosen, folder, out, device="cpu", progress=stopping)
    assert not out.exists()
    (kept,) = [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert len(list(kept.iterdir())) == 2
    (damaged,) = list(kept.iterdir())[:1]
    damaged.write_bytes(damaged.read_bytes()[:-40])
    predicted = []

    def counting(*args, **keys):
        predicted.append(args)
        return predict_image(*args, **keys)

    monkeypatch.setattr(predicting, "predict_image", counting)
    found = predict_folder(chosen, folder, out, device="cpu")
    assert len(predicted) == count - 1  # the one that was not damaged
    assert found.about == expected.about
    for file in (tmp_path / "whole" / "labels").iterdir():
        np.testing.assert_array_equal(tifffile.imread(file), tifffile.imread(out / "labels" / file.name))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    again = predict_folder(chosen, folder, tmp_path / "other", device="cpu")
    assert len(predicted) == 2 * count - 1
    assert again.about == expected.about


def test_an_image_whose_prediction_cannot_be_kept_is_not_skipped(made, tmp_path: Path) -> None:
    """A full disk ends the command: it isn't the image's fault."""
    folder = saved_test_images(made, tmp_path / "images")
    chosen = choose_segmenter(str(rows(made)[0]["fit"]), made.store)
    (tmp_path / ".out.unfinished").write_text("in the way")
    with pytest.raises(DataError, match=r"unfinished.*can't be written"):
        predict_folder(chosen, folder, tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()
