"""Phantoms: drawn from a seed, with labels that fit the picture, and a generator that keeps the statistics."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import polygon

from synthbench import Context, Sample, SampleSet
from synthbench.errors import DataError, StoreError
from synthbench.toolkit.masks.objects import fraction_of_touching_objects
from synthbench_phantoms import filaments, optics, shapes
from synthbench_phantoms.datasets import PhantomFilaments, PhantomGrains, PhantomNuclei, PhantomPhase
from synthbench_phantoms.generator import Phantom, sample_objects
from synthbench_phantoms.measure import fill_missing, measure_image

DATASETS = [PhantomNuclei, PhantomPhase, PhantomFilaments, PhantomGrains]
INSTANCES = [PhantomNuclei, PhantomPhase]


def drawn(cls, **config) -> SampleSet:
    task = "semantic" if cls.classes else "instances"
    dataset = cls(cls.Config(**config))
    return SampleSet.of(dataset.samples(Context()), name=cls.__name__, task=task, classes=cls.classes)


@pytest.fixture(scope="module", params=DATASETS, ids=lambda cls: cls.__name__)
def cls(request: pytest.FixtureRequest):
    return request.param


@pytest.fixture(scope="module")
def picture_set(cls) -> SampleSet:
    return drawn(cls, train=3, validation=1, test=2, size=96)


# -- the datasets ----------------------------------------------------------------------------------------------------


def test_pictures_are_eight_bit_squares_with_light_in_them(cls, picture_set: SampleSet) -> None:
    for sample in picture_set:
        assert sample.image.shape == sample.labels.shape == (96, 96)
        assert sample.image.dtype == np.uint8
        assert sample.image.std() > 3
        assert (sample.image == 255).mean() < 0.1


def test_splits_have_the_numbers_asked_for_and_both_kinds(cls, picture_set: SampleSet) -> None:
    splits = [entry.groups["split"] for entry in picture_set.entries]
    assert {s: splits.count(s) for s in splits} == {"train": 3, "validation": 1, "test": 2}
    kinds = {entry.groups[cls.group] for entry in picture_set.entries if entry.groups["split"] == "test"}
    assert kinds == set(cls.kinds)


def test_one_seed_gives_one_set_and_another_seed_another(cls, picture_set: SampleSet) -> None:
    np.random.seed(5)  # noqa: NPY002
    again = drawn(cls, train=3, validation=1, test=2, size=96)
    assert again.fingerprint == picture_set.fingerprint
    other = drawn(cls, train=0, validation=0, test=1, size=96, seed=1)
    assert not np.array_equal(other[0].image, picture_set[0].image)


def test_a_larger_training_set_leaves_the_other_splits_as_they_are(cls, picture_set: SampleSet) -> None:
    larger = drawn(cls, train=5, validation=1, test=2, size=96)
    assert [e.digest for e in larger.entries[:6]] == [e.digest for e in picture_set.entries]


@pytest.mark.parametrize("cls", INSTANCES)
def test_every_object_is_in_one_piece_and_has_a_size(cls) -> None:
    for sample in drawn(cls, train=0, validation=0, test=4, size=128):
        sizes = np.bincount(sample.labels.ravel())[1:]
        assert len(sizes) >= 3
        assert sizes.min() >= shapes.MIN_VISIBLE_AREA
        for label in range(1, len(sizes) + 1):
            assert ndimage.label(sample.labels == label)[1] == 1, f"{sample.id}: object {label}"


def test_crowded_nuclei_touch_and_outnumber_sparse_ones() -> None:
    nuclei = drawn(PhantomNuclei, train=0, validation=0, test=8)
    by_density = {k: [e.objects for e in nuclei.entries if e.groups["density"] == k] for k in ("sparse", "crowded")}
    assert np.mean(by_density["crowded"]) > 2 * np.mean(by_density["sparse"])
    assert all(len(np.unique(s.labels[_seams(s.labels)])) > 5 for s in nuclei if s.groups["density"] == "crowded")


def _seams(labels: np.ndarray) -> np.ndarray:
    seams = np.zeros(labels.shape, bool)
    seams[1:] |= (labels[1:] != labels[:-1]) & (labels[1:] > 0) & (labels[:-1] > 0)
    return seams


def test_nuclei_shine_above_their_surroundings() -> None:
    for sample in drawn(PhantomNuclei, train=0, validation=0, test=6):
        ring = ndimage.binary_dilation(sample.labels > 0, iterations=3) & (sample.labels == 0)
        assert sample.image[sample.labels > 0].mean() > 1.5 * sample.image[ring].mean()


def test_phase_contrast_bodies_are_dark_in_a_bright_halo() -> None:
    for sample in drawn(PhantomPhase, train=0, validation=0, test=6):
        body = sample.labels > 0
        halo = ndimage.binary_dilation(body, iterations=4) & ~ndimage.binary_dilation(body, iterations=1)
        far = ~ndimage.binary_dilation(body, iterations=12)
        assert sample.image[body].mean() < sample.image[far].mean() - 10
        assert sample.image[halo].mean() > sample.image[far].mean() + 5


def test_filaments_are_thin_and_brighter_than_the_ground() -> None:
    for sample in drawn(PhantomFilaments, train=0, validation=0, test=6):
        on = sample.labels == 1
        assert 0.02 < on.mean() < 0.35
        depth = ndimage.distance_transform_edt(on)[on]
        assert np.percentile(depth, 90) < 4
        assert sample.image[on].mean() > 1.5 * sample.image[~on].mean()


def test_grains_have_all_four_classes_dark_boundaries_and_black_pores() -> None:
    for sample in drawn(PhantomGrains, train=0, validation=0, test=6):
        light = [sample.image[sample.labels == k].mean() for k in range(4)]
        assert set(np.unique(sample.labels)) == {0, 1, 2, 3}
        assert light[1] > light[2] > light[3]
        assert light[0] < light[1]


# -- shapes and optics -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.8, 3.0, 10.0, 40.0])
def test_a_field_has_the_mean_spread_and_width_asked_for(scale: float) -> None:
    noise = shapes.smooth_noise(np.random.default_rng(0), (512, 400), scale)
    assert noise.shape == (512, 400)
    assert abs(noise.mean()) < 1e-9
    assert noise.std() == pytest.approx(1)
    if scale >= 3:
        slope = np.diff(noise, axis=0).std()
        assert 1 / (np.sqrt(2) * slope) == pytest.approx(scale, rel=0.35)


def test_filling_an_outline_agrees_with_scikit_image() -> None:
    rng = np.random.default_rng(1)
    for kind in (lambda: shapes.rounded_outline(rng, 300, 1.5, 0.1, 0.5), lambda: shapes.spread_outline(rng, 900, 4)):
        for _ in range(20):
            outline = kind() + 80 + rng.uniform(0, 1, 2)
            expected = np.zeros((160, 160), bool)
            expected[polygon(outline[:, 0], outline[:, 1])] = True
            top, left, mask = shapes.rasterise(outline)
            found = np.zeros_like(expected)
            found[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
            assert np.array_equal(found, expected)


@pytest.mark.parametrize("area", [60, 400, 3000])
def test_outlines_enclose_the_area_asked_for(area: float) -> None:
    rng = np.random.default_rng(2)
    assert np.mean([shapes.outline_area(shapes.rounded_outline(rng, area, 1.3)) for _ in range(40)]) == pytest.approx(
        area, rel=0.1
    )
    assert np.mean([shapes.outline_area(shapes.spread_outline(rng, area, 3)) for _ in range(40)]) == pytest.approx(
        area, rel=0.01
    )
    assert np.mean([shapes.outline_area(shapes.spindle_outline(rng, area, 4)) for _ in range(40)]) == pytest.approx(
        area, rel=0.15
    )


def test_placing_leaves_no_gaps_in_the_labels_and_keeps_overlap_down() -> None:
    rng = np.random.default_rng(3)
    labels, placed = shapes.place_objects(
        rng, (80, 90), [shapes.rounded_outline(rng, 150) for _ in range(80)], overlap=0.2
    )
    assert 10 < len(placed) < 80
    assert np.array_equal(np.unique(labels), np.arange(len(placed) + 1))
    for body in placed:
        visible = (labels[body.rows, body.columns] == body.label).sum()
        assert visible >= 0.5 * body.mask.sum()


def test_phase_contrast_of_nothing_is_even_and_of_a_thin_body_dark_with_a_halo() -> None:
    nothing = optics.phase_contrast(np.zeros((40, 40)), 6)
    assert nothing == pytest.approx(0.36)
    body = np.zeros((80, 80))
    body[30:50, 30:50] = 0.4
    picture = optics.phase_contrast(body, 6)
    assert picture[32:48, 32:48].mean() < 0.36
    assert picture[26, 40] > 0.36
    assert picture[2, 2] == pytest.approx(0.36, abs=1e-3)


def test_the_psf_keeps_the_light() -> None:
    scene = np.zeros((64, 64))
    scene[32, 32] = 100
    assert optics.blur_by_psf(scene, 1.2).sum() == pytest.approx(100, rel=1e-3)


def test_the_camera_counts_photons() -> None:
    rng = np.random.default_rng(4)
    for photons in (25, 400):
        grey = optics.record(rng, np.full((200, 200), 0.5), photons=photons, read=0, white=200).astype(float)
        assert grey.mean() == pytest.approx(100, rel=0.02)
        assert grey.std() == pytest.approx(100 / np.sqrt(0.5 * photons), rel=0.05)


def test_a_network_has_about_the_length_asked_for_and_stays_in_the_picture() -> None:
    lines = filaments.network(np.random.default_rng(5), (128, 128), 0.04)
    total = sum(np.linalg.norm(b - a) for line in lines for a, b in pairwise(line))
    assert 0.04 * 128**2 * 0.9 < total < 0.04 * 128**2 + 128
    assert all((line >= 0).all() and (line <= 127).all() for line in lines)


# -- the generator ---------------------------------------------------------------------------------------------------


def fitted(train: SampleSet) -> Phantom:
    generator = Phantom()
    generator.fit(train, Context())
    return generator


def test_drawn_objects_have_the_number_the_sizes_and_the_light_of_the_training_images() -> None:
    train = drawn(PhantomNuclei, train=0, validation=0, test=8, size=128)
    made = SampleSet.of(fitted(train).sample_batch(range(16), 0))
    for name in ("objects", "covered"):
        real, fake = (np.mean([getattr(e, name) for e in s.entries]) for s in (train, made))
        assert fake == pytest.approx(real, rel=0.3), name
    real, fake = (np.median(np.concatenate([np.bincount(s.labels.ravel())[1:] for s in t])) for t in (train, made))
    assert fake == pytest.approx(real, rel=0.25)
    for inside in (True, False):
        real, fake = (np.mean([s.image[(s.labels > 0) == inside].mean() for s in t]) for t in (train, made))
        assert fake == pytest.approx(real, rel=0.25)


def test_drawn_noise_and_contrast_are_those_of_a_plain_scene() -> None:
    rng = np.random.default_rng(0)
    samples = []
    for i in range(6):
        labels, _ = shapes.place_objects(
            rng, (96, 128), [shapes.rounded_outline(rng, 200) for _ in range(12)], clustering=0
        )
        image = 3000 + 5000 * (labels > 0) + rng.normal(0, 120, labels.shape)
        samples.append(Sample(str(i), image.astype(np.uint16), labels))
    train = SampleSet.of(samples)
    row = fill_missing([measure_image(train[0], "instances", 0, 1)])[0]
    assert row.noise_std[:, 0] == pytest.approx(120, rel=0.1)
    assert row.depth_profile[0, 0] == pytest.approx(3000, abs=40)
    assert row.depth_profile[1, 0, :6] == pytest.approx(8000, abs=80)
    for sample in fitted(train).sample_batch(range(4), 1):
        assert sample.image.dtype == np.uint16
        assert sample.image.shape == (96, 128)
        assert sample.image[sample.labels == 0].mean() == pytest.approx(3000, abs=50)
        assert sample.image[sample.labels == 0].std() == pytest.approx(120, rel=0.3)
        assert sample.image[sample.labels > 0].mean() == pytest.approx(8000, abs=150)


def test_drawn_objects_have_the_stretch_and_texture_and_differ_in_light_as_training_objects_do() -> None:
    rng, shape = np.random.default_rng(0), (128, 160)
    samples = []
    for i in range(6):
        labels, placed = shapes.place_objects(
            rng, shape, [shapes.rounded_outline(rng, 400, 2.5, 0) for _ in range(14)], clustering=0
        )
        own = np.concatenate([[3000], 9000 + rng.normal(0, 700, len(placed))])
        image = own[labels] + 300 * shapes.smooth_noise(rng, shape, 3.0) + rng.normal(0, 40, shape)
        samples.append(Sample(str(i), image.astype(np.uint16), labels))
    train = SampleSet.of(samples)
    real, fake = (
        [measure_image(sample, "instances", 0, 1) for sample in t]
        for t in (train, fitted(train).sample_batch(range(6), 0))
    )
    for name in ("texture_std", "texture_sigma", "object_std"):
        ours, theirs = (np.median([getattr(row, name) for row in rows], axis=0) for rows in (fake, real))
        assert ours == pytest.approx(theirs, rel=0.35), name
    ours, theirs = (np.median(np.concatenate([row.elongations for row in rows])) for rows in (fake, real))
    assert ours == pytest.approx(theirs, rel=0.15)


def test_as_many_drawn_objects_touch_as_training_objects_do() -> None:
    rng, shares = np.random.default_rng(0), []
    labels, _ = shapes.place_objects(
        rng, (160, 160), [shapes.rounded_outline(rng, 150) for _ in range(20)], clustering=0
    )
    row = measure_image(Sample("a", np.zeros(labels.shape, np.uint8), labels), "instances", 0, 1)
    for touching in (0.0, 1.0):
        made = [sample_objects(np.random.default_rng(k), replace(row, touching_fraction=touching)) for k in range(6)]
        shares.append(fraction_of_touching_objects(made))
    assert shares[0] + 0.3 < shares[1]


@pytest.mark.parametrize("cls", [PhantomFilaments, PhantomGrains])
def test_drawn_classes_have_the_shares_and_the_light_of_the_training_images(cls) -> None:
    train = drawn(cls, train=0, validation=0, test=8, size=128)
    made = SampleSet.of(fitted(train).sample_batch(range(16), 0), task="semantic", classes=cls.classes)
    count = len(cls.classes)
    real, fake = (
        np.mean([np.bincount(s.labels.ravel(), minlength=count) for s in t], 0) / 128**2 for t in (train, made)
    )
    assert fake == pytest.approx(real, abs=0.06)
    for k in range(count):
        real_light, fake_light = (
            np.mean([s.image[s.labels == k].mean() for s in t if (s.labels == k).any()]) for t in (train, made)
        )
        assert fake_light == pytest.approx(real_light, rel=0.3), cls.classes[k]


def test_thin_classes_are_drawn_thin() -> None:
    train = drawn(PhantomFilaments, train=0, validation=0, test=4, size=128)
    for sample in fitted(train).sample_batch(range(4), 0):
        on = sample.labels == 1
        assert np.percentile(ndimage.distance_transform_edt(on)[on], 90) < 5


def test_what_is_saved_is_plain_json_without_pixels(tmp_path) -> None:
    train = drawn(PhantomNuclei, train=0, validation=0, test=2, size=64)
    fitted(train).save(tmp_path)
    state = json.loads((tmp_path / "measures.json").read_text())
    assert len(state["rows"]) == 2
    assert (tmp_path / "measures.json").stat().st_size < 20_000


def test_no_training_image_is_an_error_that_says_so() -> None:
    with pytest.raises(DataError, match="no training image"):
        fitted(SampleSet.of([], name="void"))


def plain(name: str, level: int, dtype: type, channels: int, number: int = 1) -> Sample:
    rng = np.random.default_rng(level)
    labels = np.zeros((64, 64), np.int32)
    labels[20:40, 20:40] = number
    shape = labels.shape if channels == 1 else (*labels.shape, 3)
    light = rng.normal(level, 0.02 * level, shape)
    return Sample(name, light.astype(dtype), labels)


def test_drawn_images_have_the_channels_and_the_depth_of_the_one_they_follow() -> None:
    train = [plain("a", 30_000, np.uint16, 1), plain("b", 100, np.uint8, 3), plain("c", 60, np.uint8, 1)]
    levels = {("uint16", 2): 30_000, ("uint8", 3): 100, ("uint8", 2): 60}
    for order in (train, train[::-1]):
        seen = set()
        for sample in fitted(SampleSet.of(order)).sample_batch(range(16), 0):
            kind = sample.image.dtype.name, sample.image.ndim
            assert sample.image.mean() == pytest.approx(levels[kind], rel=0.1)
            assert sample.image.std() == pytest.approx(0.02 * levels[kind], rel=0.6)
            seen.add(kind)
        assert seen == set(levels)


def test_large_ids_are_measured_as_small_ones() -> None:
    small, large = (measure_image(plain("a", 100, np.uint8, 1, n), "instances", 0, 1) for n in (1, 2_000_000_000))
    assert small.as_json() == large.as_json()


def test_classes_need_no_names() -> None:
    sample = plain("a", 100, np.uint8, 1, number=2)
    for made in fitted(SampleSet.of([sample], task="semantic")).sample_batch(range(3), 0):
        assert set(np.unique(made.labels)) <= {0, 1, 2}


@pytest.mark.parametrize("damage", [None, "{}", "not JSON"])
def test_damaged_measures_are_refused(tmp_path, damage: str | None) -> None:
    fitted(SampleSet.of([plain("a", 100, np.uint8, 1)])).save(tmp_path)
    (tmp_path / "measures.json").unlink() if damage is None else (tmp_path / "measures.json").write_text(damage)
    with pytest.raises(StoreError, match=r"measures\.json: can't be read.*fit again"):
        Phantom.load(tmp_path, Context())


@pytest.mark.parametrize("folder", ["fluo_nuclei_dsb2018", "histology_dsb2018"])
def test_real_images_are_measured_and_followed(real_data, folder: str) -> None:
    from synthbench.samples import read_array

    paths = sorted((real_data / folder / "train" / "images").glob("*.png"))[::20][:6]
    samples = [Sample(p.stem, read_array(p), read_array(p.parent.parent / "labels" / p.name)) for p in paths]
    made = fitted(SampleSet.of(samples)).sample_batch(range(6), 0)
    sizes = {s.image.shape for s in samples}
    assert all(s.image.shape in sizes and s.image.dtype == np.uint8 for s in made)
    real, fake = (np.mean([s.image.mean() for s in t]) for t in (samples, made))
    assert fake == pytest.approx(real, rel=0.6)
