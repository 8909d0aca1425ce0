"""Differences are paired, intervals hold what they say, ranks don't pretend, and gaps are counted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from helpers.frames import images as make_images
from synthbench.errors import ConfigError, DataError
from synthbench.metrics import matching, semantic
from synthbench.statistics import PRIOR, compare, holm, paired_difference, ranks, run_scores


def rows(arm: str, seed: int, counts: dict[str, tuple[int, int, int]], **more: object) -> pd.DataFrame:
    """Return one run at IoU .5: image → (tp, fp, fn)."""
    table = pd.DataFrame([(name, *c) for name, c in counts.items()], columns=["image", "tp", "fp", "fn"])
    generator = "" if arm == "real" else "g"
    fixed = {"fold": 0, "generator": generator, "generator_seed": 0.0 if generator else np.nan, "iou": 0.5, **more}
    return table.assign(arm=arm, seed=seed, dice=0.5, **fixed)


REAL = {"a": (6, 2, 2), "b": (1, 1, 3)}
ARM = {"a": (7, 1, 1), "b": (2, 0, 2)}


class TestHandWorked:
    def frame(self) -> pd.DataFrame:
        return pd.concat([rows("real", 0, REAL), rows("arm", 0, ARM)], ignore_index=True)

    @pytest.mark.parametrize(
        ("metric", "aggregation", "real", "arm"),
        [
            ("f1", "pooled", 14 / 22, 18 / 22),
            ("precision", "pooled", 7 / 10, 9 / 10),
            ("recall", "pooled", 7 / 12, 9 / 12),
            ("jaccard_ap", "pooled", 7 / 15, 9 / 13),
            ("f1", "per_image", (12 / 16 + 2 / 6) / 2, (14 / 16 + 4 / 6) / 2),
            ("jaccard_ap", "per_image", (6 / 10 + 1 / 5) / 2, (7 / 9 + 2 / 4) / 2),
        ],
    )
    def test_scores_and_their_difference(self, metric: str, aggregation: str, real: float, arm: float) -> None:
        scores = run_scores(self.frame(), metric, 0.5, aggregation).set_index("arm")["score"]
        assert scores["real"] == pytest.approx(real)
        assert scores["arm"] == pytest.approx(arm)
        found = paired_difference(self.frame(), "arm", metric=metric, aggregation=aggregation, draws=200)
        assert found.value == pytest.approx(arm - real)
        assert found.low <= found.value <= found.high

    def test_mean_over_thresholds(self) -> None:
        frame = pd.concat([rows("real", 0, REAL), rows("real", 0, {"a": (2, 6, 6), "b": (0, 2, 4)}, iou=0.75)])
        score = run_scores(frame, "f1", "mean")["score"].item()
        assert score == pytest.approx((14 / 22 + 4 / 22) / 2)

    def test_an_image_without_any_object_counts_only_where_something_was_found(self) -> None:
        frame = rows("real", 0, {**REAL, "empty": (0, 0, 0), "false": (0, 2, 0)})
        score = run_scores(frame, "f1", 0.5, "per_image")["score"].item()
        assert score == pytest.approx((12 / 16 + 2 / 6 + 0) / 3)
        assert run_scores(frame.assign(dice=[0.9, 0.6, 0.0, 0.0]), "dice")["score"].item() == pytest.approx(1.5 / 3)

    def test_nothing_at_all_scores_zero_and_not_nan(self) -> None:
        frame = rows("real", 0, {"a": (0, 0, 0)})
        for aggregation in ("pooled", "per_image"):
            assert run_scores(frame, "f1", 0.5, aggregation)["score"].item() == 0


def test_scores_agree_with_the_metrics_module() -> None:
    rng = np.random.default_rng(3)
    truths = [rng.integers(0, 6, (20, 20)) for _ in range(5)]
    counts = [matching.count(t, np.where(rng.random(t.shape) < 0.1, 0, t)) for t in truths]
    parts = [
        rows("real", 0, {f"i{i}": (int(c.tp[k]), int(c.fp[k]), int(c.fn[k])) for i, c in enumerate(counts)}, iou=iou)
        for k, iou in enumerate(matching.IOU_THRESHOLDS)
    ]
    frame = pd.concat(parts, ignore_index=True)
    for aggregation, oracle in (("pooled", matching.pooled(counts)), ("per_image", matching.per_image(counts))):
        for metric in ("f1", "precision", "recall", "jaccard_ap"):
            for k, iou in enumerate(matching.IOU_THRESHOLDS):
                found = run_scores(frame, metric, iou, aggregation)["score"].item()
                assert found == pytest.approx(oracle[metric][k], abs=1e-12)
            mean = run_scores(frame, metric, "mean", aggregation)["score"].item()
            assert mean == pytest.approx(oracle[metric].mean(), abs=1e-12)


def semantic_rows(arm: str, seed: int, confusions: list[np.ndarray]) -> pd.DataFrame:
    found = []
    for i, matrix in enumerate(confusions):
        for k in range(len(matrix)):
            tp = int(matrix[k, k])
            counts = {"tp": tp, "fp": int(matrix[:, k].sum()) - tp, "fn": int(matrix[k].sum()) - tp}
            found.append({"image": f"i{i}", "class": k, **counts, "dice": 0.0, "cldice": 0.4 + 0.1 * i})
    generator = "" if arm == "real" else "g"
    return pd.DataFrame(found).assign(arm=arm, seed=seed, fold=0, generator=generator, generator_seed=np.nan)


def test_semantic_scores_agree_with_the_metrics_module() -> None:
    rng = np.random.default_rng(4)
    confusions = [rng.integers(0, 50, (4, 4)) for _ in range(3)]
    for matrix in confusions:
        matrix[2] = 0  # class 2 is predicted here and there, and true nowhere
        matrix[3] = matrix[:, 3] = 0  # class 3 is nowhere
    frame = semantic_rows("real", 0, confusions)
    oracle = semantic.scores(np.sum(confusions, axis=0))
    for metric in ("miou", "miou_star"):
        assert run_scores(frame, metric)["score"].item() == pytest.approx(oracle[metric])
    assert oracle["miou"] < oracle["miou_star"]
    assert run_scores(frame, "dice")["score"].item() == pytest.approx(oracle["dice"][1:3].mean())


def test_cldice_leaves_out_images_without_foreground() -> None:
    confusions = [np.array([[10, 1], [1, 5]]), np.array([[12, 0], [0, 0]])]
    assert run_scores(semantic_rows("real", 0, confusions), "cldice")["score"].item() == pytest.approx(0.4)


def test_semantic_difference_has_an_interval() -> None:
    rng = np.random.default_rng(5)
    base = [np.array([[90, 10], [10, 20]]) + rng.integers(0, 9, (2, 2)) for _ in range(20)]
    better = [m + np.array([[5, -5], [-5, 5]]) for m in base]
    frame = pd.concat([semantic_rows("real", s, base) for s in range(2)] + [semantic_rows("arm", 0, better)])
    found = paired_difference(frame, "arm", metric="miou_star", draws=500)
    assert 0 < found.low < found.value < found.high


# -- pairing and coverage -------------------------------------------------------------------------------------------


def test_pairing_takes_the_difficulty_of_images_out() -> None:
    """Images differ by far more than arms do; the same gain on every image is certain all the same."""
    frame = make_images({"real": 0, "real + g × 1": 0.05}, segmenters=("unet",), ious=(0.5,), effect_spread=0)
    sharp = frame.assign(true=1000)
    hit = np.clip(0.3 + 0.5 * frame["image"].str[-3:].astype(int) / 50 + 0.05 * (frame["arm"] != "real"), 0, 1)
    sharp["tp"] = (1000 * hit).round().astype(int)
    sharp["fp"] = sharp["fn"] = 1000 - sharp["tp"]
    found = paired_difference(sharp, "real + g × 1", draws=500)
    assert found.value == pytest.approx(0.05, abs=1e-3)
    assert found.high - found.low < 1e-3


def test_a_failed_seed_is_left_out_on_both_sides_and_counted() -> None:
    runs = [rows("real", s, {"a": (6 + s, 2, 2), "b": (1, 1, 3)}) for s in range(3)]
    runs += [rows("arm", s, ARM) for s in (0, 2)]
    found = paired_difference(pd.concat(runs), "arm", draws=200)
    f1 = {s: 2 * (7 + s) / (2 * (7 + s) + 8) for s in (0, 2)}
    assert found.value == pytest.approx(np.mean([18 / 22 - f1[s] for s in (0, 2)]))
    assert (found.pairs, found.possible, found.seeds) == (2, 3, 2)
    assert found.coverage == pytest.approx(2 / 3)


def test_images_that_one_run_lacks_count_on_neither_side() -> None:
    partial = rows("arm", 0, {"a": ARM["a"]})
    found = paired_difference(pd.concat([rows("real", 0, REAL), partial]), "arm", draws=50)
    assert found.value == pytest.approx(14 / 16 - 12 / 16)
    assert found.images == 1


def test_one_image_gives_no_interval_rather_than_a_certain_one() -> None:
    one = {"a": REAL["a"]}
    found = paired_difference(pd.concat([rows("real", s, one) for s in range(2)] + [rows("arm", 0, one)]), "arm")
    assert np.isnan([found.low, found.high, found.p]).all()


def test_of_one_image_nothing_is_known_and_every_rank_is_possible() -> None:
    """Not even that an arm with twice the score is better."""
    arms = {"real": (3, 7, 7), "good": (9, 1, 1), "bad": (0, 9, 9)}
    found = compare(pd.concat([rows(arm, s, {"a": counts}) for arm, counts in arms.items() for s in range(3)]))
    table = found.ranks().set_index("arm")
    assert table["rank"].to_dict() == {"good": 1, "real": 2, "bad": 3}
    assert (table[["low", "high"]] == [1, 3]).all(axis=None)
    assert np.isnan(found.draws["good"]).all()


def test_arms_without_a_common_seed_have_no_difference() -> None:
    found = paired_difference(pd.concat([rows("real", 0, REAL), rows("arm", 1, ARM)]), "arm")
    assert np.isnan(found.value)
    assert (found.pairs, found.possible, found.coverage) == (0, 2, 0)


def test_generator_seeds_cross_segmenter_seeds() -> None:
    """Four runs of an arm against two of real: each is paired with the real run of its own segmenter seed."""
    runs = [rows("real", s, {"a": (6 + s, 2, 2), "b": (1, 1, 3)}) for s in range(2)]
    runs += [
        rows("arm", s, {"a": (7 + s + g, 1, 1), "b": (2, 0, 2)}, generator_seed=g) for s in range(2) for g in (0, 1)
    ]
    found = paired_difference(pd.concat(runs), "arm", draws=200)
    real = [14 / 22, 16 / 24]
    arm = [[2 * (9 + s + g) / (2 * (9 + s + g) + 4) for g in (0, 1)] for s in (0, 1)]
    assert found.value == pytest.approx(np.mean([arm[s][g] - real[s] for s in (0, 1) for g in (0, 1)]))
    assert (found.pairs, found.possible, found.seeds) == (4, 4, 2)


def test_folds_count_alike_whatever_their_number_of_seeds() -> None:
    runs = [rows("real", 0, {f"{f}a": (6, 2, 2), f"{f}b": (6, 2, 2)}, fold=f) for f in range(2)]
    runs += [rows("real", 1, {"0a": (6, 2, 2), "0b": (6, 2, 2)}, fold=0)]
    runs += [rows("arm", s, {"0a": (8, 0, 0), "0b": (8, 0, 0)}, fold=0) for s in range(2)]
    runs += [rows("arm", 0, {"1a": (6, 2, 2), "1b": (6, 2, 2)}, fold=1)]
    assert paired_difference(pd.concat(runs), "arm", draws=100).value == pytest.approx((0.25 + 0) / 2)


# -- intervals ------------------------------------------------------------------------------------------------------


def test_the_interval_of_one_seed_is_that_of_a_mean_over_images_and_an_assumed_noise_of_training() -> None:
    rng = np.random.default_rng(6)
    tp = rng.integers(0, 101, 80)
    counts = {f"i{k}": (int(n), 100 - int(n), 100 - int(n)) for k, n in enumerate(tp)}
    zero = dict.fromkeys(counts, (0, 100, 100))
    frame = pd.concat([rows("real", 0, zero), rows("arm", 0, counts)])
    found = paired_difference(frame, "arm", aggregation="per_image", draws=4000)
    error = (tp / 100).std(ddof=1) / np.sqrt(80)
    assert (found.seeds, found.single_training, found.assumed_error) == (1, True, PRIOR.training)
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.hypot(error, PRIOR.training), rel=0.06)


def test_intervals_shrink_with_the_number_of_images() -> None:
    widths = []
    for count in (20, 80, 320):
        effects = {"real": 0, "real + g × 1": 0.02}
        frame = make_images(effects, segmenters=("unet",), ious=(0.5,), count=count, seeds=8, effect_spread=0.1)
        found = paired_difference(frame, "real + g × 1", draws=1000)
        widths.append(found.high - found.low)
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.3)
    assert widths[1] / widths[2] == pytest.approx(2, rel=0.3)


@pytest.mark.parametrize(("seeds", "seed_spread", "image_spread"), [(3, 0.03, 0.02), (3, 0.0, 0.06), (2, 0.01, 0.02)])
def test_intervals_hold_the_truth_about_as_often_as_they_say(
    seeds: int, seed_spread: float, image_spread: float
) -> None:
    """Also with few seeds; a bootstrap over three seeds that dominate would hold it in 75 % of cases."""
    effects = {"real": 0.0} | {f"real + g{i} × 1": 0.02 for i in range(3)}
    inside = []
    for repeat in range(30):
        frame = make_images(
            effects,
            segmenters=("unet",),
            ious=(0.5,),
            count=40,
            seeds=seeds,
            image_spread=0.03,
            effect_spread=image_spread,
            seed_spread=seed_spread,
            rng_seed=repeat,
        )
        found = compare(frame, draws=1000, seed=repeat).differences.values()
        inside += [d.low <= 0.02 <= d.high for d in found]
    assert len(inside) == 90
    assert np.mean(inside) >= 0.88


def test_a_wild_arm_widens_the_others_little() -> None:
    calm = {"real": 0.0} | {f"real + g{i} × 1": 0.02 for i in range(3)}
    frame = make_images(calm, segmenters=("unet",), ious=(0.5,), seeds=3, seed_spread=0.004)
    wild = frame[frame["arm"] == "real + g0 × 1"].assign(arm="real + wild × 1")
    for seed, shift in ((0, 0.0), (1, 0.3), (2, 0.6)):
        own = wild["seed"] == seed
        wild.loc[own, "tp"] = (wild.loc[own, "tp"] * (1 - shift)).astype(int)
    wild["fp"] = wild["fn"] = wild["true"] - wild["tp"]
    before = paired_difference(frame, "real + g1 × 1", draws=2000)
    found = compare(pd.concat([frame, wild]), draws=2000).differences
    assert found["real + wild × 1"].high - found["real + wild × 1"].low > 0.4
    width = found["real + g1 × 1"].high - found["real + g1 × 1"].low
    assert width < 5 * (before.high - before.low)


def test_few_images_widen_the_interval_as_in_a_t_test() -> None:
    """A mean over four images has 3.18 standard errors on each side, not 1.96."""
    per_image = {f"i{k}": (n, 100 - n, 100 - n) for k, n in enumerate((40, 52, 47, 61))}
    one = pd.concat([rows("real", 0, dict.fromkeys(per_image, (0, 100, 100))), rows("arm", 0, per_image)])
    frame = pd.concat([one, one.assign(seed=1)])
    found = paired_difference(frame, "arm", aggregation="per_image")
    error = np.std([0.4, 0.52, 0.47, 0.61], ddof=1) / 2
    assert found.high - found.low == pytest.approx(2 * 3.18 * error, rel=0.08)


def test_seeds_that_agree_to_the_digit_leave_few_images_few() -> None:
    per_image = {f"i{k}": (n, 100 - n, 100 - n) for k, n in enumerate((40, 52, 47, 61))}
    zero = dict.fromkeys(per_image, (0, 100, 100))
    one = pd.concat([rows("real", 0, zero), rows("arm", 0, per_image)])
    found = paired_difference(pd.concat([one.assign(seed=s) for s in range(3)]), "arm", aggregation="per_image")
    assert (found.seeds, found.training_error) == (3, 0)
    error = np.std([0.4, 0.52, 0.47, 0.61], ddof=1) / 2
    assert found.high - found.low == pytest.approx(2 * 3.18 * error, rel=0.08)


def test_folds_that_disagree_widen_the_interval() -> None:
    def study(shifts: tuple[int, ...]) -> pd.DataFrame:
        parts = []
        for fold, shift in enumerate(shifts):
            names = [f"{fold}-{i}" for i in range(30)]
            parts.append(rows("real", 0, {n: (60 + i % 5, 40, 40) for i, n in enumerate(names)}, fold=fold))
            parts.append(rows("arm", 0, {n: (60 + i % 5 + shift, 40, 40) for i, n in enumerate(names)}, fold=fold))
        return pd.concat(parts)

    same = paired_difference(study((10, 10, 11)), "arm", draws=1000)
    apart = paired_difference(study((0, 10, 20)), "arm", draws=1000)
    assert same.low > 0.03
    assert apart.low < 0 < apart.high


def test_folds_are_a_t_test_of_their_means_however_many_seeds_each_has() -> None:
    """Seeds say nothing of how folds differ: 4.30 standard errors for three folds."""
    gains, parts = (4, 10, 13), []
    for fold, gain in enumerate(gains):
        names = [f"{fold}-{i}" for i in range(20)]
        for seed in range(3):
            parts.append(rows("real", seed, dict.fromkeys(names, (60 - seed, 40, 40)), fold=fold))
            parts.append(rows("arm", seed, dict.fromkeys(names, (60 - seed + gain, 40, 40)), fold=fold))
    frame = pd.concat(parts)
    found = paired_difference(frame, "arm")
    scores = run_scores(frame).pivot_table(values="score", index="fold", columns="arm")
    means = (scores["arm"] - scores["real"]).to_numpy()
    assert found.dof == 2
    assert found.value == pytest.approx(means.mean())
    assert found.high - found.low == pytest.approx(2 * 4.303 * means.std(ddof=1) / np.sqrt(3), rel=0.08)


def test_folds_with_one_test_image_each_have_an_interval() -> None:
    parts = [rows("real", 0, {f"i{f}": (50, 50, 50)}, fold=f) for f in range(5)]
    parts += [rows("arm", 0, {f"i{f}": (55 + f, 45, 45)}, fold=f) for f in range(5)]
    found = paired_difference(pd.concat(parts), "arm", draws=2000)
    assert 0 < found.low < found.value < found.high < 0.2


def test_the_same_rows_give_the_same_interval_in_any_order() -> None:
    frame = make_images(segmenters=("unet",), count=20, ious=(0.5,))
    shuffled = frame.sample(frac=1, random_state=1)
    for arm in ("real + pix2pix × 50", "real + shuffled × 50"):
        assert paired_difference(frame, arm, draws=300) == paired_difference(shuffled, arm, draws=300)
    other = paired_difference(frame, "real + pix2pix × 50", draws=300, seed=1)
    assert other != paired_difference(frame, "real + pix2pix × 50", draws=300)


def test_many_images_are_drawn_block_by_block_to_the_same_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = make_images(segmenters=("unet",), count=30, ious=(0.5,))
    whole = paired_difference(frame, "real + pix2pix × 50", draws=4000)
    monkeypatch.setattr("synthbench.statistics._resampling.CHUNK_SIZE", 3000)
    blocks = paired_difference(frame, "real + pix2pix × 50", draws=4000)
    assert blocks.value == whole.value
    assert blocks.low == pytest.approx(whole.low, abs=0.004)
    assert blocks.high == pytest.approx(whole.high, abs=0.004)


# -- ranks and corrections ------------------------------------------------------------------------------------------


def test_arms_that_are_far_apart_have_sure_ranks() -> None:
    effects = {"real": 0.0, "real + up × 1": 0.1, "real + down × 1": -0.3}
    frame = make_images(effects, segmenters=("unet",), ious=(0.5,), count=60)
    table = ranks(frame, draws=1000)
    assert table.to_dict("list") == {
        "arm": ["real + up × 1", "real", "real + down × 1"],
        "rank": [1, 2, 3],
        "low": [1, 2, 3],
        "high": [1, 2, 3],
    }


def test_equal_arms_tie() -> None:
    """Two arms with the very same predictions share a place and its range, as do those that can't be told apart."""
    frame = make_images({"real": 0.0, "real + down × 1": -0.3}, segmenters=("unet",), ious=(0.5,), seed_spread=0)
    twin = frame[frame["arm"] == "real"].assign(arm="real + twin × 1", generator="twin", generator_seed=0.0)
    table = ranks(pd.concat([frame, twin]), draws=500).set_index("arm")
    assert table.loc["real"].tolist() == table.loc["real + twin × 1"].tolist() == [1, 1, 2]
    assert table.loc["real + down × 1"].tolist() == [3, 3, 3]


