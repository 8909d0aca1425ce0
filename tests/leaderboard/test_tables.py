"""One row per arm and segmenter, every number of it explained, and no gap unseen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from synthbench.errors import ConfigError, DataError
from synthbench.leaderboard import baseline_delta, by_group, page, table
from synthbench.leaderboard._blocks import blocks
from synthbench.leaderboard._caveats import caveats
from synthbench.leaderboard._columns import definition, title
from synthbench.leaderboard._formatting import distance, duration, number, signed, text
from synthbench.leaderboard.decisions import decide_block
from synthbench.statistics import compare

DRAWS = 600
_MADE: dict[int, pd.DataFrame] = {}


def made(results: SimpleNamespace) -> pd.DataFrame:
    """Return the table of results that live as long as the tests do, made once."""
    if id(results) not in _MADE:
        _MADE[id(results)] = table(results, draws=DRAWS)
    return _MADE[id(results)].copy()


def test_one_row_per_arm_and_segmenter_best_first(whole: SimpleNamespace) -> None:
    found = made(whole)
    assert len(found) == 8
    unet = found[found["segmenter"] == "unet"]
    assert unet["arm"].iloc[0] == "real + pix2pix × 50"
    assert unet["arm"].iloc[-1] == "real + shuffled × 50"
    assert unet["rank"].is_monotonic_increasing
    assert (unet["verdict"].iloc[0], unet["verdict"].iloc[-1]) == ("better", "worse")


def test_numbers_are_those_of_the_rows(whole: SimpleNamespace) -> None:
    """F1@.50 and Δ by hand: counts summed per seed, then the mean over seeds."""
    found = made(whole).set_index(["segmenter", "arm"])
    images = whole.images[(whole.images["iou"] == 0.5) & (whole.images["segmenter"] == "stardist")]
    sums = images.groupby(["arm", "seed"])[["tp", "fp", "fn"]].sum()
    f1 = (2 * sums["tp"] / (2 * sums["tp"] + sums["fp"] + sums["fn"])).groupby("arm").mean()
    for arm, expected in f1.items():
        row = found.loc[("stardist", arm)]
        assert row["f1@0.50"] == pytest.approx(expected)
        if arm != "real":
            assert row["delta"] == pytest.approx(expected - f1["real"])
            assert row["delta_low"] < row["delta"] < row["delta_high"]
    assert found.loc[("stardist", "real"), "verdict"] == "baseline"


def test_gaps_are_counted_and_never_zero(gaps: SimpleNamespace) -> None:
    found = made(gaps).set_index(["segmenter", "arm"])
    lost, partial = found.loc[("unet", "real + pix2pix × 50")], found.loc[("unet", "real + duplicate × 50")]
    assert (lost["completed"], lost["status"], lost["verdict"]) == ("0/3", "missing", "missing")
    assert np.isnan(lost["f1@0.50"])
    assert "loss is NaN" in lost["error"]
    assert (partial["completed"], partial["status"], partial["delta_pairs"]) == ("2/3", "partial", 2)
    assert found.loc[("stardist", "real + pix2pix × 50"), "verdict"] == "better"


def test_no_cell_is_ever_blank(gaps: SimpleNamespace, semantic: SimpleNamespace) -> None:
    for results in (gaps, semantic):
        found = made(results)
        for row in found.to_dict("records"):
            for name in found.columns:
                assert text(row, name).strip(), name
                assert name == "error" or "nan" not in text(row, name).lower(), name
    lost = next(row for row in made(gaps).to_dict("records") if row["status"] == "missing")
    assert {text(lost, c) for c in ("f1@0.50", "f1@mean", "dice", "coco_ap", "delta", "rank")} == {"missing"}


def test_without_real_there_are_scores_but_no_differences(whole: SimpleNamespace, frames: SimpleNamespace) -> None:
    found = table(frames.lose(whole, whole.runs["arm"] == "real"), draws=DRAWS)
    others = found[found["arm"] != "real"]
    assert others["f1@0.50"].notna().all()
    assert set(others["verdict"]) == {"no baseline"}
    assert others["delta"].isna().all()


def test_a_study_of_which_nothing_is_left_still_has_its_table(whole: SimpleNamespace, frames: SimpleNamespace) -> None:
    nothing = frames.lose(whole, pd.Series(True, index=whole.runs.index))
    for images in (nothing.images, pd.DataFrame()):
        nothing.images = images
        nothing.fidelity = pd.DataFrame()
        found = table(nothing, draws=DRAWS)
        assert len(found) == 8
        assert set(found["status"]) == {"missing"}


def test_the_headline_threshold_can_be_chosen(whole: SimpleNamespace) -> None:
    at = table(whole, iou=0.7, draws=DRAWS)
    assert set(at["metric"]) == {"f1@0.70"}
    assert {"f1@0.50", "f1@0.70", "jaccard_ap@0.70"} <= set(at.columns)
    mean = table(whole, iou="mean", draws=DRAWS).set_index(["segmenter", "arm"])
    for segmenter in ("unet", "stardist"):
        real, arm = mean.loc[(segmenter, "real")], mean.loc[(segmenter, "real + pix2pix × 50")]
        assert arm["delta"] == pytest.approx(arm["f1@mean"] - real["f1@mean"])
    with pytest.raises(ConfigError, match=r"IoU 0\.51 was not scored"):
        table(whole, iou=0.51)


def test_semantic_studies_have_their_own_scores(semantic: SimpleNamespace) -> None:
    found = made(semantic).set_index("arm")
    assert set(found["metric"]) == {"miou_star"}
    assert set(found["aggregation"]) == {"pooled"}
    assert "f1@0.50" not in found.columns
    assert found.loc["real + copy-paste × 9", "delta"] > 0
    assert found["cldice"].between(0.5, 1).all()


def test_fidelity_keeps_its_true_name_its_count_and_its_floor(whole: SimpleNamespace, frames: SimpleNamespace) -> None:
    offline = made(whole)
    assert {"KD(untrained)", "KD(untrained) real-vs-real", "FD(untrained)", "fidelity_n"} <= set(offline.columns)
    assert not {"FID", "KID"} & set(offline.columns)
    mixed = SimpleNamespace(**vars(whole))
    mixed.fidelity = pd.concat([frames.fidelity(whole.images)[:1], frames.fidelity(whole.images, "inception")[1:]])
    found = table(mixed, draws=DRAWS).set_index("generator")
    assert found.loc["duplicate", "KID"].isna().all()
    assert found.loc["duplicate", "KD(untrained)"].notna().all()
    assert found.loc["pix2pix", "FID"].notna().all()
    assert found.loc["pix2pix", "FD(untrained)"].isna().all()


def test_distances_of_different_numbers_of_images_are_refused(whole: SimpleNamespace) -> None:
    mixed = SimpleNamespace(**vars(whole))
    mixed.fidelity = whole.fidelity.assign(n=[45, 45, 30])
    with pytest.raises(DataError, match="distances of 30, 45 images can't be compared"):
        table(mixed, draws=DRAWS)


def test_copies_and_agreement_stand_beside_the_scores(whole: SimpleNamespace) -> None:
    found = made(whole)
    assert text(found.set_index("generator").loc["duplicate"].iloc[0].to_dict(), "train_duplicates") == "50 of 50"
    drawn, real = found[found["generator"] != ""], found[found["arm"] == "real"].set_index("segmenter")
    assert real["label_consistency"].isna().all()
    first = whole.images[(whole.images["arm"] == "real") & (whole.images["iou"] == 0.5)]
    for segmenter, part in first.groupby("segmenter"):
        sums = part.groupby("seed")[["tp", "fp", "fn"]].sum()
        expected = (2 * sums["tp"] / (2 * sums["tp"] + sums["fp"] + sums["fn"])).mean()
        own = drawn[drawn["segmenter"] == segmenter]
        assert own["label_consistency"].to_numpy() == pytest.approx(expected)
        assert ((own["label_consistency_low"] < expected) & (expected < own["label_consistency_high"])).all()
        assert own[["label_consistency_seeds", "label_consistency_images"]].to_numpy().tolist() == [[3, 50]] * 3
        row = own.iloc[0].to_dict()
        assert (
            text(row, "label_consistency")
            == f"{expected:.3f} [{row['label_consistency_low']:.3f}, {row['label_consistency_high']:.3f}]"
        )


def test_copies_are_counted_apart_by_where_masks_come_from(whole: SimpleNamespace) -> None:
    found = SimpleNamespace(**vars(whole))
    counts = {"masks_new": 10, "masks_recombined": 12, "masks_training": 28}
    copied = {"train_duplicates_new": 1, "train_duplicates_recombined": 2, "train_duplicates_training": 4}
    one = whole.fidelity.assign(train_duplicates=7, **counts, **copied)
    found.fidelity = pd.concat(
        [one, one.assign(generator_seed=1, train_duplicates=2, train_duplicates_new=0, train_duplicates_recombined=0)]
    )
    row = table(found, draws=DRAWS).query("generator == 'pix2pix'").iloc[0]
    assert (text(row, "train_duplicates_new"), text(row, "train_duplicates_training")) == ("3 of 44", "8 of 56")
    said = [line for line in caveats(table(found, draws=DRAWS)) if "of pix2pix" in line and "duplicate" in line]
    assert said == [
        "9 of 100 synthetic images of pix2pix (phantom-nuclei, 45 real images) duplicate training images: "
        "3 of 44 with new masks and 8 of 56 with training masks."
    ]
    unknown = table(whole, draws=DRAWS).query("generator == 'pix2pix'").iloc[0]
    assert (text(unknown, "train_duplicates_new"), text(unknown, "train_duplicates_training")) == ("n/a", "n/a")


def test_p_of_several_sets_is_twice_the_mean_and_the_floor_has_its_interval(whole: SimpleNamespace) -> None:
    """Two generator seeds on the same test images: their p-values have much in common."""
    found = SimpleNamespace(**vars(whole))
    found.fidelity = pd.concat([
        whole.fidelity.assign(kd_p=0.01),
        whole.fidelity.assign(generator_seed=1, kd_p=0.03, real_vs_real_kd_low=0.0003, kd_n=48),
    ])  # fmt: skip
    row = table(found, draws=DRAWS).dropna(subset=["KD(untrained)"]).iloc[0]
    assert (row["KD(untrained) p"], row["KD(untrained) real-vs-real p"]) == pytest.approx((0.04, 0.8))
    assert (row["KD(untrained) real-vs-real low"], row["KD(untrained) real-vs-real high"]) == pytest.approx(
        (0.0002, 0.0019)
    )
    assert row[["kd_n", "kd_test_n", "kd_train_n"]].tolist() == [48, 45, 60]
    assert text(row, "KD(untrained) p") == "0.040 (0.800)"
    assert text(row, "KD(untrained) real-vs-real") == "0.0007 [0.0002, 0.0019]"


def test_tables_of_distances_without_p_are_still_read(whole: SimpleNamespace) -> None:
    old = SimpleNamespace(**vars(whole))
    old.fidelity = whole.fidelity.drop(
        columns=[c for c in whole.fidelity if c.startswith(("kd_p", "real_vs_real_kd_", "kd_n"))]
    )
    row = table(old, draws=DRAWS).dropna(subset=["KD(untrained)"]).iloc[0]
    assert (text(row, "KD(untrained) p"), text(row, "KD(untrained) real-vs-real")) == ("n/a", "0.0007")


def test_a_leak_is_a_caution(whole: SimpleNamespace) -> None:
    leaky = SimpleNamespace(**vars(whole))
    leaky.fidelity = whole.fidelity.assign(test_duplicates=[0, 2, 0], train_duplicates=[50, 3, 50])
    said = [line for line in caveats(table(leaky, draws=DRAWS)) if "synthetic images" in line]
    place = "of 50 synthetic images of pix2pix (phantom-nuclei, 45 real images)"
    leaked = f"2 {place} duplicate test images: its scores are invalid."
    assert said == [leaked, f"3 {place} duplicate training images, at least in their layout."]


def test_what_could_not_be_compared_or_searched_is_a_caution(whole: SimpleNamespace) -> None:
    """Two folds: one of pix2pix's sets is lost, and in copy-paste's second one there was nothing to judge copies by."""
    near = whole.fidelity.assign(c_t=[-9.0, -4.0, -9.0])
    second = near.assign(
        fold=1, n=46, kd=near["kd"] + 0.01, train_duplicates=[50, 0, np.nan], test_duplicates=[0, 0, np.nan]
    )
    second.loc[second["generator"] == "pix2pix", ["fd", "kd"]] = np.nan
    found = SimpleNamespace(**vars(whole))
    found.fidelity = pd.concat([near, second], ignore_index=True)
    made = table(found, draws=DRAWS)
    names = list(near["generator"])
    by_name = made.drop_duplicates("generator").set_index("generator")
    assert by_name.loc[names[0], "KD(untrained)"] == pytest.approx(near["kd"][0] + 0.005)
    assert by_name.loc[names, "fidelity_n"].tolist() == [45] * 3
    assert by_name.loc["pix2pix", ["fidelity_sets", "fidelity_sets_planned"]].tolist() == [1, 2]
    near.loc[near["generator"] == names[2], "area"] = 128.0**2
    found.fidelity = pd.concat([near, second.assign(area=near["area"])], ignore_index=True)
    said = caveats(table(found, draws=DRAWS))
    place = "(phantom-nuclei, 45 real images)"
    assert f"Distances of pix2pix {place} are over 1 of 2 synthetic sets." in said
    assert f"The images of pix2pix {place} are nearer to training images than by chance (C_T -4.0)." in said
    lost = f"Not all images of {names[2]} {place} could be searched for duplicates: too few real images were held out."
    assert lost in said
    sizes = (
        f"Images of {names[2]} {place} have 16,384 pixels, test images 65,536: its distances include this difference."
    )
    assert [line for line in said if line.startswith("Images of")] == [sizes]
    assert not [line for line in said if "C_T" in line and "duplicate" in line]


def test_objects_and_classes_stand_in_one_study(whole: SimpleNamespace) -> None:
    def of_classes(images: pd.DataFrame) -> pd.DataFrame:
        first = images[images["iou"] == 0.5].drop(columns=["iou", "true", "predicted", "difficulty"])
        return pd.concat([first.assign(**{"class": c}, cldice=0.5, dataset="lines") for c in (0, 1)])

    both = SimpleNamespace(**vars(whole))
    both.images = pd.concat([whole.images, of_classes(whole.images)], ignore_index=True)
    both.label_consistency = pd.concat(
        [whole.label_consistency, of_classes(whole.label_consistency)], ignore_index=True
    )
    both.runs = pd.concat([whole.runs, whole.runs.assign(dataset="lines")], ignore_index=True)
    both.fidelity = pd.concat([whole.fidelity, whole.fidelity.assign(dataset="lines")], ignore_index=True)
    found = table(both, draws=DRAWS)
    drawn = found[found["generator"] != ""]
    assert set(drawn["task"]) == {"instances", "semantic"}
    assert drawn["label_consistency"].notna().all()


def test_unscored_coco_ap_is_flagged(whole: SimpleNamespace) -> None:
    flagged = SimpleNamespace(**vars(whole))
    flagged.runs = whole.runs.assign(unscored=whole.runs["segmenter"] == "stardist")
    found = table(flagged, draws=DRAWS)
    marks = {row["segmenter"]: text(row, "coco_ap") for row in found.to_dict("records")}
    assert marks == {"unet": "0.600", "stardist": "0.600*"}


def test_folds_of_unequal_size_are_one_arm(whole: SimpleNamespace, frames: SimpleNamespace) -> None:
    """Five images in three folds: 3, 3 and 4 to train on, and “1x” synthetic ones go with them."""
    parts = []
    for fold, size in enumerate((3, 3, 4)):
        effects = {"real": 0.0, f"real + g × {size}": 0.03, f"real + g × {2 * size}": 0.05}
        part = frames.images(effects, segmenters=("unet",), seeds=2, count=10, ious=(0.5, 0.75, 0.9), rng_seed=fold)
        parts.append(part.assign(fold=fold, fraction=size, image=f"{fold}-" + part["image"]))
    study = frames.results(table=pd.concat(parts, ignore_index=True))
    study.fidelity = pd.concat([frames.fidelity(part) for part in parts]).assign(fold=[0, 1, 2])
    found = table(study, draws=DRAWS)
    assert sorted(found["arm"]) == ["real", "real + g × 3", "real + g × 6"]
    assert set(found["completed"]) == {"6/6"}
    assert set(found["folds"]) == {3}
    assert set(found["fraction"]) == {3}
    assert found.set_index("arm")["KD(untrained)"].notna().tolist() == [bool(a != "real") for a in found["arm"]]


def test_fractions_of_real_data_are_apart(frames: SimpleNamespace) -> None:
    effects = {"real": 0.0, "real + g × 9": 0.03}
    parts = [frames.images(effects, segmenters=("unet",), seeds=2, count=10, fraction=f) for f in (10, 40)]
    found = table(frames.results(table=pd.concat(parts, ignore_index=True)), draws=DRAWS)
    assert found.groupby("fraction").size().to_dict() == {10: 2, 40: 2}


def test_every_column_has_a_definition_of_one_line(whole: SimpleNamespace, semantic: SimpleNamespace) -> None:
    tables = [made(whole), made(semantic), by_group(whole, ["difficulty", "cell_type"], draws=DRAWS)]
    tables.append(baseline_delta(whole, ["difficulty"], draws=DRAWS))
    for name in {str(c) for found in tables for c in found.columns}:
        line = definition(name)
        assert line.endswith(".")
        assert "\n" not in line
        assert title(name)
    with pytest.raises(KeyError):
        definition("f3@0.50")


def test_damaged_results_are_named(whole: SimpleNamespace) -> None:
    broken = SimpleNamespace(**vars(whole))
    broken.runs = whole.runs.drop(columns="arm")
    with pytest.raises(DataError, match=r"runs.csv: no column 'arm'"):
        list(blocks(broken))
    broken.runs = whole.runs[:0]
    with pytest.raises(DataError, match="nothing to show"):
        list(blocks(broken))


def test_counts_that_contradict_each_other_make_no_table(whole: SimpleNamespace) -> None:
    edited = SimpleNamespace(**vars(whole))
    edited.images = whole.images.assign(tp=whole.images["tp"].where(whole.images.index != 3, whole.images["tp"] - 1))
    with pytest.raises(DataError, match=r"results\.images, row 3: tp \d+ and fn \d+ don't add up to true \d+"):
        table(edited, draws=DRAWS)


def test_values_are_written_for_people() -> None:
    assert [signed(v) for v in (0.0214, -0.0214, 0.0001, -0.0001, np.nan)] == [
        "+0.021",
        "−0.021",
        "0.000",
        "0.000",
        "n/a",
    ]
    assert [duration(s) for s in (0.24, 61, 216, 5000, 8000)] == ["0.2 s", "61 s", "3.6 min", "83.3 min", "2.2 h"]
    assert [distance(v) for v in (0.00412, -12.34, 999.94)] == ["0.0041", "−12.3", "999.9"]
    assert [distance(v) for v in (5263.5, -18232.9, 1.4322e6)] == ["5.26k", "−18.2k", "1,432k"]
    assert [distance(v) for v in (-3.77e9, float("nan"))] == ["−3.77e+09", "n/a"]
    assert number(-1.5, 1) == "−1.5"


@pytest.mark.parametrize("iou", [0.75, "mean"])
def test_differences_are_in_the_studys_own_threshold(small: SimpleNamespace, tmp_path: Path, iou: float | str) -> None:
    """Everywhere that no other is asked for; decisions too."""
    own = replace_study(small, iou=iou)
    board = table(own, draws=200)
    assert set(board["metric"]) == {f"f1@{iou}"}
    assert_frame_equal(board, table(small, iou, draws=200))
    assert set(table(own, 0.9, draws=200)["metric"]) == {"f1@0.90"}
    assert f"Δ in F1{'@.75' if iou == 0.75 else ' mean'}" in page(own, tmp_path)
    assert set(by_group(own, "difficulty", draws=200)["metric"]) == {f"f1@{iou}"}
    assert set(baseline_delta(own, draws=200)["metric"]) == {f"f1@{iou}"}
    (block,) = blocks(own)
    deciding = replace(block, margin=0.02, runs=block.runs.assign(most_seeds=2))
    arm = decide_block(deciding).arms["real + pix2pix × 9"]
    other = compare(block.images, iou=iou, draws=200).differences["real + pix2pix × 9"]
    assert arm.value == pytest.approx(other.value)


def replace_study(found: SimpleNamespace, **changes: object) -> SimpleNamespace:
    return SimpleNamespace(**{**vars(found), "study": SimpleNamespace(**{**vars(found.study), **changes})})
