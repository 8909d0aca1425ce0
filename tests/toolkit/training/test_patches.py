"""The patch stream: the same patches in every arm, dealt out evenly, in any order of asking."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthbench.errors import ConfigError, DataError
from synthbench.plugin.api import Budget, TrainingMix
from synthbench.samples import Sample, SampleSet
from synthbench.toolkit.training import patches
from synthbench.toolkit.training.patches import PatchStream, adjust_intensity, dihedral

BUDGET = Budget(steps=10, batch_size=5, patch_size=24)


@pytest.fixture
def halves(blob_set: SampleSet) -> tuple[SampleSet, SampleSet]:
    return blob_set[:7], blob_set[7:]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
def test_arms_differ_in_nothing_but_the_synthetic_patches(halves: tuple[SampleSet, SampleSet], share: float) -> None:
    real = PatchStream(TrainingMix(halves[0]), BUDGET, seed=1)
    mixed = PatchStream(TrainingMix(*halves, synthetic_ratio=share), BUDGET, seed=1)
    synthetic = [mixed.slot(slot).synthetic for slot in range(len(mixed))]
    assert 0 < sum(synthetic) < len(mixed)
    for slot, other in enumerate(synthetic):
        same = all(np.array_equal(a, b) for a, b in zip(real.patch(slot), mixed.patch(slot), strict=True))
        assert same != other


@pytest.mark.parametrize(("share", "steps"), [(0.1, 1), (0.3, 3), (0.5, 5), (0.9, 9), (0.01, 1), (0.99, 9)])
def test_synthetic_first_takes_whole_steps_and_leaves_the_others_as_they_are(
    halves: tuple[SampleSet, SampleSet], share: float, steps: int
) -> None:
    real = PatchStream(TrainingMix(halves[0]), BUDGET, seed=1)
    only = PatchStream(TrainingMix(halves[0][:0], halves[1], 1.0), BUDGET, seed=1)
    first = PatchStream(TrainingMix(*halves, share, "synthetic-first"), BUDGET, seed=1)
    assert [slot.synthetic for step in range(BUDGET.steps) for slot in first.slots(step)] == [
        step < steps for step in range(BUDGET.steps) for _ in range(BUDGET.batch_size)
    ]
    for step in range(BUDGET.steps):
        np.testing.assert_array_equal(first.batch(step)[1], (only if step < steps else real).batch(step)[1])


def test_a_schedule_that_does_not_exist_is_refused(halves: tuple[SampleSet, SampleSet]) -> None:
    with pytest.raises(ConfigError, match="real-first"):
        TrainingMix(*halves, 0.5, "real-first")  # type: ignore[arg-type]


@settings(max_examples=50, deadline=None)
@given(share=st.floats(0, 1), start=st.integers(0, 10_000), length=st.integers(1, 300))
def test_synthetic_samples_are_dealt_out_evenly(share: float, start: int, length: int) -> None:
    blank = np.zeros((4, 4), np.uint8)
    one = SampleSet.of([Sample("a", blank, blank)])
    stream = PatchStream(TrainingMix(one, one, share), Budget(1, 1, 4), seed=0)
    found = sum(stream.slot(slot).synthetic for slot in range(start, start + length))
    assert abs(found - share * length) <= 1 + 1e-6


@pytest.mark.parametrize("share", [0.0, 1.0, 0.5])
def test_every_sample_comes_once_in_an_epoch(halves: tuple[SampleSet, SampleSet], share: float) -> None:
    stream = PatchStream(TrainingMix(*halves, synthetic_ratio=share), BUDGET, seed=3)
    draws = [stream.slot(slot) for slot in range(40)]
    if share > 0:
        places = [draw.index for draw in draws if draw.synthetic]
        for epoch in range(len(places) // 5):
            assert sorted(places[5 * epoch : 5 * epoch + 5]) == list(range(5))
    if share == 0:
        for epoch in range(5):
            assert sorted(draw.index for draw in draws[7 * epoch : 7 * epoch + 7]) == list(range(7))
        assert [draw.index for draw in draws[:7]] != [draw.index for draw in draws[7:14]]


def test_seeds_differ_and_repeat(halves: tuple[SampleSet, SampleSet]) -> None:
    first, again, other = (PatchStream(TrainingMix(halves[0]), BUDGET, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.batch(9)[0], again.batch(9)[0])
    assert not np.array_equal(first.batch(9)[0], other.batch(9)[0])


def test_a_batch_is_its_slots(halves: tuple[SampleSet, SampleSet]) -> None:
    stream = PatchStream(TrainingMix(halves[0]), BUDGET, seed=1)
    batches = list(stream)
    assert len(batches) == BUDGET.steps
    images, targets = batches[4]
    assert images.shape == targets.shape == (5, 1, 24, 24)
    assert (images.dtype, targets.dtype) == (np.float32, np.int32)
    for place in range(5):
        image, target = stream.patch(20 + place)
        np.testing.assert_array_equal(images[place], image)
        np.testing.assert_array_equal(targets[place], target)


def test_the_mask_goes_with_the_image() -> None:
    picture = np.arange(30 * 40, dtype=np.uint16).reshape(30, 40)
    samples = SampleSet.of([Sample("ramp", picture, picture.astype(np.int32))])
    stream = PatchStream(
        TrainingMix(samples),
        BUDGET,
        0,
        augment_intensity=False,
        encode=lambda s: (s.image[None].astype(np.float32), s.labels[None]),
    )
    corners = set()
    for slot in range(len(stream)):
        image, labels = stream.patch(slot)
        np.testing.assert_array_equal(image, labels)
        corners.add(int(labels.min()))
    assert len(corners) > 20


def test_crops_reach_every_place_and_turn_every_way(halves: tuple[SampleSet, SampleSet]) -> None:
    stream = PatchStream(TrainingMix(halves[0]), BUDGET, seed=1)
    draws = [stream.slot(slot) for slot in range(500)]
    rows, columns = zip(*(stream.crop(draw, 26, 27) for draw in draws), strict=True)
    assert {(part.start, part.stop) for part in rows} == {(0, 24), (1, 25), (2, 26)}
    assert {(part.start, part.stop) for part in columns} == {(0, 24), (1, 25), (2, 26), (3, 27)}
    assert {draw.symmetry for draw in draws} == set(range(8))


def test_the_light_of_patches_differs_in_gain_offset_and_gamma(halves: tuple[SampleSet, SampleSet]) -> None:
    stream = PatchStream(TrainingMix(halves[0]), BUDGET, seed=1)
    light = np.array([(d.gain, d.offset, d.gamma) for d in map(stream.slot, range(500))])
    assert light.min(axis=0) == pytest.approx([0.7, -0.1, 0.5**0.5], abs=0.02)
    assert light.max(axis=0) == pytest.approx([1.4, 0.1, 2**0.5], abs=0.02)
    assert np.abs(np.corrcoef(light.T) - np.eye(3)).max() < 0.15


def test_encoding_is_done_once_a_sample_while_there_is_room(
    halves: tuple[SampleSet, SampleSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def encode(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        seen.append(sample.id)
        return sample.image[None].astype(np.float32), sample.labels[None]

    def run() -> list[np.ndarray]:
        seen.clear()
        return [image for image, _ in PatchStream(TrainingMix(halves[0]), BUDGET, 0, encode=encode)]

    plenty = run()
    assert sorted(seen) == sorted(halves[0].ids)
    monkeypatch.setattr(patches, "CACHE_BYTES", 64 * 64 * 5 * 2)
    scarce = run()
    kept = [name for name in halves[0].ids if seen.count(name) == 1]
    assert len(kept) == 2
    assert all(np.array_equal(a, b) for a, b in zip(plenty, scarce, strict=True))


def test_grey_synthetic_images_join_rgb_ones() -> None:
    rng = np.random.default_rng(0)
    labels = np.ones((30, 30), np.uint8)
    colour = SampleSet.of([Sample("c", rng.integers(0, 255, (30, 30, 3)).astype(np.uint8), labels)])
    grey = SampleSet.of([Sample("g", rng.integers(0, 255, (30, 30)).astype(np.uint8), labels)])
    for real, synthetic, channels in ((colour, grey, 3), (grey, colour, 1)):
        stream = PatchStream(TrainingMix(real, synthetic, synthetic_ratio=0.5), BUDGET, 0)
        assert stream.batch(0)[0].shape == (5, channels, 24, 24)


def test_an_image_smaller_than_a_patch_is_named(halves: tuple[SampleSet, SampleSet]) -> None:
    with pytest.raises(DataError, match=r"blobs-0.*64×64.*patch of 65"):
        PatchStream(TrainingMix(halves[0]), Budget(1, 1, 65), 0)


@given(st.integers(0, 7))
def test_the_eight_symmetries_are_distinct_and_keep_the_pixels(symmetry: int) -> None:
    planes = np.arange(2 * 9).reshape(2, 3, 3)
    turned = dihedral(planes, symmetry)
    assert sorted(turned[0].ravel()) == list(range(9))
    assert sum(np.array_equal(turned, dihedral(planes, other)) for other in range(8)) == 1
    np.testing.assert_array_equal(turned[1], turned[0] + 9)


def test_relighting_is_its_formula() -> None:
    found = adjust_intensity(np.array([-0.5, 0.0, 0.25, 1.0], np.float32), gain=2, offset=0.1, gamma=0.5)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [-0.9, 0.1, 1.1, 2.1], rtol=1e-6)


def test_patches_carry_the_ignore_region_with_the_labels(blob_set):
    """By default the target is −1 where the label is unknown, cropped and turned with the image."""
    regions = [np.random.default_rng(i).random(s.labels.shape) < 0.3 for i, s in enumerate(blob_set[:3])]
    train = SampleSet.of(
        [Sample(s.id, s.image, s.labels, ignore=r) for s, r in zip(blob_set[:3], regions, strict=True)]
    )
    stream = PatchStream(TrainingMix(train), Budget(steps=8, batch_size=2, patch_size=32), 3)
    for slot in range(len(stream)):
        draw = stream.slot(slot)
        sample = train[draw.index]
        window = stream.crop(draw, *sample.labels.shape)
        _, target = stream.patch(slot)
        expected = dihedral(np.where(sample.ignore, -1, sample.labels.astype(int))[window], draw.symmetry)
        assert np.array_equal(target[0], expected)
