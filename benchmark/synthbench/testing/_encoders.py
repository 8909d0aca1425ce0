"""The contract of encoders, check by check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthbench.plugin.api import Context, Encoder
from synthbench.plugin.variants import variant_of
from synthbench.testing._data import discs
from synthbench.testing._folders import check_saved
from synthbench.testing._harness import SEED, perturbed_global_rng
from synthbench.testing._shared_checks import check_config, methods_are_implemented
from synthbench.testing.check_results import CheckResult, Skipped, plugin_call, require, run_checks_in_folder

__all__ = ["check_encoder", "iter_encoder_checks"]

TOLERANCE = 1e-3
"""Features of one image may differ by this share of their spread between batches: sums in another order."""


def check_encoder(cls: type[Encoder[Any]], *, config: Mapping[str, Any] | None = None) -> list[CheckResult]:
    """Try an encoder's class against the contract.

    Parameters
    ----------
    cls
    config
        Keys of its configuration; by default the defaults.

    Returns
    -------
    list of CheckResult
        One per check, in order. Where its weights are not on the machine, what needs them is skipped.
    """
    return list(iter_encoder_checks(cls, config))


def iter_encoder_checks(cls: type[Encoder[Any]], config: Mapping[str, Any] | None) -> Iterator[CheckResult]:
    """Return an iterator over the results of `check_encoder` as they come."""
    return run_checks_in_folder(CHECKS, lambda folder: _EncoderHarness(cls, folder, dict(config or {})))


class _EncoderHarness:
    def __init__(self, cls: type[Encoder[Any]], folder: Path, keys: dict[str, Any]) -> None:
        self.cls, self.folder, self.keys = cls, folder, keys
        self.images = [sample.image for sample in discs(5, size=72)]
        self._ready: Encoder[Any] | None = None

    def ready(self) -> Encoder[Any]:
        """Return the encoder, prepared; skip where it lacks its weights."""
        if self._ready is None:
            with plugin_call("unavailable(config)"):
                reason = self.cls.unavailable(self.cls.Config(**self.keys))
            require(isinstance(reason, str), f"unavailable(config) gave {type(reason).__name__}, not a text")
            if reason:
                raise Skipped(reason)
            self._ready = self.prepared(self.cls(self.cls.Config(**self.keys)))
        return self._ready

    def prepared(self, encoder: Encoder[Any]) -> Encoder[Any]:
        with plugin_call("prepare"):
            encoder.prepare(Context(seed=SEED))
        return encoder

    def encode(self, images: list[NDArray[Any]], what: str) -> NDArray[Any]:
        """Encode, and look at the shape and type of the answer."""
        with plugin_call(f"encode of {what}"):
            found = self.ready().encode(iter(images))
        require(
            isinstance(found, np.ndarray) and found.dtype in (np.float32, np.float64),
            f"encode of {what} gave no float array",
        )
        require(
            found.ndim == 2 and len(found) == len(images), f"encode of {what} gave {found.shape}, not a row per image"
        )
        require(bool(np.isfinite(found).all()), f"encode of {what} gave features that are not finite")
        return found


# -- the checks -------------------------------------------------------------------------------------------------------


def configuration_is_declared(harness: _EncoderHarness) -> None:
    """Config is a synthbench.Config: keys have defaults, unknown ones are refused, it survives a JSON round trip."""
    check_config(harness.cls, harness.keys)


def fingerprint_is_stable(harness: _EncoderHarness) -> None:
    """fingerprint names network and weights: the same text before and after encoding, and in another object."""
    found = harness.ready().fingerprint()
    require(isinstance(found, str) and found.strip(), f"fingerprint() gave {found!r}, not a text")
    harness.encode(harness.images[:1], "one image")
    require(harness.ready().fingerprint() == found, "fingerprint() changes when images are encoded")
    other = harness.prepared(harness.cls(harness.cls.Config(**harness.keys)))
    require(other.fingerprint() == found, "two objects of one configuration have different fingerprints")


def variant_is_a_text(harness: _EncoderHarness) -> None:
    """variant, where there is one, says in one line what sets the encoder apart; it stands in names of distances."""
    with plugin_call("variant"):
        variant_of(harness.ready())


def a_row_per_image(harness: _EncoderHarness) -> None:
    """encode takes any iterable of images and gives a row of finite features for each, not all alike."""
    found = harness.encode(harness.images, "five grey images")
    require(np.ptp(found, axis=0).max() > 0, "encode gave the same features for five different images")


def images_of_every_form(harness: _EncoderHarness) -> None:
    """Grey and RGB, 8 and 16 bit, odd and different sizes may come in one call, with one length of feature."""
    forms: list[dict[str, Any]] = [
        {"size": 64}, {"size": (45, 101), "channels": 3}, {"size": 33, "dtype": "uint16"},
        {"size": 80, "channels": 3, "dtype": "uint16"}, {"size": 64, "objects": 0},
    ]  # fmt: skip
    harness.encode([discs(1, **form)[0].image for form in forms], "images of different form")


def features_stand_alone(harness: _EncoderHarness) -> None:
    """The features of an image don't depend on the images beside it, their order, or the global random state."""
    expected = harness.encode(harness.images, "five grey images")
    spread = max(float(expected.std()), 1e-12)
    with perturbed_global_rng(5):
        alone = np.concatenate([harness.encode([image], "one image") for image in reversed(harness.images)])[::-1]
    worst = float(np.abs(alone - expected).max())
    require(
        worst <= TOLERANCE * spread,
        f"features of an image alone and among others differ by {worst:.3g}, {worst / spread:.1%} of their spread",
    )


def images_are_untouched(harness: _EncoderHarness) -> None:
    """encode doesn't write into the arrays it is given."""
    images = [sample.image for sample in discs(3, seed=1)]
    before = [image.copy() for image in images]
    harness.encode(images, "three grey images")
    same = all(np.array_equal(a, b) for a, b in zip(before, images, strict=True))
    require(same, "encode changed the images it was given: work on copies")


def saved_is_enough(harness: _EncoderHarness) -> None:
    """load needs nothing but the saved folder, and gives the same features."""
    expected = harness.encode(harness.images[:2], "two images")
    saved = harness.folder / "saved"
    saved.mkdir()
    with plugin_call("save"):
        harness.ready().save(saved)
    check_saved(saved)
    moved = saved.rename(harness.folder / "moved")
    with plugin_call("load from a moved folder"):
        loaded = harness.prepared(harness.cls.load(moved, Context(seed=SEED)))
        found = loaded.encode(iter(harness.images[:2]))
    require(np.allclose(found, expected, rtol=1e-4, atol=1e-6), "what load gives encodes otherwise than what was saved")


CHECKS = (
    methods_are_implemented,
    configuration_is_declared,
    fingerprint_is_stable,
    variant_is_a_text,
    a_row_per_image,
    images_of_every_form,
    features_stand_alone,
    images_are_untouched,
    saved_is_enough,
)
