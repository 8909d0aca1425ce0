"""StarDist fed by the patch stream: its targets, weights, thresholds, predictions and training."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthbench import Budget, Context, Sample, SampleSet, Stopped, TrainingMix
from synthbench.errors import ConfigError, StoreError

if not all(importlib.util.find_spec(name) for name in ("stardist", "tensorflow")):
    pytest.skip("needs the extra 'stardist'", allow_module_level=True)

from synthbench.plugin.precision import computing_in
from synthbench_stardist import network, runtime, training
from synthbench_stardist.segmenter import StarDist, StarDistConfig, relabelled, shared_suppression

SMALL = StarDistConfig(n_rays=8, unet_n_depth=1, unet_n_filter_base=4)
BUDGET = Budget(steps=6, batch_size=2, patch_size=32)


def untrained(channels: int = 1, seed: int = 0) -> StarDist:
    """A small StarDist with random weights, and thresholds that let some of its polygons through."""
    segmenter = StarDist(SMALL)
    segmenter.build(channels, Context())
    with segmenter.on_device():
        network.initialise(segmenter.model.keras_model.weights, seed)
    segmenter.model.thresholds = {"prob": 0.5, "nms": 0.2}
    return segmenter


def noise(shape: tuple[int, ...], dtype: str = "uint8", seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape).astype(dtype)


@pytest.fixture(scope="module", autouse=True)
def quiet_tensorflow() -> None:
    """Import TensorFlow the plugin's way before the library does."""
    runtime.tensorflow()


@pytest.fixture(scope="module")
def small() -> StarDist:
    return untrained()


def test_listing_the_plugin_imports_no_tensorflow() -> None:
    code = "import sys, synthbench_stardist as p; print(*p.synthbench_segmenters()); print('tensorflow' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "synthbench_stardist.segmenter:StarDist" in out
    assert out.endswith("False\n")


@pytest.mark.slow
def test_torch_goes_on_beside_tensorflow() -> None:
    code = "from synthbench_stardist.runtime import tensorflow; tensorflow(); import torch._dynamo; print('both')"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert out.stdout == "both\n", out.stderr


@pytest.mark.parametrize(("patch", "filters", "rate"), [(96, 16, 2e-3), (128, 32, 1e-3), (256, 32, 1e-3)])
def test_network_and_rate_follow_from_the_patch_and_never_from_the_steps(patch: int, filters: int, rate: float) -> None:
    for steps in (1, 3_000, 40_000):
        config = StarDistConfig().resolve(Budget(steps, 4, patch))
        assert (config.unet_n_filter_base, config.train_learning_rate) == (filters, rate)
    own = StarDistConfig(unet_n_filter_base=8, train_learning_rate=0.5).resolve(Budget(9, 4, patch))
    assert (own.unet_n_filter_base, own.train_learning_rate) == (8, 0.5)


def test_in_bfloat16_all_but_the_outputs_is_rounded(small: StarDist, blob_set: SampleSet) -> None:
    """Weights stay float32; outputs differ from those of float32, by about as much as bfloat16 rounds."""
    import keras

    policy = keras.mixed_precision.dtype_policy()
    with computing_in("bf16"):
        rounded = untrained()
    assert keras.mixed_precision.dtype_policy() == policy
    plain, coarse = (segmenter.model.keras_model for segmenter in (small, rounded))
    types = {layer.name: layer.compute_dtype for layer in coarse.layers if layer.weights}
    assert {types.pop(name) for name in network.OUTPUTS} == {"float32"}
    assert set(types.values()) == {"bfloat16"}
    assert {variable.dtype for variable in coarse.weights} == {"float32"}
    assert {layer.compute_dtype for layer in plain.layers} == {"float32"}
    image = small.as_input(blob_set[0].image)[None, :32, :32]
    for one, other in zip(plain([image]), coarse([image]), strict=True):
        assert other.dtype == "float32"
        spread = float(np.std(one)) + 1e-6
        assert 0 < float(np.abs(np.asarray(one) - np.asarray(other)).max()) < 0.2 * spread + 0.01


