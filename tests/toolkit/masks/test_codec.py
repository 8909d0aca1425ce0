"""Image and mask as planes of one picture: they come back, and what is no object is removed and counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from synthbench.errors import StoreError
from synthbench.samples import Sample, SampleSet
from synthbench.toolkit.masks.codec import ImageMaskCodec


@pytest.mark.parametrize("form", ["distance", "grey"])
def test_planes_come_back_as_image_and_objects(blob_set: SampleSet, form: str) -> None:
    codec = ImageMaskCodec.of(blob_set, form, 6)
    for position, sample in enumerate(blob_set):
        planes = np.concatenate(codec.encode(sample, position))
        assert len(planes) == codec.planes
        image, labels, removed = codec.decode(planes, position)
        assert image.dtype == sample.image.dtype
        assert image.shape == sample.image.shape
        assert (abs(image.astype(int) - sample.image) <= 2).mean() > 0.98
        if form == "grey":
            assert removed == 0
            assert same_objects(labels, sample.labels)
        assert abs(labels.max() + removed - (len(np.unique(sample.labels)) - 1)) <= 1
        assert ((labels > 0) == (sample.labels > 0)).mean() > 0.99


def same_objects(found: np.ndarray, labels: np.ndarray) -> bool:
    """Whether two label maps are the same but for the numbers."""
    pairs = np.unique(np.stack([found.ravel(), labels.ravel()]), axis=1)
    return len(pairs[0]) == len(np.unique(pairs[0])) == len(np.unique(pairs[1]))


def test_objects_that_touch_still_touch_and_others_stay_apart() -> None:
    labels = np.zeros((40, 60), np.int32)
    labels[5:20, 5:20], labels[5:20, 20:35] = 1, 2
    labels[25:38, 5:20], labels[25:38, 21:35], labels[25:38, 37:50] = 3, 4, 5
    image = (labels > 0).astype(np.uint8) * 100
    train = SampleSet.of([Sample("a", image, labels)])
    codec = ImageMaskCodec.of(train, "distance", 1)
    _, back, removed = codec.decode(np.concatenate(codec.encode(train[0], 0)), 0)
    assert removed == 0
    assert same_objects(back, labels)


def test_objects_too_faint_to_begin_are_counted() -> None:
    codec = ImageMaskCodec.of(
        SampleSet.of([Sample("a", np.eye(32, dtype=np.uint8), np.eye(32, dtype=np.int32))]), "distance", 1
    )
    planes = np.full((3, 32, 32), -1.0, np.float32)
    planes[2, 4:12, 4:12], planes[1, 4:12, 4:12] = 1.0, -0.5
    _, labels, removed = codec.decode(planes, 0)
    assert (labels.max(), removed) == (0, 1)


def test_classes_come_back_exactly() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (16, 16)).astype(np.int32)
    train = SampleSet.of(
        [Sample("a", np.full((16, 16), 9, np.uint8), labels)], task="semantic", classes=("a", "b", "c")
    )
    codec = ImageMaskCodec.of(train, "distance", 4)
    assert (codec.mask_encoding, codec.mask_planes) == ("classes", 3)
    _, back, removed = codec.decode(np.concatenate(codec.encode(train[0], 0)), 0)
    assert np.array_equal(back, labels)
    assert removed == 0


def test_giants_and_specks_are_removed_and_counted(blob_set: SampleSet) -> None:
    codec = ImageMaskCodec.of(blob_set, "grey", 2)
    side = int(np.sqrt(codec.max_area)) + 20
    planes = np.full((codec.planes, side + 10, side + 10), -1.0, np.float32)
    planes[-1, :side, :side] = 1.0
    planes[-1, -1, -1] = 1.0
    _, labels, removed = codec.decode(planes, 0)
    assert labels.max() == 0
    assert removed == 2


def test_objects_half_as_large_again_as_the_largest_stay_and_larger_ones_go() -> None:
    labels = np.zeros((40, 40), np.int32)
    labels[:10, :10] = 1
    codec = ImageMaskCodec.of(SampleSet.of([Sample("a", np.eye(40, dtype=np.uint8), labels)]), "grey", 2)
    planes = np.full((2, 40, 40), -1.0, np.float32)
    planes[1, :10, :15] = planes[1, 20:30, :15] = planes[1, 30, 0] = 1.0
    _, found, removed = codec.decode(planes, 0)
    assert (np.bincount(found.ravel())[1:].tolist(), removed) == ([150], 1)


def test_the_few_objects_of_a_large_image_keep_their_light() -> None:
    """Fewer pixels than lie beyond the percentiles of the range."""
    labels = np.zeros((128, 128), np.int32)
    labels[40:43, 60:64] = 1
    light = np.random.default_rng(0).normal(100, 2, labels.shape)
    train = SampleSet.of([Sample("a", np.where(labels > 0, 200, light).astype(np.uint8), labels)])
    codec = ImageMaskCodec.of(train, "distance", 1)
    back = codec.decode_image(codec.encode(train[0], 0)[0], labels, 0)
    assert np.median(back[labels > 0]) == pytest.approx(200, abs=2)


def test_what_was_saved_comes_back_whole(blob_set: SampleSet, tmp_path: Path) -> None:
    codec = ImageMaskCodec.of(blob_set, "distance", 4)
    codec.save(tmp_path / "codec.json")
    assert ImageMaskCodec.load(tmp_path / "codec.json") == codec
    (tmp_path / "codec.json").write_text('{"mask_encoding": "distance"}')
    with pytest.raises(StoreError, match=r"codec\.json"):
        ImageMaskCodec.load(tmp_path / "codec.json")


def test_the_strength_of_the_noise_is_that_of_a_training_image_by_class() -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros((64, 64), np.int32)
    labels[:, 32:] = np.where(np.arange(64) < 32, 1, 2)[:, None]
    images = [rng.normal(100, np.where(labels > 0, 4, 1), labels.shape) for _ in range(2)]
    images[1] = np.where(labels > 0, 100 + 3 * (images[1] - 100), images[1])
    train = SampleSet.of([Sample(f"{k}", (50 * im).astype(np.uint16), labels) for k, im in enumerate(images)])
    codec = ImageMaskCodec.of(train, "distance", 1)
    for position, quotient in enumerate((4, 12)):
        found = codec.pixel_noise_planes(labels, position)
        assert found.shape == (1, 64, 64)
        assert len(np.unique(found)) == 2
        assert found[0, 0, 63] / found[0, 0, 0] == pytest.approx(quotient, rel=0.25)
        assert found[0, 0, 63] == found[0, 63, 63]


def test_grey_images_among_coloured_ones_get_their_noise_too() -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros((96, 96), np.int32)
    labels[:, 48:] = 1
    noisy = rng.normal(100, np.where(labels > 0, 12, 4)).clip(0, 255)
    coloured = np.repeat(noisy[..., None], 3, axis=2)
    train = SampleSet.of([Sample(f"{k}", im.astype(np.uint8), labels) for k, im in enumerate((noisy, coloured))])
    codec = ImageMaskCodec.of(train, "distance", 1)
    smooth = np.zeros((3, *labels.shape), np.float32)
    image = codec.decode_image(smooth, labels, 0, np.random.default_rng(1))
    assert image.shape == labels.shape
    for inside in (labels > 0, labels == 0):
        assert np.std(image[inside].astype(float)) == pytest.approx(np.std(noisy[inside]), rel=0.25)
