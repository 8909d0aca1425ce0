"""The controls do what their names say, and nothing else."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from synthbench import Context, Sample, SampleSet
from synthbench.errors import DataError
from synthbench.toolkit.masks.objects import cutouts, object_areas, relabel
from synthbench.toolkit.training.patches import dihedral
from synthbench_controls.base import remove_fragments
from synthbench_controls.classic import Classic, ClassicConfig
from synthbench_controls.copy_paste import CopyPaste, CopyPasteConfig
from synthbench_controls.duplicate import Duplicate
from synthbench_controls.pasting import background_colour, contrast, cut_object
from synthbench_controls.shuffled import Shuffled, fit_to_shape

STILL = {"rotation": 0, "scale": 1, "elastic": 0, "gain": 1, "gamma": 1, "offset": 0, "noise": 0, "blur": 0}


def fitted(cls, train, **config):
    generator = cls(cls.Config(**config))
    generator.fit(train, Context())
    return generator


def square(name: str, *, size: int = 96, side: int = 20, dtype: str = "uint8", at: int = 40) -> Sample:
    """A bright square on a dark ground."""
    labels = np.zeros((size, size), np.uint8)
    labels[at : at + side, at : at + side] = 1
    top = np.iinfo(dtype).max
    return Sample(name, np.where(labels > 0, top // 2, top // 20).astype(dtype), labels)


# -- duplicate --------------------------------------------------------------------------------------------------------


def test_duplicates_are_the_training_images_each_once_before_any_again(blob_set):
    generator = fitted(Duplicate, blob_set)
    for first in (0, len(blob_set), 5 * len(blob_set)):
        drawn = generator.sample_batch(range(first, first + len(blob_set)), 9)
        assert sorted(sample.groups["source"] for sample in drawn) == sorted(blob_set.ids)
        for sample in drawn:
            source = blob_set[sample.groups["source"]]
            assert np.array_equal(sample.image, source.image)
            assert np.array_equal(sample.labels, source.labels)


def test_another_seed_gives_another_order(blob_set):
    generator = fitted(Duplicate, blob_set)
    orders = {tuple(s.groups["source"] for s in generator.sample_batch(range(12), seed)) for seed in range(5)}
    assert len(orders) == 5


# -- classic ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_augmented_labels_lie_on_augmented_objects(dtype):
    train = SampleSet.of([square("a", dtype=dtype), square("b", dtype=dtype, at=30, side=30)])
    generator = fitted(Classic, train, noise=0.01)
    for sample in generator.sample_batch(range(20), 0):
        light = sample.image.astype(float)
        bright = light > (light.min() + light.max()) / 2
        inside = sample.labels > 0
        assert (bright & inside).sum() > 0.8 * (bright | inside).sum()
        assert np.allclose(ndimage.center_of_mass(bright), ndimage.center_of_mass(inside), atol=1.0)


def test_augmented_images_differ_from_their_sources_and_from_each_other(blob_set):
    drawn = fitted(Classic, blob_set).sample_batch(range(36), 0)
    assert len({sample.image.tobytes() for sample in drawn}) == 36
    assert all((s.labels > 0).tolist() != (blob_set[s.groups["source"]].labels > 0).tolist() for s in drawn)


def test_an_object_cut_to_a_speck_is_removed_and_counted(blob_set):
    generator = fitted(Classic, blob_set, scale=1.0, elastic=0.0)
    smallest = min(object_areas(sample.labels).min() for sample in blob_set)
    drawn = generator.sample_batch(range(36), 0)
    assert all((object_areas(sample.labels) >= 0.4 * smallest).all() for sample in drawn)
    assert generator.counts["removed"] > 0
    assert generator.counts["drawn"] == 36


def test_a_small_object_that_is_whole_stays_and_a_small_rest_of_a_large_one_goes():
    original = np.zeros((20, 20), np.uint8)
    original[1:11, 1:11], original[15:18, 15:18] = 3, 7
    warped = np.zeros((20, 20), np.uint8)
    warped[0:2, 0:4], warped[15:18, 15:18] = 3, 7
    labels, removed = remove_fragments(warped, original, min_area=12, scale=1.0)
    assert removed == 1
    assert np.array_equal(labels, warped == 7)


def test_pieces_of_one_object_become_objects_where_they_are_large():
    original = np.zeros((20, 20), np.uint8)
    original[2:12, 2:12] = 1
    warped = original.copy()
    warped[:, 6:8] = 0
    labels, removed = remove_fragments(warped, original, min_area=12, scale=1.0)
    assert removed == 0
    assert sorted(object_areas(labels)) == [40, 40]


def test_without_any_strength_an_augmented_image_is_a_training_image_or_its_mirror(blob_set):
    generator = Classic(ClassicConfig(**STILL))
    generator.fit(blob_set, Context())
    for sample in generator.sample_batch(range(6), 0):
        source = blob_set[sample.groups["source"]].image
        same = [np.array_equal(sample.image, image) for image in (source, source[:, ::-1])]
        assert any(same)


def relit(**strength) -> np.ndarray:
    """Return 60 drawings, changed in one way, of three bands: at 0, 1/4 and 1 of the image's range."""
    bands = np.repeat(np.array([50, 75, 150], np.uint8), 32)[:, None].repeat(64, axis=1)
    train = SampleSet.of([Sample("bands", bands, (bands > 100).astype(np.uint8))])
    generator = fitted(Classic, train, **{**STILL, **strength})
    return np.stack([s.image for s in generator.sample_batch(range(60), 0)]).astype(float)


