"""The overview over all comparisons agrees with the leaderboard, and with an independent implementation."""

from __future__ import annotations

import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from helpers import frames
from synthbench import leaderboard
from synthbench.leaderboard.decisions import decisions

EFFECTS = {"real": 0.0, "real + good × 45": 0.06, "real + bad × 45": -0.12}
QUIET: dict[str, Any] = {"image_spread": 0.02, "effect_spread": 0.002, "seed_spread": 0.001, "count": 40}


@pytest.fixture(scope="module")
def results() -> SimpleNamespace:
    """Two datasets, two segmenters, and real images alone at a larger amount."""
    parts = []
    for number, dataset in enumerate(("cells", "nuclei")):
        parts.append(frames.images(EFFECTS, dataset=dataset, fraction=45, rng_seed=number, **QUIET))
        parts.append(frames.images({"real": 0.1}, dataset=dataset, fraction=90, rng_seed=number, **QUIET))
    made = frames.results(pd.concat(parts, ignore_index=True))
    made.study.synthetic = ["1x"]
    return made


@pytest.fixture(scope="module")
def table(results: Any) -> pd.DataFrame:
    return leaderboard.table(results, draws=500)


@pytest.fixture(scope="module")
def overview(results: Any, table: pd.DataFrame) -> pd.DataFrame:
    found = leaderboard.overview(results, table, draws=500)
    assert found is not None
    return found.set_index("arm")


def test_it_has_the_mean_of_the_differences_of_the_leaderboard(overview: pd.DataFrame, table: pd.DataFrame) -> None:
    rows = table[(table["fraction"] == 45) & (table["generator"] == "good")]
    assert overview.loc["real + good × 1x", "delta"] == pytest.approx(rows["delta"].mean())
    assert overview.loc["real + good × 1x", "comparisons"] == len(rows) == 4


def test_the_page_shows_it_where_the_study_has_several_comparisons(
    results: Any, table: pd.DataFrame, overview: pd.DataFrame, tmp_path: Path
) -> None:
    page = leaderboard.page(results, tmp_path, found=table)
    assert "mean over datasets, amounts and segmenters" in page
    (row,) = re.findall(r"<tr class=\"better\">\s*<td[^>]*>good × 1x</td>(.*?)</tr>", page, re.DOTALL)
    assert f'data-sort="{float(overview.loc["real + good × 1x", "delta"])!r}"' in row
    other = leaderboard.page(results, tmp_path, 0.75)
    assert "mean over datasets, amounts and segmenters" not in other


def test_a_terminal_shows_it_before_the_tables(results: Any, overview: pd.DataFrame) -> None:
    shown = io.StringIO()
    Console(width=118, file=shown).print(leaderboard.terminal(results))
    text = shown.getvalue()
    assert text.index("all datasets, amounts") < text.index("cells · 45 real images")
    (row,) = [line for line in text.splitlines() if line.startswith("good × 1x")]
    assert row.split()[:4] == ["good", "×", "1x", f"{overview.loc['real + good × 1x', 'delta']:+.3f}"]
    assert row.endswith("4 of 4")
    other = io.StringIO()
    Console(width=118, file=other).print(leaderboard.terminal(results, 0.75))
    assert "all datasets, amounts" not in other.getvalue()


def test_it_counts_verdicts(overview: pd.DataFrame) -> None:
    assert overview.loc["real + good × 1x", ["won", "lost"]].tolist() == [1.0, 0.0]
    assert overview.loc["real + bad × 1x", ["won", "lost"]].tolist() == [0.0, 1.0]


def test_every_rank_has_its_interval(overview: pd.DataFrame) -> None:
    assert overview["rank"].tolist() == [1, 2, 3]
    assert (overview["rank_low"] <= overview["rank"]).all()
    assert (overview["rank"] <= overview["rank_high"]).all()
    assert "| good × 1x |" in leaderboard.overview_markdown(overview.reset_index())
    assert "1 (1–1)" in leaderboard.overview_markdown(overview.reset_index())


def test_the_share_of_headroom_is_weighted_by_the_headroom(overview: pd.DataFrame, table: pd.DataFrame) -> None:
    rows = table[(table["fraction"] == 45) & (table["generator"] == "good")]
    by_hand = np.average(rows["recovered"], weights=rows["headroom"])
    row = overview.loc["real + good × 1x"]
    assert row["recovered"] == pytest.approx(by_hand)
    assert row["recovered_low"] < by_hand < row["recovered_high"]


def test_ranks_and_wins_are_those_of_bencheval(overview: pd.DataFrame, table: pd.DataFrame) -> None:
    evaluator = pytest.importorskip("bencheval.evaluator")
    rows = table[table["fraction"] == 45]
    data = pd.DataFrame(
        {
            "method": rows["arm"].str.replace("× 45", "× 1x"),
            "task": rows["dataset"] + " " + rows["segmenter"],
            "metric_error": 1 - rows["f1@0.50"],
        }
    )
    oracle = evaluator.BenchmarkEvaluator(columns_to_agg_extra=None)
    per_task = oracle.compute_results_per_task(data)
    mean_rank = per_task.groupby("method")["rank"].mean()
    wins = oracle.compute_winrate_matrix(per_task)
    for arm in overview.index:
        assert overview.loc[arm, "rank"] == mean_rank[arm]  # every comparison has the same order here
        if arm != "real":
            assert overview.loc[arm, "won"] == wins.loc[arm, "real"]
            assert overview.loc[arm, "lost"] == wins.loc["real", arm]


def test_of_a_study_that_decides_intervals_hold_whenever_arms_were_stopped(
    results: Any, overview: pd.DataFrame
) -> None:
    """A gain that is real and small is a win, and the mean is as much wider as the widest of its comparisons."""
    study = SimpleNamespace(**{**vars(results.study), "decide": 0.2})
    deciding: Any = SimpleNamespace(**{**vars(results), "study": study})
    deciding.runs = results.runs.assign(most_seeds=6)
    board = leaderboard.table(deciding, draws=500)
    assert "better, within ±.2" in set(board["verdict"])
    found = leaderboard.overview(deciding, board, draws=500).set_index("arm")
    assert found["won"].equals(overview["won"])
    assert found["lost"].equals(overview["lost"])
    factors = [
        arm.widening for _, decided in decisions(deciding) for name, arm in decided.arms.items() if "good" in name
    ]
    row, fixed = (each.loc["real + good × 1x"] for each in (found, overview))
    assert row["delta"] == fixed["delta"]
    assert max(factors) > 1
    for end in ("delta_low", "delta_high"):
        assert row[end] - row["delta"] == pytest.approx(max(factors) * (fixed[end] - fixed["delta"]))
    assert row["p"] >= fixed["p"]


def test_a_single_comparison_has_no_overview() -> None:
    made: Any = frames.results(frames.images(EFFECTS, segmenters=("unet",), **QUIET))
    assert leaderboard.overview(made, leaderboard.table(made, draws=100)) is None
