"""`synthbench dataset`: add, check, show, list, and their one-line errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import synthbench
from synthbench.cli import main
from synthbench.plugin.registry import Registered, registry


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("SYNTHBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def cells(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    labels = np.zeros((24, 32), np.uint16)
    labels[4:12, 4:10], labels[4:12, 10:20] = 1, 2
    for split, count in (("train", 3), ("test", 2)):
        for part in ("images", "labels"):
            (tmp_path / "cells" / split / part).mkdir(parents=True)
        for i in range(count):
            image = rng.integers(0, 200, (24, 32), dtype=np.uint8)
            Image.fromarray(image).save(tmp_path / "cells" / split / "images" / f"{split}{i}.png")
            Image.fromarray(labels).save(tmp_path / "cells" / split / "labels" / f"{split}{i}.png")
    return tmp_path / "cells"


def _run(capsys, *args: str) -> tuple[int, str, str]:
    code = main(["dataset", *args])
    out, err = capsys.readouterr()
    return code, out, err


def test_add_says_what_it_found_and_where_it_went(capsys, cells, home):
    code, out, err = _run(capsys, "add", str(cells))
    assert (code, err) == (0, "")
    assert "found 5 images in images/ and labels/; official splits: test 2, train 3" in out
    assert f"added cells: 5 samples, task instances, at {home / 'datasets' / 'cells'}" in out
    code, out, _ = _run(capsys, "list")
    assert (code, out) == (0, "cells: 5 samples, task instances\n")


@pytest.fixture
def two_channels(tmp_path) -> Path:
    labels = np.zeros((24, 32), np.uint16)
    labels[4:12, 4:10], labels[4:12, 10:20] = 1, 2
    for part in ("images", "labels"):
        (tmp_path / "tissue" / part).mkdir(parents=True)
    for i in range(2):
        stack = np.random.default_rng(i).integers(0, 4000, (2, 24, 32), dtype=np.uint16)
        tifffile.imwrite(tmp_path / f"tissue/images/{i}.tif", stack, imagej=True, metadata={"axes": "CYX"})
        tifffile.imwrite(tmp_path / f"tissue/labels/{i}.tif", labels)
    return tmp_path / "tissue"


def test_names_of_channels_are_kept_and_told(capsys, two_channels):
    code, out, err = _run(capsys, "add", str(two_channels), "--channels", "nuclear,membrane", "--json")
    assert (code, err) == (0, "")
    row = json.loads(out)
    assert (row["channels"], row["channel_names"]) == (2, ["nuclear", "membrane"])
    _, out, _ = _run(capsys, "check", "tissue")
    assert "2 channels uint16 2" in out
    assert "channels: nuclear, membrane" in out
    _, out, _ = _run(capsys, "show", "tissue")
    assert "channels nuclear: blue, membrane: orange" in out


@pytest.mark.parametrize("names", ["nuclear", "a,b,c", "a,a", "a,b,c,d,e"])
def test_other_numbers_of_names_than_channels_are_one_line(capsys, two_channels, names):
    code, _, err = _run(capsys, "add", str(two_channels), "--channels", names)
    assert code == 2
    assert names.split(",")[0] in err
    assert err.count("\n") == 1


def test_add_as_json_is_json_alone(capsys, cells):
    code, out, _ = _run(capsys, "add", str(cells), "--name", "mine", "--json")
    row = json.loads(out)
    assert code == 0
    assert (row["name"], row["samples"], row["task"]) == ("mine", 5, "instances")
    assert row["info"]["import"] == ["objects: 10"]
    assert json.loads(_run(capsys, "list", "--json")[1])["datasets"][0]["fingerprint"] == row["fingerprint"]


def test_groups_come_from_a_table_and_are_shown(capsys, cells, tmp_path):
    rows = [f"train{i},w{i % 2},1" for i in range(3)] + [f"test{i}.png,w9,1" for i in range(2)]
    (tmp_path / "wells.csv").write_text("\n".join(["id,well,plate", *rows]) + "\n")
    code, out, err = _run(capsys, "add", str(cells), "--groups", "wells.csv")
    assert (code, err) == (0, "")
    assert "added cells: 5 samples, task instances, groups well (3), at" in out
    assert _run(capsys, "list")[1] == "cells: 5 samples, task instances, groups well (3)\n"
    assert _run(capsys, "show", "cells")[1] == "wrote cells.png, groups well (3)\n"
    assert json.loads(_run(capsys, "list", "--json")[1])["datasets"][0]["groups"] == {"plate": 1, "split": 2, "well": 3}


def test_groups_come_from_file_names(capsys, cells):
    out = json.loads(_run(capsys, "add", str(cells), "--group-from", "{batch}{number:1}", "--json")[1])
    assert out["groups"] == {"batch": 2, "number": 3, "split": 2}
    code, _, err = _run(capsys, "add", str(cells), "--name", "other", "--group-from", "train{number}")
    assert (code, err.count("\n")) == (2, 1)
    assert "--group-from 'train{number}': 2 file names don't match: test0.png" in err


def test_a_line_break_in_a_name_breaks_no_line(capsys, cells):
    (cells / "train" / "images" / "train0.png").rename(cells / "train" / "images" / "two\nlines.png")
    code, _, err = _run(capsys, "add", str(cells))
    assert (code, err.count("\n")) == (2, 1)
    assert r"two\nlines.png: has no mask" in err


def test_check_takes_a_name_or_a_path(capsys, cells):
    _run(capsys, "add", str(cells))
    by_name = json.loads(_run(capsys, "check", "cells", "--json")[1])
    by_path = json.loads(_run(capsys, "check", str(cells), "--json")[1])
    assert by_name["objects"] == 10
    assert by_name == by_path
    assert "splits: test 2, train 3" in _run(capsys, "check", "cells")[1]


def test_show_writes_a_picture_sheet(capsys, cells, tmp_path):
    code, out, _ = _run(capsys, "show", str(cells), "--count", "2")
    assert (code, out) == (0, "wrote cells.png\n")
    with Image.open(tmp_path / "cells.png") as picture:
        assert picture.size[0] > 1000
    assert _run(capsys, "show", str(cells), "--out", "deep/none.png")[0] == 2


def test_semantic_masks_are_imported_by_class(capsys, cells):
    code, out, _ = _run(
        capsys, "add", str(cells), "--task", "semantic", "--classes", "background, left,right", "--json"
    )
    assert code == 0
    assert json.loads(out)["classes"] == ["background", "left", "right"]


def test_what_was_added_is_not_looked_for_on_the_disk(capsys, cells, home):
    assert _run(capsys, "add", "cells", "--name", "mine")[0] == 0
    code, _, err = _run(capsys, "add", "mine")
    assert code == 2
    assert "mine: already exists in" in err
    assert "view it with 'synthbench dataset show'" in err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["add", "nowhere"], "nowhere: no such file or folder"),
        (["add", "cells", "--classes", "a,b"], r"only semantic sets have classes; add --task semantic"),
        (
            ["add", "cells", "--task", "semantic"],
            "contains 2, but the 2 classes (background, foreground)",
        ),
        (["add", "cells", "--truth", "silver"], "cells: --truth applies only to Cell Tracking Challenge"),
        (["add", "cells", "--from", "x.zip"], "--from applies only to dataset plugins"),
        (["add", "cells", "--name", "../x"], "dataset name '../x'"),
        (["check", "nowhere"], "nowhere: not a path"),
        (["show", "cells", "--out", "x.docx"], "x.docx: unsupported file type; use one of .png"),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(capsys, cells, home, args, says):
    code, _, err = _run(capsys, *args)
    assert code == 2
    assert err.startswith("synthbench: error: ")
    assert err.count("\n") == 1
    assert says in err
    assert not (home / "datasets").exists() or not any((home / "datasets").glob("[!.]*"))


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_a_count_is_a_whole_number(capsys, count):
    with pytest.raises(SystemExit):
        main(["dataset", "show", "cells", "--count", count])
    assert "expected an integer ≥ 1" in capsys.readouterr().err or count == "-1"


class DotsConfig(synthbench.Config):
    archive: str = ""


class Dots(synthbench.Dataset):
    """Two dots, and the archive that they are from."""

    Config = DotsConfig
    source, licence, citation = "https://example.org/dots", "CC0-1.0", "Dot 1999"

    def samples(self, context):
        for index in range(2):
            labels = np.zeros((8, 8), np.uint8)
            labels[index, index] = 1
            yield synthbench.Sample(f"dot-{index}", labels * 9, labels, {"archive": self.config.archive})


class Drawn(Dots):
    """Dots that are in no archive."""

    Config = synthbench.Config


@pytest.fixture
def dots(monkeypatch) -> None:
    """Have two dataset plugins more: dots, and drawn, which has no archive."""
    for name, cls in (("dots", Dots), ("drawn", Drawn)):
        spec = synthbench.DatasetSpec(name, f"{__name__}:{cls.__name__}", tasks=frozenset({"instances"}))
        monkeypatch.setitem(registry().entries, ("dataset", name), Registered(spec, "test", "1"))


def test_a_plugin_dataset_shows_its_terms_before_it_is_made(capsys, dots, home):
    code, out, err = _run(capsys, "add", "dots")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "source: https://example.org/dots",
        "licence: CC0-1.0",
        "citation: Dot 1999",
        f"added dots: 2 samples, task instances, at {home / 'datasets' / 'dots'}",
    ]
    assert _run(capsys, "list")[1] == "dots: 2 samples, task instances, CC0-1.0\n"


def test_a_file_fetched_by_hand_reaches_the_plugin(capsys, dots, cells):
    code, out, err = _run(capsys, "add", "dots", "--from", "cells", "--json")
    assert (code, json.loads(out)["info"]["config"]) == (0, {"archive": str(cells)})
    assert "licence: CC0-1.0" in err
    code, _, err = _run(capsys, "add", "drawn", "--from", "cells")
    assert (code, "dataset 'drawn' can't be read from a file" in err) == (2, True)


def test_how_masks_are_read_is_not_asked_of_a_plugin(capsys, dots):
    for option in ("--components", "--derived-from=dsb2018"):
        code, _, err = _run(capsys, "add", "dots", option)
        assert code == 2
        assert all(name in err for name in ("--truth", "--channels", "--derived-from", "only to imports"))


def test_the_command_imports_nothing_heavy_until_it_runs():
    code = (
        "import sys, synthbench.cli as c; c.build_parser(); "
        "print([m for m in ('torch', 'tensorflow', 'numpy', 'pydantic', 'skimage') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_value_to_ignore_is_added_checked_and_shown(capsys, cells):
    for path in (cells / "train" / "labels").iterdir():
        labels = np.array(Image.open(path))
        labels[20:] = 255
        Image.fromarray(labels).save(path)
    code, out, _ = _run(capsys, "add", str(cells), "--ignore", "255")
    assert code == 0
    assert "pixels of value 255 ignored: 384" in out
    assert "masks with ignored pixels: 3" in out
    _, out, _ = _run(capsys, "check", "cells")
    assert "ignored: 10.00% of the pixels, in 3 samples" in out
    assert "objects: 10, " in out
    assert _run(capsys, "check", str(cells), "--ignore", "255")[1].splitlines()[1:] == out.splitlines()[1:]
    assert _run(capsys, "check", str(cells))[0] == 2
    assert "ignored:" not in _run(capsys, "check", str(cells), "--trust-masks")[1]
    code, _, err = _run(capsys, "check", "cells", "--ignore", "255")
    assert (code, "cells: is a sample set, whose ignore region" in err) == (2, True)
    assert _run(capsys, "show", "cells", "--out", "a.png")[0] == 0
    assert _run(capsys, "show", str(cells), "--out", "b.png", "--trust-masks")[0] == 0
    hatched, plain = (np.asarray(Image.open(name).convert("RGB")) for name in ("a.png", "b.png"))
    greys = [(picture == (190, 190, 190)).all(axis=2).sum() for picture in (hatched, plain)]
    assert greys[0] > greys[1] + 1000
