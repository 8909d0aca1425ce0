"""Score and Δ by groups of the test images: one group, or several crossed."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.frames import f1_by_hand
from synthbench.errors import ConfigError
from synthbench.leaderboard import by_group

DRAWS = 300


def test_groups_have_rows_of_their_own(gaps: SimpleNamespace) -> None:
    found = by_group(gaps, "cell_type", draws=DRAWS)
    assert set(found["value"]) == {"A172", "SkBr3"}
    assert len(found) == 2 * 8
    assert found.groupby("value")["images"].first().to_dict() == {"A172": 33, "SkBr3": 17}
    assert by_group(gaps, "group:cell_type", draws=DRAWS).equals(found)
    easy = (
        by_group(gaps, "difficulty", draws=DRAWS).query("value == 'easy' and segmenter == 'stardist'").set_index("arm")
    )
    images = gaps.images.query("difficulty == 'easy' and segmenter == 'stardist' and iou == 0.5 and arm == 'real'")
    sums = images.groupby("seed")[["tp", "fp", "fn"]].sum()
    f1 = (2 * sums["tp"] / (2 * sums["tp"] + sums["fp"] + sums["fn"])).mean()
    assert easy.loc["real", "score"] == pytest.approx(f1)
    with pytest.raises(ConfigError, match=r"group 'cell_typ' is not there.*group:cell_type"):
        by_group(gaps, "cell_typ")


def test_crossed_groups_have_a_row_per_combination_that_occurs(whole: SimpleNamespace) -> None:
    study = SimpleNamespace(**vars(whole))
    number = whole.images["image"].str[-3:].astype(int)
    study.images = whole.images.assign(**{"group:time": np.where(number < 10, "9", "10")})
    never = (study.images["group:cell_type"] == "SkBr3") & (study.images["group:time"] == "9")
    study.images = study.images[~never]
    found = by_group(study, ["group:cell_type", "time"], draws=DRAWS)
    assert list(dict.fromkeys(found["value"])) == ["A172 × 9", "A172 × 10", "SkBr3 × 10"]
    assert set(found["group"]) == {"cell_type × time"}
    row = found.query("value == 'A172 × 10' and segmenter == 'unet' and arm == 'real + pix2pix × 50'").iloc[0]
    assert (row["group:cell_type"], row["group:time"], row["images"]) == ("A172", "10", 27)
    images = study.images.query("`group:cell_type` == 'A172' and `group:time` == '10' and segmenter == 'unet'")
    assert row["score"] == pytest.approx(f1_by_hand(images, row["arm"]))
    assert row["delta"] == pytest.approx(f1_by_hand(images, row["arm"]) - f1_by_hand(images, "real"))


def test_images_without_a_value_are_in_no_group(whole: SimpleNamespace) -> None:
    """A table that was read has empty strings, one that was just made has gaps."""
    for nothing in ("", np.nan):
        study = SimpleNamespace(**vars(whole))
        kinds = whole.images["group:cell_type"].astype(object)
        study.images = whole.images.assign(**{"group:cell_type": kinds.where(kinds != "SkBr3", nothing)})
        assert set(by_group(study, ["cell_type"], draws=DRAWS)["value"]) == {"A172"}
        study.images = study.images.assign(**{"group:cell_type": pd.Series(nothing, study.images.index, object)})
        with pytest.raises(ConfigError, match="cell_type"):
            by_group(study, ["cell_type"], draws=DRAWS)


def test_values_are_in_the_order_of_time_and_of_numbers(small: SimpleNamespace) -> None:
    study = SimpleNamespace(**vars(small))
    number = small.images["image"].str[-3:].astype(int)
    for values in (["early", "mid", "late"], ["-1", "2", "10.5"]):
        study.images = small.images.assign(**{"group:g": np.array(values[::-1])[number % 3]})
        assert list(dict.fromkeys(by_group(study, "g", draws=DRAWS)["value"])) == values


def test_groups_that_no_image_has_together_are_refused(small: SimpleNamespace) -> None:
    study = SimpleNamespace(**vars(small))
    first = small.images["image"].str.endswith("0")
    study.images = small.images.assign(**{"group:a": np.where(first, "x", ""), "group:b": np.where(first, "", "y")})
    with pytest.raises(ConfigError, match="group:a, group:b"):
        by_group(study, ["a", "b"], draws=DRAWS)


def test_another_metric_is_compared(small: SimpleNamespace) -> None:
    found = by_group(small, "difficulty", iou=0.75, draws=DRAWS, metric="jaccard_ap")
    assert set(found["metric"]) == {"jaccard_ap@0.75"}
    row = found.query("value == 'easy' and arm == 'real'").iloc[0]
    images = small.images.query("difficulty == 'easy' and arm == 'real' and iou == 0.75")
    sums = images.groupby("seed")[["tp", "fp", "fn"]].sum()
    assert row["score"] == pytest.approx((sums["tp"] / sums.sum(axis=1)).mean())
    for name in ("jacard_ap", "coco_ap"):
        with pytest.raises(ConfigError, match=f"'{name}'.*jaccard_ap"):
            by_group(small, "difficulty", draws=DRAWS, metric=name)
