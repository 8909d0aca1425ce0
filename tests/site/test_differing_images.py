"""Which images are shown: the largest paired differences, both ways."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from helpers import frames
from helpers.site import Made
from synthbench.board.entries import open_entry
from synthbench.site._differing_images import EACH_WAY, arm_examples, image_scores


def test_scores_are_those_of_the_counts() -> None:
    images = frames.images(segmenters=("unet",), seeds=2, count=6)
    found = image_scores(images, 0.5)
    row = images[(images["arm"] == "real") & (images["seed"] == 1) & (images["iou"] == 0.5)].iloc[3]
    own = found[(found["arm"] == "real") & (found["seed"] == 1) & (found["image"] == row["image"])]
    assert own["score"].item() == pytest.approx(2 * row["tp"] / (row["true"] + row["predicted"]))
    assert len(found) == images.groupby(["arm", "seed", "image"]).ngroups
    mean = image_scores(images, "mean")
    of_all = images[(images["arm"] == "real") & (images["seed"] == 1) & (images["image"] == row["image"])]
    expected = np.mean(2 * of_all["tp"] / (of_all["true"] + of_all["predicted"]))
    same = mean[(mean["arm"] == "real") & (mean["seed"] == 1) & (mean["image"] == row["image"])]
    assert same["score"].item() == pytest.approx(expected)


def test_an_image_without_objects_in_mask_and_prediction_has_no_score() -> None:
    images = frames.images(segmenters=("unet",), seeds=1, count=4, ious=(0.5,))
    empty = images["image"] == images["image"].iloc[0]
    images.loc[empty, ["tp", "fp", "fn", "true", "predicted"]] = 0
    assert set(image_scores(images, 0.5)["image"]) == set(images.loc[~empty, "image"])


def test_the_images_with_the_largest_differences_are_chosen(made: Made) -> None:
    entry = open_entry(made.bundle)
    results = entry.contents.results
    scores = image_scores(results.images, results.study.iou)
    real = scores[(scores["arm"] == "real") & (scores["fraction"] == 4)].set_index(["seed", "image"])["score"]
    found = arm_examples([entry], results.study.iou)
    assert {each.generator for each in found} == {"brighter", "shuffled"}
    assert found[0].generator == "brighter"  # generators come before controls
    for each in found:
        own = scores[scores["arm"] == each.arm].set_index(["seed", "image"])["score"]
        differences = (own - real).groupby("image").mean().sort_values()
        best = list(differences[differences > 0.005].index[::-1][:EACH_WAY])
        worst = list(differences[differences < -0.005].index[:EACH_WAY])
        assert sorted(example.image for example in each.examples) == sorted(best + worst)
        for example in each.examples:
            assert example.difference == pytest.approx(differences[example.image])
            assert example.arm - example.real == pytest.approx(
                own[example.own["seed"], example.image] - real[example.baseline["seed"], example.image]
            )
            assert example.own["seed"] == example.baseline["seed"]
            assert example.own["arm"] == each.arm
            assert example.baseline["generator"] == ""
    assert pd.Series([example.difference for each in found for example in each.examples]).abs().min() > 0.005