@pytest.mark.slow
def test_training_in_bfloat16_follows_that_in_float32_and_goes_on_after_a_stop(
    blob_set: SampleSet, tmp_path: Path
) -> None:
    def losses(**more: Any) -> tuple[list[float], StarDist]:
        notes: list[str] = []
        segmenter = trained(blob_set, progress=lambda done, total, note="": notes.append(note), **more)
        return [float(note.split()[1].rstrip(",")) for note in notes if note.startswith("loss")], segmenter

    exact, plain = losses()
    with computing_in("bf16"):
        rounded, whole = losses()
        asked = iter([False, False, False, True])
        with pytest.raises(Stopped):
            trained(blob_set, folder=tmp_path, should_stop=lambda: next(asked))
        resumed = trained(blob_set, folder=tmp_path)
    assert rounded == pytest.approx(exact, rel=0.05)
    one, two, three = (network.to_arrays(s.model.keras_model.weights) for s in (resumed, whole, plain))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not all(np.array_equal(one[name], three[name]) for name in one)


# -- targets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("grid", "n_rays"), [(1, 8), (2, 32), (4, 16)])
def test_targets_are_those_of_the_librarys_own_sampler(blob_set: SampleSet, grid: int, n_rays: int) -> None:
    from stardist.models.model2d import StarDistData2D

    for sample in blob_set[:4]:
        labels = sample.labels.astype(np.int32)
        theirs = StarDistData2D(
            [sample.image], [labels], batch_size=1, n_rays=n_rays, length=1, patch_size=labels.shape, grid=(grid, grid)
        )[0][1]
        mine = training.targets(labels, n_rays, grid)
        np.testing.assert_allclose(mine[0], theirs[0][0], atol=1e-6)
        np.testing.assert_allclose(mine[1], theirs[1][0], atol=1e-6)


def test_targets_depend_on_the_shapes_and_not_on_the_ids(blob_set: SampleSet) -> None:
    labels = blob_set[0].labels.astype(np.int64)
    high = np.where(labels > 0, 2**31 - 1 - 1000 * labels, 0)
    for low_plane, high_plane in zip(training.targets(labels, 8, 2), training.targets(high, 8, 2), strict=True):
        np.testing.assert_array_equal(low_plane, high_plane)


def test_an_empty_patch_asks_for_nothing() -> None:
    probability, distances = training.targets(np.zeros((16, 16), np.int32), 8, 2)
    assert probability.shape == (8, 8, 1)
    assert distances.shape == (8, 8, 9)
    assert not probability.any()
    assert not distances.any()


@pytest.mark.filterwarnings("ignore:EDT of constant label image")
def test_a_patch_inside_one_object_is_all_object() -> None:
    probability, distances = training.targets(np.full((16, 16), 5, np.int32), 8, 1)
    assert probability.min() > 0
    assert distances[8, 8, 0] == pytest.approx(8, abs=1)


def test_examples_are_made_ahead_and_handed_out_in_order() -> None:
    made: list[int] = []

    def make(number: int) -> int:
        made.append(number)
        if number == 7:
            raise RuntimeError("broken patch")
        return number**2

    with training.Prefetch(make, total=9, threads=2) as ahead:
        assert [ahead[n] for n in range(4)] == [0, 1, 4, 9]
        assert sorted(made) == list(range(max(made) + 1))
        assert [ahead[n] for n in range(4, 7)] == [16, 25, 36]
        with pytest.raises(RuntimeError, match="broken patch"):
            ahead[7]


# -- weights ----------------------------------------------------------------------------------------------------------


def test_initial_weights_are_glorots_and_come_from_the_seed_alone(small: StarDist) -> None:
    again, other = untrained(), untrained(seed=1)
    first, second, third = (network.to_arrays(s.model.keras_model.weights) for s in (small, again, other))
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])
        if name.endswith("bias"):
            assert not array.any()
        else:
            limit = np.sqrt(6 / (np.prod(array.shape[:-2]) * sum(array.shape[-2:])))
            assert 0.8 * limit < np.abs(array).max() <= limit
            assert not np.array_equal(array, third[name])


