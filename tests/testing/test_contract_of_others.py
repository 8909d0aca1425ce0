"""Each broken promise of an encoder, a dataset and a package is found, and told in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthbench import Config, Dataset, Encoder, Sample
from synthbench.errors import DataError, NotDownloaded
from synthbench.testing import CheckResult, assert_contract, check_dataset, check_encoder, discs
from synthbench.testing.packages import iter_package_checks


class Moments(Encoder):
    """Mean and spread: an encoder that keeps the contract."""

    def encode(self, images):
        return np.array([[image.mean(), image.std()] for image in images], dtype=np.float32)

    def fingerprint(self):
        return "moments 1"


class BatchNormalised(Moments):
    def encode(self, images):
        plain = super().encode(images)
        return plain - plain.mean(axis=0)


class ListsOnly(Moments):
    def encode(self, images):
        return super().encode(images[i] for i in range(len(images)))


class LengthBySize(Moments):
    def encode(self, images):
        return np.stack([image.ravel()[:4000].astype(np.float32) for image in images])


class Blind(Moments):
    def encode(self, images):
        return super().encode(images) * 0


class WritesInto(Moments):
    def encode(self, images):
        kept = list(images)
        kept[0][:] = 0
        return super().encode(kept)


class Anonymous(Moments):
    def fingerprint(self):
        return f"moments at {id(self)}"


class Vague(Moments):
    def variant(self):
        return None


class NoWeights(Moments):
    @classmethod
    def unavailable(cls, config):
        return "no weights on this machine; give weights: PATH"


def failures(results: list[Any]) -> dict[str, str]:
    return {f.check: f.message for f in results if f.status == "failed"}


def test_an_encoder_that_keeps_the_contract_passes() -> None:
    assert failures(check_encoder(Moments)) == {}


@pytest.mark.parametrize(
    ("cls", "check", "words"),
    [
        (BatchNormalised, "features_stand_alone", "alone and among others differ"),
        (ListsOnly, "a_row_per_image", "encode of five grey images raised TypeError"),
        (LengthBySize, "images_of_every_form", "encode of images of different form raised ValueError"),
        (Blind, "a_row_per_image", "the same features for five different images"),
        (WritesInto, "images_are_untouched", "encode changed the images"),
        (Anonymous, "fingerprint_is_stable", "two objects of one configuration have different fingerprints"),
        (Vague, "variant_is_a_text", "the encoder said None"),
    ],
)
def test_a_broken_promise_of_an_encoder_is_told(cls: type[Encoder], check: str, words: str) -> None:
    assert words in failures(check_encoder(cls))[check]


def test_an_encoder_without_its_weights_is_skipped_with_its_reason() -> None:
    results = {f.check: f for f in check_encoder(NoWeights)}
    assert results["a_row_per_image"].status == "skipped"
    assert results["a_row_per_image"].message == "no weights on this machine; give weights: PATH"
    assert results["configuration_is_declared"].status == "passed"


def test_a_test_of_what_is_hardly_tried_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    results = [
        CheckResult("a", "a", "passed"),
        CheckResult("b", "b", "skipped", "why"),
        CheckResult("c", "c", "skipped", "why"),
    ]
    monkeypatch.setattr("synthbench.testing._contract.iter_contract", lambda *_: iter(results))
    with pytest.warns(UserWarning, match="encoder 'untrained': 2 checks were skipped"):
        assert_contract("encoder", "untrained")


class Drawn(Dataset):
    """Discs: a dataset that keeps the contract."""

    source, licence, citation = "drawn", "CC0", "none"

    def samples(self, context):
        yield from discs(8)


class NoLicence(Drawn):
    licence = ""


class Restless(Drawn):
    def samples(self, context):
        yield from discs(4, seed=int(np.random.randint(10**6)))  # noqa: NPY002


class OddSplit(Drawn):
    def samples(self, context):
        for sample in discs(4):
            yield Sample(sample.id, sample.image, sample.labels, {"split": "val"})


class Twins(Drawn):
    def samples(self, context):
        yield from [discs(1)[0], discs(1)[0]]


class Empty(Drawn):
    def samples(self, context):
        return iter(())


class Classless(Drawn):
    classes = ("background", "disc")


class NeedsPath(Drawn):
    class Settings(Config):
        path: Path

    Config = Settings


class Unreachable(Drawn):
    def samples(self, context):
        raise NotDownloaded("unreachable: can't be fetched, the machine is offline; give --from PATH")
        yield


class Invalid(Drawn):
    """Its first mask is of another size."""

    def samples(self, context):
        for sample in discs(4):
            yield Sample(sample.id, sample.image, sample.labels[1:])


class Refuses(Drawn):
    def samples(self, context):
        raise DataError("cells.npz: holds no annotated image")
        yield


class Unannotated(Drawn):
    def samples(self, context):
        yield from discs(8, objects=0)


class Black(Drawn):
    def samples(self, context):
        for sample in discs(4):
            yield Sample(sample.id, sample.image * 0, sample.labels)


class OneImage(Drawn):
    def samples(self, context):
        (only,) = discs(1)
        for i in range(8):
            yield Sample(f"{i}", only.image, only.labels)


def test_a_dataset_that_keeps_the_contract_passes() -> None:
    assert failures(check_dataset(Drawn)) == {}


@pytest.mark.parametrize(
    ("cls", "check", "words"),
    [
        (NoLicence, "origin_is_named", "NoLicence.licence is ''"),
        (Restless, "order_is_fixed", "yields other samples the second time"),
        (OddSplit, "splits_have_their_names", "is in the split 'val'"),
        (Twins, "ids_are_unique", "the id 'discs-0' occurs 2 times"),
        (Empty, "samples_are_annotated", "yielded nothing"),
        (Invalid, "samples_are_annotated", "the image is 64×64 but its mask is 63×64"),
        (Refuses, "samples_are_annotated", "raised DataError: cells.npz: holds no annotated image"),
        (Unannotated, "samples_are_annotated", "first 6 samples are all empty"),
        (Black, "samples_are_annotated", "the image of sample 'discs-0' is 0 all over"),
        (OneImage, "samples_are_annotated", "first 6 samples are all the same"),
        (Classless, "classes_fit_the_task", "its task is instances: leave it empty"),
        (NeedsPath, "configuration_is_declared", "NeedsPath.Config: path has no default"),
    ],
)
def test_a_broken_promise_of_a_dataset_is_told(cls: type[Dataset], check: str, words: str) -> None:
    assert words in failures(check_dataset(cls))[check]


def test_a_semantic_dataset_names_its_classes() -> None:
    assert (
        "name the classes, background first" in failures(check_dataset(Drawn, task="semantic"))["classes_fit_the_task"]
    )


def test_a_dataset_that_is_not_on_the_machine_is_skipped_with_its_reason() -> None:
    results = {f.check: f for f in check_dataset(Unreachable)}
    assert results["order_is_fixed"].status == "skipped"
    assert "the machine is offline" in results["order_is_fixed"].message


def test_a_dataset_that_would_be_downloaded_is_not_touched() -> None:
    class Downloads(Drawn):
        def remotes(self):
            return (Remote("https://example.org/cells.zip"),)

        def samples(self, context):
            raise AssertionError("touched")

    from synthbench.datasets.download import Remote

    results = {f.check: f for f in check_dataset(Downloads)}
    assert results["order_is_fixed"].status == "skipped"
    assert "it would download https://example.org/cells.zip" in results["order_is_fixed"].message


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_a_package_that_is_heavy_to_list_is_told(package: Path) -> None:
    (package / "heavy_plugin_.py").write_text("import numpy\n")
    assert failures(list(iter_package_checks("heavy_plugin_"))) == {
        "listing_stays_light": "import heavy_plugin_ imports numpy: import them in the module that holds the class"
    }


def test_a_package_that_uses_private_names_is_told(package: Path) -> None:
    (package / "nosy_plugin_.py").write_text("def f():\n    from synthbench import store\n")
    (sentence,) = failures(list(iter_package_checks("nosy_plugin_"))).values()
    assert sentence.startswith("nosy_plugin_.py:2 imports synthbench.store: plugins use synthbench, synthbench.samples")


def test_public_names_are_fine(package: Path) -> None:
    (package / "fine_plugin_.py").write_text(
        "from synthbench import hookimpl\n"
        "def f():\n    from synthbench.toolkit import images\n    import synthbench.errors\n"
    )
    assert failures(list(iter_package_checks("fine_plugin_"))) == {}
