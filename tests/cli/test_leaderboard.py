"""`synthbench leaderboard`: every format of a run folder, and one line for what is wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest

from helpers import frames
from synthbench.cli import main
from synthbench.results import Results, load_results, save_results
from synthbench.study.model import make_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder as `synthbench run` leaves it, with a failed training."""
    run = tmp_path_factory.mktemp("run")
    made = frames.results(segmenters=("unet",), count=10, seeds=2)
    made = frames.lose(made, (made.runs["generator"] == "pix2pix") & (made.runs["seed"] == 0))
    study = make_study({"name": "trial", "datasets": ["phantom-nuclei"], "segmenters": ["unet"], "iou": 0.5}, "trial")
    (run / "study.yaml").write_text(study.to_yaml(), encoding="utf-8")
    save_results(Results(study, made.images, made.runs, made.fidelity, made.label_consistency, made.tasks), run)
    return run


def test_markdown_is_the_default_where_no_terminal_reads(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "| segmenter | arm" in out
    assert "1/2" in out


def test_on_a_terminal_the_default_is_the_table_of_a_run(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["leaderboard", str(folder), "--format", "terminal"]) == 0
    plain = capsys.readouterr().out
    assert "| segmenter" not in plain
    assert "pix2pix × 50" in plain
    assert max(map(len, plain.splitlines())) <= 120
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["leaderboard", str(folder)]) == 0
    assert "| segmenter" not in capsys.readouterr().out
    file = tmp_path / "board"
    assert main(["leaderboard", str(folder), "--out", str(file)]) == 0
    assert "| segmenter" in file.read_text(encoding="utf-8")
    assert main(["leaderboard", str(folder), "--format", "terminal", "--out", str(file)]) == 0
    assert file.read_text(encoding="utf-8") == plain


def test_groups_are_shown_on_a_terminal_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", str(folder), "--by", "difficulty", "--format", "terminal"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "by difficulty" in lines[0]
    assert {line.split()[0] for line in lines[2:]} == {"easy", "hard"}


