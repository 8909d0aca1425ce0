"""All that is said of a synthetic set: equal n, planted copies by name, what can't be judged is refused."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.blobs import blobs
from synthbench.metrics.comparison import MIN_IMAGES, compare_features, compare_kernel, compare_mask_shapes
from synthbench.metrics.duplicates import TooFewHeldOut, find_duplicates
from synthbench.metrics.feature_set import FeatureSet
from synthbench.samples import Sample


def seen(samples: list[Sample], labelled: bool = True) -> FeatureSet:
    found = FeatureSet()
    for sample in samples:
        found.add(sample.id, sample.image, sample.labels if labelled else None)
    found.features = np.array(
        [[s.image.mean(), s.image.std(), *np.quantile(s.image, (0.1, 0.5, 0.9))] for s in samples]
    )
    return found


@pytest.fixture(scope="module")
def sets() -> dict[str, list[Sample]]:
    many = [blobs(seed) for seed in range(45)]
    return {"synthetic": many[:10], "real": many[10:25], "train": many[25:]}


def test_numbers_of_images_must_be_equal(sets: dict[str, list[Sample]]) -> None:
    parts = {name: seen(part) for name, part in sets.items()}
    with pytest.raises(ValueError, match=r"unequal numbers of images: \{'synthetic': 10, 'real': 15\}"):
        compare_features(parts["synthetic"], parts["real"], None, "moments")


def test_few_images_have_distances_but_no_precision(sets: dict[str, list[Sample]]) -> None:
    parts = {name: seen(part).take(range(MIN_IMAGES - 1)) for name, part in sets.items()}
    found = compare_features(parts["synthetic"], parts["real"], parts["train"], "inception", "own weights")
    assert found["frechet"]["name"] == "FD(inception, own weights)"
    assert found["frechet"]["real_vs_real"] > 0
    assert found["prdc"] is None


def test_few_training_images_and_many_others_are_no_obstacle(sets: dict[str, list[Sample]]) -> None:
    many = seen(sets["real"]).take([*range(len(sets["real"]))] * 40)
    assert np.isfinite(find_duplicates(seen(sets["synthetic"]), many, seen(sets["train"][:8]))["c_t"])


def test_a_planted_copy_and_a_leaked_image_are_named(sets: dict[str, list[Sample]]) -> None:
    rng = np.random.default_rng(0)

    def forged(sample: Sample, name: str) -> Sample:
        turned = np.rot90(sample.image, 1)[:, ::-1].astype(float)
        noisy = np.clip(0.8 * turned + 20 + rng.normal(0, 4, turned.shape), 0, 255)
        return Sample(name, noisy.astype(np.uint8), np.rot90(sample.labels, 1)[:, ::-1])

    planted = [forged(sets["train"][3], "planted"), forged(sets["real"][7], "leaked")]
    found = find_duplicates(seen(sets["synthetic"] + planted), seen(sets["real"]), seen(sets["train"]))
    assert [(pair["image"], pair["of"]) for pair in found["train_duplicates"]] == [("planted", sets["train"][3].id)]
    assert [(pair["image"], pair["of"]) for pair in found["test_duplicates"]] == [("leaked", sets["real"][7].id)]
    innocent = find_duplicates(seen(sets["synthetic"]), seen(sets["real"]), seen(sets["train"]))
    assert (innocent["train_duplicates"], innocent["test_duplicates"]) == ([], [])
    assert innocent["masks"] == {"new": 10, "training": 0, "recombined": 0}
    assert innocent["synthetic_images"] == 10


def test_real_images_that_are_training_images_judge_nothing(sets: dict[str, list[Sample]]) -> None:
    with pytest.raises(TooFewHeldOut, match="15 of the 15 real images"):
        find_duplicates(seen(sets["synthetic"]), seen(sets["real"]), seen(sets["real"]))


def test_kernel_distances_take_unequal_numbers_and_have_no_floor_without_training_images(
    sets: dict[str, list[Sample]],
) -> None:
    parts = {name: seen(part) for name, part in sets.items()}
    found = compare_kernel(parts["synthetic"], parts["real"], None, "inception")
    assert (found["name"], found["images"]) == ("KID", {"synthetic": 10, "real": 15})
    assert [found[name] for name in ("real_vs_real", "real_vs_real_low", "real_vs_real_high", "real_vs_real_p")] == [
        None
    ] * 4
    assert 0 < found["p"] <= 1


def test_masks_are_compared_where_both_sides_have_them(sets: dict[str, list[Sample]]) -> None:
    found = compare_mask_shapes(seen(sets["synthetic"]), seen(sets["real"]), seen(sets["train"]))
    assert found is not None
    assert found["count"]["real"] == pytest.approx(np.mean([len(np.unique(s.labels)) - 1 for s in sets["real"]]))
    assert compare_mask_shapes(seen(sets["synthetic"], labelled=False), seen(sets["real"]), None) is None