def test_contrast_brightness_and_gamma_change_as_much_as_they_are_asked_to():
    strengths, middles = {"gain": 2.0, "offset": 0.1, "gamma": 2.0}, [16, 48, 80]
    gained, moved, bent = (relit(**{name: most})[:, middles, 9] for name, most in strengths.items())
    factor = (gained[:, 2] - gained[:, 0]) / 100
    assert np.allclose(gained.mean(axis=1), 275 / 3, atol=1)
    assert (factor.min(), factor.max()) == pytest.approx((1 / 2, 2), rel=0.1)
    offset = moved - [50, 75, 150]
    assert (offset == offset[:, :1]).all()
    assert (offset.min(), offset.max()) == pytest.approx((-10, 10), abs=1)
    assert (bent[:, [0, 2]] == [50, 150]).all()
    assert (bent[:, 1].min(), bent[:, 1].max()) == pytest.approx((50 + 100 / 16, 50 + 100 / 2), abs=4)


def test_noise_and_blur_are_as_strong_as_they_are_asked_to_be():
    spread = relit(noise=0.05)[:, :24].std(axis=(1, 2))
    assert (spread.min(), spread.max()) == pytest.approx((0, 5), abs=0.6)
    blurred = relit(blur=2.0)
    assert (blurred[:, [16, 48, 80], 9] == [50, 75, 150]).all()
    steepest = (blurred[:, 64] - blurred[:, 63]).mean(axis=1)
    assert steepest.max() == 75
    assert steepest.min() == pytest.approx(75 / (2 * math.sqrt(2 * math.pi)), rel=0.1)


def test_augmented_objects_are_turned_scaled_and_mirrored_as_far_as_they_are_asked_to():
    """By a bar of 40 × 8 pixels, with a foot at one end that tells it from its mirror image."""
    labels = np.zeros((96, 96), np.uint8)
    labels[44:52, 28:68] = labels[36:44, 28:32] = 1
    train = SampleSet.of([Sample("bar", np.where(labels > 0, 200, 20).astype(np.uint8), labels)])
    turned = [s.labels > 0 for s in fitted(Classic, train, **{**STILL, "rotation": 30}).sample_batch(range(60), 0)]
    angles = [
        np.degrees(0.5 * np.arctan2(2 * c[0, 1], c[1, 1] - c[0, 0])) for c in map(np.cov, map(np.nonzero, turned))
    ]
    assert 50 < np.ptp(angles) < 75
    scaled = [s.labels > 0 for s in fitted(Classic, train, **{**STILL, "scale": 1.5}).sample_batch(range(120), 0)]
    factors = [np.sqrt(there.sum() / (labels > 0).sum()) for there in scaled]
    assert (min(factors), max(factors)) == pytest.approx((1 / 1.5, 1.5), rel=0.05)
    still = [s.labels for s in fitted(Classic, train, **STILL).sample_batch(range(20), 0)]
    mirrored = [np.array_equal(found, labels[:, ::-1]) for found in still]
    assert mirrored == [not np.array_equal(found, labels) for found in still]
    assert 5 < sum(mirrored) < 15


