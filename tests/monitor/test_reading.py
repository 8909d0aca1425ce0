"""How far a run is, as its files say, and what is made of claims and logs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synthbench.errors import DataError, StoreError
from synthbench.monitor import read_status
from synthbench.store import Store


def files(*folders: Path) -> dict[str, tuple[int, bytes]]:
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in found}


def counts(status) -> dict[str, tuple[int, int, int, int]]:
    return {c.kind: (c.done, c.running, c.failed, c.left) for c in status.kinds}


def claim_of_the_dead(watched, kind: str, key: str) -> None:
    """Leave a claim as a process does that was killed."""
    code = (
        "import os, sys; from synthbench.store import Store\n"
        "claim = Store(sys.argv[1]).claim(sys.argv[2], sys.argv[3]); assert claim; os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(watched.store), kind, key], check=True)


def test_a_finished_run_has_the_scores_of_its_leaderboard(watched) -> None:
    status = read_status(watched.folder)
    assert status.state == "finished"
    assert status.is_over
    assert status.running == status.failures == []
    assert all(count[1:] == (0, 0, 0) for count in counts(status).values())
    planned = json.loads((watched.folder / "plan.json").read_text())
    assert sum(count[0] for count in counts(status).values()) == len(planned)
    board = watched.board.set_index("arm")["f1@mean"]
    assert {row.metric for row in status.scores} == set(watched.board["metric"])
    assert {row.arm: row.score for row in status.scores} == pytest.approx(dict(board))
    assert {(row.finished, row.planned) for row in status.scores} == {(2, 2)}


def test_what_runs_is_shown_with_its_step_its_losses_and_the_time_left(watched) -> None:
    first, second, *_ = watched.tasks("fit-segmenter")
    for task in (first, second):
        watched.lose(task)
    store = Store(watched.store)
    head = watched.read("tasks.json")
    log = watched.store / ".work" / f"fit-segmenter-{first['key']}" / "log"
    log.mkdir(parents=True)
    rows = [json.dumps({"step": step, "loss": 1 / (1 + step)}) for step in range(0, 40, 10)]
    (log / "training.jsonl").write_text("\n".join(rows) + '\n{"step": 40, "lo', encoding="utf-8")
    timed = [task | {"seconds": 40.0 if task["kind"] == "fit-segmenter" else None} for task in head["tasks"]]
    watched.change("tasks.json", tasks=timed, workers=1)
    with store.claim("run", head["claim"]), store.claim("fit-segmenter", first["key"]):
        noted = {first["key"]: {"since": time.time(), "stage": "fit", "done": 32, "total": 64, "note": "loss 0.031"}}
        watched.change("now.json", state="running", updated=time.time(), running=noted)
        status = read_status(watched.folder)
        watched.change("now.json", running={})
        from_the_log = read_status(watched.folder).running[0]
    assert status.state == "running"
    assert status.pid > 0
    assert counts(status)["fit-segmenter"] == (len(watched.tasks("fit-segmenter")) - 2, 1, 0, 1)
    (task,) = status.running
    assert (task.stage, task.done, task.total, task.note) == ("fit", 32, 64, "loss 0.031")
    assert task.losses == {"loss": pytest.approx(1 / 31)}
    assert task.curve == [(step, pytest.approx(1 / (1 + step))) for step in range(0, 40, 10)]
    assert status.not_timed == 0
    assert status.seconds_left == pytest.approx(40 + task.seconds, abs=2)
    assert (from_the_log.done, from_the_log.total, from_the_log.losses) == (31, 0, {"loss": pytest.approx(1 / 31)})


def test_a_run_that_has_died_is_seen_by_its_claims(watched) -> None:
    (task, *_) = watched.tasks("evaluate")
    watched.lose(task)
    watched.change("now.json", state="running", running={task["key"]: {"stage": "predict"}})
    claim_of_the_dead(watched, "run", watched.read("tasks.json")["claim"])
    claim_of_the_dead(watched, "evaluate", task["key"])
    before = files(watched.folder, watched.store)
    status = read_status(watched.folder)
    assert status.state == "died"
    assert status.running == []
    assert counts(status)["evaluate"][3] == 1
    assert min(row.finished for row in status.scores) == 1
    assert files(watched.folder, watched.store) == before


def test_a_claim_of_another_machine_counts_as_long_as_it_gives_signs_of_life(watched) -> None:
    (task, *_) = watched.tasks("evaluate")
    watched.lose(task)
    claim_of_the_dead(watched, "evaluate", task["key"])
    path = watched.store / ".locks" / f"evaluate-{task['key']}.claim"
    content, _, beat = path.read_text().partition("\n")
    path.write_text(json.dumps(json.loads(content) | {"host": "elsewhere", "boot": "another"}) + "\n" + beat)
    assert [(each.host, each.key) for each in read_status(watched.folder).running] == [("elsewhere", task["key"])]
    long_ago = time.time() - 600
    os.utime(path, (long_ago, long_ago))
    assert read_status(watched.folder).running == []


def test_failures_are_counted_with_what_could_not_run_because_of_them(watched) -> None:
    (fit, *_), (scored, *_) = watched.tasks("fit-segmenter"), watched.tasks("evaluate")
    for task in (fit, scored):
        watched.lose(task)
    row = {"kind": fit["kind"], "label": fit["label"], "status": "crashed", "stage": "fit", "error": "killed"}
    watched.change("now.json", failed={fit["key"]: row}, left_out=[scored["key"]])
    status = read_status(watched.folder)
    assert counts(status)["fit-segmenter"][2] == counts(status)["evaluate"][2] == 1
    assert [(f.label, f.status, f.error) for f in status.failures] == [(fit["label"], "crashed", "killed")]


def test_a_run_of_a_version_without_notes_is_read_from_its_plan(watched) -> None:
    for path in (watched.folder / "progress").iterdir():
        path.unlink()
    assert read_status(watched.folder, watched.store).state == "finished"
    task = next((watched.store / "evaluate").iterdir())
    (task / "record.json").unlink()
    status = read_status(watched.folder, watched.store)
    assert (status.state, counts(status)["evaluate"][3], status.scores) == ("not running", 1, [])


@pytest.mark.parametrize("text", ["[", "{}", '{"format": 99}', '{"format": 1, "tasks": [{}], "store": "."}'])
def test_notes_that_can_not_be_read_are_one_line(watched, text: str) -> None:
    (watched.folder / "progress" / "tasks.json").write_text(text)
    with pytest.raises(DataError, match=r"tasks\.json") as error:
        read_status(watched.folder)
    assert "\n" not in str(error.value)


def test_what_is_no_run_or_has_no_store_is_refused(watched, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="isn't the folder of a run"):
        read_status(tmp_path)
    with pytest.raises(StoreError, match="no store"):
        read_status(watched.folder, tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