def test_weights_of_another_network_are_refused(small: StarDist) -> None:
    weights = small.model.keras_model.weights
    arrays = network.to_arrays(weights)
    with pytest.raises(ValueError, match="missing or too many"):
        network.from_arrays(weights, {**arrays, "999.kernel": np.zeros(1)})
    with pytest.raises(ValueError, match=r"000\.kernel has shape \(1,\)"):
        network.from_arrays(weights, {**arrays, "000.kernel": np.zeros(1)})


def test_what_is_loaded_predicts_what_was_saved(small: StarDist, tmp_path: Path) -> None:
    small.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "stardist.json", "weights.safetensors"]
    loaded = StarDist.load(tmp_path, Context())
    assert loaded.config == small.config
    before, after = small.predict(noise((50, 41))), loaded.predict(noise((50, 41)))
    assert before.labels.max() > 0
    np.testing.assert_array_equal(before.labels, after.labels)
    np.testing.assert_array_equal(before.scores, after.scores)


def test_a_damaged_folder_is_one_clear_error(small: StarDist, tmp_path: Path) -> None:
    small.save(tmp_path)
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(StoreError, match="fit again"):
        StarDist.load(tmp_path, Context())
    (tmp_path / "stardist.json").write_text(json.dumps({"channels": 1}))
    with pytest.raises(StoreError, match="prob"):
        StarDist.load(tmp_path, Context())


# -- predictions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((50, 41), "uint8"), ((33, 64), "uint16"), ((40, 40, 3), "uint8"), ((1, 1), "uint8"), ((3, 70), "uint8")],
)
def test_predictions_of_any_image_number_their_objects_without_gaps(
    small: StarDist, shape: tuple[int, ...], dtype: str
) -> None:
    said = small.predict(noise(shape, dtype))
    assert said.labels.shape == shape[:2]
    count = int(said.labels.max())
    assert set(np.unique(said.labels)) - {0} == set(range(1, count + 1))
    assert said.scores is not None
    assert said.scores.shape == (count,)
    assert ((said.scores > 0) & (said.scores <= 1)).all()


def test_a_constant_image_is_no_trouble(small: StarDist) -> None:
    assert small.predict(np.full((24, 30), 9, np.uint8)).labels.shape == (24, 30)


def test_an_rgb_network_takes_grey_images() -> None:
    assert untrained(channels=3).predict(noise((24, 30))).labels.shape == (24, 30)


def test_scores_are_the_probabilities_at_the_centres(small: StarDist) -> None:
    image = noise((48, 48))
    said = small.predict(image)
    labels, details = small.model.predict_instances(small.as_input(image), show_tile_progress=False)
    ids = [np.unique(labels[said.labels == k + 1]).item() for k in range(len(said.scores))]
    np.testing.assert_allclose(said.scores, [details["prob"][i - 1] for i in ids])


def test_an_object_hidden_under_others_leaves_no_gap_and_takes_its_score_along() -> None:
    labels = np.array([[0, 3, 3], [1, 1, 0]])
    said = relabelled(labels, np.array([0.9, 0.8, 0.7]))
    np.testing.assert_array_equal(said.labels, [[0, 2, 2], [1, 1, 0]])
    np.testing.assert_array_equal(said.scores, [0.9, 0.7])


def test_no_object_gives_no_scores() -> None:
    said = relabelled(np.zeros((4, 5), np.int32), np.zeros(0))
    assert said.labels.shape == (4, 5)
    assert said.scores.shape == (0,)


# -- thresholds -------------------------------------------------------------------------------------------------------


def test_thresholds_stay_at_the_librarys_without_objects_to_tune_on() -> None:
    segmenter = untrained()
    before = segmenter.model.thresholds
    empty = Sample("empty", noise((32, 32)), np.zeros((32, 32), np.uint8))
    for validation in (SampleSet.of([]), SampleSet.of([empty])):
        segmenter.tune_thresholds(validation)
        assert segmenter.model.thresholds == before


