"""Two folders against each other: the figures are those of the metrics, equal n, honest names, copies by name."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from helpers.blobs import blobs
from synthbench.errors import ConfigError, DataError
from synthbench.folders.fidelity.evaluate import chosen, evaluate_fidelity
from synthbench.folders.fidelity.feature_extraction import LoadedEncoder, extract_set
from synthbench.folders.fidelity.reading import open_pictures
from synthbench.metrics.frechet import frechet_distance
from synthbench.metrics.kernel import kernel_distance, kernel_interval, permutation_test
from synthbench.metrics.mask_realism import compare_masks, measure_masks
from synthbench.metrics.prdc import prdc
from synthbench.samples import Sample, SampleSet, write_array

pytestmark = pytest.mark.usefixtures("trial_registry")


def features(samples: list[Sample]) -> np.ndarray:
    """What the trial plugin `moments` sees."""
    return np.array([[s.image.mean(), s.image.std(), *np.quantile(s.image, (0.1, 0.5, 0.9))] for s in samples])


def plain(folder: Path, images: list[np.ndarray], suffix: str = ".png") -> Path:
    folder.mkdir(parents=True)
    for i, image in enumerate(images):
        write_array(folder / f"{i:03d}{suffix}", image)
    return folder


def annotated(folder: Path, samples: list[Sample]) -> Path:
    plain(folder / "images", [s.image for s in samples])
    plain(folder / "masks", [s.labels for s in samples], ".tif")
    return folder


@pytest.fixture
def many() -> list[Sample]:
    return [blobs(seed) for seed in range(40)]


def test_figures_are_the_metrics_on_equally_many_images_and_the_kernel_distance_on_all(
    many: list[Sample], tmp_path: Path
) -> None:
    parts = {"synthetic": many[:9], "real": many[9:21], "train": many[21:]}
    folders = {name: annotated(tmp_path / name, part) for name, part in parts.items()}
    result = evaluate_fidelity(folders["synthetic"], folders["real"], train=folders["train"], encoder="moments")
    assert result["n"] == 9
    thin = {name: [part[i] for i in chosen(len(part), 9)] for name, part in parts.items()}
    x, y, z = (features(thin[name]) for name in ("synthetic", "real", "train"))
    assert result["frechet"]["name"] == "FD(moments)"
    assert result["frechet"]["value"] == pytest.approx(frechet_distance(x, y))
    assert result["frechet"]["real_vs_real"] == pytest.approx(frechet_distance(z, y))
    kernel, (u, v, w) = result["kernel"], (features(parts[name]) for name in ("synthetic", "real", "train"))
    assert kernel["images"] == {"synthetic": 9, "real": 12, "train": 19}
    assert (kernel["value"], kernel["real_vs_real"]) == pytest.approx((kernel_distance(u, v), kernel_distance(w, v)))
    assert (kernel["low"], kernel["high"]) == pytest.approx(kernel_interval(u, v, 0))
    assert (kernel["real_vs_real_low"], kernel["real_vs_real_high"]) == pytest.approx(kernel_interval(w, v, 0))
    assert kernel["p"] == permutation_test(u, np.concatenate([v, w]), 0)
    assert kernel["real_vs_real_p"] == permutation_test(w, v, 0)
    assert result["prdc"]["synthetic"] == pytest.approx(dict(prdc(y, x)))
    assert result["prdc"]["real_vs_real"] == pytest.approx(dict(prdc(y, z)))
    measured = {name: measure_masks(s.labels for s in part) for name, part in thin.items()}
    gaps = compare_masks(measured["synthetic"], measured["real"], measured["train"])
    assert result["masks"] == {name: pytest.approx(dict(gap)) for name, gap in gaps.items()}
    assert result["memorisation"]["training_images"] == len(parts["train"])


def test_json_has_exactly_the_promised_keys_and_the_same_figures_again(many: list[Sample], tmp_path: Path) -> None:
    folders = [annotated(tmp_path / name, many[i : i + 8]) for name, i in (("a", 0), ("b", 8), ("c", 16))]
    result = evaluate_fidelity(*folders[:2], train=folders[2], encoder="moments")
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result == evaluate_fidelity(*folders[:2], train=folders[2], encoder="moments")
    assert set(result) == {
        "n", "images", "seed", "encoder", "frechet", "kernel", "prdc", "memorisation", "masks", "notes",
    }  # fmt: skip
    assert set(result["encoder"]) == {"name", "variant", "fingerprint"}
    assert set(result["frechet"]) == {"name", "value", "real_vs_real"}
    assert set(result["kernel"]) == {
        "name", "images", "value", "low", "high", "p", "permutations",
        "real_vs_real", "real_vs_real_low", "real_vs_real_high", "real_vs_real_p",
    }  # fmt: skip
    assert set(result["prdc"]["synthetic"]) == {"precision", "recall", "density", "coverage"}
    assert set(result["memorisation"]) == {
        "synthetic_images", "training_images", "held_out_images", "real_in_train", "side", "held_out_quantile",
        "duplicate_threshold", "expected",
        "near", "train_duplicates", "z",
        "masks", "train_duplicates_by_mask",
        "median", "median_held_out", "test_duplicate_threshold", "test_duplicates",
        "authenticity", "authenticity_held_out", "c_t",
    }  # fmt: skip
    assert all(set(gap) == {"distance", "real_vs_real", "synthetic", "real"} for gap in result["masks"].values())


def test_images_alone_are_enough_and_without_training_images_there_is_no_floor(
    many: list[Sample], tmp_path: Path
) -> None:
    synthetic = plain(tmp_path / "drawn" / "images", [s.image for s in many[:8]]).parent
    result = evaluate_fidelity(synthetic, annotated(tmp_path / "real", many[8:16]), encoder="moments")
    assert (result["memorisation"], result["masks"]) == (None, None)
    assert result["kernel"]["p"] == permutation_test(*(features(many[i : i + 8]) for i in (0, 8)), 0)
    assert (
        result["frechet"]["real_vs_real"] is result["kernel"]["real_vs_real"] is result["prdc"]["real_vs_real"] is None
    )
    assert result["images"]["synthetic"]["found"] == "8 images (.png), no masks"


def test_every_form_that_can_be_imported_is_read(many: list[Sample], tmp_path: Path) -> None:
    reference = annotated(tmp_path / "real", many[8:16])
    same = [annotated(tmp_path / "folders", many[:8]), tmp_path / "set", tmp_path / "arrays.npz"]
    SampleSet.write(same[1], many[:8])
    np.savez(same[2], X=np.stack([s.image for s in many[:8]]), y=np.stack([s.labels for s in many[:8]]))
    results = [evaluate_fidelity(path, reference, encoder="moments") for path in same]
    assert results[0]["masks"] is not None
    for result in results[1:]:
        for part in ("frechet", "kernel", "prdc", "masks"):
            assert result[part] == results[0][part]


@pytest.mark.parametrize("form", ["plain", "annotated", "floats"])
def test_all_images_that_can_not_be_read_are_told_at_once(many: list[Sample], tmp_path: Path, form: str) -> None:
    reference = annotated(tmp_path / "real", many[8:16])
    if form == "annotated":
        place, suffix = annotated(tmp_path / "set", many[:8]) / "images", ".png"
    else:
        images = [s.image / np.float32(300) if form == "floats" else s.image for s in many[:8]]
        suffix = ".tif" if form == "floats" else ".png"
        place = plain(tmp_path / "set", images, suffix)
    for name in ("002", "005"):
        (place / f"{name}{suffix}").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"set: 2 files: can't be read .*002\.\w+ .*005\.\w+ "):
        evaluate_fidelity(tmp_path / "set", reference, encoder="moments")


def test_copies_and_leaks_are_told_by_name(many: list[Sample], tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    drawn = [s.image for s in many[:10]]

    def spoilt(image: np.ndarray) -> np.ndarray:
        return np.clip(np.rot90(image[::-1]) + rng.normal(0, 10, image.shape), 0, 255).astype(np.uint8)

    drawn[3], drawn[7] = spoilt(many[25].image), spoilt(many[12].image)
    real, train = ([s.image for s in part] for part in (many[10:20], many[20:]))
    train.append(real[0])
    folders = [plain(tmp_path / name, part) for name, part in (("s", drawn), ("r", real), ("t", train))]
    result = evaluate_fidelity(*folders[:2], train=folders[2], encoder="moments")
    found = result["memorisation"]
    assert [(pair["image"], pair["of"]) for pair in found["train_duplicates"]] == [("003.png", "005.png")]
    assert [(pair["image"], pair["of"]) for pair in found["test_duplicates"]] == [("007.png", "002.png")]
    assert (found["real_in_train"], found["held_out_images"]) == (1, 9)
    assert any("1 of the 10 real images" in note for note in result["notes"])
    with pytest.raises(DataError, match="10 of the 10 real images"):
        evaluate_fidelity(*folders[:2], train=folders[1], encoder="moments")


def test_copies_are_sought_in_all_images_whatever_distances_compare(many: list[Sample], tmp_path: Path) -> None:
    """Thirty synthetic images, eight real ones: the planted copies are among those that distances leave out."""
    drawn = [s.image for s in (blobs(seed) for seed in range(100, 130))]
    left_out = [i for i in range(30) if i not in chosen(30, 8)][:2]
    real, train = [s.image for s in many[:8]], [s.image for s in many[8:]]
    drawn[left_out[0]], drawn[left_out[1]] = np.rot90(train[4]), np.rot90(real[2])
    folders = [plain(tmp_path / name, part) for name, part in (("s", drawn), ("r", real), ("t", train))]
    result = evaluate_fidelity(*folders[:2], train=folders[2], encoder="moments")
    found = result["memorisation"]
    assert result["n"] == 8
    assert found["synthetic_images"] == 30
    assert [(pair["image"], pair["of"]) for pair in found["train_duplicates"]] == [
        (f"{left_out[0]:03d}.png", "004.png")
    ]
    assert [(pair["image"], pair["of"]) for pair in found["test_duplicates"]] == [(f"{left_out[1]:03d}.png", "002.png")]


def test_one_rule_for_pixels_of_every_kind(many: list[Sample], tmp_path: Path) -> None:
    eight = plain(tmp_path / "8", [s.image for s in many[:8]])
    sixteen = plain(tmp_path / "16", [s.image.astype(np.uint16) * 257 for s in many[:8]], ".tif")
    colour = plain(tmp_path / "c", [np.stack([s.image, s.image, 255 - s.image], axis=-1) for s in many[:8]])
    same = evaluate_fidelity(eight, sixteen, encoder="untrained")
    assert same["frechet"]["value"] == pytest.approx(0, abs=1e-6)
    assert "pixel types differ: synthetic uint8 grey; real uint16 grey" in same["notes"]
    assert evaluate_fidelity(colour, eight, encoder="untrained")["frechet"]["value"] > 0.01


def stacks(path: Path, images: list[np.ndarray]) -> Path:
    """Write images ``(height, width, channels)`` as ImageJ's channels."""
    path.mkdir()
    for i, image in enumerate(images):
        tifffile.imwrite(path / f"{i:03d}.tif", np.moveaxis(image, -1, 0), imagej=True, metadata={"axes": "CYX"})
    return path


