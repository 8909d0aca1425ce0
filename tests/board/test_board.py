"""A board from a run to its tables: made, added to, checked, rendered, and tampered with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from helpers.boards import Place
from helpers.bundles import change_table, members, write
from synthbench.board.creating import add_entry, new_board
from synthbench.board.model import read_board, write_board
from synthbench.board.opening import open_board
from synthbench.cli import main
from synthbench.errors import ConfigError, SynthbenchError
from synthbench.samples import SampleSet
from synthbench.store import Store


@pytest.mark.slow
def test_a_board_is_made_added_to_rendered_and_checked(
    place: Place, board: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["board", "add", str(board), str(place.brighter), "--data", str(place.data)]) == 0
    assert "added brighter" in capsys.readouterr().out
    assert main(["board", "check", str(board), "--data", str(place.data)]) == 0
    out = capsys.readouterr().out
    assert "verified: entries/first.zip: all scores, computed again on blobs" in out
    assert "verified: entries/brighter.zip: all scores, computed again on blobs" in out
    assert "verified: the tables and pages show what the entries give" in out
    found = json.loads((board / "leaderboard.json").read_text())
    assert found["board"] == "blobs-board"
    (group,) = found["groups"]
    rows = {row["arm"]: row for row in group["rows"] if row["fraction"] == 4}
    assert set(rows) == {"real", "real + duplicate × 4", "real + brighter × 4", "real + brighter (brighter) × 4"}
    assert rows["real"]["verification"] == "verified"
    assert rows["real"]["entry"] == "first"
    assert rows["real + brighter (brighter) × 4"]["delta"] is not None
    assert rows["real + brighter (brighter) × 4"]["entry"] == "brighter"
    assert "Do brighter blobs help?" in (board / "README.md").read_text()
    (board / "README.md").write_text((board / "README.md").read_text().replace("0.", "1."))
    assert main(["board", "check", str(board), "--without-data"]) == 1
    assert (
        "problem: README.md: doesn't show what the entries give; run 'synthbench board render"
        in capsys.readouterr().out
    )


def test_the_same_training_counts_once_and_the_first_entry_stays_what_it_was(place: Place, board: Path) -> None:
    alone = open_board(board).groups[0].results
    add_entry(board, place.again, data=[str(place.data)])
    (group,) = open_board(board).groups
    assert group.entries == ("first", "again")
    assert group.repeats.confirmed == len(open_runs(place.again))
    assert (group.repeats.same, group.repeats.differing) == (0, [])
    pd.testing.assert_frame_equal(group.results.images, alone.images)
    assert set(group.results.runs.set_index("arm").loc["real + duplicate × 4", "verification"]) == {"re-run"}
    assert set(group.results.runs.set_index("arm").loc["real + brighter × 4", "verification"]) == {"verified"}


def open_runs(bundle: Path) -> list[str]:
    return members(bundle)["results/runs.csv"].decode().splitlines()[1:]


def test_an_entry_without_data_is_self_reported(place: Place, board: Path) -> None:
    _, entry = add_entry(board, place.brighter)
    assert entry.verification == "self-reported"
    runs = open_board(board).groups[0].results.runs
    assert set(runs[runs["generator"] == "brighter (brighter)"]["verification"]) == {"self-reported"}


def changed(place: Place, folder: Path, change: Callable[[dict[str, bytes]], None], name: str = "other") -> Path:
    files = members(place.brighter)
    change(files)
    return write(folder / f"{name}.zip", files)


def with_study(**values: object) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        files["study.yaml"] = yaml.safe_dump(yaml.safe_load(files["study.yaml"]) | values).encode()

    return change


def a_higher_score(files: dict[str, bytes]) -> None:
    change_table(files, "results/runs.csv", lambda t: t.assign(pq=["0.99", *t["pq"][1:]]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (with_study(seeds=3), "doesn't belong to the board blobs-board: seeds: is 3, expected 2; run the board's"),
        (with_study(fractions=[3]), "fractions: is "),
        (a_higher_score, "pq is 0.99"),
    ],
    ids=["seeds", "amounts", "score"],
)
def test_a_changed_bundle_is_refused_and_the_board_stays_as_it_was(
    place: Place, board: Path, tmp_path: Path, change: Callable[[dict[str, bytes]], None], words: str
) -> None:
    before = {path: path.read_bytes() for path in board.rglob("*") if path.is_file()}
    with pytest.raises(SynthbenchError, match=words) as caught:
        add_entry(board, changed(place, tmp_path, change))
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in board.rglob("*") if path.is_file()} == before


def test_an_entry_is_checked_by_size_and_hash(place: Place, board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = board / "entries" / "first.zip"
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    assert main(["board", "check", str(board), "--without-data"]) == 1
    assert "problem: entries/first.zip: its SHA-256 is" in capsys.readouterr().out
    kept.unlink()
    assert main(["board", "check", str(board), "--without-data"]) == 1
    assert "problem: entries/first.zip: is missing; restore it" in capsys.readouterr().out
    assert main(["board", "render", str(board)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_dataset_that_is_not_at_hand_is_a_problem(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["board", "check", str(board)]) == 1
    out = capsys.readouterr().out
    assert "the dataset 'blobs' isn't at hand" in out
    assert "--data" in out


def test_other_labels_are_refused(
    place: Place, board: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = list(SampleSet.open(place.data))
    labels = np.where(samples[2].labels == 1, 0, samples[2].labels)
    samples[2] = replace(samples[2], labels=labels)
    other = tmp_path / "blobs"
    SampleSet.of(samples).save(other)
    assert main(["board", "check", str(board), "--data", str(other)]) == 1
    assert "test image 'blob-2' isn't that of 'blobs'" in capsys.readouterr().out
    arguments = [
        "plan",
        str(board),
        "--generators",
        "duplicate",
        "--dataset",
        str(other),
        "--store",
        str(tmp_path / "s"),
    ]
    assert main(arguments) == 2
    assert "its fingerprint is" in capsys.readouterr().err


def test_a_run_of_a_board_takes_no_option_that_would_change_its_study(
    place: Place, board: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", str(board), "--generators", "duplicate", "--seeds", "3"]) == 2
    assert "--seeds" in capsys.readouterr().err
    assert main(["plan", str(board)]) == 2
    assert "name yours with --generators" in capsys.readouterr().err
    assert main(["plan", str(board), "--generators", "duplicate"]) == 2
    assert "its dataset 'blobs' isn't at hand" in capsys.readouterr().err
    assert main(["plan", str(board), "--generators", "duplicate", "--dataset", "elsewhere/cells"]) == 2
    assert "is on blobs" in capsys.readouterr().err


def test_a_run_of_a_board_has_its_keys_and_splits(
    place: Place, board: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    methods = tmp_path / "methods.yaml"
    methods.write_text("generators:\n- {name: brighter, config: {gain: 1.3}}\n")
    arguments = ["plan", str(board), "--generators", str(methods), "--dataset", str(place.data)]
    assert main([*arguments, "--store", str(place.stores["first"]), "--device", "cpu", "--json"]) == 0
    tasks = json.loads(capsys.readouterr().out)["tasks"]
    assert tasks
    assert not any(task["runs"] for task in tasks)


def test_the_study_of_a_board_has_whole_configurations(board: Path) -> None:
    study = read_board(board)[0].study
    (segmenter,) = study.segmenters
    assert segmenter.config
    assert study.generators == []
    assert study.datasets[0].fingerprint


def test_what_is_no_board_is_one_line(tmp_path: Path, board: Path) -> None:
    with pytest.raises(ConfigError, match="no board"):
        read_board(tmp_path)
    content = yaml.safe_load((board / "board.yaml").read_text())
    (board / "board.yaml").write_text(yaml.safe_dump(content | {"format": 2, "synthbench": "9.0"}))
    with pytest.raises(ConfigError, match=r"has format 2, and this version reads 1; install synthbench 9\.0"):
        read_board(board)
    (board / "board.yaml").write_text(yaml.safe_dump(content | {"splits": {}}))
    with pytest.raises(ConfigError, match="splits"):
        read_board(board)
    (board / "board.yaml").write_text(yaml.safe_dump(content))
    splits = board / "splits" / "blobs.json"
    splits.write_text(splits.read_text().replace("blob-1", "blob-2"))
    with pytest.raises(ConfigError, match="a board's splits don't change"):
        read_board(board)


def test_a_board_is_not_written_over_another(place: Place, board: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="already exists"):
        new_board(place.first, board)
    with pytest.raises(ConfigError, match="is on the board blobs-board already, as 'first'"):
        add_entry(board, place.first, name="other")
    with pytest.raises(ConfigError, match="has an entry 'first'"):
        add_entry(board, place.brighter, name="First")


def test_a_large_bundle_needs_an_address(
    place: Place, board: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("synthbench.board.creating.MOST_BYTES", 1000)
    with pytest.raises(ConfigError, match="publish the bundle and give its address"):
        add_entry(board, place.brighter)
    with pytest.raises(ConfigError, match="https://"):
        add_entry(board, place.brighter, address="http://example.org/a.zip")
    _, entry = add_entry(board, place.brighter, address="https://example.org/brighter.zip")
    assert entry.address == "https://example.org/brighter.zip"
    assert (board / "entries" / ".gitignore").read_text() == "brighter.zip\n"
    (board / "entries" / "brighter.zip").unlink()
    assert main(["board", "check", str(board), "brighter", "--without-data"]) == 1
    assert "it lies at https://example.org/brighter.zip" in capsys.readouterr().out


def test_an_unfinished_run_is_no_entry(place: Place, board: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(place.runs / "brighter", run)
    shutil.rmtree(run / "results")
    (run / "study.yaml").unlink()
    store = Store(place.stores["brighter"])
    with pytest.raises(SynthbenchError, match="has no results yet"):
        add_entry(board, run, store)


def test_a_board_with_another_entry_listed_is_written_and_read_again(board: Path, tmp_path: Path) -> None:
    read, folder = read_board(board / "board.yaml")
    write_board(read, folder)
    assert read_board(board)[0] == read


def test_an_entry_without_a_baseline_is_no_board(place: Place, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"lacks the trainings on .* real images of blobs alone, which later entries"):
        new_board(place.brighter, tmp_path / "blobs-board", data=[str(place.data)])
    assert not (tmp_path / "blobs-board").exists()
