"""Bacteria, yeast and cell cultures: masks beside images, npz files with a table of objects, COCO files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from plugins.catalogue.catalogue_files import encoded, labels, pack, picture, read, splits, write
from synthbench.errors import DataError
from synthbench_catalogue.dynamicnuclearnet import DynamicNuclearNet
from synthbench_catalogue.evican import Evican
from synthbench_catalogue.omnipose import BactFluor, BactPhase
from synthbench_catalogue.yeaz import Yeaz


@pytest.mark.parametrize(("cls", "folder"), [(BactPhase, "bact_phase"), (BactFluor, "bact_fluor")])
def test_omnipose_reads_one_set_of_the_archive(cls, folder: str, site: tuple[Path, str], tmp_path: Path) -> None:
    files = {}
    for n, (part, split, group) in enumerate(
        (p, s, g) for p in ("bact_fluor", "bact_phase") for s, g in (("train", "5I_crop"), ("test", "cex"))
    ):
        stem = f"{part}/{split}_sorted/{group}/image_{n}"
        files[f"{stem}.tif"] = encoded(picture(n), ".tif")
        files[f"{stem}_masks.tif"] = encoded(labels(n), ".tif")
        files[f"{stem}_flows.tif"] = encoded(picture(n), ".tif")
    files["worm/train/image.png"] = encoded(picture(0), ".png")
    pack(site[0] / "all.zip", files)
    found = read(cls, tmp_path / "work", url=f"{site[1]}/all.zip")
    first = 0 if folder == "bact_fluor" else 2
    assert splits(found) == {f"image_{first}": "train", f"image_{first + 1}": "test"}
    sample = found[f"image_{first + 1}"]
    assert sample.groups["folder"] == "cex"
    assert np.array_equal(sample.image, picture(first + 1))
    assert np.array_equal(sample.labels, labels(first + 1))


def test_dynamicnuclearnet_keeps_its_splits_and_never_unpickles_its_table(tmp_path: Path) -> None:
    mine = tmp_path / "DynamicNuclearNet-segmentation-v1_0"
    mine.mkdir()
    for split, count in (("train", 2), ("val", 1), ("test", 1)):
        x = np.stack([picture(i, (24, 30, 1)).astype(np.float32) for i in range(count)])
        y = np.stack([labels(i)[..., np.newaxis] for i in range(count)]).astype(np.int32)
        np.savez(mine / f"{split}.npz", X=x, y=y, meta=np.array([["specimen"], *[["HeLa-S3"]] * count], object))
    found = read(DynamicNuclearNet, tmp_path / "work", archive=mine)
    assert splits(found) == {
        "train-00000": "train",
        "train-00001": "train",
        "val-00000": "validation",
        "test-00000": "test",
    }
    assert np.array_equal(found["train-00001"].labels, labels(1))
    assert found["train-00001"].image.shape == (24, 30)


def test_yeaz_is_read_from_its_two_archives(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    files = {}
    for n, folder in enumerate(("gold-standard-PhC-plus-2", "gold-standard-BF-V-1")):
        mask = labels(n)
        files[f"{folder}/film_{n}_im.tif"] = encoded(picture(n, dtype="uint16"), ".tif")
        files[f"{folder}/film_{n}_mask.tif"] = encoded(mask if n else np.uint16(1) * (mask > 0), ".tif")
    write(mine, files)
    found = read(Yeaz, tmp_path / "work", archive=mine)
    assert {name: s.groups["modality"] for name, s in found.items()} == {
        "film_0_im": "phase contrast",
        "film_1_im": "bright field",
    }
    assert np.array_equal(found["film_1_im"].labels, labels(1))
    assert np.unique(found["film_0_im"].labels).tolist() == [0, 1, 2]
    one = read(Yeaz, tmp_path / "work", archive=mine / "gold-standard-BF-V-1")
    assert one["film_1_im"].groups["modality"] == "bright field"


def evican(folder: Path) -> Path:
    files = {}
    categories = [{"id": 1, "name": "Cell"}, {"id": 2, "name": "Nucleus"}]
    for n, part in enumerate(("train2019", "val2019", "eval2019_easy", "eval2019_difficult")):
        images = [{"id": i, "file_name": f"{n}{i}.jpg", "height": 24, "width": 30} for i in (1, 2)]
        rows = []
        for category, left in ((1, 2), (1, 15), (2, 4)):
            size = 10 if category == 1 else 4
            square = [left, 4, left + size, 4, left + size, 4 + size, left, 4 + size]
            row = {"id": len(rows), "image_id": 1, "category_id": category, "iscrowd": 0}
            rows.append(row | {"segmentation": [square], "bbox": [left, 4, size, size]})
        content = {"images": images, "annotations": rows, "categories": categories}
        files[f"instances_{part}_EVICAN2.json"] = json.dumps(content).encode()
        files[f"instances_{part}_EVICAN60.json"] = b"{}"
        for i in (1, 2):
            files[f"images/{n}{i}.jpg"] = encoded(picture(n), ".png")
    return write(folder, files)


def test_evican_reads_one_category_and_its_three_test_parts(tmp_path: Path) -> None:
    mine = evican(tmp_path / "mine")
    found = read(Evican, tmp_path / "work", archive=mine)
    assert {name: tuple(s.groups.values()) for name, s in found.items()} == {
        "01": ("train",),
        "11": ("validation",),
        "21": ("test", "easy"),
        "31": ("test", "difficult"),
    }
    assert np.bincount(found["11"].labels.ravel())[1:].tolist() == [100, 100]
    assert np.array_equal(found["11"].image, picture(1))
    nuclei = read(Evican, tmp_path / "work", archive=mine, mask="nucleus")
    assert np.bincount(nuclei["21"].labels.ravel())[1:].tolist() == [16]
    (mine / "images" / "21.jpg").unlink()
    with pytest.raises(DataError, match=r"21\.jpg not found"):
        read(Evican, tmp_path / "work", archive=mine)
    assert [r.filename for r in Evican().remotes()][-1] == "instances_eval_difficult_EVICAN2.json"


def test_evican_is_downloaded_by_the_numbers_of_its_files(site: tuple[Path, str], tmp_path: Path) -> None:
    mine = evican(tmp_path / "mine")
    names = {102915: "train2019", 102916: "val2019", 102917: "eval2019_difficult", 102918: "eval2019_easy"}
    for number, part in names.items():
        (site[0] / str(number)).write_bytes((mine / f"instances_{part}_EVICAN2.json").read_bytes())
    (site[0] / "102919").write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    pictures = {path.name: path.read_bytes() for path in (mine / "images").iterdir()}
    for number, first in ((102910, "0"), (102911, "1"), (102912, "23")):
        pack(site[0] / str(number), {name: data for name, data in pictures.items() if name[0] in first})
    found = read(Evican, tmp_path / "work", url=site[1])
    given = read(Evican, tmp_path / "other", archive=mine)
    assert {name: s.digest for name, s in found.items()} == {name: s.digest for name, s in given.items()}