def test_ranks_leave_room_where_the_data_are_few() -> None:
    frame = make_images(segmenters=("unet",), ious=(0.5,), count=4, seeds=2, effect_spread=0.1)
    table = ranks(frame, draws=500)
    assert (table["low"] <= table["rank"]).all()
    assert (table["rank"] <= table["high"]).all()
    assert (table["high"] - table["low"]).max() >= 2


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]
    assert holm([0.04, np.nan]).tolist() == pytest.approx([0.04, np.nan], nan_ok=True)
    assert len(holm([])) == 0


@pytest.mark.parametrize("wrong", [-0.1, 1.5, np.inf])
def test_holm_takes_probabilities_alone(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"^p: "):
        holm([0.01, wrong])


def test_no_difference_at_all_has_p_one() -> None:
    runs = [rows(arm, seed, REAL) for arm in ("real", "arm") for seed in range(2)]
    found = paired_difference(pd.concat(runs), "arm", draws=100)
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


# -- bad input ------------------------------------------------------------------------------------------------------


def test_bad_input_is_named() -> None:
    frame = pd.concat([rows("real", 0, REAL), rows("arm", 0, ARM)])
    with pytest.raises(ConfigError, match=r"metric 'f2' is not known.*'f1'"):
        compare(frame, metric="f2")
    with pytest.raises(ConfigError, match=r"IoU 0.7 was not scored"):
        compare(frame, iou=0.7)
    with pytest.raises(ConfigError, match="'mean' is not one of pooled, per_image"):
        compare(frame, aggregation="mean")
    with pytest.raises(ConfigError, match="semantic"):
        compare(frame, metric="miou")
    with pytest.raises(ConfigError, match="instance"):
        compare(semantic_rows("real", 0, [np.eye(2)]), metric="f1")
    with pytest.raises(DataError, match=r"arm 'arms' has no scores.*'arm'"):
        paired_difference(frame, "arms")
    with pytest.raises(DataError, match="several values of segmenter"):
        compare(make_images(count=2, seeds=1, ious=(0.5,)))
    with pytest.raises(DataError, match="occurs twice"):
        compare(pd.concat([frame, frame]))
    with pytest.raises(DataError, match="no image was scored"):
        compare(frame[:0])


