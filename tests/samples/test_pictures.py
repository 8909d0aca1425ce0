"""Pictures: stretched for the eye, outlined, tinted, laid out in sheets."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2lab

from synthbench.errors import DataError
from synthbench.samples import Sample
from synthbench.samples.contact_sheets import contact_sheet
from synthbench.samples.pictures import (
    CHANNEL_COLOURS,
    CLASS_COLOURS,
    HATCH,
    OBJECT_COLOURS,
    draw_annotation,
    draw_classes,
    draw_outlines,
    inner_boundaries,
    stretch_contrast,
    stretch_samples,
)

LABELS = np.zeros((9, 12), np.uint16)
LABELS[2:7, 2:6], LABELS[2:7, 6:10] = 1, 2


def test_an_outline_lies_inside_its_object_and_parts_touching_ones():
    edge = inner_boundaries(LABELS)
    assert edge.sum() == 2 * 14
    assert not edge[LABELS == 0].any()
    picture = draw_outlines(np.zeros((9, 12), np.uint8), LABELS)
    assert picture[2, 5].tolist() == OBJECT_COLOURS[0].tolist()
    assert picture[2, 6].tolist() == OBJECT_COLOURS[1].tolist()
    assert picture[4, 3].tolist() == [0, 0, 0]
    assert (picture[LABELS == 0] == 0).all()


def test_an_object_at_the_border_is_outlined_where_it_meets_something():
    assert inner_boundaries(np.ones((4, 4), np.uint8)).sum() == 0


@pytest.mark.parametrize("high", [1, 7, 2**31 - 1])
def test_any_label_has_a_colour(high):
    labels = LABELS.astype(np.uint32) * 0
    labels[3:5, 3:5] = high
    picture = draw_outlines(np.zeros((9, 12), np.uint16), labels)
    assert picture[3, 3].tolist() in OBJECT_COLOURS.tolist()


def test_classes_are_tinted_and_the_background_is_not():
    image = np.full((9, 12), 100, np.uint8)
    image[0, 0] = 0
    picture = draw_classes(image, LABELS)
    np.testing.assert_array_equal(picture[LABELS == 0], stretch_contrast(image)[LABELS == 0])
    expected = np.round(0.55 * stretch_contrast(image)[3, 3] + 0.45 * CLASS_COLOURS[0])
    np.testing.assert_array_equal(picture[3, 3], expected)
    assert picture[3, 3].tolist() != picture[3, 7].tolist()


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_hot_pixel_does_not_darken_the_picture(dtype):
    image = np.tile(np.linspace(10, 60, 100), (100, 1)).astype(dtype)
    image[50, 50] = np.iinfo(dtype).max
    shown = stretch_contrast(image)
    assert shown.dtype == np.uint8
    assert shown.shape == (100, 100, 3)
    assert shown[:, -3:].min() > 240
    assert shown[0, 0, 0] < 15


def test_an_image_with_few_bright_pixels_still_shows_them():
    image = np.zeros((100, 100), np.uint16)
    image[3, 3] = 900
    assert stretch_contrast(image).max() == 255


def test_a_constant_image_is_shown_and_eight_bit_colour_is_left_alone():
    assert np.unique(stretch_contrast(np.full((5, 5), 700, np.uint16))).tolist() == [0]
    colour = np.random.default_rng(0).integers(0, 255, (5, 5, 3), dtype=np.uint8)
    shown = stretch_contrast(colour)
    np.testing.assert_array_equal(shown, colour)
    assert shown is not colour


def test_noise_without_objects_is_not_made_to_look_like_cells():
    rng = np.random.default_rng(0)
    noise = rng.integers(100, 104, (40, 40), dtype=np.uint8)
    nothing, disc = np.zeros((40, 40), np.uint8), np.zeros((40, 40), np.uint8)
    disc[10:20, 10:20] = 1
    bright, brighter = np.where(disc, 180, noise).astype(np.uint8), np.where(disc, 220, noise).astype(np.uint8)
    samples = [Sample("empty", noise, nothing), Sample("a", bright, disc), Sample("b", brighter, disc)]
    empty, one, other = stretch_samples(samples)
    np.testing.assert_array_equal(one, stretch_contrast(bright))
    np.testing.assert_array_equal(other, stretch_contrast(brighter))
    assert np.ptp(empty.astype(int)) == pytest.approx(255 * 3 / 100, abs=2), "of the 80 and 120 that the others span"
    assert 100 < empty.mean() < 155
    np.testing.assert_array_equal(stretch_samples(samples[:1])[0], stretch_contrast(noise))
    np.testing.assert_array_equal(stretch_contrast(noise, least=2), stretch_contrast(noise))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_each_channel_is_stretched_alone_and_has_its_colour(dtype):
    image = np.zeros((40, 40, 2), dtype)
    image[:20, :, 0], image[:, :20, 1] = 200, 9
    shown = stretch_contrast(image)
    first, second = (CHANNEL_COLOURS[name].tolist() for name in ("blue", "orange"))
    assert shown[0, 30].tolist() == first
    assert shown[30, 0].tolist() == second
    assert shown[0, 0].tolist() == [255, 255, 255]
    assert shown[30, 30].tolist() == [0, 0, 0]


def test_outlines_are_drawn_over_grey_where_colours_are_channels():
    image = np.random.default_rng(0).integers(0, 200, (9, 12, 2), dtype=np.uint8)
    picture = draw_annotation(Sample("a", image, LABELS))
    coloured = np.ptp(picture.astype(int), axis=2) > 0
    np.testing.assert_array_equal(coloured, inner_boundaries(LABELS))
    sheet = np.asarray(contact_sheet({"a": [Sample("a", image, LABELS)]}, tile=12))
    assert (np.ptp(sheet[28:37, 6:18].astype(int), axis=2) > 0).mean() > 0.5


def test_an_empty_image_of_several_channels_is_stretched_like_the_others():
    rng = np.random.default_rng(0)
    noise = rng.integers(100, 104, (30, 30, 4)).astype(np.uint16)
    disc = np.zeros((30, 30), np.uint8)
    disc[5:20, 5:20] = 1
    bright = np.where(disc[..., None], 900, noise).astype(np.uint16)
    empty, _ = stretch_samples([Sample("empty", noise, 0 * disc), Sample("a", bright, disc)])
    assert empty.max() < 10
    assert stretch_contrast(noise).max() > 200


def test_colour_blind_readers_tell_the_channels_apart():
    """With the simulations of Machado, Oliveira & Fernandes (2009) at full severity."""
    kinds = {
        "none": np.eye(3),
        "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
        "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
        "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
    }
    colours = np.stack(list(CHANNEL_COLOURS.values())) / 255
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    for matrix in kinds.values():
        seen = np.clip(linear @ np.transpose(matrix), 0, 1)
        lab = rgb2lab(np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055))
        apart = np.linalg.norm(lab[:, None] - lab, axis=2)
        assert apart[0, 1] > 100
        assert apart[np.triu_indices(4, 1)].min() > 35
        assert lab[:, 0].min() > 45, "none is dark"


def test_sixteen_bit_colour_keeps_its_hue():
    colour = np.zeros((10, 10, 3), np.uint16)
    colour[:5, :, 0], colour[:5, :, 1] = 4000, 2000
    shown = stretch_contrast(colour)
    assert shown[0, 0].tolist() == [255, 128, 0]


def test_image_and_mask_must_be_of_one_size():
    for draw in (draw_outlines, draw_classes):
        with pytest.raises(DataError, match="both must have the same size"):
            draw(np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8))


@pytest.mark.parametrize("task", ["instances", "semantic"])
def test_a_sheet_shows_each_image_beside_its_annotation(task):
    rng = np.random.default_rng(0)
    samples = []
    for i, shape in enumerate([(40, 40), (20, 60), (90, 30), (300, 300), (1, 1)]):
        labels = np.zeros(shape, np.uint8)
        labels[: shape[0] // 2, : shape[1] // 2] = 1
        samples.append(Sample(f"s{i}", rng.integers(0, 255, shape, dtype=np.uint8), labels))
    picture = contact_sheet({"real × 5": samples, "one": samples[:1], "none": []}, task=task, tile=64, columns=3)
    pixels = np.asarray(picture)
    assert picture.mode == "RGB"
    assert picture.width == 6 + 3 * (2 * 64 + 12)
    colours = OBJECT_COLOURS if task == "instances" else None
    if colours is not None:
        assert (pixels == colours[0]).all(axis=-1).any()
    np.testing.assert_array_equal(
        np.asarray(contact_sheet({"a": samples}, task=task)), np.asarray(contact_sheet({"a": samples}, task=task))
    )


def test_outlines_stay_visible_on_images_larger_than_a_tile():
    labels = np.zeros((1024, 1024), np.uint8)
    labels[300:700, 300:700] = 1
    picture = np.asarray(contact_sheet({"large": [Sample("a", labels, labels)]}, tile=64))
    assert (picture == OBJECT_COLOURS[0]).all(axis=-1).sum() >= 4 * 20


def test_a_sheet_of_nothing_is_refused():
    with pytest.raises(DataError, match="needs at least one sample"):
        contact_sheet({"none": []})


def test_annotated_draws_by_task(blob_set, semantic_set):
    np.testing.assert_array_equal(draw_annotation(blob_set[0]), draw_outlines(blob_set[0].image, blob_set[0].labels))
    np.testing.assert_array_equal(
        draw_annotation(semantic_set[0], "semantic"), draw_classes(semantic_set[0].image, semantic_set[0].labels)
    )


@pytest.mark.parametrize("task", ["instances", "semantic"])
def test_pixels_of_unknown_label_are_hatched_in_grey(task):
    region = np.zeros((9, 12), bool)
    region[:, 8:] = True
    image = np.random.default_rng(0).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    whole = draw_annotation(Sample("a", image, np.where(region, 0, LABELS)), task)
    drawn = draw_annotation(Sample("a", image, LABELS, ignore=region), task)
    greys = {tuple(colour) for colour in drawn[region].tolist()}
    assert greys == {tuple(grey.tolist()) for grey in HATCH}
    np.testing.assert_array_equal(drawn[~region], whole[~region])


def test_a_sheet_shows_and_tells_what_is_ignored():
    region = np.ones((40, 40), bool)
    region[:20] = False
    empty = np.zeros((40, 40), np.uint8)
    paper = np.asarray(contact_sheet({"one": [Sample("a", empty, empty, ignore=region)]}, tile=40))
    for grey in HATCH:
        assert 300 < (paper == grey).all(axis=2).sum() < 500