def test_a_warp_moves_pixels_as_far_as_it_is_asked_to(blob_set):
    generator = fitted(Classic, blob_set, rotation=0, elastic=2.5, elastic_spacing=8)
    moved = generator.source_coordinates((200, 200), 1.0, np.random.default_rng(0))[0] - np.indices((200, 200))[0]
    assert moved[::8, ::8].std() == pytest.approx(2.5, rel=0.1)
    assert np.abs(np.diff(moved, axis=0)).max() < 2.5


def test_class_maps_keep_their_classes(semantic_set):
    for sample in fitted(Classic, semantic_set).sample_batch(range(8), 0):
        assert set(np.unique(sample.labels)) <= {0, 1}
        assert sample.image[sample.labels == 1].mean() > sample.image[sample.labels == 0].mean()


# -- copy-paste -------------------------------------------------------------------------------------------------------


def test_the_target_density_is_reached(blob_set):
    generator = fitted(CopyPaste, blob_set, touching_fraction=1.0)
    before = np.mean([entry.covered for entry in blob_set.entries])
    drawn = generator.sample_batch(range(24), 0)
    after = np.mean([(sample.labels > 0).mean() for sample in drawn])
    assert 1.6 * before < after < 2.2 * before or after > 0.55


def test_the_density_is_capped():
    train = SampleSet.of([square(f"s{i}", side=16) for i in range(4)])
    largest = 16 * 16 / 96 / 96
    generator = fitted(CopyPaste, train, pasted_ratio=10.0, max_foreground_fraction=0.15)
    covered = [(sample.labels > 0).mean() for sample in generator.sample_batch(range(8), 0)]
    assert max(covered) < 0.15 + largest
    assert np.mean(covered) > 0.1


def test_no_pasted_object_covers_another_or_is_lost_uncounted(blob_set):
    generator = fitted(CopyPaste, blob_set, pasted_ratio=2.0)
    for i in range(12):
        generator.counts.clear()
        sample = generator.sample(i, 0)
        source = blob_set[sample.groups["source"]].labels
        base, _ = remove_fragments(source, source, generator.min_area, 1.0)
        for label in range(1, base.max() + 1):
            now = np.unique(sample.labels[base == label])
            assert len(now) == 1
            assert (sample.labels == now[0]).sum() == (base == label).sum()
        assert sample.labels.max() >= base.max() + generator.counts["pasted"] - generator.counts["removed"]
        assert generator.counts["pasted"] + generator.counts["unplaced"] > 0


def test_small_real_objects_keep_their_labels():
    labels = square("many", side=12, at=0).labels
    labels[40:43, 40:43] = 2
    small = Sample("small", np.where(labels > 0, 200, 20).astype(np.uint8), labels)
    train = SampleSet.of([small, *(square(f"s{i}", side=30) for i in range(200))])
    generator = fitted(CopyPaste, train)
    assert generator.min_area > 9
    (drawn,) = [s for s in generator.sample_batch(range(len(train)), 0) if s.groups["source"] == "small"]
    assert len(np.unique(drawn.labels[labels == 2])) == 1
    assert drawn.labels[41, 41] > 0
    assert (drawn.labels == drawn.labels[41, 41]).sum() == 9


def test_backgrounds_are_told_apart_whatever_part_of_16_bits_a_camera_uses():
    grounds = np.array([10, 240])
    sets = {}
    for scale, dtype in ((1, np.uint8), (17, np.uint16), (257, np.uint16)):
        squares = [square(f"{g}-{i}") for g in grounds for i in range(8)]
        images = [np.where(s.labels > 0, 255, int(s.id.split("-")[0])).astype(dtype) * scale for s in squares]
        train = SampleSet.of([Sample(s.id, im, s.labels) for s, im in zip(squares, images, strict=True)])
        generator = fitted(CopyPaste, train)
        sets[scale] = generator.colours
        lent = {place for place, _ in generator.similar_objects(0, np.random.default_rng(0))}
        assert lent <= set(range(8))
    assert np.allclose(sets[1], sets[17])
    assert np.allclose(sets[1], sets[257])


