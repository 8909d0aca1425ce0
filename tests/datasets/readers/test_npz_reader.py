"""npz files with X and y: TissueNet's form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.importing import prepare_import
from synthbench.datasets.readers import npz
from synthbench.errors import DataError


@pytest.fixture
def tissue() -> dict[str, np.ndarray]:
    """Three float images of two channels with two masks each, and the tissue they are from."""
    rng = np.random.default_rng(3)
    images = rng.random((3, 24, 32, 2), dtype=np.float32) * 1000 + 0.5
    masks = np.zeros((3, 24, 32, 2), np.int64)
    masks[:, 4:12, 4:10, 0], masks[:, 4:12, 10:20, 0], masks[:, 6:9, 6:9, 1] = 1, 2, 7
    return {"X": images, "y": masks, "tissue_list": np.array(["skin", "pancreas", "skin"])}


def _save(path: Path, arrays: dict[str, np.ndarray], compressed: bool = True) -> Path:
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return path


@pytest.mark.parametrize("compressed", [True, False])
def test_images_keep_their_two_channels_and_floats_are_rescaled(bring, tmp_path, tissue, compressed):
    path = _save(tmp_path / "tissuenet_v1.1_train.npz", tissue, compressed)
    samples, found = bring(path)
    assert [s.id for s in samples] == [f"tissuenet_v1.1_train-0000{i}" for i in range(3)]
    assert [dict(s.groups) for s in samples] == [{"split": "train", "tissue": t} for t in ("skin", "pancreas", "skin")]
    first = samples[0]
    assert first.image.dtype == np.uint16
    assert first.image.shape == (24, 32, 2)
    for channel in (0, 1):
        every, plane = tissue["X"].astype(float), tissue["X"][0, ..., channel].astype(float)
        scaled = np.rint((plane - every.min()) * (65535 / np.ptp(every)))
        np.testing.assert_array_equal(first.image[..., channel], scaled)
    np.testing.assert_array_equal(first.labels, tissue["y"][0, ..., 0])
    lines = "\n".join(found.log.lines())
    assert "float32 images rescaled together: " in lines
    assert "the range of all images, stored as 0 … 65535 (uint16): 3" in lines
    assert "masks taken from channel 0 of 2: 3" in lines


@pytest.mark.parametrize(("last", "channels"), [(255, 3), (254, 4)])
def test_a_fourth_channel_is_dropped_where_it_is_opaque_alpha(bring, tmp_path, tissue, last, channels):
    images = np.random.default_rng(0).integers(0, 256, (3, 24, 32, 4), dtype=np.uint8)
    images[..., 3] = last
    samples, _ = bring(_save(tmp_path / "a.npz", {"X": images, "y": tissue["y"]}))
    np.testing.assert_array_equal(samples[1].image, images[1, ..., :channels])


def test_images_with_and_without_alpha_make_no_set(tmp_path, tissue):
    images = np.random.default_rng(0).integers(0, 256, (3, 24, 32, 4), dtype=np.uint8)
    images[1, ..., 3] = 255
    prepared = prepare_import(_save(tmp_path / "a.npz", {"X": images, "y": tissue["y"]}))
    with pytest.raises(DataError, match="'a-00001' has 3 channels and that of 'a-00000' has 4"):
        prepared.write(tmp_path / "set")


def test_another_mask_can_be_asked_for(tmp_path, tissue):
    path = _save(tmp_path / "a.npz", tissue)
    log = ImportLog()
    log.measure_with(lambda other: npz.read(path, ImportOptions(), other, mask=1), "a")
    samples = list(npz.read(path, ImportOptions(), log, mask=1))
    np.testing.assert_array_equal(samples[2].labels, tissue["y"][2, ..., 1])
    with pytest.raises(DataError, match=r"a\.npz: y\[0\]: has 2 masks; there is no mask 2"):
        next(npz.read(path, ImportOptions(), ImportLog(), mask=2))


def test_whole_numbers_in_floats_are_kept_exactly(bring, tmp_path, tissue):
    counts = np.floor(tissue["X"][..., 0])
    samples, _ = bring(_save(tmp_path / "a.npz", {"X": counts, "y": tissue["y"][..., 0]}))
    np.testing.assert_array_equal(np.stack([s.image for s in samples]), counts)


def test_column_major_arrays_are_read_alike(bring, tmp_path, tissue):
    turned = {name: np.asfortranarray(array) for name, array in tissue.items()}
    rows, _ = bring(_save(tmp_path / "a.npz", tissue))
    columns, _ = bring(_save(tmp_path / "a.npz", turned))
    assert [s.digest for s in rows] == [s.digest for s in columns]


def test_a_folder_of_files_is_one_set_with_splits(bring, tmp_path, tissue):
    for split in ("train", "val", "test"):
        _save(tmp_path / f"{split}.npz", tissue)
    samples, found = bring()
    assert len(samples) == found.log.total == 9
    assert {s.groups["split"] for s in samples} == {"train", "validation", "test"}


def test_python_objects_are_never_unpickled(bring, tmp_path, tissue):
    class Trap:
        def __reduce__(self):
            return (print, ("unpickled",))

    trap = np.empty(3, object)
    trap[:] = [Trap() for _ in range(3)]
    samples, found = bring(_save(tmp_path / "a.npz", {**tissue, "meta": trap}))
    assert len(samples) == 3
    assert "array meta of a.npz not read (not a list of n strings or integers): 1" in found.log.lines()
    pickled = np.empty((3, 24, 32), object)
    with pytest.raises(DataError, match=r"a\.npz: X contains Python objects"):
        bring(_save(tmp_path / "a.npz", {"X": pickled, "y": tissue["y"]}))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"y": np.zeros((2, 24, 32), int)}, r"X has shape \(3, 24, 32, 2\) and y has shape \(2, 24, 32\)"),
        ({"y": np.zeros((3, 24, 31), int)}, r"y\[0\]: the mask is 24×31 but its image .*X\[0\] is 24×32"),
        ({"y": np.full((3, 24, 32), -1)}, r"y\[0\]: the mask contains -1"),
        ({"y": np.zeros((3, 24, 32))}, r"y\[0\]: the mask type is float64; .*save it as integers"),
        ({"X": np.full((3, 24, 32), np.nan)}, r"X\[0\]: the image contains NaN"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_by_file_and_index(bring, tmp_path, tissue, change, says):
    with pytest.raises(DataError, match=rf"a\.npz: {says}"):
        bring(_save(tmp_path / "a.npz", {**tissue, **change}))


def test_missing_arrays_are_named(bring, tmp_path, tissue):
    with pytest.raises(DataError, match=r"no array of masks.*: X, tissue_list"):
        bring(_save(tmp_path / "a.npz", {k: v for k, v in tissue.items() if k != "y"}))


@pytest.mark.parametrize("keep", [0.5, 0.0])
def test_a_file_cut_short_is_one_clear_line(bring, tmp_path, tissue, keep):
    path = _save(tmp_path / "a.npz", tissue)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(DataError, match=r"a\.npz: can't be read as an npz file"):
        bring(path)


@pytest.mark.parametrize("compressed", [True, False])
def test_damaged_contents_are_one_clear_line(bring, tmp_path, tissue, compressed):
    images = (tissue["X"][..., 0] / 4).astype(np.uint8)
    path = _save(tmp_path / "a.npz", {"X": images, "y": tissue["y"]}, compressed)
    content = bytearray(path.read_bytes())
    content[900] ^= 255
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"a\.npz: (X )?can't be read"):
        bring(path)


def test_what_is_wrong_in_several_files_is_told_at_once(bring, tmp_path, tissue):
    for name in "ab":
        _save(tmp_path / f"{name}.npz", {"X": tissue["X"]})
    with pytest.raises(
        DataError, match=r"2 problems: \(1\) a\.npz: no array of masks.*; \(2\) b\.npz: no array of masks"
    ):
        bring()
