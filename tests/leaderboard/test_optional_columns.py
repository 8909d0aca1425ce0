"""Columns on request: the names that are known, and the values behind them."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from synthbench.errors import ConfigError
from synthbench.leaderboard import as_json, csv, markdown, page, table, terminal
from synthbench.leaderboard.optional_columns import columns_of, names_of
from synthbench.statistics import run_scores

DRAWS = 200
ASKED = ["pq", "aji", "aji+", "precision", "recall@0.75", "jaccard_ap@mean", "coco_ap50", "p"]
COLUMNS = ["pq", "aji", "aji_plus", "precision@0.50", "recall@0.75", "jaccard_ap@mean", "coco_ap50", "p"]


@pytest.fixture(scope="module")
def scored(frames: SimpleNamespace) -> SimpleNamespace:
    """Results with what PQ and AJI are made of: pixels in proportion to matched objects."""
    found = frames.results(segmenters=("unet",), seeds=2, count=12, ious=(0.5, 0.75, 0.9))
    half = found.images.query("iou == 0.5").set_index(["arm", "seed", "image"])["tp"]
    tp = half.loc[list(zip(*(found.images[name] for name in ("arm", "seed", "image")), strict=True))].to_numpy()
    found.images = found.images.assign(
        pq_tp=tp, pq_iou_sum=0.8 * tp, aji_shared=8 * tp, aji_plus_shared=8 * tp,
        aji_union=10 * (2 * found.images["true"] - tp), aji_plus_union=9 * (2 * found.images["true"] - tp),
    )  # fmt: skip
    return found


@pytest.mark.parametrize(
    ("old", "new"), [("agreement", "label_consistency"), ("leaked", "test_duplicates"), ("runs", "completed")]
)
def test_a_former_name_is_refused_with_the_present_one(old: str, new: str) -> None:
    with pytest.raises(ConfigError, match=f"{old}.*{new}"):
        columns_of([old], 0.5)
    assert columns_of([new], 0.5) == [new]


def test_values_are_those_of_the_rows(scored: SimpleNamespace) -> None:
    """By hand from sums over images: PQ .8 · F1 where all matched pairs have IoU .8; AJI by its two sums."""
    found = table(scored, draws=DRAWS, columns=ASKED).set_index("arm")
    assert found.attrs["columns"] == COLUMNS
    rows = scored.images.query("arm == 'real' and iou == 0.5")
    sums = rows.groupby("seed")[["tp", "true", "fp", "fn"]].sum()
    assert found.loc["real", "pq"] == pytest.approx((0.8 * sums["tp"] / sums["true"]).mean())
    union = 2 * sums["true"] - sums["tp"]
    assert found.loc["real", "aji"] == pytest.approx((8 * sums["tp"] / (10 * union)).mean())
    assert found.loc["real", "aji_plus"] == pytest.approx((8 * sums["tp"] / (9 * union)).mean())
    assert found.loc["real", "precision@0.50"] == pytest.approx((sums["tp"] / (sums["tp"] + sums["fp"])).mean())
    at = run_scores(scored.images.query("arm == 'real'"), "recall", 0.75)["score"].mean()
    assert found.loc["real", "recall@0.75"] == pytest.approx(at)
    assert found.loc["real", "coco_ap50"] == pytest.approx(0.8)
    mean = table(scored, draws=DRAWS, columns=["pq"], aggregation="per_image").set_index("arm").loc["real", "pq"]
    assert mean == pytest.approx((0.8 * rows["tp"] / rows["true"]).groupby(rows["seed"]).mean().mean())


def test_every_form_shows_them(scored: SimpleNamespace, tmp_path: Path) -> None:
    found = table(scored, draws=DRAWS, columns=ASKED)
    text = markdown(found)
    for heading in ("PQ", "AJI", "AJI+", "precision@.50", "recall@.75", "COCO AP@.50", " p "):
        assert f"| {heading.strip()} |" in " ".join(text.split()), heading
    assert "- AJI+: AJI+ (Graham 2019)" in text
    assert set(COLUMNS) <= set(csv(found).splitlines()[0].split(","))
    assert '"pq": "Panoptic quality' in as_json(found)
    assert ">AJI+<" in page(scored, tmp_path, columns=["aji+"])
    out = io.StringIO()
    Console(width=104, file=out).print(terminal(scored, columns=ASKED))
    assert max(map(len, out.getvalue().splitlines())) <= 104
    assert "…" not in out.getvalue()
    for value in (found["pq"].iloc[0], found["aji_plus"].iloc[0]):
        assert f"{value:.3f}" in out.getvalue()


def test_a_board_has_them_on_request_alone(scored: SimpleNamespace) -> None:
    assert not {"pq", "aji", "precision@0.50", "coco_ap50"} & set(table(scored, draws=DRAWS).columns)


def test_where_a_column_has_no_meaning_it_says_so(semantic: SimpleNamespace) -> None:
    text = markdown(table(semantic, draws=DRAWS, columns=["pq"]))
    (line,) = [line for line in text.splitlines() if line.startswith("| unet      | real  ")][:1]
    assert line.rstrip("| ").endswith("n/a")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("pqs", "columns: no column 'pqs' (did you mean 'pq'?)"),
        ("precison", "columns: no column 'precison' (did you mean 'precision'?)"),
        ("ajj", "columns: no column 'ajj' (did you mean 'aji'?)"),
        ("f2@0.5", "columns: no column 'f2@0.5'"),
        ("recall@2", "columns: no column 'recall@2'"),
        ("xyz", "columns: no column 'xyz'; there are precision, recall"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(name: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        columns_of([name], 0.5)
    assert str(error.value).startswith(told)


def test_names_may_be_written_with_spaces_and_twice() -> None:
    assert names_of(" pq, aji+ ,,") == ["pq", "aji+"]
    assert columns_of(["aji+", "aji_plus", "f1@.75", "precision"], "mean") == ["aji_plus", "f1@0.75", "precision@mean"]
