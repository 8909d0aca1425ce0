"""The datasets of the Broad Bioimage Benchmark Collection: stains in separate files, outlines, a file per object."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plugins.catalogue.catalogue_files import encoded, labels, pack, picture, read, splits, write
from synthbench.errors import DataError
from synthbench_catalogue.bbbc006 import Bbbc006
from synthbench_catalogue.bbbc007 import Bbbc007, fill_outlines
from synthbench_catalogue.bbbc020 import Bbbc020
from synthbench_catalogue.bbbc039 import Bbbc039


def bbbc006() -> dict[str, dict[str, bytes]]:
    images, masks = {}, {}
    for n, (well, site) in enumerate([("a01", 1), ("a01", 2), ("p24", 1)]):
        stem = f"mcf-z-stacks-03212011_{well}_s{site}"
        for w in (1, 2):
            where = f"BBBC006_v1_images_z_16/{stem}_w{w}0f{n}.tif"
            images[where] = encoded(picture(10 * n + w, dtype="uint16") * 20, ".tif")
        masks[f"BBBC006_v1_labels/{stem}.png"] = encoded(labels(n, dtype="uint8"), ".png")
    return {"BBBC006_v1_images_z_16.zip": images, "BBBC006_v1_labels.zip": masks}


def test_bbbc006_joins_two_stains_and_groups_by_well(
    site: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, files in bbbc006().items():
        pack(site[0] / name, files)
    with pytest.raises(DataError, match="SHA-256 mismatch"):
        read(Bbbc006, tmp_path / "first", url=site[1])
    monkeypatch.setattr(Bbbc006, "archives", tuple((name, None) for name, _ in Bbbc006.archives))
    found = read(Bbbc006, tmp_path / "work", url=site[1])
    assert [dict(s.groups) for s in found.values()] == [
        {"well": "a01", "site": "1"},
        {"well": "a01", "site": "2"},
        {"well": "p24", "site": "1"},
    ]
    sample = found["mcf-z-stacks-03212011_p24_s1"]
    assert sample.image.dtype == np.uint16
    for channel in (0, 1):
        assert np.array_equal(sample.image[..., channel], picture(21 + channel, dtype="uint16") * 20)
    assert np.array_equal(sample.labels, labels(2))


def test_archives_may_be_given_in_a_folder_packed_or_unpacked_and_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bbbc006, "archives", tuple((name, None) for name, _ in Bbbc006.archives))
    (tmp_path / "packed").mkdir()
    for name, files in bbbc006().items():
        write(tmp_path / "unpacked", files)
        pack(tmp_path / "packed" / name, files)
    packed, unpacked = (read(Bbbc006, tmp_path / "work", archive=tmp_path / n) for n in ("packed", "unpacked"))
    assert [s.digest for s in packed.values()] == [s.digest for s in unpacked.values()]
    (tmp_path / "packed" / "BBBC006_v1_labels.zip").unlink()
    with pytest.raises(DataError, match=r"BBBC006_v1_labels\.zip not found"):
        read(Bbbc006, tmp_path / "work", archive=tmp_path / "packed")
    next((tmp_path / "unpacked").rglob("*_p24_s1.png")).unlink()
    with pytest.raises(DataError, match="p24_s1 has no file for labels"):
        read(Bbbc006, tmp_path / "work", archive=tmp_path / "unpacked")


def ring(top: int, left: int, size: int, shape: tuple[int, int] = (24, 30)) -> np.ndarray:
    line = np.zeros(shape, np.uint8)
    line[top : top + size, left : left + size] = 255
    line[top + 1 : top + size - 1, left + 1 : left + size - 1] = 0
    return line


def test_outlines_are_filled_and_what_reaches_the_border_is_background() -> None:
    line = ring(2, 3, 6) | ring(2, 8, 6) | ring(12, 10, 8)
    line[18:, 2] = line[18:, 8] = line[18, 2:9] = 255  # open at the bottom
    filled = fill_outlines(line > 0)
    assert filled.max() == 3
    areas = sorted(np.bincount(filled.ravel())[1:].tolist())
    assert areas[-1] == 64
    assert areas[0] + areas[1] == 66
    assert (filled[2:8, 3:8] == filled[4, 5]).all()
    assert (filled[12:20, 10:18] == filled[15, 14]).all()
    assert filled[22, 5] == 0
    assert not fill_outlines(np.zeros((8, 9), bool)).any()


def test_bbbc007_pairs_dna_with_actin_by_three_naming_rules(tmp_path: Path) -> None:
    names = {
        "A9": ("A9 p10d", "A9 p10f"),
        "f9620": ("17P1_POS0013_D_1UL", "17P1_POS0013_F_2UL"),
        "f113": ("AS_09125_040701150004_A02f00d0", "AS_09125_040701150004_A02f00d1"),
    }
    files = {}
    for n, (folder, (dna, actin)) in enumerate(names.items()):
        files[f"BBBC007_v1_images/{folder}/{dna}.tif"] = encoded(picture(n), ".tif")
        colour = np.stack([picture(n + 5) // 2, picture(n + 5), picture(n + 5) // 3], axis=-1)
        files[f"BBBC007_v1_images/{folder}/{actin}.tif"] = encoded(colour if n == 0 else picture(n + 5), ".tif")
        files[f"BBBC007_v1_outlines/{folder}/{dna}.tif"] = encoded(ring(3, 4, 9), ".tif")
    mine = write(tmp_path / "mine", files)
    found = read(Bbbc007, tmp_path / "work", archive=mine)
    assert sorted(s.groups["acquisition"] for s in found.values()) == sorted(names)
    sample = found["A9_p10d"]
    assert np.array_equal(sample.image, np.stack([picture(0), picture(5)], axis=-1))
    assert np.argwhere(sample.labels).min(axis=0).tolist() == [3, 4]
    assert np.bincount(sample.labels.ravel())[1:].tolist() == [81]
    drawn = mine / "BBBC007_v1_outlines" / "A9" / "A9 p10d.tif"
    drawn.write_bytes(encoded(255 - ring(3, 4, 9), ".tif"))
    with pytest.raises(DataError, match="more than half"):
        read(Bbbc007, tmp_path / "work", archive=mine)
    drawn.unlink()
    with pytest.raises(DataError, match="has no outlines"):
        read(Bbbc007, tmp_path / "work", archive=mine)


def bbbc020(folder: Path) -> Path:
    files = {}
    for n, field in enumerate(("jw-Kontrolle1", "jw-15min 1", "jw-15min 2", "jw-30min 1")):
        for stain, colour in (("c1", 0), ("c5", 2)):
            image = np.zeros((40, 50, 3), np.uint8)
            image[..., colour] = picture(10 * n + colour, (40, 50))
            files[f"BBBC020_v1_images/{field}/{field}_{stain}.TIF"] = encoded(image, ".tif")
            if "30min" not in field:
                for number in (1, 2, 10):
                    where = f"BBC020_v1_outlines_{stain}/{field}_{stain}_{number}.TIF"
                    mask = np.zeros((40, 50), np.uint8)
                    mask[3 * number : 3 * number + 5, 4:12] = 255
                    files[where] = encoded(mask, ".tif")
    return write(folder, files)


def test_bbbc020_joins_false_colours_and_one_file_per_object(tmp_path: Path) -> None:
    mine = bbbc020(tmp_path / "mine")
    found = read(Bbbc020, tmp_path / "work", archive=mine)
    assert {name: tuple(s.groups.values()) for name, s in found.items()} == {
        "jw-15min_1": ("15min", "1"),
        "jw-15min_2": ("15min", "2"),
        "jw-Kontrolle1": ("Kontrolle", "1"),
    }
    sample = found["jw-15min_2"]
    assert np.array_equal(sample.image, np.stack([picture(20, (40, 50)), picture(22, (40, 50))], axis=-1))
    assert [int(sample.labels[row, 5]) for row in (4, 10, 32)] == [1, 2, 3]
    cropped = read(Bbbc020, tmp_path / "work", archive=mine, crop=4, mask="nucleus")["jw-15min_2"]
    assert np.array_equal(cropped.image, sample.image[4:-4, 4:-4])
    assert np.array_equal(cropped.labels > 0, sample.labels[4:-4, 4:-4] > 0)


def test_bbbc039_numbers_pieces_of_a_colour_and_has_official_splits(tmp_path: Path) -> None:
    files, lists = {}, {"training": "A02", "validation": "B03", "test": "P24"}
    for n, (part, well) in enumerate(lists.items()):
        stem = f"IXMtest_{well}_s{n + 1}_w1ABC{n}"
        mask = np.zeros((24, 30, 4), np.uint8)
        mask[..., 3] = 255
        mask[2:8, 3:9, 0] = mask[12:20, 14:25, 0] = 1
        mask[2:8, 9:14, 0] = 2
        files[f"images/{stem}.tif"] = encoded(picture(n, dtype="uint16") * 10, ".tif")
        files[f"masks/{stem}.png"] = encoded(mask, ".png")
        files[f"__MACOSX/masks/._{stem}.png"] = b"resource fork"
        files[f"metadata/{part}.txt"] = f"{stem}.png\n".encode()
    mine = write(tmp_path / "mine", files)
    found = read(Bbbc039, tmp_path / "work", archive=mine)
    assert splits(found) == {
        "IXMtest_A02_s1_w1ABC0": "train",
        "IXMtest_B03_s2_w1ABC1": "validation",
        "IXMtest_P24_s3_w1ABC2": "test",
    }
    sample = found["IXMtest_P24_s3_w1ABC2"]
    assert (sample.groups["well"], sample.groups["site"]) == ("P24", "3")
    assert np.array_equal(sample.image, picture(2, dtype="uint16") * 10)
    assert sorted(np.bincount(sample.labels.ravel())[1:].tolist()) == [30, 36, 88]
    for path in (mine / "metadata").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"metadata\.zip"):
        read(Bbbc039, tmp_path / "work", archive=mine)