@pytest.mark.parametrize("draws", [0, 1, -3, 2.5, True, "many"])
def test_draws_are_a_number_of_them(draws: object) -> None:
    with pytest.raises(ConfigError, match="draws: "):
        compare(pd.concat([rows("real", 0, REAL), rows("arm", 0, ARM)]), draws=draws)  # type: ignore[arg-type]


@pytest.mark.parametrize("iou", ["abc", None, np.nan])
def test_a_threshold_that_is_none_is_named(iou: object) -> None:
    with pytest.raises(ConfigError, match=r"(?i)iou:? (.abc.|None|nan)"):
        compare(pd.concat([rows("real", 0, REAL), rows("arm", 0, ARM)]), iou=iou)  # type: ignore[arg-type]


@pytest.mark.parametrize("column", ["arm", "fold", "generator_seed", "seed", "image", "iou", "tp", "fp", "fn"])
def test_a_column_that_lacks_is_named(column: str) -> None:
    frame = pd.concat([rows("real", 0, REAL), rows("arm", 0, ARM)])
    with pytest.raises(DataError, match=f"no column '{column}'"):
        compare(frame.drop(columns=column))


def test_the_dice_of_instances_needs_its_column() -> None:
    with pytest.raises(DataError, match="no column 'dice'"):
        run_scores(rows("real", 0, REAL).drop(columns="dice"), "dice")


@pytest.mark.parametrize("count", [np.nan, -1, 2.5, np.inf, "", "six"])
@pytest.mark.parametrize("column", ["tp", "fp", "fn"])
def test_what_is_no_count_is_refused_and_not_taken_for_zero(column: str, count: object) -> None:
    frame = rows("real", 0, REAL)
    frame[column] = frame[column].astype(object)
    frame.loc[1, column] = count
    with pytest.raises(DataError, match=f"{column} of image 'b' of 'real' is "):
        run_scores(frame)


def test_an_unknown_baseline_is_named() -> None:
    with pytest.raises(ConfigError, match=r"baseline 'reel' is not among the arms.*'real'"):
        compare(pd.concat([rows("real", 0, REAL), rows("arm", 0, ARM)]), "reel")
