"""A training of a bundle taken again: equal numbers with the same code, noise between seeds where that differs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy import stats

from helpers.bundles import Made, change_json, change_table, members, write
from synthbench.bundle._retrained_scores import Compared, noise_limit
from synthbench.bundle.findings import Findings
from synthbench.bundle.retraining import Retrained, add_outcome, retrain
from synthbench.cli import main
from synthbench.errors import ConfigError

QUIET = Console(quiet=True)


def trainings(made: Made) -> list[dict]:
    return json.loads((made.run / "sources.json").read_text())["trainings"]


@pytest.mark.parametrize("generator", ["", "brighter"])
def test_the_same_key_gives_equal_numbers_with_nothing_of_the_store(made: Made, generator: str) -> None:
    row = next(row for row in trainings(made) if row["generator"] == generator and row["seed"] == 1)
    findings = Findings()
    found = retrain(made.bundle, row["evaluate"][:16], [str(made.data)], findings, QUIET)
    assert found.key == row["evaluate"]
    assert found.same_key
    assert found.differences == []
    assert found.scores.identical
    assert found.scores.here == found.scores.bundle > 0
    assert findings.problems == []
    assert "all predictions and scores are equal" in findings.verified[0]


def test_where_code_differs_it_is_said_and_the_noise_between_seeds_decides(made: Made, tmp_path: Path) -> None:
    """As of a bundle of another version: another hash of the plugin's source in its keys."""
    files = members(made.bundle)
    row = trainings(made)[0]
    changed = {"rows": 0}

    def worse(table: pd.DataFrame) -> None:
        mine = (table["arm"] == row["arm"]) & (table["seed"] == str(row["seed"]))
        table.loc[mine, "prediction"] = "f" * 16
        numbers = table[["tp", "fp", "fn"]].astype(int)
        for name in ("fp", "fn"):
            table.loc[mine, name] = (numbers[name] + numbers["tp"])[mine].astype(str)
        table.loc[mine, ["tp", "iou_sum"]] = "0"
        changed["rows"] = int(mine.sum())

    def other_version(plan: dict) -> None:
        plan[fit]["content"]["plugin"]["source"] = "0" * 64

    fit, evaluate = "e" * 64, "d" * 64
    change_json(
        files, "plan.json", lambda plan: plan | {fit: plan.pop(row["fit"]), evaluate: plan.pop(row["evaluate"])}
    )
    change_json(files, "plan.json", other_version)
    for name in ("sources.json", "results/tasks.csv"):
        text = files[name].decode()
        files[name] = text.replace(row["fit"], fit).replace(row["evaluate"], evaluate).encode()
    change_table(files, "results/images.csv", worse)
    bundle = write(tmp_path / "other.zip", files)
    findings = Findings()  # those of the altered bundle would be problems of another kind
    found = retrain(bundle, evaluate, [str(made.data)], findings, QUIET)
    assert changed["rows"] > 0
    assert not found.same_key
    assert not found.scores.identical
    assert found.scores.bundle == 0
    expected = "fit-segmenter: plugin.source: 000000000000… in the bundle"
    assert any(line.startswith(expected) for line in found.differences)
    (problem,) = findings.problems
    assert "expected" in problem.text


SCORES = pd.DataFrame(
    {
        "arm": ["real"] * 3 + ["real + g × 4"] * 2,
        "fold": 0,
        "score": [0.70, 0.72, 0.77, 0.60, 0.64],
    }
)


def test_the_limit_is_the_quantile_of_a_difference_of_two_trainings() -> None:
    """Against scipy's own two-sample t-test: at the limit, a difference between two single trainings has p = .01."""
    limit = noise_limit(SCORES)
    deviations = [np.array([0.70, 0.72, 0.77]) - 0.73, np.array([-0.02, 0.02])]
    pooled = sum(float((d**2).sum()) for d in deviations) / 3
    p = 2 * stats.t.sf(limit / np.sqrt(pooled * (1 + 1)), df=3)
    assert p == pytest.approx(0.01)
    assert noise_limit(SCORES.iloc[[0, 3]]) is None


@pytest.mark.parametrize(
    ("same_key", "machine", "here", "limit", "place"),
    [
        (True, "", 0.71, 0.10, "problems"),
        (True, "processor is a in the bundle, b here", 0.71, 0.10, "verified"),
        (True, "processor is a in the bundle, b here", 0.95, 0.10, "problems"),
        (False, "", 0.71, 0.10, "verified"),
        (False, "", 0.95, 0.10, "problems"),
        (False, "", 0.71, None, "not_verified"),
    ],
)
def test_what_is_expected_depends_on_what_differs(
    same_key: bool, machine: str, here: float, limit: float | None, place: str
) -> None:
    scores = Compared("f1@0.50", 0.70, here, identical=False, limit=limit)
    findings = Findings()
    add_outcome(Retrained("0" * 64, "unet on real", same_key, ["fit-segmenter: seed: 0, 1"], machine, scores), findings)
    found = {name: len(getattr(findings, name)) for name in ("problems", "verified", "not_verified")}
    assert found == {**dict.fromkeys(found, 0), place: 1}


def test_bad_input_is_one_line(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    key = trainings(made)[0]["evaluate"]
    for words, message in (
        (["--retrain", "zz"], "no training of the bundle has this key"),
        (["--retrain", ""], "no training of the bundle has this key"),
        (["--retrain", key], "needs the images of blobs; give them with --data"),
    ):
        assert main(["verify", str(made.bundle), *words]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    spoiled = Findings()
    spoiled.add("a.csv", "is wrong")
    with pytest.raises(ConfigError, match="has problems, so nothing of it is run"):
        retrain(made.bundle, key, [str(made.data)], spoiled, QUIET)
