"""``synthbench score``: StarDist's figures on real predictions, JSON's keys, the table, and errors of one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthbench.cli import main
from synthbench.metrics.matching import IOU_THRESHOLDS
from synthbench.samples import read_array, write_array


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str]:
    labels = np.zeros((16, 16), np.uint8)
    labels[2:6, 2:6], labels[8:12, 8:12] = 1, 2
    for name, array in (("predicted", np.where(labels == 1, 5, 0)), ("truth", labels)):
        (tmp_path / name).mkdir()
        write_array(tmp_path / name / "x.png", array.astype(np.uint8))
        write_array(tmp_path / name / "empty.png", np.zeros((4, 4), np.uint8))
    return str(tmp_path / "predicted"), str(tmp_path / "truth")


def test_json_agrees_with_stardist_on_a_real_networks_predictions(
    real_data: Path, shared_fixtures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    matching_dataset = pytest.importorskip("stardist.matching").matching_dataset
    predicted, truth = shared_fixtures / "dsb2018_test_predictions", real_data / "fluo_nuclei_dsb2018/test/labels"
    assert main(["score", str(predicted), str(truth), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    names = [path.name for path in sorted(truth.glob("*.png"))]
    assert result["images"] == len(names) == 50
    maps = [[read_array(folder / name) for name in names] for folder in (truth, predicted)]
    for part, by_image in (("pooled", False), ("per_image", True)):
        expected = matching_dataset(*maps, thresh=IOU_THRESHOLDS, by_image=by_image, show_progress=False)
        for ours, theirs in (("precision",) * 2, ("recall",) * 2, ("f1",) * 2, ("jaccard_ap", "accuracy")):
            np.testing.assert_allclose(result[part][ours], [getattr(e, theirs) for e in expected], atol=1e-9, rtol=0)
        for name in ("tp", "fp", "fn"):
            assert result["counts"][name] == [getattr(e, name) for e in expected]


def test_json_has_exactly_the_promised_keys(folders: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", *folders, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    numbers = {"images", "iou", "counts", "pooled", "per_image", "dice"}
    numbers |= {"mean_matched_iou", "panoptic", "aji", "aji_plus"}
    assert set(result) == numbers | {"strata"}
    assert set(result["strata"]) == {"easy", "hard"}
    assert set(result["strata"]["easy"]) == numbers
    assert result["strata"]["hard"] is None
    assert set(result["counts"]) == {"tp", "fp", "fn"}
    for part in ("pooled", "per_image"):
        assert set(result[part]) == {"precision", "recall", "f1", "jaccard_ap"}
        assert all(len(values) == len(result["iou"]) == 10 for values in result[part].values())
        assert len(result["mean_matched_iou"][part]) == 10
        assert set(result["panoptic"][part]) == {"sq", "rq", "pq"}
        assert result["aji"][part] == result["aji_plus"][part] == 0.5


def test_table_names_both_ways_of_averaging_and_counts_what_is_left_out(
    folders: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", *folders]) == 0
    out, err = capsys.readouterr()
    head, columns, *rows, tail = out.split("\n\n")[0].splitlines()
    assert head.split() == ["pooled", "per", "image"]
    assert columns.split() == ["IoU", "TP", "FP", "FN", *["precision", "recall", "f1", "jaccard_ap"] * 2]
    assert head.index("pooled") == columns.index("precision")
    assert head.index("per image") == columns.rindex("precision")
    assert len(rows) == 10
    assert rows[0].split()[:6] == ["0.50", "1", "0", "1", "1.0000", "0.5000"]
    assert tail == "2 images, Dice of the foreground (all pixels) 0.6667"
    assert err == "1 of 2 images are empty in both folders; per_image excludes them\n"


def test_what_has_no_threshold_is_told_by_difficulty(
    folders: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", *folders]) == 0
    head, columns, *rows = capsys.readouterr().out.split("\n\n")[1].splitlines()
    names = ["SQ", "RQ", "PQ", "AJI", "AJI+"]
    assert head.split() == ["pooled", "per", "image"]
    assert columns.split() == ["images", *names, *names]
    assert rows[0].split() == ["all", "2", *["1.0000", "0.6667", "0.6667", "0.5000", "0.5000"] * 2]
    assert rows[1].split() == ["easy", *rows[0].split()[1:]]
    assert rows[2].split() == ["hard", "0", *["–"] * 10]
    assert rows[3].startswith("SQ mean IoU of the matched pairs")
    assert "nan" not in " ".join(rows)


def test_processes_change_nothing(folders: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for workers in ((), ("--workers", "2")):
        assert main(["score", *folders, "--json", *workers]) == 0
        told.append(capsys.readouterr())
    assert told[0] == told[1]


@pytest.mark.parametrize("number", ["0", "-1", "two", "1.5"])
def test_a_number_of_processes_that_is_none_is_refused(
    folders: tuple[str, str], number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["score", *folders, f"--workers={number}"])
    assert f"--workers: {number!r} is not a number of processes" in capsys.readouterr().err


def test_classes_have_a_table_of_their_own(folders: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", folders[1], folders[1], "--semantic"]) == 0
    out = capsys.readouterr().out
    assert [line.split() for line in out.splitlines()[:4]] == [
        ["class", "IoU", "Dice"],
        *([str(i), "1.0000", "1.0000"] for i in range(3)),
    ]
    assert "miou_star  1.0000     1.0000" in out
    assert main(["score", folders[1], folders[1], "--semantic", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["classes"] == 3


@pytest.mark.parametrize("way", [1, -1])
def test_masks_of_one_object_each_are_doubted(tmp_path: Path, capsys: pytest.CaptureFixture[str], way: int) -> None:
    """Binary masks in one of the folders, label maps of six objects in the other."""
    truth = np.kron(np.arange(7, dtype=np.uint8).reshape(1, 7), np.ones((4, 3), np.uint8))
    folders = [str(tmp_path / name) for name in ("binary", "labels")]
    for folder, labels in zip(folders, (truth > 0, truth), strict=True):
        Path(folder).mkdir()
        Image.fromarray(labels.astype(np.uint8)).save(Path(folder) / "x.png")
    assert main(["score", *folders[::way]]) == 0
    assert capsys.readouterr().err.startswith(f"{folders[0]}: no mask has more than one object")
    assert main(["score", folders[1], folders[1]]) == 0
    assert capsys.readouterr().err == ""


def test_a_mistake_is_one_line_and_no_traceback(folders: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    (Path(folders[0]) / "x.png").write_bytes(b"\x89PNG nonsense")
    assert main(["score", *folders]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "x.png: can't be read as an image" in err


def test_it_needs_neither_torch_nor_scipy(folders: tuple[str, str]) -> None:
    code = (
        "import sys; from synthbench.cli import main; main(['score', *sys.argv[1:], '--json']);"
        "heavy = {'torch', 'tensorflow', 'scipy', 'skimage', 'pandas', 'pydantic'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code, *folders], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "\r" not in result.stderr


def test_ignored_pixels_are_not_scored_and_a_value_that_is_nowhere_is_told(
    folders: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    predicted, truth = folders
    labels = read_array(Path(truth) / "x.png")
    write_array(Path(truth) / "x.png", np.where(labels == 2, 255, labels).astype(np.uint8))
    assert main(["score", predicted, truth, "--ignore", "255", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["pooled"]["f1"] == [1.0] * 10
    assert "so nothing is ignored" not in err
    assert main(["score", predicted, truth, "--ignore", "254", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["counts"]["fn"][0] == 1
    assert f"{truth}: no label map contains 254" in err


@pytest.mark.parametrize("value", ["-1", "x", "2147483648", "1.0"])
def test_a_value_to_ignore_is_a_whole_number(
    folders: tuple[str, str], capsys: pytest.CaptureFixture[str], value: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["score", *folders, f"--ignore={value}"])
    assert stop.value.code == 2
    assert "can't be a value of a mask" in capsys.readouterr().err


def test_objects_at_the_image_border_are_left_out_and_counted(
    folders: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    labels = read_array(Path(folders[1]) / "x.png").copy()
    labels[14:16, 10:14] = 9
    write_array(Path(folders[1]) / "x.png", labels)
    assert main(["score", *folders, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"]["fn"][0] == 2
    assert main(["score", *folders, "--json", "--border-objects", "exclude"]) == 0
    shown = capsys.readouterr()
    result = json.loads(shown.out)
    assert result["counts"]["fn"][0] == 1
    assert result["left_out_at_border"] == {"true": 1, "predicted": 0}
    assert "objects at the image border left out: 1 true, 0 predicted" in shown.err
    assert main(["score", *folders, "--semantic", "--border-objects", "exclude"]) == 2
    assert "--border-objects exclude" in capsys.readouterr().err
