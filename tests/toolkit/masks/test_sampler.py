"""New masks come from training masks alone, are valid label maps, and depend on seed and index alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import label as connected

from synthbench.errors import ConfigError, DataError, StoreError
from synthbench.samples import SampleSet
from synthbench.toolkit.masks.objects import (
    cutouts,
    fraction_of_touching_objects,
    min_object_area,
    object_areas,
    relabel,
)
from synthbench.toolkit.masks.placement import Canvas, overlapping_slices
from synthbench.toolkit.masks.sampler import MaskSampler
from synthbench.toolkit.training.patches import dihedral

small_maps = hnp.arrays(np.uint8, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.integers(0, 3))


@pytest.fixture(scope="module")
def masks(blob_set: SampleSet) -> list[np.ndarray]:
    return [sample.labels for sample in blob_set]


def is_valid(labels: np.ndarray) -> bool:
    """Objects are connected and numbered 1 … n."""
    pieces = connected(labels, background=0, connectivity=2)
    ids = np.unique(labels[labels > 0])
    return pieces.max() == len(ids) and ids.tolist() == list(range(1, len(ids) + 1))


# -- objects ----------------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(small_maps, st.integers(1, 6))
def test_tidy_leaves_connected_numbered_objects_of_the_limit_and_loses_none_uncounted(labels, limit):
    relabelled, removed = relabel(labels, limit)
    pieces = connected(labels, background=0, connectivity=2)
    sizes = np.bincount(pieces.ravel())[1:]
    assert is_valid(relabelled)
    assert (object_areas(relabelled) >= limit).all()
    assert removed == (sizes < limit).sum()
    assert sorted(object_areas(relabelled)) == sorted(sizes[sizes >= limit])


def test_tidy_makes_one_object_per_piece_and_joins_diagonals():
    labels = np.array([[5, 0, 0, 5], [0, 5, 0, 5], [0, 0, 0, 7]])
    relabelled, removed = relabel(labels, 2)
    assert relabelled.tolist() == [[1, 0, 0, 2], [0, 1, 0, 2], [0, 0, 0, 0]]
    assert removed == 1


@settings(max_examples=100, deadline=None)
@given(small_maps)
def test_cutouts_put_together_again_are_the_label_map(labels):
    valid, _ = relabel(labels)
    rebuilt = np.zeros_like(valid)
    for cut in cutouts(valid):
        rebuilt[cut.box][cut.mask] = cut.label
        rows, columns = cut.box
        clear = rows.start > 0 and columns.start > 0 and rows.stop < labels.shape[0] and columns.stop < labels.shape[1]
        assert cut.whole == clear
    assert np.array_equal(rebuilt, valid)


def test_a_cutout_of_an_object_in_pieces_is_its_largest_piece():
    labels = np.zeros((8, 8), int)
    labels[0, 0] = labels[4:7, 3:6] = 9
    (cut,) = cutouts(labels)
    assert (cut.top, cut.left, cut.area, cut.whole, cut.label) == (4, 3, 9, True, 9)


def test_speck_limit_ignores_a_few_stray_pixels():
    rows = np.zeros((201, 12), np.uint16)
    for i in range(200):
        rows[i, :10] = i + 1
    rows[200, 0] = 201
    assert min_object_area([rows]) == 10
    assert min_object_area([np.zeros((4, 4), np.uint8)]) == 1


def test_touching_share_counts_both_sides_of_each_contact_diagonals_too():
    labels = np.array([[1, 1, 0, 3], [0, 0, 2, 0], [0, 0, 0, 0], [4, 0, 0, 5]])
    assert fraction_of_touching_objects([labels]) == pytest.approx(3 / 5)
    assert fraction_of_touching_objects([np.zeros((3, 3), int)]) == 0


# -- placing ----------------------------------------------------------------------------------------------------------


def test_the_last_free_place_is_found():
    labels = np.ones((60, 47), np.int32)
    labels[31:36, 12:20] = 0
    canvas = Canvas(labels)
    shape = np.ones((5, 8), bool)
    assert canvas.find_place(shape, np.random.default_rng(0), touch=True) == (31, 12)


def test_there_is_no_place_where_none_is_free():
    canvas = Canvas(np.ones((40, 40), np.int32))
    assert canvas.find_place(np.ones((3, 3), bool), np.random.default_rng(0)) is None


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.booleans(), st.integers(20, 300), st.integers(20, 60))
def test_placed_objects_never_overlap_and_keep_their_distance(seed, touch, height, width):
    rng = np.random.default_rng(seed)
    canvas = Canvas(np.zeros((height, width), np.int32))
    shape = np.ones((9, 6), bool)
    shape[0, :3] = False
    expected = 0
    for _ in range(20):
        corner = canvas.find_place(shape, rng, touch=touch)
        if corner is None:
            continue
        before = canvas.covered
        canvas.place(shape, corner)
        _, part = overlapping_slices(canvas.labels.shape, shape.shape, corner)
        assert canvas.covered - before == shape[part].sum()
        expected += 1
    assert canvas.count == expected > 0
    if not touch:
        assert fraction_of_touching_objects([canvas.labels]) == 0


def test_objects_moved_up_to_a_neighbour_touch_it():
    labels = np.zeros((64, 64), np.int32)
    labels[20:44, 20:44] = 1
    for seed in range(10):
        canvas = Canvas(labels)
        corner = canvas.find_place(np.ones((12, 12), bool), np.random.default_rng(seed), touch=True)
        canvas.place(np.ones((12, 12), bool), corner)
        assert canvas.covered <= 24 * 24 + 12 * 12
        near = abs(corner[0] + 6 - 32) < 29 and abs(corner[1] + 6 - 32) < 29
        assert fraction_of_touching_objects([canvas.labels]) == 1.0 or not near


def test_objects_stay_where_they_are_allowed():
    allowed = np.zeros((80, 80), bool)
    allowed[10:50, 20:60] = True
    canvas, rng = Canvas(np.zeros((80, 80), np.int32), allowed), np.random.default_rng(3)
    for _ in range(8):
        corner = canvas.find_place(np.ones((7, 7), bool), rng)
        canvas.place(np.ones((7, 7), bool), corner)
    assert canvas.covered == 8 * 49
    assert not (canvas.labels > 0)[~allowed].any()


# -- the sampler ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["train", "recombine", "mixed"])
@pytest.mark.parametrize("layout", ["scatter", "discs"])
def test_a_mask_depends_on_seed_and_index_alone(masks, mode, layout, tmp_path: Path):
    sampler = MaskSampler(masks, mode=mode, object_layout=layout)
    expected = [sampler.sample_mask(i, 3).labels for i in range(8)]
    sampler.save(tmp_path)
    loaded = MaskSampler.load(tmp_path)
    for i in (7, 2, 5, 0):
        assert np.array_equal(loaded.sample_mask(i, 3).labels, expected[i])
    assert any(not np.array_equal(sampler.sample_mask(i, 4).labels, expected[i]) for i in range(8))


@pytest.mark.parametrize("mode", ["train", "recombine", "mixed"])
def test_masks_are_valid_label_maps_without_specks(masks, mode):
    sampler = MaskSampler(masks, mode=mode)
    for i in range(12):
        labels = sampler.sample_mask(i, 0).labels
        assert is_valid(labels)
        assert (object_areas(labels) >= sampler.min_area).all()


def test_train_mode_gives_every_mask_once_before_any_again_turned_or_mirrored(masks):
    sampler = MaskSampler(masks)
    for first in (0, len(masks)):
        draws = [sampler.sample_mask(i, 0) for i in range(first, first + len(masks))]
        assert sorted(draw.source for draw in draws) == list(range(len(masks)))
        for draw in draws:
            turned = [dihedral(masks[draw.source], s) > 0 for s in range(8)]
            assert any(np.array_equal(draw.labels > 0, t) for t in turned) or draw.removed
    assert len({sampler.sample_mask(i * len(masks), 0).labels.tobytes() for i in range(12)}) > 6


def test_masks_have_sizes_of_training_images():
    wide, tall = np.zeros((20, 50), np.uint8), np.zeros((40, 30), np.uint8)
    wide[5:10, 5:12] = tall[20:26, 10:16] = 1
    for mode in ("train", "recombine"):
        sampler = MaskSampler([wide, tall], mode=mode)
        for i in range(8):
            draw = sampler.sample_mask(i, 0)
            assert draw.labels.shape == (wide, tall)[draw.source].shape


def test_recombined_masks_reach_the_share_of_a_training_mask_with_training_shapes(masks):
    sampler = MaskSampler(masks, mode="recombine")
    shapes = {dihedral(cut.mask, s).tobytes() for m in masks for cut in cutouts(m) for s in range(8)}
    largest = max(object_areas(m).max() for m in masks)
    for i in range(12):
        draw = sampler.sample_mask(i, 1)
        assert draw.target == pytest.approx((masks[draw.source] > 0).mean())
        assert draw.reached == pytest.approx((draw.labels > 0).mean())
        assert abs(draw.reached - draw.target) * draw.labels.size <= largest
        assert all(np.ascontiguousarray(cut.mask).tobytes() in shapes for cut in cutouts(draw.labels) if cut.whole)


@pytest.mark.parametrize(("mode", "origins"), [("train", {"training"}), ("recombine", {"recombined"}), ("mixed", None)])
def test_a_mask_says_where_it_comes_from(masks, mode, origins):
    drawn = [MaskSampler(masks, mode=mode).sample_mask(i, 2) for i in range(12)]
    assert {draw.groups["mask"] for draw in drawn} == (origins or {"training", "recombined"})
    assert all((draw.groups["mask"] == "recombined") == draw.recombined for draw in drawn)


def test_magnifications_do_not_mix():
    rng = np.random.default_rng(0)
    fine, coarse = [], []
    for _ in range(8):
        mask = np.zeros((96, 96), np.uint8)
        for k, (y, x) in enumerate(rng.permutation(36)[:10, None] // [6, 1] % 6 * 16):
            mask[y + 2 : y + 6, x + 2 : x + 6] = k + 1
        fine.append(mask)
        mask = np.zeros((96, 96), np.uint8)
        mask[10:40, 10:40], mask[50:85, 50:80] = 1, 2
        coarse.append(mask)
    sampler = MaskSampler(fine + coarse, mode="recombine")
    for i in range(16):
        draw = sampler.sample_mask(i, 0)
        whole = [cut.area for cut in cutouts(draw.labels) if cut.whole]
        assert all(area == 16 for area in whole) if draw.source < 8 else all(area >= 900 for area in whole)


def test_what_finds_no_room_is_counted(masks):
    draw = MaskSampler(masks, mode="recombine", foreground_fraction=1.0).sample_mask(0, 0)
    assert draw.unplaced > 0
    assert 0.3 < draw.reached < 1.0


def test_as_many_objects_touch_as_are_asked_to(masks):
    apart = MaskSampler(masks, mode="recombine", touching_fraction=0.0)
    close = MaskSampler(masks, mode="recombine", touching_fraction=1.0)
    assert fraction_of_touching_objects([apart.sample_mask(i, 0).labels for i in range(6)]) == 0
    assert fraction_of_touching_objects([close.sample_mask(i, 0).labels for i in range(6)]) > 0.5


def test_colonies_leave_more_of_the_image_empty():
    mask = np.zeros((160, 160), np.uint16)
    for k in range(64):
        y, x = divmod(k, 8)
        mask[20 * y + 3 : 20 * y + 9, 20 * x + 3 : 20 * x + 9] = k + 1

    def emptiness(layout: str) -> float:
        sampler = MaskSampler([mask], mode="recombine", object_layout=layout)
        tiles = [(sampler.sample_mask(i, 0).labels > 0).reshape(4, 40, 4, 40).any(axis=(1, 3)) for i in range(6)]
        return 1 - float(np.mean(tiles))

    assert emptiness("scatter") < 0.05 < 0.3 < emptiness("discs")


def test_class_maps_are_turned_and_keep_their_classes(semantic_set: SampleSet):
    sampler = MaskSampler.of(semantic_set)
    for i in range(len(semantic_set)):
        draw = sampler.sample_mask(i, 0)
        assert np.array_equal(np.bincount(draw.labels.ravel()), np.bincount(semantic_set[draw.source].labels.ravel()))
        assert draw.removed == 0


def test_an_image_without_objects_gives_an_empty_mask(masks):
    empty = np.zeros((64, 64), np.uint8)
    sampler = MaskSampler([*masks[:2], empty], mode="recombine")
    drawn = [sampler.sample_mask(i, 0) for i in range(6)]
    assert all((draw.labels == 0).all() == (draw.source == 2) for draw in drawn)


def test_what_cannot_be_drawn_from_is_refused_in_one_line(masks, semantic_set, tmp_path: Path):
    with pytest.raises(ConfigError, match="mask_source: recombine"):
        MaskSampler.of(semantic_set, mode="recombine")
    with pytest.raises(DataError, match="no objects"):
        MaskSampler([np.zeros((8, 8), np.uint8)])
    with pytest.raises(DataError, match="no training masks"):
        MaskSampler([])
    with pytest.raises(ConfigError, match=r"foreground_fraction: 1\.5"):
        MaskSampler(masks, foreground_fraction=1.5)
    with pytest.raises(StoreError, match=r"masks\.npz"):
        MaskSampler.load(tmp_path)
    (tmp_path / "masks.npz").write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(StoreError, match=r"masks\.npz"):
        MaskSampler.load(tmp_path)
