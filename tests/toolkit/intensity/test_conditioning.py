"""What a generator is told of the light: of the nearest object, sample_similar_objects from objects of like size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from synthbench import Sample, SampleSet
from synthbench.errors import StoreError
from synthbench.toolkit.intensity.conditioning import IntensityConditioning, conditioning_planes
from synthbench.toolkit.intensity.texture import BANDS
from synthbench.toolkit.masks.codec import ImageMaskCodec


def two_objects(left: int, right: int, background: int = 20) -> Sample:
    labels = np.zeros((32, 48), np.uint8)
    labels[8:24, 4:20], labels[12:22, 30:40] = 3, 7
    levels = np.array([background, left, right], np.uint8)
    return Sample(f"{left}-{right}", levels[(labels > 0) + 1 * (labels > 3)], labels)


def test_every_pixel_is_told_the_light_of_the_nearest_object():
    train = SampleSet.of([two_objects(80, 240), two_objects(240, 130)])
    codec = ImageMaskCodec.of(train, "distance", 1)
    conditioning = IntensityConditioning.of(train, codec)
    labels = train[0].labels
    planes = conditioning.training_planes(labels, 0)
    assert planes.shape == (conditioning.planes, 32, 48)
    image, _ = codec.encode(train[0], 0)
    columns = np.arange(48)
    expected = np.where(columns < 25, image[0, 10, 10], image[0, 15, 35])
    assert np.allclose(planes[0, 16], expected)
    assert np.allclose(planes[1], 0)
    assert conditioning.object_planes == 3
    assert all(plane.min() == plane.max() for plane in planes[3:])
    thinner = np.where(ndimage.binary_erosion(labels > 0), labels, 0)
    assert np.array_equal(conditioning.training_planes(thinner, 0)[:, 16], planes[:, 16])


def test_new_objects_borrow_the_light_of_those_of_their_size():
    """Of one image's two objects, the five nearest in area are both: each turns up, and no other light."""
    train = SampleSet.of([two_objects(80, 240), two_objects(240, 130)])
    conditioning = IntensityConditioning.of(train, ImageMaskCodec.of(train, "distance", 1))
    labels = train[0].labels
    known = set(conditioning.objects[1][:, 1].tolist())
    found = [
        set(np.unique(conditioning.planes_for(labels, 1, np.random.default_rng(k))[0][0]).tolist()) for k in range(20)
    ]
    assert set.union(*found) == known
    assert not conditioning.planes_for(np.zeros_like(labels), 1, np.random.default_rng(0))[0][0].any()


def test_every_object_is_told_how_blurred_it_is():
    """Against the others of the training set: those of the blurred image come below those of the sharp one."""
    sharp, other = two_objects(80, 240), two_objects(240, 130)
    blurred = Sample("blurred", ndimage.gaussian_filter(other.image, 2), other.labels)
    train = SampleSet.of([sharp, blurred])
    conditioning = IntensityConditioning.of(train, ImageMaskCodec.of(train, "distance", 1))
    first, second = (conditioning.training_planes(sharp.labels, k)[2][sharp.labels > 0] for k in range(2))
    assert second.max() < -0.5 < 0.5 < first.min()


def test_new_objects_get_light_and_texture_of_the_same_object():
    """Of two objects, one bright and rough, one dim and smooth, nothing comes out bright and smooth."""
    rough = two_objects(220, 120)
    spots = np.random.default_rng(0).integers(-25, 25, rough.image.shape)
    image = np.where(rough.labels == 3, rough.image + spots, rough.image).astype(np.uint8)
    train = SampleSet.of([Sample("spotted", image, rough.labels)])
    conditioning = IntensityConditioning.of(train, ImageMaskCodec.of(train, "distance", 1))
    bright, dim = (int(n) for n in np.argsort(-conditioning.objects[0][:, 1]))
    assert conditioning.textures[0][bright].min() > 5 * conditioning.textures[0][dim].max()
    for k in range(10):
        planes, texture = conditioning.planes_for(rough.labels, 0, np.random.default_rng(k))
        for number, row in zip((3, 7), texture, strict=True):
            light = planes[0][rough.labels == number][0]
            donor = bright if light == conditioning.objects[0][bright, 1] else dim
            assert np.array_equal(row, conditioning.textures[0][donor])


def test_objects_that_are_nothing_but_texture_have_none_to_lay_over():
    """As in phase contrast: rims and halos have to be drawn."""
    sample = two_objects(120, 120, background=120)
    spots = np.random.default_rng(0).integers(-60, 60, sample.image.shape)
    image = np.where(sample.labels, sample.image + spots, sample.image).astype(np.uint8)
    train = SampleSet.of([Sample("halos", image, sample.labels)])
    conditioning = IntensityConditioning.of(train, ImageMaskCodec.of(train, "distance", 1))
    assert conditioning.textures[0].shape == (2, 0)
    assert conditioning.texture(sample.labels, 0).shape == (0, 32, 48)
    assert conditioning.planes_for(sample.labels, 0, np.random.default_rng(0))[1].shape == (2, 0)


def test_an_image_without_objects_or_without_ground_decides_nothing():
    sample = two_objects(80, 240)
    empty = Sample("empty", sample.image, np.zeros_like(sample.labels))
    full = Sample("full", sample.image, np.ones_like(sample.labels))
    train = SampleSet.of([empty, sample, full])
    conditioning = IntensityConditioning.of(train, ImageMaskCodec.of(train, "distance", 1))
    assert [table.shape for table in conditioning.textures] == [(0, BANDS), (2, BANDS), (1, BANDS)]
    assert [table.shape for table in conditioning.objects] == [(0, 4), (2, 4), (1, 4)]


def test_light_that_was_saved_is_the_same_and_damage_is_named(semantic_set, blob_set, tmp_path: Path):
    path = tmp_path / "conditioning.json"
    for train in (semantic_set, blob_set):
        conditioning = IntensityConditioning.of(train, ImageMaskCodec.of(train, "distance", 1))
        for some in (conditioning, IntensityConditioning.none(len(train))):
            some.save(path)
            again = IntensityConditioning.load(path)
            assert np.array_equal(again.training_planes(train[1].labels, 1), some.training_planes(train[1].labels, 1))
            assert np.array_equal(again.texture(train[1].labels, 1), some.texture(train[1].labels, 1))
    path.write_text('{"numbers": 3}')
    with pytest.raises(StoreError, match=r"conditioning\.json"):
        IntensityConditioning.load(path)


def test_the_generator_sees_the_light_of_objects_where_the_mask_it_draws_to_has_some():
    """Not where the real objects are: a found mask would be mended by it."""
    told = torch.arange(2 * 3 * 4.0).reshape(1, 3, 2, 4) + 1
    mask = -torch.ones(1, 2, 2, 4)
    mask[0, 1, 1, 0] = 1
    seen = conditioning_planes(mask, told, 2)
    assert torch.equal(seen[:, :2], mask)
    expected = torch.zeros(2, 2, 4)
    expected[:, 1, 0] = told[0, :2, 1, 0]
    assert torch.equal(seen[0, 2:4], expected)
    assert torch.equal(seen[:, 4:], told[:, 2:])
    assert torch.equal(conditioning_planes(mask, told, 0), torch.cat([mask, told], dim=1))
