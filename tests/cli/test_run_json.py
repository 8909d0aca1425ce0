"""`synthbench run --json`: one document at the end, whatever plugins print."""

from __future__ import annotations

import json


def test_a_run_is_one_json_document_with_its_failures_and_its_leaderboard(trial) -> None:
    troubled = {"name": "troubled", "config": {"trouble": "raise"}}
    study = trial.study(generators=["brighter", troubled], seeds=1)
    done = trial.run("run", study, "--engine", "serial", "--json", code=3)
    found = json.loads(done.stdout)
    folder = trial.folder / "runs" / "trial"
    assert found["name"] == "trial"
    assert (trial.folder / found["folder"]).samefile(folder)
    assert (trial.folder / found["report"]).samefile(folder / "report.html")
    assert found["store"] == str(trial.store)
    assert (found["failed"], found["tasks"]["failed"]) == (1, 1)
    (failure,) = found["failures"]
    assert (failure["kind"], failure["status"]) == ("fit-generator", "failed")
    assert "the loss is NaN" in failure["error"]
    assert sum(found["tasks"].values()) == len(json.loads((folder / "plan.json").read_text()))
    assert {row["arm"]: row["status"] for row in found["trainings"]} == {
        "real": "ok",
        "real + brighter × 4": "ok",
        "real + troubled × 4": "failed",
    }
    board = json.loads(trial.call("leaderboard", folder, "--format", "json").stdout)
    assert found["leaderboard"] == board
    assert "fit-generator" in done.stderr
    again = trial.run("run", study, "--engine", "serial", "--json", "--seeds", "0", code=2)
    assert again.stdout == ""
    assert again.stderr.count("\n") == 1