@pytest.mark.parametrize("channels", [2, 4])
def test_a_change_in_any_channel_is_seen_and_no_change_is_none(
    channels: int, many: list[Sample], tmp_path: Path
) -> None:
    images = [np.stack([np.roll(s.image, 7 * k, axis=0) for k in range(channels)], axis=-1) for s in many[:8]]
    real = stacks(tmp_path / "real", images)
    same = evaluate_fidelity(real, stacks(tmp_path / "same", images), encoder="untrained")
    assert same["frechet"]["value"] == pytest.approx(0, abs=1e-6)
    for channel in range(channels):
        changed = [image.copy() for image in images]
        for image in changed:
            image[..., channel] //= 2
        found = evaluate_fidelity(real, stacks(tmp_path / f"{channel}", changed), encoder="untrained")
        assert found["frechet"]["value"] > 0.01


def test_images_of_other_channels_are_not_compared(many: list[Sample], tmp_path: Path) -> None:
    grey = plain(tmp_path / "grey", [s.image for s in many[:8]])
    two = stacks(tmp_path / "two", [np.stack([s.image, s.image // 2], axis=-1) for s in many[:8]])
    with pytest.raises(DataError, match=r"two.*2"):
        evaluate_fidelity(grey, two, encoder="untrained")


def test_whole_numbers_in_wide_types_are_the_images_they_were(many: list[Sample], tmp_path: Path) -> None:
    import tifffile

    eight = plain(tmp_path / "8", [s.image for s in many[:8]])
    for kind in ("float32", "int32", "float64"):
        (tmp_path / kind).mkdir()
        for i, sample in enumerate(many[:8]):
            tifffile.imwrite(tmp_path / kind / f"{i}.tif", sample.image.astype(kind))
        same = evaluate_fidelity(tmp_path / kind, eight, encoder="untrained")
        assert same["frechet"]["value"] == pytest.approx(0, abs=1e-6)
    tifffile.imwrite(tmp_path / "int32" / "0.tif", many[0].image.astype(np.int32) * 16)
    with pytest.raises(DataError, match=r"stored as uint16, .*float32 aren't; .*--white"):
        evaluate_fidelity(tmp_path / "int32", tmp_path / "float32", encoder="untrained")


def test_images_on_a_scale_of_their_own_are_not_compared_with_others(many: list[Sample], tmp_path: Path) -> None:
    import tifffile

    whole = plain(tmp_path / "whole", [s.image for s in many[:8]])
    for name, factor in (("float", 10.5), ("other", 10.5), ("half", 5.25)):
        (tmp_path / name).mkdir()
        for i, sample in enumerate(many[:8]):
            tifffile.imwrite(tmp_path / name / f"{i}.tif", (sample.image * factor + 0.25).astype(np.float32))
    with pytest.raises(DataError, match=r"float: its images are rescaled together: .*whole"):
        evaluate_fidelity(tmp_path / "float", whole, encoder="moments")
    with pytest.raises(DataError, match=r"rescaled together: .* but those of .*half aren't; .*--white"):
        evaluate_fidelity(tmp_path / "float", tmp_path / "half", encoder="moments")
    both = evaluate_fidelity(tmp_path / "float", tmp_path / "other", encoder="moments")
    assert any("rescaled together: " in note for note in both["notes"])
    unit = evaluate_fidelity(tmp_path / "float", tmp_path / "half", encoder="moments", white=3000)
    assert unit["frechet"]["value"] > both["frechet"]["value"]


def test_masks_of_classes_are_left_out_and_said(semantic_set: SampleSet, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    semantic_set.save(folder)
    result = evaluate_fidelity(folder, folder, encoder="moments")
    assert result["masks"] is None
    assert "masks of classes are not compared, only masks of objects" in result["notes"]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"real": "few"}, DataError, "few: 3 images; at least 6 are needed"),
        ({"synthetic": "absent"}, DataError, "absent: no such file or folder"),
        ({"synthetic": "empty"}, DataError, "empty: is empty"),
        ({"encoder": "momemts"}, Exception, "moments"),
        ({"encoder": "untrained", "config": {"whit": 3}}, ConfigError, "whit"),
        (
            {"encoder": "inception", "config": {"weights": "nowhere.pth"}},
            ConfigError,
            "no Inception weights at nowhere",
        ),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    change: dict, error: type[Exception], words: str, many: list[Sample], tmp_path: Path
) -> None:
    plain(tmp_path / "some", [s.image for s in many[:8]])
    plain(tmp_path / "few", [s.image for s in many[:3]])
    (tmp_path / "empty").mkdir()
    given = {"synthetic": "some", "real": "some", "encoder": "moments"} | change
    folders = [tmp_path / given.pop(name) for name in ("synthetic", "real")]
    with pytest.raises(error, match=words) as caught:
        evaluate_fidelity(*folders, **given)
    assert "\n" not in str(caught.value)


def test_masks_of_a_sample_set_are_measured_without_their_ignore_region(blob_set: SampleSet, tmp_path: Path) -> None:
    region = np.zeros(blob_set[0].labels.shape, bool)
    region[:16] = True
    SampleSet.write(tmp_path / "set", [Sample(s.id, s.image, s.labels, ignore=region) for s in blob_set])
    means = SimpleNamespace(encode=lambda images: np.array([[image.mean()] for image in images]))
    extracted = extract_set(
        open_pictures(tmp_path / "set"), LoadedEncoder(means, "means", "", "means"), lambda done, total, note: None
    )
    covered = [float(measures["covered"][0]) for measures in extracted.features.mask_measures]
    assert covered == pytest.approx([(s.labels[16:] > 0).mean() for s in blob_set])
