"""The form of images and masks: each that a generator can't learn from, or gets wrong, is found by its own check."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.contract_generators import Copies, results_of
from helpers.contracts import assert_failed
from synthbench import Generator, Sample
from synthbench.errors import DataError


class AlwaysEightBit(Copies):
    def sample(self, i, seed):
        plain = super().sample(i, seed)
        return replace(plain, image=(plain.image % 256).astype(np.uint8))


class EightBitLight(Copies):
    def sample(self, i, seed):
        plain = super().sample(i, seed)
        return replace(plain, image=(plain.image % 256).astype(plain.image.dtype))


class GreyOnly(Copies):
    def sample(self, i, seed):
        plain = super().sample(i, seed)
        return replace(plain, image=plain.image[..., 0] if plain.image.ndim == 3 else plain.image)


class GreyOrRgb(Copies):
    def fit(self, train, context):
        if train.channels not in (1, 3):
            raise self.refusal
        super().fit(train, context)

    refusal: Exception = DataError("the training images have 2 channels; this method draws grey and RGB only")


class RefusesWithoutReason(GreyOrRgb):
    refusal = DataError("can't")


class Crashes(GreyOrRgb):
    refusal = ValueError("channels")


class FirstChannelOnly(Copies):
    def sample(self, i, seed):
        plain = super().sample(i, seed)
        alike = plain.image.ndim == 3 and plain.image.shape[2] == 2
        return replace(plain, image=np.repeat(plain.image[..., :1], 2, axis=2) if alike else plain.image)


class SquareOnly(Copies):
    def fit(self, train, context):
        super().fit(train, context)
        np.stack([sample.image for sample in train])


class NeedsObjects(Copies):
    def fit(self, train, context):
        super().fit(train, context)
        self.smallest = min(int(np.bincount(s.labels.ravel())[1:].min()) for s in train)


class Constant(Copies):
    def sample(self, i, seed):
        plain = super().sample(i, seed)
        return replace(plain, image=np.full_like(plain.image, 7))


class NoMasks(Copies):
    def sample(self, i, seed):
        plain = super().sample(i, seed)
        return replace(plain, labels=np.zeros_like(plain.labels))


class Thumbnails(Copies):
    def sample(self, i, seed):
        plain = super().sample(i, seed)
        return replace(plain, image=plain.image[:8, :40], labels=plain.labels[:8, :40])


class EvenNumbers(Copies):
    def sample(self, i, seed):
        plain = super().sample(i, seed)
        return replace(plain, labels=plain.labels * 2)


class Striped(Copies):
    def sample(self, i, seed):
        plain = super().sample(i, seed)
        return replace(plain, labels=np.where(np.arange(plain.labels.shape[1]) % 6, plain.labels, 0))


class ForgetsTheForm(Copies):
    """Takes all images for grey and 8-bit after it was loaded."""

    forgot = False

    def sample(self, i, seed):
        plain = super().sample(i, seed)
        if self.forgot and plain.image.dtype == np.uint16:
            return replace(plain, image=np.minimum(plain.image, 255))
        if self.forgot and plain.image.ndim == 3:
            return replace(plain, image=np.repeat(plain.image[..., :1], 3, axis=2))
        return plain

    @classmethod
    def load(cls, folder, context):
        new = super().load(folder, context)
        new.forgot = True
        return new


@pytest.mark.parametrize(
    ("cls", "check", "words"),
    [
        (NoMasks, "fits_and_draws", "samples 0 … 5 have no object"),
        (Thumbnails, "fits_and_draws", "sample 0 is 8×40, and a patch of 64"),
        (EvenNumbers, "fits_and_draws", "sample 0 holds 6 labels up to 12"),
        (Striped, "fits_and_draws", "sample 0 has 5 objects in several pieces"),
        (ForgetsTheForm, "sixteen_bits", "trained on 16-bit images, what load gives draws other samples"),
        (ForgetsTheForm, "colour_and_odd_sizes", "trained on RGB images, what load gives draws other samples"),
        (AlwaysEightBit, "sixteen_bits", "trained on 16-bit images, it draws uint8 images"),
        (EightBitLight, "sixteen_bits", "use the range of the 16-bit images"),
        (GreyOnly, "colour_and_odd_sizes", "the training images have"),
        (SquareOnly, "colour_and_odd_sizes", "fit on RGB images of odd sizes raised ValueError"),
        (NeedsObjects, "empty_and_lone_objects", "no, one and six objects raised ValueError"),
        (NeedsObjects, "poor_training_sets", "all background raised ValueError"),
        (Constant, "fits_and_draws", "sample 0 is a constant image"),
        (GreyOnly, "two_channels", "the training images have"),
        (RefusesWithoutReason, "two_channels", "say in one line which channels"),
        (Crashes, "two_channels", "raised ValueError"),
        (FirstChannelOnly, "two_channels", "draws both alike"),
    ],
)
def test_a_wrong_form_is_found(cls: type[Generator], check: str, words: str) -> None:
    assert_failed(results_of(cls)[check], words)


def test_a_refusal_of_two_channels_that_names_them_is_no_failure() -> None:
    result = results_of(GreyOrRgb)["two_channels"]
    assert result.status == "skipped"
    assert "grey and RGB only" in result.message


class ConstantWithoutObjects(Constant):
    def sample(self, index: int, seed: int) -> Sample:
        sample = super().sample(index, seed)
        return Sample(sample.id, sample.image, np.zeros_like(sample.labels))


def test_a_constant_image_of_an_empty_mask_gets_a_hint() -> None:
    message = results_of(ConstantWithoutObjects)["fits_and_draws"].message
    assert "its mask is empty" in message
    assert "pixel_noise: true" in message