def test_thresholds_follow_the_validation_images(blob_set: SampleSet, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = untrained()
    seen: list[int] = []

    def optimise(images: list[np.ndarray], labels: list[np.ndarray], **options: object) -> dict[str, float]:
        seen.extend(int(label.max()) for label in labels)
        return {"prob": 1.7, "nms": 0.3}

    monkeypatch.setattr(segmenter.model, "optimize_thresholds", optimise)
    high = [Sample(s.id, s.image, np.where(s.labels > 0, 2**31 - 1 - s.labels.astype(np.int64), 0)) for s in blob_set]
    segmenter.tune_thresholds(SampleSet.of(high))
    assert seen == [entry.objects for entry in blob_set.entries]
    assert segmenter.model.thresholds == (0.99, 0.3)


# -- training ---------------------------------------------------------------------------------------------------------


def test_a_patch_that_the_network_cant_halve_is_refused_with_one_that_it_can(blob_set: SampleSet) -> None:
    with pytest.raises(ConfigError, match="--patch 48"):
        StarDist().fit(TrainingMix(blob_set), blob_set[:0], Context(budget=Budget(1, 1, 50)))


def test_a_gpu_that_tensorflow_cant_see_is_a_warning_and_the_cpu() -> None:
    with pytest.warns(UserWarning, match="tensorflow\\[and-cuda\\]"):
        assert runtime.device_name("cuda:7", gpus=2) == "/CPU:0"
    assert runtime.device_name("cuda:1", gpus=2) == "/GPU:1"
    assert runtime.device_name("cuda", gpus=1) == "/GPU:0"
    assert runtime.device_name("cpu", gpus=1) == "/CPU:0"


def test_what_the_import_writes_is_shown_if_it_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with runtime.held_stderr():
        os.write(2, b"chatter\n")
    assert capfd.readouterr().err == ""

    def fail() -> None:
        with runtime.held_stderr():
            os.write(2, b"reason\n")
            raise ImportError

    with pytest.raises(ImportError):
        fail()
    assert capfd.readouterr().err == "reason\n"


def trained(samples: SampleSet, **changes: object) -> StarDist:
    segmenter = StarDist(SMALL)
    settings = {"seed": 5, "budget": BUDGET, **changes}
    segmenter.fit(TrainingMix(samples), samples[:2], Context(**settings))  # type: ignore[arg-type]
    return segmenter


@pytest.mark.slow
def test_equal_seeds_give_equal_weights_in_exactly_the_budgets_steps(blob_set: SampleSet) -> None:
    first, second, third = trained(blob_set), trained(blob_set), trained(blob_set, seed=6)
    assert int(first.model.keras_model.optimizer.iterations.numpy()) == BUDGET.steps
    one, two, three = (network.to_arrays(s.model.keras_model.weights) for s in (first, second, third))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not all(np.array_equal(one[name], three[name]) for name in one)
    assert first.model.thresholds == second.model.thresholds
    np.testing.assert_array_equal(first.predict(blob_set[3].image).labels, second.predict(blob_set[3].image).labels)


@pytest.mark.slow
def test_training_stopped_and_taken_up_again_ends_with_the_same_weights(blob_set: SampleSet, tmp_path: Path) -> None:
    asked = iter([False, False, False, True])
    with pytest.raises(Stopped):
        trained(blob_set, folder=tmp_path, should_stop=lambda: next(asked))
    first_step: list[int] = []
    resumed = trained(blob_set, folder=tmp_path, progress=lambda done, total, note="": first_step.append(done))
    whole = trained(blob_set)
    assert first_step[0] == 3
    one, two = (network.to_arrays(s.model.keras_model.weights) for s in (resumed, whole))
    assert all(np.array_equal(one[name], two[name]) for name in one)


@pytest.mark.slow
def test_the_loss_falls_and_nothing_is_printed(blob_set: SampleSet, capfd: pytest.CaptureFixture[str]) -> None:
    notes: list[str] = []
    context = Context(
        seed=2, budget=Budget(150, 2, 32), progress=lambda done, total, note="": notes.append(note), threads=2
    )
    segmenter = StarDist(StarDistConfig(n_rays=8, unet_n_depth=1, unet_n_filter_base=8))
    segmenter.fit(TrainingMix(blob_set), blob_set[:3], context)
    segmenter.predict(blob_set[0].image)
    losses = [float(note.split()[1].rstrip(",")) for note in notes if note.startswith("loss")]
    assert losses[-1] < 0.7 * losses[0]
    assert capfd.readouterr() == ("", "")


# -- ignore regions ---------------------------------------------------------------------------------------------------


def with_region(samples: SampleSet, region: np.ndarray | None = None) -> SampleSet:
    """Return samples whose right third is unknown."""
    if region is None:
        region = np.zeros(samples[0].labels.shape, bool)
        region[:, 2 * region.shape[1] // 3 :] = True
    return SampleSet.of([Sample(s.id, s.image, s.labels, s.groups, region) for s in samples])


@pytest.mark.parametrize("grid", [1, 2])
def test_targets_with_unknown_pixels_are_those_of_the_librarys_own_sampler(blob_set: SampleSet, grid: int) -> None:
    from stardist.models.model2d import StarDistData2D

    marked = with_region(blob_set)[0].marked
    image = np.zeros(marked.shape, np.float32)
    sampler = StarDistData2D(
        [image], [marked], batch_size=1, n_rays=8, length=1, patch_size=marked.shape, grid=(grid, grid)
    )
    _, (probability, distances) = sampler[0]
    mine = training.targets(marked, 8, grid)
    np.testing.assert_array_equal(mine[0], probability[0])
    np.testing.assert_array_equal(mine[1], distances[0])
    assert (probability == -1).any()


@pytest.mark.parametrize("distance_loss", ["mae", "mse", "iou"])
@pytest.mark.parametrize("share", ["some", "all"])
def test_no_gradient_comes_from_unknown_pixels(blob_set: SampleSet, distance_loss: str, share: str) -> None:
    """Neither from the probability, nor from the distances, nor from the pull that empties what lies outside."""
    tf = runtime.tensorflow()
    model = network.build(
        StarDistConfig(
            n_rays=8, unet_n_depth=1, unet_n_filter_base=4, train_dist_loss=distance_loss, train_background_reg=10.0
        ),
        1,
    )
    model.prepare_for_training()
    sample = with_region(blob_set)[0]
    marked = sample.marked if share == "some" else np.full_like(sample.marked, -1)
    probability, distances = (tf.convert_to_tensor(part[None]) for part in training.targets(marked, 8, 2))
    rng = np.random.default_rng(0)
    said, rays = (tf.Variable(rng.uniform(0.1, 0.9, (*probability.shape[:3], n)).astype(np.float32)) for n in (1, 8))

    def loss() -> tuple[float, list[np.ndarray]]:
        with tf.GradientTape() as tape:
            wanted, answer = training.mask_unknown(probability, said, rays)
            value = model.keras_model.compute_loss(y=[wanted, distances], y_pred=answer)
        return float(value), [part.numpy() for part in tape.gradient(value, [said, rays])]

    value, gradients = loss()
    unknown = probability.numpy()[0, ..., 0] < 0
    assert np.isfinite(value)
    for gradient in gradients:
        assert not gradient[0][unknown].any()
        assert share == "all" or gradient[0][~unknown].any()
    noisy = np.where(unknown[None, ..., None], rng.uniform(0.1, 0.9, said.shape), said.numpy())
    said.assign(noisy.astype(np.float32))
    assert loss()[0] == value


def test_labels_within_the_region_change_nothing_and_the_region_does(blob_set: SampleSet) -> None:
    fits = []
    region = with_region(blob_set)[0].ignore
    emptied = [Sample(s.id, s.image, np.where(region, 0, s.labels), s.groups) for s in blob_set]
    for train in (with_region(blob_set), with_region(SampleSet.of(emptied)), SampleSet.of(emptied)):
        segmenter = StarDist(SMALL)
        segmenter.fit(TrainingMix(train), train[:1], Context(budget=Budget(steps=2, batch_size=2, patch_size=32)))
        fits.append([np.array(v) for v in segmenter.model.keras_model.get_weights()])
    assert all(np.array_equal(a, b) for a, b in zip(fits[0], fits[1], strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(fits[0], fits[2], strict=True))


@pytest.mark.parametrize("highest", [3, 40_000, 2**31 - 1])
def test_ids_become_numbers_in_their_order(highest: int) -> None:
    labels = np.array([[0, highest, 2], [0, highest, 2]])
    np.testing.assert_array_equal(training.relabel(labels), [[0, 2, 1], [0, 2, 1]])
    np.testing.assert_array_equal(training.relabel(labels[:, 1:]), [[2, 1], [2, 1]])
    assert training.relabel(labels).dtype == np.int32


def test_thresholds_are_those_of_the_librarys_own_search(small: StarDist, blob_set: SampleSet) -> None:
    """The library suppresses and draws anew for every threshold; so many thresholds share what one has found."""
    images = [small.as_input(sample.image) for sample in blob_set]
    truths = [training.relabel(sample.labels) for sample in blob_set]
    rng = np.random.default_rng(0)
    heads = []
    for truth in truths:  # a network that knows something: its own would be noise, and every threshold the same
        probability, rays = training.targets(truth, small.config.n_rays, small.config.grid)
        doubtful = 0.6 * probability[..., 0] + 0.4 * rng.random(probability.shape[:2])  # no two alike
        heads.append([doubtful.astype(np.float32), rays[..., :-1] * 1.1])
    kept = small.model.thresholds
    small.model.predict = lambda image, **_: heads[next(i for i, each in enumerate(images) if each is image)]
    try:
        answers = []
        for sharing in (nullcontext(), shared_suppression(small.model, blob_set)):
            with sharing:
                answers.append(
                    small.model.optimize_thresholds(images, truths, predict_kwargs={}, optimize_kwargs={"verbose": 0})
                )
    finally:
        del small.model.predict
        small.model.thresholds = {"prob": kept.prob, "nms": kept.nms}
    assert answers[0] == answers[1]


def test_thresholds_are_tuned_without_what_lies_in_the_region(small: StarDist) -> None:
    """The library's tuning asks for sample after sample; what it gets has nothing in the region of each."""
    truth = np.zeros((32, 32), np.uint8)
    truth[4:12, 4:12] = 1
    found = np.where(truth > 0, 1, 0)
    found[4:12, 20:28] = 2
    regions = [np.zeros(truth.shape, bool), np.zeros(truth.shape, bool)]
    regions[1][:, 16:] = True
    samples = [Sample(f"s{i}", truth, truth, ignore=region) for i, region in enumerate(regions)]

    calls = []

    class Model:
        def _instances_from_prediction(self, *_: object, **thresholds: float) -> tuple[np.ndarray, dict]:
            calls.append(thresholds)
            return found, {"prob": np.array([0.9, 0.6])}

    model = Model()
    with shared_suppression(model, samples):
        for nms, prob, expected in ((0.3, 0.5, [2, 1]), (0.3, 0.7, [1, 1]), (0.4, 0.5, [2, 1]), (0.4, 0.95, [0, 0])):
            given = [model._instances_from_prediction(prob_thresh=prob, nms_thresh=nms)[0] for _ in samples]
            assert [len(np.unique(each)) - 1 for each in given] == expected
    assert [(each["prob_thresh"], each["nms_thresh"]) for each in calls] == [(0.5, 0.3)] * 2 + [(0.5, 0.4)] * 2
    assert model._instances_from_prediction()[0] is found
    with shared_suppression(small.model, samples):
        small.model.optimize_thresholds(
            [small.as_input(sample.image) for sample in samples],
            [training.relabel(sample.labels) for sample in samples],
            predict_kwargs={"n_tiles": None},
            optimize_kwargs={"verbose": 0},
        )
    small.model.thresholds = {"prob": 0.5, "nms": 0.2}
