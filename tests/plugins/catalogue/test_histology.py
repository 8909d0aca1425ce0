"""Datasets of H&E sections, and those of many sources: organ folders, npy arrays, polygons, images without labels."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from plugins.catalogue.catalogue_files import encoded, labels, pack, picture, read, splits, write
from synthbench.datasets.download import sha256_of
from synthbench.errors import DataError
from synthbench_catalogue.monuseg import MoNuSeg
from synthbench_catalogue.neurips import NeurIps
from synthbench_catalogue.nuinsseg import NuInsSeg
from synthbench_catalogue.pannuke import PanNuke


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def test_nuinsseg_takes_the_modified_labels_and_groups_by_organ(site: tuple[Path, str], tmp_path: Path) -> None:
    files = {}
    for n, organ in enumerate(("human bladder", "mouse fat (white and brown)_subscapula")):
        files[f"NuInsSeg/{organ}/tissue images/img_{n}.png"] = encoded(picture(n, (24, 30, 3)), ".png")
        files[f"NuInsSeg/{organ}/label masks modify/img_{n}.tif"] = encoded(labels(n), ".tif")
        files[f"NuInsSeg/{organ}/label masks/img_{n}.tif"] = encoded(labels(n + 1), ".tif")
    pack(site[0] / "NuInsSeg.zip", files)
    found = read(NuInsSeg, tmp_path / "work", url=f"{site[1]}/NuInsSeg.zip")
    assert {name: dict(s.groups) for name, s in found.items()} == {
        "img_0": {"species": "human", "organ": "bladder"},
        "img_1": {"species": "mouse", "organ": "fat (white and brown)_subscapula"},
    }
    assert np.array_equal(found["img_1"].image, picture(1, (24, 30, 3)))
    assert np.array_equal(found["img_1"].labels, labels(1))


def pannuke(folder: Path, types: type = str) -> Path:
    files = {}
    for fold in (1, 2, 3):
        masks = np.zeros((2, 16, 16, 6))
        masks[0, 2:6, 2:6, 0], masks[0, 8:12, 2:6, 0] = 1, 2
        masks[0, 2:6, 8:12, 4] = 1
        masks[0, 3, 3, 4] = 9
        masks[..., 5] = (masks[..., :5] == 0).all(axis=-1)
        images = np.stack([picture(10 * fold + n, (16, 16, 3)) for n in (0, 1)]).astype(np.float64)
        root = f"fold_{fold}/Fold {fold}"
        files[f"{root}/images/fold{fold}/images.npy"] = npy(images)
        files[f"{root}/images/fold{fold}/types.npy"] = npy(np.array(["Breast", "Colon"], types))
        files[f"{root}/masks/fold{fold}/masks.npy"] = npy(masks)
    return write(folder, files)


def test_pannuke_numbers_nuclei_of_all_classes_and_has_official_folds(tmp_path: Path) -> None:
    mine = pannuke(tmp_path / "mine")
    found = read(PanNuke, tmp_path / "work", archive=mine)
    assert list(found) == [f"fold{fold}-{n:05d}" for fold in (1, 2, 3) for n in (0, 1)]
    assert list(splits(found).values()) == ["train", "train", "validation", "validation", "test", "test"]
    sample = found["fold2-00000"]
    assert (sample.groups["fold"], sample.groups["tissue"]) == ("2", "Breast")
    assert np.array_equal(sample.image, picture(20, (16, 16, 3)))
    assert sample.labels[3, 3] not in (0, sample.labels[2, 2])
    assert sorted(np.bincount(sample.labels.ravel())[1:].tolist()) == [1, 15, 16, 16]
    assert not found["fold2-00001"].labels.any()
    third = read(PanNuke, tmp_path / "work", archive=mine, folds="3-2-1")
    assert third["fold3-00000"].groups["split"] == "train"


def test_pannuke_never_unpickles_and_refuses_other_arrays(tmp_path: Path) -> None:
    mine = pannuke(tmp_path / "mine", types=object)
    assert "tissue" not in read(PanNuke, tmp_path / "work", archive=mine)["fold1-00000"].groups
    images = next(mine.rglob("fold2/images.npy"))
    images.write_bytes(npy(np.full((2, 16, 16, 3), 0.5)))
    with pytest.raises(DataError, match="whole numbers"):
        read(PanNuke, tmp_path / "work", archive=mine)
    images.write_bytes(npy(np.full((2, 16, 16, 3), None, object)))
    with pytest.raises(DataError, match=r"images\.npy"):
        read(PanNuke, tmp_path / "work", archive=mine)


def xml(*polygons: list[tuple[float, float]]) -> bytes:
    vertices = ["".join(f"<Vertex X='{x}' Y='{y}' Z='0'/>" for x, y in polygon) for polygon in polygons]
    regions = "".join(f"<Region Id='{i}'><Vertices>{points}</Vertices></Region>" for i, points in enumerate(vertices))
    return f"<Annotations><Annotation><Regions>{regions}</Regions></Annotation></Annotations>".encode()


def test_monuseg_fills_polygons_and_groups_by_patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = xml(
        [(2.5, 4.5), (8.5, 4.5), (8.5, 9.5), (2.5, 9.5)],
        [(5.5, 6.5), (7.5, 6.5), (7.5, 8.5), (5.5, 8.5)],
        [(90, 90), (95, 90), (95, 95)],
    )
    train, test = "TCGA-18-5592-01Z-00-DX1", "TCGA-2Z-A9J9-01A-01-TS1"
    parts = {
        "train.zip": {
            f"MoNuSeg 2018 Training Data/Tissue Images/{train}.tif": encoded(picture(1, (24, 30, 3)), ".tif"),
            f"MoNuSeg 2018 Training Data/Annotations/{train}.xml": drawn,
        },
        "test.zip": {
            f"MoNuSegTestData/{test}.tif": encoded(picture(2, (24, 30, 3)), ".tif"),
            f"MoNuSegTestData/{test}.xml": drawn,
        },
    }
    (tmp_path / "packed").mkdir()
    for name, files in parts.items():
        pack(tmp_path / "packed" / name, files)
        write(tmp_path / "mine", files)
    found = read(MoNuSeg, tmp_path / "work", archive=tmp_path / "mine")
    assert {name: tuple(s.groups.values()) for name, s in found.items()} == {
        train: ("train", "TCGA-18-5592"),
        test: ("test", "TCGA-2Z-A9J9"),
    }
    assert np.array_equal(found[test].image, picture(2, (24, 30, 3)))
    expected = np.zeros((24, 30), int)
    expected[5:10, 3:9], expected[7:9, 6:8] = 1, 2
    assert np.array_equal(found[train].labels, expected)
    with pytest.raises(DataError, match=r"test\.zip: its SHA-256"):
        read(MoNuSeg, tmp_path / "work", archive=tmp_path / "packed")
    hashes = frozenset(sha256_of(tmp_path / "packed" / name) for name in parts)
    monkeypatch.setattr(MoNuSeg, "hashes", hashes)
    packed = read(MoNuSeg, tmp_path / "work", archive=tmp_path / "packed")
    assert {n: s.digest for n, s in packed.items()} == {n: s.digest for n, s in found.items()}
    for bad in (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", b"<Region", b"<a><Region><Vertex X='1'/></Region></a>"):
        next((tmp_path / "mine").rglob(f"{test}.xml")).write_bytes(bad)
        with pytest.raises(DataError, match=test):
            read(MoNuSeg, tmp_path / "work", archive=tmp_path / "mine")


def test_neurips_has_grey_and_colour_images_and_may_have_unlabelled_ones(tmp_path: Path) -> None:
    files = {}
    for n, (split, end) in enumerate((("Training-labeled", ".png"), ("Tuning", ".tif"), ("Testing/Public", ".png"))):
        shape = (24, 30) if n == 1 else (24, 30, 3)
        files[f"{split}/images/cell_{n}{end}"] = encoded(picture(n, shape), end)
        files[f"{split}/labels/cell_{n}_label.tiff"] = encoded(labels(n), ".tif")
    files["train-unlabeled-part1/release-part1/cell_1.png"] = encoded(picture(9), ".png")
    mine = write(tmp_path / "mine", files)
    found = read(NeurIps, tmp_path / "work", archive=mine)
    assert splits(found) == {"cell_0": "train", "cell_1": "validation", "cell_2": "test"}
    assert np.array_equal(found["cell_1"].image, picture(1))
    assert np.array_equal(found["cell_2"].labels, labels(2))
    assert len(NeurIps(NeurIps.Config()).remotes()) == 3
    assert len(NeurIps(NeurIps.Config(unlabelled=True)).remotes()) == 4
    every = read(NeurIps, tmp_path / "work", archive=mine, unlabelled=True)
    sample = every["unlabelled-cell_1"]
    assert sample.groups["split"] == "unlabelled"
    assert sample.ignore is not None
    assert sample.ignore.all()
    assert not sample.labels.any()
    (mine / "Tuning" / "labels" / "cell_1_label.tiff").unlink()
    with pytest.raises(DataError, match=r"cell_1\.tif: has no mask cell_1_label"):
        read(NeurIps, tmp_path / "work", archive=mine)
