"""Two folders of label maps: the figures, and every way in which the folders may not fit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from synthbench.errors import DataError
from synthbench.metrics.matching import IOU_THRESHOLDS
from synthbench.samples import write_array
from synthbench.scoring import score_folders


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Predictions and truths of three images: right, half right, and empty in both."""
    predicted, truth = tmp_path / "predicted", tmp_path / "truth"
    predicted.mkdir()
    truth.mkdir()
    two = np.zeros((20, 30), np.uint16)
    two[2:8, 2:12], two[10:16, 15:25] = 1, 7
    one = np.where(two == 1, two, 0)
    for name, true, found in (("a", two, two), ("b", two, one), ("c", 0 * two, 0 * two)):
        write_array(truth / f"{name}.png", true)
        write_array(predicted / f"{name}.png", found)
    return predicted, truth


def test_the_figures_are_those_counted_by_hand(folders: tuple[Path, Path]) -> None:
    result = score_folders(*folders)
    assert list(result) == ["images", "iou", "counts", "pooled", "per_image", "dice"]
    assert result["images"] == 3
    assert result["iou"] == list(IOU_THRESHOLDS)
    assert result["counts"] == {"tp": [3] * 10, "fp": [0] * 10, "fn": [1] * 10}
    assert result["pooled"]["recall"] == [0.75] * 10
    assert result["pooled"]["jaccard_ap"] == [0.75] * 10
    assert result["pooled"]["f1"] == pytest.approx([6 / 7] * 10)
    # The image that is empty in both counts in no mean.
    assert result["per_image"]["recall"] == [0.75] * 10
    assert result["per_image"]["f1"] == pytest.approx([(1 + 2 / 3) / 2] * 10)
    assert result["dice"] == pytest.approx(2 * 180 / (180 + 240))


def test_progress_ends_with_all_images(folders: tuple[Path, Path]) -> None:
    calls: list[tuple[int, int]] = []
    score_folders(*folders, report=lambda done, total: calls.append((done, total)))
    assert calls == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_endings_may_differ_and_other_files_are_passed_over(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    expected = score_folders(predicted, truth)
    labels = np.asarray(Image.open(predicted / "b.png")).astype(np.uint32) * 100_000
    (predicted / "b.png").unlink()
    tifffile.imwrite(predicted / "b.TIF", labels)
    (predicted / "notes.txt").write_text("mine")
    (truth / ".hidden.png").write_text("not an image")
    assert score_folders(predicted, truth) == expected


def test_classes_are_scored_by_class(tmp_path: Path) -> None:
    predicted, truth = tmp_path / "predicted", tmp_path / "truth"
    predicted.mkdir()
    truth.mkdir()
    labels = np.zeros((100, 100), np.uint8)
    labels[:, 50:] = 1
    stray = labels.copy()
    stray[0, :3] = 2
    for name, found in (("a", labels), ("b", stray)):
        write_array(truth / f"{name}.png", labels)
        write_array(predicted / f"{name}.png", found)
    result = score_folders(predicted, truth, semantic=True)
    assert (result["images"], result["classes"]) == (2, 3)
    assert result["pooled"]["iou"] == pytest.approx([9997 / 10000, 1, 0])
    assert result["pooled"]["miou_star"] == pytest.approx((0.9997 + 1) / 2)
    assert result["per_image"]["miou"] == pytest.approx((1 + 0.6665) / 2, abs=1e-4)
    assert "cldice" not in result["per_image"]
    (predicted / "b.png").unlink()
    (truth / "b.png").unlink()
    assert score_folders(predicted, truth, semantic=True)["per_image"]["cldice"] == 1


def corrupt(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def cut_off(path: Path) -> None:
    tifffile.imwrite(path.with_suffix(".tif"), np.ones((20, 30), np.uint16))
    path.unlink()
    with path.with_suffix(".tif").open("r+b") as file:
        file.truncate(60)


def floating(path: Path) -> None:
    tifffile.imwrite(path.with_suffix(".tif"), np.ones((20, 30), np.float32))
    path.unlink()


def negative(path: Path) -> None:
    tifffile.imwrite(path.with_suffix(".tif"), np.full((20, 30), -3, np.int16))
    path.unlink()


def coloured(path: Path) -> None:
    write_array(path, np.zeros((20, 30, 3), np.uint8))


def cropped(path: Path) -> None:
    write_array(path, np.zeros((20, 29), np.uint8))


def doubled(path: Path) -> None:
    tifffile.imwrite(path.with_suffix(".tif"), np.ones((20, 30), np.uint8))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (corrupt, "can't be read as an image"),
        (cut_off, "can't be read as an image"),
        (floating, "float32; give a label map of whole numbers"),
        (negative, "holds -3"),
        (coloured, r"shape \(20, 30, 3\)"),
        (cropped, "20×29, and .*b.png is 20×30"),
        (doubled, "b.png has the same name"),
        (Path.unlink, "no label map named 'b'"),
    ],
)
@pytest.mark.parametrize("side", [0, 1])
def test_what_does_not_fit_is_refused_by_name(
    folders: tuple[Path, Path], harm: Callable[[Path], None], words: str, side: int
) -> None:
    harm(folders[side] / "b.png")
    if harm is cropped and side == 1:
        words = "20×30, and .*b.png is 20×29"
    with pytest.raises(DataError, match=words) as caught:
        score_folders(*folders)
    assert str(folders[side]) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folders_that_are_none_are_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    predicted, truth = folders
    with pytest.raises(DataError, match="nowhere: no such folder"):
        score_folders(tmp_path / "nowhere", truth)
    with pytest.raises(DataError, match=r"a\.png: not a folder"):
        score_folders(predicted, truth / "a.png")
    shutil.move(truth, tmp_path / "set" / "labels")
    with pytest.raises(DataError, match=r"set: no label maps .*did you mean .*labels\?"):
        score_folders(predicted, tmp_path / "set")


def test_instances_are_not_taken_for_classes(folders: tuple[Path, Path]) -> None:
    write_array(folders[0] / "b.png", np.full((20, 30), 300, np.uint16))
    with pytest.raises(DataError, match="b: class 300; these look like instances"):
        score_folders(*folders, semantic=True)
