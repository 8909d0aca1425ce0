"""Two folders of label maps: the figures, and every way in which the folders may not fit."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from synthbench.datasets.import_options import ImportLog
from synthbench.errors import ConfigError, DataError, SynthbenchError
from synthbench.folders.score import score_folders, score_image, score_masks, summary
from synthbench.metrics.matching import IOU_THRESHOLDS
from synthbench.samples import read_array, write_array


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


def test_the_mean_iou_of_no_pairs_is_null(tmp_path: Path) -> None:
    for name, corner in (("true", 0), ("predicted", 20)):
        (tmp_path / name).mkdir()
        labels = np.zeros((32, 32), np.uint8)
        labels[corner : corner + 8, corner : corner + 8] = 1
        write_array(tmp_path / name / "a.png", labels)
    result = score_folders(tmp_path / "predicted", tmp_path / "true")
    assert result["mean_matched_iou"] == {"pooled": [None] * 10, "per_image": [None] * 10}
    assert result["pooled"]["f1"] == [0.0] * 10


def test_the_figures_are_those_counted_by_hand(folders: tuple[Path, Path]) -> None:
    result = score_folders(*folders)
    assert list(result)[:6] == ["images", "iou", "counts", "pooled", "per_image", "dice"]
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
    assert result["mean_matched_iou"] == {"pooled": [1] * 10, "per_image": [1] * 10}
    assert result["panoptic"]["pooled"] == pytest.approx({"sq": 1, "rq": 6 / 7, "pq": 6 / 7})
    assert result["panoptic"]["per_image"] == pytest.approx({"sq": 1, "rq": 5 / 6, "pq": 5 / 6})
    assert result["aji"] == result["aji_plus"] == pytest.approx({"pooled": 180 / 240, "per_image": 3 / 4})


def test_images_whose_true_instances_touch_are_scored_apart(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    assert score_folders(*folders)["strata"]["hard"] is None
    pair = np.zeros((20, 30), np.uint8)
    pair[4:8, 4:8], pair[8:12, 8:12] = 1, 2
    one = np.where(pair == 1, pair, 0)
    write_array(truth / "d.png", pair)
    write_array(predicted / "d.png", pair)
    write_array(truth / "e.png", one)
    write_array(predicted / "e.png", pair)
    result = score_folders(*folders)
    easy, hard = result["strata"]["easy"], result["strata"]["hard"]
    assert (result["images"], easy["images"], hard["images"]) == (5, 4, 1)
    assert (hard["counts"]["tp"], hard["counts"]["fp"]) == ([2] * 10, [0] * 10)
    assert (easy["counts"]["tp"], easy["counts"]["fp"], easy["counts"]["fn"]) == ([4] * 10, [1] * 10, [1] * 10)
    assert hard["panoptic"]["pooled"]["pq"] == hard["aji"]["per_image"] == 1
    assert set(easy) == set(hard) == set(result) - {"strata"}


@pytest.mark.parametrize("semantic", [False, True])
def test_any_number_of_processes_gives_the_same_result(folders: tuple[Path, Path], semantic: bool) -> None:
    for index in range(7):
        for folder in folders:
            shutil.copy(folder / f"{'ab'[index % 2]}.png", folder / f"b{index}.png")
    calls: list[tuple[int, int]] = []
    alone = score_folders(*folders, semantic=semantic)
    together = score_folders(
        *folders, semantic=semantic, workers=3, report=lambda done, total: calls.append((done, total))
    )
    assert together == alone == score_folders(*folders, semantic=semantic, workers=None)
    assert calls == [(done, 10) for done in range(11)]


def test_the_first_mistake_by_name_is_told_whatever_the_number_of_processes(folders: tuple[Path, Path]) -> None:
    corrupt(folders[0] / "b.png")
    corrupt(folders[0] / "c.png")
    told = []
    for workers in (1, 2):
        with pytest.raises(DataError, match=r"can't be read as an image: b\.png") as caught:
            score_folders(*folders, workers=workers)
        told.append(str(caught.value))
    assert told[0] == told[1]
    assert "\n" not in told[0]


def test_a_process_that_dies_is_one_line(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        for index in range(400):
            (folder / f"x{index}.png").symlink_to(folder / "b.png")

    def kill(done: int, total: int) -> None:
        for child in multiprocessing.active_children() if done == 1 else ():
            child.kill()

    with pytest.raises(SynthbenchError, match=r"a scoring process died.*--workers 1"):
        score_folders(*folders, workers=2, report=kill)


def test_a_number_of_processes_below_one_is_refused(folders: tuple[Path, Path]) -> None:
    with pytest.raises(ValueError, match=r"^workers: 0; "):
        score_folders(*folders, workers=0)


@pytest.mark.parametrize(
    ("truth", "predicted", "named"),
    [
        (np.eye(3), np.eye(3, dtype=int), "truth"),
        (np.eye(3, dtype=int), np.eye(4, dtype=int), "predicted"),
        (np.ones(3, int), np.ones(3, int), "truth"),
    ],
)
def test_arrays_that_are_no_label_maps_are_refused(truth: np.ndarray, predicted: np.ndarray, named: str) -> None:
    with pytest.raises(ValueError, match=rf"^{named}: "):
        score_image(truth, predicted)
    with pytest.raises(ValueError, match=rf"^{named}: "):
        score_image(truth, predicted, border_objects="exclude")


def test_no_image_has_no_summary() -> None:
    with pytest.raises(ValueError, match=r"^scored: "):
        summary({})


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
    (predicted / "log.txt").write_text("mine")
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
    write_array(path, np.arange(1800, dtype=np.uint16).reshape(20, 30, 3).astype(np.uint8))


def cropped(path: Path) -> None:
    write_array(path, np.zeros((20, 29), np.uint8))


def doubled(path: Path) -> None:
    tifffile.imwrite(path.with_suffix(".tif"), np.ones((20, 30), np.uint8))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (corrupt, "can't be read as an image"),
        (cut_off, "can't be read as an image"),
        (floating, r"the mask.*is float32; save it as"),
        (negative, "contains -3"),
        (coloured, r"a colour.*export a label map"),
        (cropped, r"20×29.*b.png.*is 20×30"),
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
        words = r"20×30.*b.png.*is 20×29"
    with pytest.raises(DataError, match=words) as caught:
        score_folders(*folders)
    assert str(folders[side]) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [1, 2])
def test_all_files_that_can_not_be_scored_are_told_at_once(folders: tuple[Path, Path], workers: int) -> None:
    predicted, truth = folders
    names = sorted(path.name for path in truth.iterdir())
    for name in names:
        corrupt(predicted / name)
    with pytest.raises(DataError, match=rf"{len(names)} files: can't be read.* a\.png \(.*\), b\.png \("):
        score_folders(*folders, workers=workers)


def test_all_names_that_one_folder_lacks_are_told_at_once(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    kept = read_array(truth / "a.png")
    for i in range(12):
        write_array(predicted / f"more{i:02d}.png", kept)
    (predicted / "b.png").unlink()
    with pytest.raises(DataError) as caught:
        score_folders(*folders)
    said = str(caught.value)
    assert f"2 problems: (1) {truth}: no label maps named 'more00', " in said
    assert "'more09' and 2 more, but" in said
    assert "(2) " in said
    assert "no label map named 'b', but" in said
    assert "\n" not in said


def test_names_are_compared_however_their_letters_are_stored(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    (predicted / "a.png").rename(predicted / "a\u0308.png")
    (truth / "a.png").rename(truth / "\u00e4.png")
    assert score_folders(*folders)["images"] == len(list(truth.iterdir()))


def test_folders_that_are_none_are_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    predicted, truth = folders
    with pytest.raises(DataError, match="nowhere: no such folder"):
        score_folders(tmp_path / "nowhere", truth)
    with pytest.raises(DataError, match=r"a\.png: not a folder"):
        score_folders(predicted, truth / "a.png")
    shutil.move(truth, tmp_path / "set" / "labels")
    with pytest.raises(DataError, match=r"set:.*no label maps.*did you mean.*labels\?"):
        score_folders(predicted, tmp_path / "set")


def test_instances_are_not_taken_for_classes(folders: tuple[Path, Path]) -> None:
    write_array(folders[0] / "b.png", np.full((20, 30), 300, np.uint16))
    with pytest.raises(DataError, match="b: class 300; these seem to be instances"):
        score_folders(*folders, semantic=True)


def _ignoring(folder: Path, semantic: bool) -> tuple[Path, Path]:
    """Two pairs of maps whose right half is 255 in the truth; what is found there is noise."""
    rng = np.random.default_rng(0)
    for i in range(2):
        truth = np.zeros((20, 40), np.uint16)
        truth[2:8, 2:12], truth[10:16, 5:15] = 1, 1 if semantic else 7
        found = truth.copy()
        found[2:8, 2:5] = 0
        found[:, 20:] = rng.integers(0, 2 if semantic else 9, (20, 20))
        truth[:, 20:] = 255
        for name, array in (("truth", truth), ("found", found)):
            (folder / name).mkdir(exist_ok=True)
            write_array(folder / name / f"{i}.png", array)
    return folder / "found", folder / "truth"


@pytest.mark.parametrize("workers", [1, 2])
def test_pixels_of_a_value_are_left_out_of_instances(tmp_path: Path, workers: int) -> None:
    result = score_folders(*_ignoring(tmp_path, semantic=False), ignore=255, workers=workers)
    assert result["counts"]["tp"][:5] == [4] * 5  # IoU 42 / 60 = .7, and 1
    assert result["counts"]["tp"][5:] == [2] * 5
    assert result["counts"]["fp"][0] == result["counts"]["fn"][0] == 0
    assert result["dice"] == pytest.approx(2 * 102 / (102 + 120))
    assert result["aji"]["pooled"] == pytest.approx(102 / 120)
    assert result["panoptic"]["pooled"]["pq"] == pytest.approx(0.85)
    blind = score_folders(tmp_path / "found", tmp_path / "truth", trusted=True)
    assert blind["counts"]["tp"] != result["counts"]["tp"]


def test_pixels_of_a_value_are_left_out_of_classes(tmp_path: Path) -> None:
    result = score_folders(*_ignoring(tmp_path, semantic=True), semantic=True, ignore=255)
    assert (result["images"], result["classes"]) == (2, 2)
    assert result["pooled"]["iou"] == pytest.approx([280 / 298, 102 / 120])
    assert result["pooled"]["accuracy"] == pytest.approx(1 - 18 / 400)


def test_an_image_without_a_known_pixel_counts_nowhere(tmp_path: Path) -> None:
    found, truth = _ignoring(tmp_path, semantic=True)
    before = score_folders(found, truth, semantic=True, ignore=255)
    for folder, value in ((truth, 255), (found, 1)):
        write_array(folder / "void.png", np.full((8, 8), value, np.uint8))
    after = score_folders(found, truth, semantic=True, ignore=255)
    assert after == before
    for path in truth.glob("?.png"):
        write_array(path, np.full((20, 40), 255, np.uint8))
    with pytest.raises(DataError, match="every pixel is ignored"):
        score_folders(found, truth, semantic=True, ignore=255)


def test_the_background_of_instances_cannot_be_ignored(folders: tuple[Path, Path]) -> None:
    with pytest.raises(SynthbenchError, match="ignore 0"):
        score_folders(*folders, ignore=0)


def binary(value: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda labels: ((labels > 0) * value).astype(np.uint16)


def change(folder: Path, how: Callable[[np.ndarray], np.ndarray]) -> None:
    for path in folder.iterdir():
        with Image.open(path) as picture:
            labels = np.asarray(picture)
        write_array(path, how(labels))


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (binary(255), r"binary mask.*--components.*, --semantic for classes, or --trust-masks"),
        (lambda labels: np.where(labels > 0, labels, 255).astype(np.uint8), r"no mask.*0, and 255 covers"),
        (lambda labels: 1 + (labels > 0).astype(np.uint8), r"no mask.*0, and 1 covers"),
        (lambda labels: np.random.default_rng(0).integers(0, 256, labels.shape, dtype=np.uint8), "not a label map"),
    ],
    ids=["binary", "background of 255", "classes from 1", "a picture"],
)
@pytest.mark.parametrize("sides", [(0,), (1,), (0, 1)])
def test_masks_that_are_no_label_maps_have_no_score(
    folders: tuple[Path, Path], how: Callable[[np.ndarray], np.ndarray], says: str, sides: tuple[int, ...]
) -> None:
    for side in sides:
        change(folders[side], how)
    with pytest.raises(DataError, match=says) as caught:
        score_folders(*folders)
    assert any(str(folders[side]) in str(caught.value) for side in sides)
    assert not any(str(folders[side]) in str(caught.value) for side in {0, 1}.difference(sides))
    assert score_folders(*folders, trusted=True)["images"] == 3


def test_the_pieces_of_binary_masks_can_be_scored(folders: tuple[Path, Path]) -> None:
    plain = score_folders(*folders)
    for folder in folders:
        change(folder, binary(255))
    log = ImportLog()
    pieces = score_folders(*folders, components=True, log=log)
    assert pieces["counts"] == plain["counts"]
    assert pieces["pooled"] == plain["pooled"]
    assert log.counts == {"objects made of connected pieces": 7, "labels that they come from": 4}


def test_pieces_and_ignored_pixels_go_together(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        change(folder, binary(1))
    for path in folders[1].iterdir():
        with Image.open(path) as picture:
            labels = np.array(picture)
        labels[-3:] = 2
        write_array(path, labels)
    result = score_folders(*folders, components=True, ignore=2)
    assert result["counts"]["tp"] == [3] * 10
    assert result["counts"]["fn"] == [1] * 10


@pytest.mark.parametrize("values", [(1, 255), (255, 1), (255, 255), (65535, 1)])
def test_classes_of_binary_masks_are_0_and_1_however_they_are_saved(
    folders: tuple[Path, Path], values: tuple[int, int]
) -> None:
    for folder in folders:
        change(folder, binary(1))
    plain = score_folders(*folders, semantic=True)
    for folder, value in zip(folders, values, strict=True):
        change(folder, binary(value))
    log = ImportLog()
    assert score_folders(*folders, semantic=True, log=log) == plain
    assert any("of 0 and" in line and "scored as classes 0 and 1" in line for line in log.lines())


def test_classes_that_do_not_mean_the_same_have_no_score(folders: tuple[Path, Path]) -> None:
    truth = folders[1]
    for folder in folders:
        change(folder, binary(1))
    change(truth, lambda labels: labels + 1)
    with pytest.raises(DataError, match=r"truth: no mask.*0,.*those of.*predicted.*renumber"):
        score_folders(*folders, semantic=True)
    change(truth, lambda labels: labels - 1)
    with Image.open(truth / "a.png") as picture:
        labels = np.array(picture)
    labels[:2] = 255
    write_array(truth / "a.png", labels)
    with pytest.raises(DataError, match=r"a\.png: 255 occurs beside .*--ignore 255"):
        score_folders(*folders, semantic=True)
    assert score_folders(*folders, semantic=True, ignore=255)["classes"] == 2
    write_array(truth / "a.png", (labels == 1).astype(np.uint8) * 255)
    write_array(truth / "b.png", (labels == 1).astype(np.uint8) + (labels == 255))
    write_array(truth / "c.png", (labels == 1).astype(np.uint8) * 2)
    with pytest.raises(DataError, match=r"a\.png contains 0 and 255, but c\.png"):
        score_folders(*folders, semantic=True)


def test_pictures_are_no_classes(folders: tuple[Path, Path]) -> None:
    change(folders[1], lambda labels: np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8))
    change(folders[0], lambda labels: np.zeros((64, 64), np.uint8))
    with pytest.raises(DataError, match=r"mask of classes: its 255 values.*scattered"):
        score_folders(*folders, semantic=True)


def test_a_stack_of_masks_has_no_score(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        (folder / "a.png").unlink()
        for _ in range(3):
            tifffile.imwrite(folder / "a.tif", np.ones((20, 30), np.uint8), append=(folder / "a.tif").exists())
    with pytest.raises(DataError, match=r"a\.tif:.*3.*; save each as a file of its own"):
        score_folders(*folders)


@pytest.mark.parametrize("options", [{}, {"semantic": True}, {"components": True}, {"ignore": 7}])
def test_arrays_have_the_scores_of_their_files(folders: tuple[Path, Path], options: dict[str, Any]) -> None:
    names = ("a.png", "b.png", "c.png")
    predicted, truth = ([read_array(folder / name) for name in names] for folder in folders)
    expected = score_masks(*folders, **options)
    assert score_masks(predicted, truth, **options) == expected
    assert score_masks(np.stack(predicted), tuple(truth), **options) == expected


def test_one_array_is_one_image(folders: tuple[Path, Path]) -> None:
    labels = read_array(folders[1] / "a.png")
    result = score_masks(labels, labels)
    assert (result["images"], result["pooled"]["f1"]) == (1, [1.0] * 10)


LABELS = np.ones((20, 30), np.uint8)


@pytest.mark.parametrize(
    ("predicted", "truth", "error", "named"),
    [
        (LABELS, "folder", ConfigError, "truth: str"),
        (7, LABELS, ConfigError, "predicted: int"),
        (["a.png"], ["a.png"], ConfigError, "predicted: list"),
        ([LABELS], [LABELS, LABELS], DataError, "truth 2"),
        ([], [], DataError, "empty"),
        (LABELS, LABELS.astype(float), DataError, r"truth\[0\].*float64"),
        (LABELS, LABELS[:, :9], DataError, r"predicted\[0\].*20×30"),
    ],
)
def test_arrays_that_cannot_be_scored_are_named(predicted: Any, truth: Any, error: type, named: str) -> None:
    with pytest.raises(error, match=named):
        score_masks(predicted, truth)


@pytest.mark.parametrize("workers", [1, 2])
def test_objects_at_the_image_border_are_left_out_on_request(folders: tuple[Path, Path], workers: int) -> None:
    """In each image that isn't empty, an object at the border is added: found in one, missed in the other."""
    predicted, truth = folders
    for name, found in (("a", True), ("b", False)):
        for folder, drawn in ((truth, True), (predicted, found)):
            labels = read_array(folder / f"{name}.png").copy()
            labels[17:20, 2:6] = 30 if drawn else 0
            write_array(folder / f"{name}.png", labels)
    everything = score_folders(*folders, workers=workers)
    assert everything["counts"] == {"tp": [4] * 10, "fp": [0] * 10, "fn": [2] * 10}
    assert "left_out_at_border" not in everything
    result = score_folders(*folders, workers=workers, border_objects="exclude")
    assert result["counts"] == {"tp": [3] * 10, "fp": [0] * 10, "fn": [1] * 10}
    assert result["left_out_at_border"] == {"true": 2, "predicted": 1}
    maps = [[read_array(path) for path in sorted(folder.iterdir())] for folder in folders]
    assert score_masks(*maps, border_objects="exclude") == result


def test_border_objects_are_a_word_for_instances(folders: tuple[Path, Path]) -> None:
    for score, masks in ((score_folders, folders), (score_masks, (np.ones((5, 5), int), np.ones((5, 5), int)))):
        with pytest.raises(ConfigError, match="border_objects: 'ignore'"):
            score(*masks, border_objects="ignore")
        with pytest.raises(ConfigError, match="border_objects: exclude"):
            score(*masks, semantic=True, border_objects="exclude")