def test_where_nothing_fits_it_is_counted():
    full = square("full", side=96, at=0)
    generator = fitted(
        CopyPaste, SampleSet.of([full, square("a", side=60, at=20)]), max_foreground_fraction=1.0, pasted_ratio=5.0
    )
    generator.sample_batch(range(4), 0)
    assert generator.counts["unplaced"] > 0


def test_pasted_objects_take_the_light_of_their_new_place():
    dim = square("dim", at=10)
    light = np.where(dim.labels > 0, 90, 60).astype(np.uint8)
    bright = square("bright", at=60)
    train = SampleSet.of([Sample("dim", light, dim.labels), bright])
    generator = fitted(CopyPaste, train, touching_fraction=0.0, source_images=2)
    seen = 0
    for sample in generator.sample_batch(range(12), 0):
        if sample.groups["source"] != "dim" or sample.labels.max() < 2:
            continue
        seen += 1
        inside = ndimage.binary_erosion(sample.labels > 0, iterations=2)
        outside = ~ndimage.binary_dilation(sample.labels > 0, iterations=6)
        assert abs(np.median(sample.image[outside]) - 60) <= 2
        assert np.percentile(sample.image[inside], (2, 98)).tolist() == pytest.approx([90, 90], abs=3)
    assert seen


def test_pixels_far_from_pasted_objects_are_untouched(blob_set):
    generator = fitted(CopyPaste, blob_set)
    for sample in generator.sample_batch(range(6), 0):
        source = blob_set[sample.groups["source"]]
        far = ~ndimage.binary_dilation(sample.labels > 0, iterations=12)
        assert np.array_equal(sample.image[far], source.image[far])


def test_pasted_objects_are_turned_and_mirrored_every_way():
    labels = np.zeros((64, 64), np.uint8)
    labels[20:32, 20:24] = labels[28:32, 20:27] = 1
    train = SampleSet.of([Sample("hook", np.where(labels > 0, 200, 20).astype(np.uint8), labels)])
    drawn = fitted(CopyPaste, train, touching_fraction=0.0, pasted_ratio=4.0).sample_batch(range(20), 0)
    hook = cutouts(labels)[0].mask
    shapes = {(m.shape, m.tobytes()) for m in (np.ascontiguousarray(dihedral(hook, k)) for k in range(8))}
    found = [c.mask for s in drawn for c in cutouts(s.labels) if c.whole]
    assert {(m.shape, np.ascontiguousarray(m).tobytes()) for m in found} == shapes


@pytest.mark.parametrize("donors", [1, 2, 5])
def test_as_many_images_lend_objects_as_are_asked_to(blob_set, donors):
    generator = fitted(CopyPaste, blob_set, source_images=donors)
    lenders = [{place for place, _ in generator.similar_objects(0, np.random.default_rng(k))} for k in range(40)]
    assert {len(places) for places in lenders} == {donors}
    assert len(set.union(*lenders)) == 8


@pytest.mark.parametrize("feather", [1.0, 3.0])
def test_the_edge_of_a_pasted_object_falls_as_it_is_asked_to(feather):
    """Outside of a straight edge by the tail of a bell curve, and at once where another object was."""
    labels = square("a", side=40, at=28).labels
    labels[28:68, 8:28] = 2
    image = np.where(labels > 0, 200, 20).astype(np.uint8)
    train = SampleSet.of([Sample("two", image, labels)])
    generator = fitted(CopyPaste, train, feather_sigma=feather)
    cut = next(cut for cut in generator.complete_objects(0) if cut.label == 1)
    donor = cut_object(train[0], cut, channels=1, gain=1.0, symmetry=0, feather_sigma=feather)
    middle = donor.mask.shape[0] // 2
    first, last = np.flatnonzero(donor.mask[middle])[[0, -1]]
    expected = [math.erfc((k + 0.5) / feather / math.sqrt(2)) for k in range(3)]
    assert donor.alpha[middle, last + 1 : last + 4] == pytest.approx(expected, abs=0.03)
    assert (donor.alpha[donor.mask] == 1).all()
    assert not donor.alpha[middle, first - 5 : first].any()