def test_json_and_csv_are_for_programs(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", str(folder), "--format", "json", "--iou", "0.75"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {row["metric"] for row in rows} == {"f1@0.75"}
    assert {row["arm"]: row["completed"] for row in rows}["real + pix2pix × 50"] == "1/2"
    file = tmp_path / "board.csv"
    assert main(["leaderboard", str(folder), "--format", "csv", "--iou", "mean", "--out", str(file)]) == 0
    assert capsys.readouterr().out == ""
    assert set(pd.read_csv(file)["metric"]) == {"f1@mean"}


def test_html_is_the_page(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "board.html"
    assert main(["leaderboard", str(folder), "--format", "html", "--aggregation", "per_image", "--out", str(file)]) == 0
    text = file.read_text(encoding="utf-8")
    assert text.lstrip().startswith("<!doctype html>")
    assert "per_image" in text


def test_a_pipe_named_by_out_is_written_into(folder: Path, tmp_path: Path) -> None:
    pipe, heard = tmp_path / "board.md", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: heard.append(pipe.read_text(encoding="utf-8")))
    reader.start()
    assert main(["leaderboard", str(folder), "--out", str(pipe)]) == 0
    reader.join(10)
    assert "| segmenter | arm" in heard[0]
    assert pipe.is_fifo()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_encoding_of_the_terminal_will_do_and_json_stays_json(folder: Path, encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    for form in ("terminal", "json"):
        command = [sys.executable, "-m", "synthbench", "leaderboard", str(folder), "--format", form]
        done = subprocess.run(command, capture_output=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        text = done.stdout.decode(encoding)
        assert ("×" in text) == (encoding != "ascii")
        if form == "json":
            assert "real + pix2pix × 50" in {row["arm"] for row in json.loads(text)["rows"]}


def test_groups_have_rows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", str(folder), "--by", "difficulty", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {row["value"] for row in rows} == {"easy", "hard"}


def test_layout_baseline_delta_comes_in_every_format_but_html(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["leaderboard", str(folder), "--by", "difficulty, cell_type", "--layout", "baseline-delta", "--iou", "0.75"]
    found = {}
    for form in ("md", "terminal", "csv", "json"):
        assert main([*asked, "--format", form]) == 0
        found[form] = capsys.readouterr().out
    rows = json.loads(found["json"])["rows"]
    assert {(row["group:difficulty"], row["group:cell_type"]) for row in rows} == {
        (level, kind) for level in ("easy", "hard") for kind in ("A172", "SkBr3")
    }
    assert {row["metric"] for row in rows} == {"f1@0.75"}
    assert len(found["csv"].splitlines()) == 1 + len(rows)
    assert "| difficulty | cell_type | images |" in found["md"]
    assert "difficulty  cell_type  images" in found["terminal"]
    assert main(["leaderboard", str(folder), "--layout", "baseline-delta", "--metric", "jaccard_ap"]) == 0
    assert "Jaccard AP@.50" in capsys.readouterr().out


def test_the_tables_survive_the_disk(folder: Path) -> None:
    from synthbench.leaderboard import table

    made = frames.results(segmenters=("unet",), count=10, seeds=2)
    made = frames.lose(made, (made.runs["generator"] == "pix2pix") & (made.runs["seed"] == 0))
    pd.testing.assert_frame_equal(
        table(load_results(folder), draws=200), table(made, draws=200), check_dtype=False, rtol=1e-12
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--iou", "0.52"], "IoU 0.52 was not scored; available: 0.50, 0.55"),
        (["--iou", "half"], "--iou half: expected a threshold"),
        (["--by", "difficult"], "group 'difficult' is not there (did you mean 'difficulty'?)"),
        (["--by", "difficulty", "--format", "html"], "--by needs --format terminal, md, csv or json"),
        (["--by", "difficulty", "--columns", "recall"], "--columns can't be combined with --by"),
        (
            ["--by", "difficulty,group:cel_type"],
            "group 'group:cel_type' is not there (did you mean 'group:cell_type'?)",
        ),
        (["--by", " , "], "--by ' , '"),
        (["--layout", "baseline-delta", "--columns", "recall"], "--columns can't be combined with --layout"),
        (["--layout", "baseline-delta", "--format", "html"], "--layout needs --format"),
        (["--layout", "baseline-delta", "--metric", "jacard_ap"], "'jacard_ap'"),
        (["--metric", "jaccard_ap"], "--metric jaccard_ap needs --by or --layout"),
        (["--columns", "recall,precison"], "columns: no column 'precison' (did you mean 'precision'?)"),
        (["--columns", "nosuch"], ", dice,"),
        (["--columns", "pq"], "results: no column"),
    ],
)
def test_bad_options_are_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["leaderboard", str(folder), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_columns_come_on_request(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", str(folder), "--columns", "recall@0.75, coco_ap50", "--format", "json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert "Recall, TP / (TP + FN)" in read["columns"]["recall@0.75"]
    assert {row["coco_ap50"] for row in read["rows"]} == {0.8}
    for form in ("md", "html"):
        assert main(["leaderboard", str(folder), "--columns", "recall@0.75", "--format", form]) == 0
        assert "recall@.75" in capsys.readouterr().out


def test_a_run_with_unknown_columns_never_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNTHBENCH_HOME", str(tmp_path / "home"))
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        assert main(["run", "--columns", "pq,recal"]) == 2
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert capsys.readouterr().err == "synthbench: error: columns: no column 'recal' (did you mean 'recall'?)\n"
    assert not list(tmp_path.iterdir())


def test_an_edited_table_is_one_line_with_the_way_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(folder, run)
    path = run / "results" / "runs.csv"
    path.write_text(path.read_text().replace("0.62", "0.92"))
    for form in ("md", "html", "json"):
        assert main(["leaderboard", str(run), "--format", form]) == 2
        error = capsys.readouterr().err
        assert f"{path}: was changed since the run wrote it" in error
        assert error.count("\n") == 1


def test_a_folder_that_is_no_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "no run folder" in error
    assert error.count("\n") == 1
