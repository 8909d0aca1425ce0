"""Images of two to four channels: samples, sets and files keep every channel, and no channel is made up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from synthbench import TrainingMix
from synthbench.errors import DataError
from synthbench.io.images import read_array, suffix_for, write_array
from synthbench.samples import INDEX, Sample, SampleSet, channel_count

LABELS = (np.arange(12 * 16) % 5).reshape(12, 16)


def picture(shape: tuple[int, ...], dtype: type = np.uint8) -> np.ndarray:
    count = int(np.prod(shape))
    return ((np.arange(count) * 7919) % 251).astype(dtype).reshape(shape)


def mixed(*channels: int) -> list[Sample]:
    shapes = [(12, 16) if count == 1 else (12, 16, count) for count in channels]
    return [Sample(f"s{i}", picture(shape), LABELS) for i, shape in enumerate(shapes)]


@pytest.mark.parametrize(
    ("shape", "dtype", "digest"),
    [
        ((12, 16), np.uint8, "3d82d12789b06bdb9bb8108dd827bf090692a859dd52e30ca4d46c320111f5a8"),
        ((12, 16), np.uint16, "a61cd812cb16e44f79994097455a079081661ea9782afa2a1a60f3f248d02fce"),
        ((12, 16, 3), np.uint8, "d8490781f86a1927603efd474a5a30ebe7e1d25e63cff4002b3e7006030c2eec"),
        ((12, 16, 3), np.uint16, "79fd4e06dc548e20420da04bef636d8a0fff154ea16308b1cc15ebbdc5e8799c"),
    ],
)
def test_digests_of_grey_and_rgb_samples_are_those_of_stored_sets(
    shape: tuple[int, ...], dtype: type, digest: str
) -> None:
    assert Sample("a", picture(shape, dtype), LABELS, {"well": "A1"}).digest == digest


def test_fingerprints_of_grey_and_rgb_sets_are_those_of_stored_sets() -> None:
    grey = SampleSet.of([Sample(f"s{i}", picture((12, 16)) + np.uint8(i), LABELS) for i in range(3)])
    rgb = SampleSet.of([Sample(f"s{i}", picture((12, 16, 3), np.uint16) + np.uint16(i), LABELS) for i in range(3)])
    assert grey.fingerprint == "6f0a1eb0c089e1b63e064edefc6aa098f42de3dd6cce03900c24b19940ed911c"
    assert rgb.fingerprint == "f8e3e844192296d7cd992fe61dbf8cb02a14fdb70e9181e7ec1b71e7d0ed8d82"


@pytest.mark.parametrize("shape", [(12, 16, 2), (12, 16, 4), (1, 5, 2), (5, 1, 2), (1, 1, 4), (4, 4, 4), (2, 6, 2)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_file_keeps_every_channel_and_equal_arrays_become_equal_bytes(
    shape: tuple[int, ...], dtype: type, tmp_path: Path
) -> None:
    image = picture(shape, dtype)
    image[..., -1] = np.iinfo(dtype).max  # as an opaque alpha channel
    files = [tmp_path / f"{name}{suffix_for(image)}" for name in "ab"]
    for file in files:
        write_array(file, image)
    assert files[0].read_bytes() == files[1].read_bytes()
    for size in (None, shape[:2]):
        found = read_array(files[0], size)
        assert found.dtype == image.dtype
        np.testing.assert_array_equal(found, image)


def test_imagej_opens_the_file_as_a_composite_of_channels(tmp_path: Path) -> None:
    image = picture((12, 16, 2), np.uint16)
    write_array(tmp_path / "a.tif", image)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_imagej
        assert file.imagej_metadata is not None
        assert (file.imagej_metadata["channels"], file.imagej_metadata["mode"]) == (2, "composite")
        np.testing.assert_array_equal(file.pages[1].asarray(), image[..., 1])


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_a_set_of_several_channels_reads_back_what_was_written(channels: int, tmp_path: Path) -> None:
    samples = SampleSet.of(mixed(channels, channels), info={"channels": ["a", "b"]})
    stored = samples.save(tmp_path / "set")
    assert stored.fingerprint == samples.fingerprint
    assert stored.channels == channels
    assert [entry.channels for entry in stored.entries] == [channels, channels]
    np.testing.assert_array_equal(stored[1].image, samples[1].image)
    assert json.loads((tmp_path / "set" / INDEX).read_text())["format"] == (1 if channels == 3 else 3)


def test_a_changed_channel_is_another_sample() -> None:
    first = Sample("a", picture((12, 16, 2)), LABELS)
    assert first.digest != Sample("a", first.image[..., ::-1].copy(), LABELS).digest
    assert channel_count(first.image) == 2


@pytest.mark.parametrize("shape", [(12, 16, 1), (12, 16, 5), (2, 12, 16)])
def test_no_other_number_of_channels_is_a_sample(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"shape \("):
        Sample("a", picture(shape), LABELS)


@pytest.mark.parametrize("channels", [(1, 2), (2, 3), (3, 4), (1, 3, 2), (2, 4)])
def test_images_without_the_same_channels_make_no_set(channels: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="channel") as error:
        SampleSet.of(mixed(*channels), name="odd")
    assert "\n" not in str(error.value)
    assert "'s0'" in str(error.value)


def test_grey_and_rgb_may_be_mixed() -> None:
    assert SampleSet.of(mixed(1, 3)).channels == 3
    assert SampleSet.of(mixed(1, 1)).channels == 1
    assert SampleSet.of([]).channels == 1


def test_a_training_mix_has_the_same_channels_in_real_and_synthetic_samples() -> None:
    real, grey = SampleSet.of(mixed(2, 2)), SampleSet.of(mixed(1, 1))
    with pytest.raises(DataError, match=r"real and synthetic samples: .*2"):
        TrainingMix(real, grey, 0.5)
    assert TrainingMix(SampleSet.of(mixed(3)), grey, 0.5).reference.channels == 3