def test_there_must_be_objects_to_paste(semantic_set):
    empty = Sample("empty", np.zeros((32, 32), np.uint8), np.zeros((32, 32), np.uint8))
    with pytest.raises(DataError, match="no objects"):
        fitted(CopyPaste, SampleSet.of([empty]))
    with pytest.raises(DataError, match="semantic"):
        fitted(CopyPaste, semantic_set)


def test_grey_and_rgb_images_may_lend_to_each_other():
    grey = square("grey")
    rgb = Sample("rgb", np.stack([grey.image] * 3, axis=-1), grey.labels)
    generator = CopyPaste(CopyPasteConfig(touching_fraction=0.0))
    generator.fit(SampleSet.of([grey, rgb]), Context())
    shapes = {sample.groups["source"]: sample.image.shape for sample in generator.sample_batch(range(4), 0)}
    assert shapes == {"grey": (96, 96), "rgb": (96, 96, 3)}


# -- shuffled ---------------------------------------------------------------------------------------------------------


def test_no_image_keeps_its_own_mask(blob_set):
    for sample in fitted(Shuffled, blob_set).sample_batch(range(60), 0):
        assert sample.groups["mask_source"] != sample.groups["source"]
        assert np.array_equal(sample.image, blob_set[sample.groups["source"]].image)
        assert np.array_equal(sample.labels, blob_set[sample.groups["mask_source"]].labels)


def test_masks_come_from_images_of_the_same_size_where_there_are_any():
    train = SampleSet.of([square("a"), square("b"), square("wide", size=120), square("tiny", size=70)])
    for sample in fitted(Shuffled, train).sample_batch(range(24), 0):
        if sample.groups["source"] in "ab":
            assert sample.groups["mask_source"] in "ab"
        assert sample.image.shape == sample.labels.shape


def test_masks_that_were_cut_are_valid_and_without_specks(blob_set):
    """Pieces that reflection or the edge made are objects of their own, or counted."""
    small = Sample("small", blob_set[0].image[:40, :40], relabel(blob_set[0].labels[:40, :40], 30)[0])
    wide = Sample("wide", np.pad(blob_set[1].image, (0, 16)), np.pad(blob_set[1].labels, (0, 16)))
    generator = fitted(Shuffled, SampleSet.of([small, wide]))
    for sample in generator.sample_batch(range(24), 0):
        again, _ = relabel(sample.labels)
        assert np.array_equal(np.unique(again), np.unique(sample.labels))
        assert (object_areas(sample.labels) >= generator.min_area).all()
    assert generator.counts["removed"] > 0


def test_a_lone_mask_is_turned():
    alone = square("alone", at=5)
    sample = fitted(Shuffled, SampleSet.of([alone])).sample(0, 0)
    assert np.array_equal(sample.labels, alone.labels[::-1, ::-1])


def test_a_mask_is_cut_or_continued_to_fit():
    labels = np.arange(1, 13).reshape(3, 4)
    rng = np.random.default_rng(0)
    assert fit_to_shape(labels, (7, 4), rng).tolist() == labels[[0, 1, 2, 2, 1, 0, 0]].tolist()
    cut = fit_to_shape(labels, (2, 2), rng)
    assert cut.shape == (2, 2)
    assert (cut[:, 1] - cut[:, 0] == 1).all()
    assert (cut[1] - cut[0] == 4).all()


# -- ignore regions -------------------------------------------------------------------------------------------------


def with_region(samples: SampleSet, columns: slice = slice(0, 30)) -> SampleSet:
    """Return the samples, each with a band whose labels are unknown."""

    def banded(sample: Sample) -> Sample:
        region = np.zeros(sample.labels.shape, bool)
        region[:, columns] = True
        return Sample(sample.id, sample.image, sample.labels, sample.groups, region)

    return SampleSet.of([banded(sample) for sample in samples], task=samples.task, classes=samples.classes)


