"""The catalogue's datasets, read from small files of the published form that are served from localhost."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from plugins.catalogue.catalogue_files import encoded, labels, pack, picture, read, splits
from synthbench import SampleSet
from synthbench.datasets.download import download_notice, sha256_of
from synthbench.datasets.library import Library
from synthbench.datasets.weights_card import KNOWN
from synthbench.errors import ConfigError, DataError
from synthbench.plugin.registry import registry
from synthbench_catalogue import livecell, tracking, usiigaci
from synthbench_catalogue.cellpose import Cellpose
from synthbench_catalogue.deepsea import DeepSea
from synthbench_catalogue.dsb2018 import Dsb2018
from synthbench_catalogue.dynamicnuclearnet import DynamicNuclearNet
from synthbench_catalogue.livecell import LiveCell
from synthbench_catalogue.tissuenet import TissueNet

NAMES = [
    name
    for name in registry().names("dataset")
    if registry().get("dataset", name).spec.target.startswith("synthbench_catalogue.")
]


def dsb2018(path: Path) -> Path:
    files = {"dsb2018/README.md": b"read me"}
    for split, numbers in (("train", (0, 1, 2)), ("test", (3, 4))):
        for n in numbers:
            files[f"dsb2018/{split}/images/{n:04x}.tif"] = encoded(picture(n), ".tif")
            files[f"dsb2018/{split}/masks/{n:04x}.tif"] = encoded(labels(n), ".tif")
    return pack(path, files)


def usiigaci_zip(path: Path) -> Path:
    files = {}
    for split, numbers in (("train", (1, 2, 10)), ("val", (46,))):
        for n in numbers:
            folder = f"Usiigaci-{usiigaci.COMMIT}/Mask R-CNN/{split}/set{n}"
            files[f"{folder}/raw.tif"] = encoded(picture(n, dtype="uint16") * 300, ".tif")
            files[f"{folder}/instances_ids.png"] = encoded(labels(n, dtype="uint8"), ".png")
            files[f"{folder}/labeled.png"] = encoded(picture(n, (24, 30, 3)), ".png")
    return pack(path, files)


def challenge(path: Path, name: str = "PhC-C2DH-U373") -> Path:
    files = {}
    for sequence in ("01", "02"):
        for frame in range(4):
            files[f"{name}/{sequence}/t{frame:03d}.tif"] = encoded(picture(frame), ".tif")
            files[f"{name}/{sequence}_GT/TRA/man_track{frame:03d}.tif"] = encoded(labels(frame), ".tif")
            files[f"{name}/{sequence}_ST/SEG/man_seg{frame:03d}.tif"] = encoded(labels(frame), ".tif")
        files[f"{name}/{sequence}_GT/SEG/man_seg002.tif"] = encoded(labels(2), ".tif")
        files[f"{name}/{sequence}_GT/TRA/man_track.txt"] = b"1 0 3 0\n"
    return pack(path, files)


def livecell_files(folder: Path) -> Path:
    """Write the three JSON files and images.zip; A172 from 0 to 72 hours, SkBr3 at 4 hours only."""
    names = {
        "train": ["A172_Phase_A7_1_00d00h00m_1", "A172_Phase_A7_2_01d12h00m_3"],
        "val": ["A172_Phase_B7_1_03d00h00m_2"],
        "test": ["A172_Phase_C7_1_02d16h00m_2", "SkBr3_Phase_E3_1_00d04h00m_1"],
    }
    (folder / "annotations" / "LIVECell").mkdir(parents=True)
    files = {}
    for split, stems in names.items():
        place = "livecell_test_images" if split == "test" else "livecell_train_val_images"
        images, annotations = [], []
        for i, stem in enumerate(stems):
            files[f"images/{place}/{stem.split('_')[0]}/{stem}.tif"] = encoded(picture(i), ".tif")
            images.append({"id": 10 + i, "file_name": f"{stem}.tif", "height": 24, "width": 30})
            for left in (2, 15):
                square = [left, 4, left + 10, 4, left + 10, 14, left, 14]
                row = {"id": len(annotations), "image_id": 10 + i, "category_id": 1, "iscrowd": 0, "area": 100}
                annotations.append(row | {"segmentation": [square], "bbox": [left, 4, 10, 10]})
        content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cell"}]}
        (folder / "annotations" / "LIVECell" / f"livecell_coco_{split}.json").write_text(json.dumps(content))
    pack(folder / "images.zip", files)
    return folder


# -- each dataset, downloaded and given by hand ----------------------------------------------------------------------


def test_dsb2018_comes_with_its_official_splits(site: tuple[Path, str], tmp_path: Path) -> None:
    archive = dsb2018(site[0] / "dsb2018.zip")
    config = {"url": f"{site[1]}/dsb2018.zip", "sha256": sha256_of(archive)}
    found = read(Dsb2018, tmp_path / "work", **config)
    assert splits(found) == {"0003": "test", "0004": "test", "0000": "train", "0001": "train", "0002": "train"}
    for n in range(5):
        assert np.array_equal(found[f"{n:04x}"].image, picture(n))
        assert np.array_equal(found[f"{n:04x}"].labels, labels(n))
    archive.unlink()
    again = read(Dsb2018, tmp_path / "work", **config)
    assert [s.digest for s in again.values()] == [s.digest for s in found.values()]


def test_usiigaci_is_sixteen_bit_and_ordered_by_number(site: tuple[Path, str], tmp_path: Path) -> None:
    usiigaci_zip(site[0] / "u.zip")
    found = read(usiigaci.Usiigaci, tmp_path / "work", url=f"{site[1]}/u.zip")
    assert splits(found) == {"set1": "train", "set2": "train", "set10": "train", "set46": "test"}
    assert found["set10"].image.dtype == np.uint16
    assert np.array_equal(found["set10"].image, picture(10, dtype="uint16") * 300)
    assert np.array_equal(found["set10"].labels, labels(10))
    assert not list((tmp_path / "work").rglob("labeled.png"))


@pytest.mark.parametrize("cls", [tracking.U373, tracking.Psc, tracking.SimPlus, tracking.HelaDic])
def test_challenge_sequences_are_groups_and_truth_is_chosen(cls, site: tuple[Path, str], tmp_path: Path) -> None:
    archive = challenge(site[0] / "c.zip")
    config = {"url": f"{site[1]}/c.zip", "sha256": sha256_of(archive)}
    gold = read(cls, tmp_path / "work", **config)
    assert {name: dict(s.groups) for name, s in gold.items()} == {
        "01-t002": {"sequence": "01", "time": "2"},
        "02-t002": {"sequence": "02", "time": "2"},
    }
    assert np.array_equal(gold["01-t002"].image, picture(2))
    assert np.array_equal(gold["01-t002"].labels, labels(2))
    assert len(read(cls, tmp_path / "work", truth="silver", **config)) == 8


def test_livecell_has_official_splits_and_groups_from_its_names(site: tuple[Path, str], tmp_path: Path) -> None:
    livecell_files(site[0])
    found = read(LiveCell, tmp_path / "work", url=site[1])
    told = {
        name: tuple(s.groups[k] for k in ("split", "cell_type", "well", "time", "stage")) for name, s in found.items()
    }
    assert told == {
        "A172_Phase_A7_1_00d00h00m_1": ("train", "A172", "A7", "00d00h00m", "early"),
        "A172_Phase_A7_2_01d12h00m_3": ("train", "A172", "A7", "01d12h00m", "mid"),
        "A172_Phase_B7_1_03d00h00m_2": ("validation", "A172", "B7", "03d00h00m", "late"),
        "A172_Phase_C7_1_02d16h00m_2": ("test", "A172", "C7", "02d16h00m", "late"),
        "SkBr3_Phase_E3_1_00d04h00m_1": ("test", "SkBr3", "E3", "00d04h00m", "early"),
    }
    sample = found["A172_Phase_A7_2_01d12h00m_3"]
    assert np.array_equal(sample.image, picture(1))
    assert np.bincount(sample.labels.ravel())[1:].tolist() == [100, 100]
    only = read(LiveCell, tmp_path / "work", url=site[1], cell_types=("SkBr3",))
    assert list(only) == ["SkBr3_Phase_E3_1_00d04h00m_1"]


def test_livecell_is_read_from_a_folder_with_or_without_the_images_unpacked(tmp_path: Path) -> None:
    site = livecell_files(tmp_path / "site")
    mine = tmp_path / "mine"
    mine.mkdir()
    for path in (site / "annotations" / "LIVECell").iterdir():
        path.rename(mine / path.name)
    (site / "images.zip").rename(mine / "images.zip")
    packed = read(LiveCell, tmp_path / "work", archive=mine)
    with zipfile.ZipFile(mine / "images.zip") as archive:
        archive.extractall(mine)
    (mine / "images.zip").unlink()
    unpacked = read(LiveCell, tmp_path / "other", archive=mine)
    assert [s.digest for s in packed.values()] == [s.digest for s in unpacked.values()]
    assert len(packed) == 5
    (mine / "livecell_coco_val.json").unlink()
    with pytest.raises(DataError, match=r"livecell_coco_val\.json not found"):
        read(LiveCell, tmp_path / "other", archive=mine)


def test_livecell_is_read_as_published_images_listed_twice_or_in_two_splits(tmp_path: Path) -> None:
    mine = livecell_files(tmp_path / "mine")
    for name in livecell.ANNOTATIONS:
        (mine / "annotations" / "LIVECell" / name).rename(mine / name)
    listed = {split: json.loads((mine / f"livecell_coco_{split}.json").read_text()) for split in ("train", "val")}
    plain = read(LiveCell, tmp_path / "work", archive=mine)
    twice = listed["train"]["images"][0]
    shared = listed["train"]["images"][1]
    for split, image, new in (("train", twice, 90), ("val", shared, 91)):
        rows = [row for row in listed["train"]["annotations"] if row["image_id"] == image["id"]]
        listed[split]["images"].append(image | {"id": new})
        listed[split]["annotations"] += [row | {"id": 900 + i, "image_id": new} for i, row in enumerate(rows)]
        (mine / f"livecell_coco_{split}.json").write_text(json.dumps(listed[split]))
    library = Library(tmp_path / "library")
    built = library.build("livecell", {"archive": str(mine)})
    assert sorted(built.ids) == sorted(plain)
    moved = shared["file_name"].removesuffix(".tif")
    for sample in built:
        same = plain[sample.id]
        assert np.array_equal(sample.labels, same.labels)
        assert sample.groups["split"] == ("validation" if sample.id == moved else same.groups["split"])
    assert {
        "images listed twice in livecell_coco_train.json, merged: 1",
        "images listed in validation and in train, kept only in validation: 1",
    } <= set(built.info["import"])


@pytest.mark.parametrize(
    ("hours", "stage"), [(0, "early"), (23, "early"), (24, "mid"), (47, "mid"), (48, "late"), (72, "late")]
)
def test_stages_are_thirds_of_the_time_a_cell_line_was_pictured(hours: int, stage: str) -> None:
    name = f"BV2_Phase_A4_1_{hours // 24:02d}d{hours % 24:02d}h00m_1"
    assert livecell.groups_from_name(name, {"BV2": (0, 72 * 60)})["stage"] == stage


def test_a_name_that_is_not_livecells_is_refused() -> None:
    with pytest.raises(DataError, match="'A172_00d00h00m' doesn't have the form"):
        livecell.groups_from_name("A172_00d00h00m", {})


def npz_files(folder: Path) -> Path:
    folder.mkdir()
    for split, count in (("train", 3), ("val", 2), ("test", 1)):
        x = np.stack([picture(i, (24, 30, 2)).astype(np.float32) for i in range(count)])
        y = np.stack([np.stack([labels(i), labels(i + 5)], axis=-1) for i in range(count)]).astype(np.int32)
        lists = {"tissue_list": np.array(["breast"] * count), "platform_list": np.array(["codex"] * count)}
        np.savez(folder / f"tissuenet_v1.0_{split}.npz", X=x, y=y, **lists)
    return folder


def test_tissuenet_is_read_from_a_folder_an_archive_or_one_file(tmp_path: Path) -> None:
    mine = npz_files(tmp_path / "mine")
    found = read(TissueNet, tmp_path / "work", archive=mine)
    assert sorted(splits(found).values()) == ["test", "train", "train", "train", "validation", "validation"]
    sample = found["tissuenet_v1.0_train-00001"]
    assert sample.groups["tissue"] == "breast"
    assert sample.groups["platform"] == "codex"
    assert np.array_equal(sample.image, picture(1, (24, 30, 2)))
    assert np.array_equal(sample.labels, labels(1))
    nuclei = read(TissueNet, tmp_path / "work", archive=mine, mask="nucleus")
    assert np.array_equal(nuclei[sample.id].labels, labels(6))
    archive = pack(tmp_path / "tissuenet.zip", {f"tissuenet/{p.name}": p.read_bytes() for p in mine.iterdir()})
    assert len(read(TissueNet, tmp_path / "work", archive=archive)) == 6
    assert len(read(TissueNet, tmp_path / "work", archive=mine / "tissuenet_v1.0_val.npz")) == 2
    (tmp_path / "other").mkdir()
    with pytest.raises(DataError, match=r"other: no npz files found; .*datasets\.deepcell\.org"):
        read(TissueNet, tmp_path / "work", archive=tmp_path / "other")


def test_cellpose_is_read_from_folders_one_archive_or_two(tmp_path: Path) -> None:
    files = {}
    for split, numbers in (("train", (0, 1)), ("test", (0,))):
        for n in numbers:
            files[f"{split}/{n:03d}_img.png"] = encoded(picture(n, (24, 30, 3)), ".png")
            files[f"{split}/{n:03d}_masks.png"] = encoded(labels(n), ".png")
    whole = pack(tmp_path / "cellpose.zip", files)
    found = read(Cellpose, tmp_path / "work", archive=whole)
    assert splits(found) == {"train-000": "train", "train-001": "train", "test-000": "test"}
    assert np.array_equal(found["train-001"].image, picture(1, (24, 30, 3)))
    assert np.array_equal(found["train-001"].labels, labels(1))
    folder = tmp_path / "folder"
    with zipfile.ZipFile(whole) as archive:
        archive.extractall(folder)
    two = tmp_path / "two"
    two.mkdir()
    for split in ("train", "test"):
        pack(two / f"{split}.zip", {name: data for name, data in files.items() if name.startswith(split)})
    for given in (folder, two):
        again = read(Cellpose, tmp_path / "work", archive=given)
        assert {k: s.digest for k, s in again.items()} == {k: s.digest for k, s in found.items()}


# -- what goes wrong -------------------------------------------------------------------------------------------------


def test_an_archive_given_by_hand_is_checked_and_a_folder_is_used_as_it_is(tmp_path: Path) -> None:
    archive = dsb2018(tmp_path / "mine.zip")
    with pytest.raises(DataError, match=r"mine\.zip: SHA-256 mismatch"):
        read(Dsb2018, tmp_path / "work", archive=archive)
    found = read(Dsb2018, tmp_path / "work", archive=archive, sha256=sha256_of(archive))
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path / "mine")
    again = read(Dsb2018, tmp_path / "work", archive=tmp_path / "mine")
    assert [s.digest for s in again.values()] == [s.digest for s in found.values()]


def test_a_mirror_must_serve_the_published_file(site: tuple[Path, str], tmp_path: Path) -> None:
    dsb2018(site[0] / "dsb2018.zip")
    with pytest.raises(DataError, match=f"SHA-256 mismatch .*{Dsb2018.sha256}"):
        read(Dsb2018, tmp_path / "work", url=f"{site[1]}/dsb2018.zip")


@pytest.mark.parametrize("make", [usiigaci_zip, challenge])
def test_another_archive_than_it_should_be_is_named(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    archive = make(tmp_path / "other.zip")
    with pytest.raises(DataError, match="is this the right archive"):
        read(Dsb2018, tmp_path / "work", archive=archive, sha256=sha256_of(archive))


@pytest.mark.parametrize("cls", [TissueNet, Cellpose, DeepSea, DynamicNuclearNet])
def test_what_needs_the_users_own_copy_says_where_to_get_it(cls, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=rf"download it at .*, then run 'synthbench dataset add {cls.name} --from PATH'"
    ):
        read(cls, tmp_path)
    with pytest.raises(DataError, match="no such file"):
        read(cls, tmp_path, archive=tmp_path / "missing.zip")


def test_a_hash_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="sha256"):
        Dsb2018.Config(sha256="abc")


# -- the catalogue ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_dataset_names_source_licence_and_citation(name: str) -> None:
    dataset = registry().load("dataset", name)()
    assert dataset.source
    assert dataset.licence
    assert dataset.citation
    text = download_notice(dataset)
    for remote in dataset.remotes():
        assert remote.url.startswith("https://")
        assert remote.filename
        assert remote.url in text
        assert remote.sha256 is None or re.fullmatch("[0-9a-f]{64}", remote.sha256)


def test_weights_that_saw_a_dataset_are_recognised_by_its_published_name() -> None:
    assert len(NAMES) >= 23
    for name in NAMES:
        assert registry().get("dataset", name).spec.derived_from
    for name, method, weights in (
        ("dsb2018", "stardist", "2D_versatile_fluo"),
        ("bbbc039", "cellpose", "nuclei"),
        ("livecell", "cellpose", "livecell_cp3"),
    ):
        assert set(registry().get("dataset", name).spec.derived_from) & set(KNOWN[method][weights].trained_on or ())


def test_datasets_that_share_images_name_each_other() -> None:
    origins = {name: set(registry().get("dataset", name).spec.derived_from) for name in NAMES}
    for one, other in (("cellpose", "bbbc007"), ("cellpose", "bbbc020"), ("dsb2018", "bbbc039")):
        assert other in origins[one], "weights trained on one have seen images of the other"
        assert one in origins[other]


def test_the_library_builds_a_dataset_with_where_it_comes_from(site: tuple[Path, str], tmp_path: Path) -> None:
    archive = dsb2018(site[0] / "dsb2018.zip")
    library = Library(tmp_path / "library")
    config = {"url": f"{site[1]}/dsb2018.zip", "sha256": hashlib.sha256(archive.read_bytes()).hexdigest()}
    built = library.build("dsb2018", config)
    assert isinstance(built, SampleSet)
    assert built.info["licence"] == "CC0-1.0"
    assert [e.groups["split"] for e in built.entries].count("train") == 3
    with pytest.raises(ConfigError, match="did you mean 'archive'"):
        library.build("dsb2018", {"archiv": "x"}, name="other")