def test_duplicates_and_shuffled_masks_bring_their_ignore_region(blob_set):
    train = with_region(blob_set)
    for cls, source in ((Duplicate, "source"), (Shuffled, "mask_source")):
        for sample in fitted(cls, train).sample_batch(range(4), 1):
            whose = train[sample.groups[source]]
            assert np.array_equal(sample.ignore, whose.ignore)
            assert np.array_equal(sample.labels, whose.labels)


def test_a_shuffled_mask_is_cut_together_with_its_ignore_region():
    sizes = [(40, 40), (40, 90)]
    samples = []
    for i, size in enumerate(sizes):
        region = np.zeros(size, bool)
        region[:, size[1] // 2 :] = True
        samples.append(Sample(f"s{i}", np.zeros(size, np.uint8), region.astype(np.uint8) * 0 + 1, ignore=region))
    train = SampleSet.of(samples, task="semantic", classes=("a", "b"))
    for sample in fitted(Shuffled, train).sample_batch(range(6), 0):
        ignore = np.zeros(sample.labels.shape, bool) if sample.ignore is None else sample.ignore
        assert np.array_equal(ignore, sample.labels == 0)


def test_classic_warps_the_ignore_region_as_it_warps_the_image(blob_set):
    """The image is the region itself, so where it is bright after the same geometry, the label is unknown."""
    region = np.zeros((96, 96), bool)
    region[20:60, 30:80] = True
    labels = np.where(region, 0, 1).astype(np.uint8)
    train = SampleSet.of(
        [Sample("a", region.astype(np.uint8) * 200, labels, ignore=region)], task="semantic", classes=("a", "b")
    )
    light = {"gain": 1, "gamma": 1, "offset": 0, "noise": 0, "blur": 0}
    for sample in fitted(Classic, train, **light).sample_batch(range(4), 3):
        assert np.array_equal(sample.ignore, sample.labels == 0)
        assert (sample.image[sample.ignore] >= 90).mean() > 0.98
        assert (sample.image[~sample.ignore] <= 110).mean() > 0.98


def test_pasted_objects_end_at_the_ignore_region_and_stay_numbered(blob_set):
    train = with_region(blob_set)
    for sample in fitted(CopyPaste, train, pasted_ratio=3.0).sample_batch(range(6), 2):
        base = train[sample.groups["source"]]
        assert np.array_equal(sample.ignore, base.ignore)
        assert not sample.labels[base.ignore].any()
        present = np.unique(sample.labels)
        assert np.array_equal(present, np.arange(len(present)))


def test_pasting_takes_no_light_from_unknown_pixels(blob_set):
    """Whatever the image shows in its ignore region, contrast and background are those of the known pixels."""
    train = with_region(blob_set, slice(20, None))
    dark = SampleSet.of(
        [Sample(s.id, np.where(s.ignore, 0, s.image).astype(np.uint8), s.labels, s.groups, s.ignore) for s in train]
    )
    compared = 0
    for position in range(len(train)):
        assert contrast(train[position]) == contrast(dark[position])
        assert np.array_equal(background_colour(train[position]), background_colour(dark[position]))
        for cut in cutouts(train[position].labels):
            first, second = (
                cut_object(samples[position], cut, channels=1, gain=1.0, symmetry=0, feather_sigma=1.0)
                for samples in (train, dark)
            )
            compared += 1
            assert np.array_equal(first.planes[:, first.mask], second.planes[:, second.mask])
    assert compared > 5


@pytest.mark.parametrize(
    ("cls", "origins"),
    [
        (Duplicate, {"training"}),
        (Shuffled, {"training"}),
        (Classic, {"training"}),
        (CopyPaste, {"training", "recombined"}),
    ],
)
def test_every_sample_says_where_its_mask_comes_from(cls, origins, blob_set):
    drawn = fitted(cls, blob_set).sample_batch(range(8), 2)
    assert {sample.groups["mask"] for sample in drawn} <= origins
    for sample in drawn:
        if sample.groups["mask"] == "recombined":
            assert sample.labels.max() > blob_set[sample.groups["source"]].labels.max()
