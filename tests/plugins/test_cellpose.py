"""Cellpose fed by the patch stream: its flows, loss, thresholds, predictions and training."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from helpers.label_maps import discs
from synthbench import Budget, Context, Sample, SampleSet, Stopped, TrainingMix
from synthbench.errors import ConfigError, StoreError
from synthbench.toolkit.training import loop

pytest.importorskip("cellpose", reason="needs the extra 'cellpose'")

from synthbench.toolkit.masks import flows
from synthbench_cellpose.config import CellposeConfig
from synthbench_cellpose.segmenter import DEFAULT_THRESHOLDS, Cellpose, mean_diameter, patch_side

BUDGET = Budget(steps=4, batch_size=2, patch_size=32)


def noise(shape: tuple[int, ...], dtype: str = "uint8", seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape).astype(dtype)


def untrained(channels: int = 1, config: CellposeConfig | None = None) -> Cellpose:
    """A Cellpose with random weights; the last of them are large, so that its flows meet somewhere."""
    loop.prepare_torch(Context(seed=5))
    segmenter = Cellpose(config)
    segmenter.build(channels, segmenter.diameter, "cpu")
    segmenter.model.net.eval()
    with torch.no_grad():
        segmenter.model.net.output[2].weight *= 100
    segmenter.thresholds = {"cellprob_threshold": -9.0, "flow_threshold": 0.0}
    return segmenter


def answer(patch: pytest.MonkeyPatch, segmenter: Cellpose, labels: np.ndarray, cellprob: np.ndarray) -> None:
    """Let the network and its decoding say this of every image."""
    flow = np.zeros((2, *cellprob.shape), np.float32)
    patch.setattr(segmenter.model, "eval", lambda planes, **options: (None, (None, flow, cellprob), None))
    patch.setattr(flows.FlowDecoder, "masks", lambda decoder, thresholds: labels)


def saying(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return flow and cellprob of a network that has learned everything."""
    inside, flow = np.split(flows.targets(labels), [1])
    return flows.FLOW_SCALE * flow, 10 * inside[0] - 5


@pytest.fixture(scope="module")
def random() -> Cellpose:
    return untrained()


def test_listing_the_plugin_imports_neither_torch_nor_cellpose() -> None:
    code = (
        "import sys, synthbench_cellpose as p; print(*p.synthbench_segmenters());"
        "print({'torch', 'cellpose', 'numpy'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "synthbench_cellpose.segmenter:Cellpose" in out
    assert out.endswith("set()\n")


# -- size -------------------------------------------------------------------------------------------------------------


def test_the_mean_diameter_is_that_of_the_median_objects() -> None:
    labels = discs()
    areas = np.bincount(labels.ravel())[1:]
    expected = 2 * np.sqrt(np.median(areas) / np.pi)
    empty = np.zeros_like(labels)
    samples = [Sample(name, noise((48, 48)), mask) for name, mask in (("a", labels), ("b", empty))]
    assert mean_diameter(SampleSet.of(samples)) == pytest.approx(expected, rel=1e-3)
    assert mean_diameter(SampleSet.of(samples[1:])) == 30


def test_without_diam_mean_pictures_are_left_at_their_size() -> None:
    assert patch_side(96, 1.0) == 96
    assert patch_side(100, 1.0) == 100
    with pytest.raises(ConfigError, match="--patch 96"):
        CellposeConfig().resolve(Budget(1, 2, 100))
    assert CellposeConfig(diam_mean=20).resolve(Budget(1, 2, 100)).diam_mean == 20


def test_diam_mean_scales_patches_and_predictions_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = untrained(config=CellposeConfig(diam_mean=20))
    segmenter.diameter = 11.0
    side = patch_side(32, 20 / segmenter.diameter)
    assert side == 56
    segmenter.build(1, segmenter.diameter * (side / 32), "cpu")
    seen: list[tuple[int, ...]] = []
    forward = segmenter.model.net.forward
    monkeypatch.setattr(segmenter.model.net, "forward", lambda x: (seen.append(tuple(x.shape)), forward(x))[1])
    said = segmenter.predict(noise((64, 96)))
    assert said.labels.shape == (64, 96)
    padded = [int(np.ceil(length * side / 32 / 16)) * 16 + 16 for length in (64, 96)]
    assert seen == [(1, 2, *padded)]


# -- predictions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((50, 41), "uint8"), ((33, 64), "uint16"), ((40, 40, 3), "uint8"), ((1, 1), "uint8"), ((3, 70), "uint8")],
)
def test_predictions_of_any_image_number_their_objects_without_gaps(
    random: Cellpose, shape: tuple[int, ...], dtype: str
) -> None:
    said = random.predict(noise(shape, dtype))
    assert said.labels.shape == shape[:2]
    number = int(said.labels.max())
    assert number > 0 or min(shape[:2]) < 4
    assert set(np.unique(said.labels)) - {0} == set(range(1, number + 1))
    assert said.scores is not None
    assert said.scores.shape == (number,)
    assert ((said.scores > 0) & (said.scores < 1)).all()


def test_a_constant_image_is_no_trouble(random: Cellpose) -> None:
    assert random.predict(np.full((24, 30), 9, np.uint8)).labels.shape == (24, 30)


def test_an_rgb_network_takes_grey_images() -> None:
    assert untrained(channels=3).predict(noise((24, 30))).labels.shape == (24, 30)


def test_a_score_is_the_mean_probability_inside_its_object(random: Cellpose, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.zeros((16, 16), np.uint16)
    labels[2:5, 2:5], labels[8:12, 8:12] = 3, 7
    cellprob = np.where(labels == 3, 2.0, np.where(labels == 7, -1.0, 9.0)).astype(np.float32)
    answer(monkeypatch, random, labels, cellprob)
    said = random.predict(noise((16, 16)))
    np.testing.assert_array_equal(said.labels, np.where(labels == 3, 1, np.where(labels == 7, 2, 0)))
    np.testing.assert_allclose(said.scores, 1 / (1 + np.exp([-2.0, 1.0])))


def test_an_object_that_fills_the_image_is_one_object(random: Cellpose, monkeypatch: pytest.MonkeyPatch) -> None:
    full = np.full((16, 16), 4, np.uint16)
    answer(monkeypatch, random, full, np.zeros((16, 16), np.float32))
    said = random.predict(noise((16, 16)))
    assert (said.labels == 1).all()
    np.testing.assert_allclose(said.scores, [0.5])


def test_what_is_loaded_predicts_what_was_saved(tmp_path: Path) -> None:
    segmenter = untrained(config=CellposeConfig(diam_mean=20))
    segmenter.diameter = 17.5
    segmenter.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cellpose.json", "config.json", "weights.safetensors"]
    loaded = Cellpose.load(tmp_path, Context())
    assert loaded.config == segmenter.config
    before, after = segmenter.predict(noise((60, 70))), loaded.predict(noise((60, 70)))
    assert before.labels.max() > 0
    np.testing.assert_array_equal(before.labels, after.labels)
    np.testing.assert_array_equal(before.scores, after.scores)


def test_a_damaged_folder_is_one_clear_error(random: Cellpose, tmp_path: Path) -> None:
    random.save(tmp_path)
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(StoreError, match="weights"):
        Cellpose.load(tmp_path, Context())
    (tmp_path / "cellpose.json").write_text(json.dumps({"channels": 1}))
    with pytest.raises(StoreError, match="fit again"):
        Cellpose.load(tmp_path, Context())


# -- thresholds -------------------------------------------------------------------------------------------------------


def tuned(labels: list[np.ndarray], monkeypatch: pytest.MonkeyPatch, shift: float) -> dict[str, float]:
    """Tune on a network that says everything right, but for its logits, which are off by `shift`."""
    segmenter = untrained()
    answers = iter([saying(mask) for mask in labels])

    def said(planes: np.ndarray, **options: Any) -> tuple[None, tuple[None, np.ndarray, np.ndarray], None]:
        flow, cellprob = next(answers)
        return None, (None, flow, cellprob + shift), None

    monkeypatch.setattr(segmenter.model, "eval", said)
    samples = [Sample(f"s{i}", noise(mask.shape), mask) for i, mask in enumerate(labels)]
    return segmenter.tune_thresholds(SampleSet.of(samples), Context())


def test_thresholds_stay_at_the_librarys_where_nothing_beats_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tuned([discs()], monkeypatch, shift=0.0) == DEFAULT_THRESHOLDS
    assert tuned([np.zeros((20, 20), np.uint8)], monkeypatch, shift=0.0) == DEFAULT_THRESHOLDS
    assert untrained().tune_thresholds(SampleSet.of([]), Context()) == DEFAULT_THRESHOLDS


def test_thresholds_follow_the_validation_images(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tuned([discs()], monkeypatch, shift=-6.5)["cellprob_threshold"] == -2.0


def test_tuning_stops_when_asked() -> None:
    samples = SampleSet.of([Sample("s", noise((48, 48)), discs())])
    with pytest.raises(Stopped):
        untrained().tune_thresholds(samples, Context(should_stop=lambda: True))


# -- training ---------------------------------------------------------------------------------------------------------


def trained(samples: SampleSet, **changes: object) -> Cellpose:
    segmenter = Cellpose()
    settings = {"seed": 5, "budget": BUDGET, **changes}
    segmenter.fit(TrainingMix(samples), samples[:1], Context(**settings))  # type: ignore[arg-type]
    return segmenter


def equal(first: Cellpose, second: Cellpose) -> bool:
    one, two = first.model.net.state_dict(), second.model.net.state_dict()
    return all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.slow
def test_equal_seeds_give_equal_weights_in_exactly_the_budgets_steps(
    blob_set: SampleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    step = torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self, *a, **k: (taken.append(1), step(self, *a, **k))[1])
    first = trained(blob_set)
    assert len(taken) == BUDGET.steps
    second, third = trained(blob_set), trained(blob_set, seed=6)
    assert equal(first, second)
    assert not equal(first, third)
    assert first.thresholds == second.thresholds
    np.testing.assert_array_equal(first.predict(blob_set[3].image).labels, second.predict(blob_set[3].image).labels)


@pytest.mark.slow
def test_training_stopped_and_taken_up_again_ends_with_the_same_weights(blob_set: SampleSet, tmp_path: Path) -> None:
    asked = iter([False, False, True])
    with pytest.raises(Stopped):
        trained(blob_set, folder=tmp_path, should_stop=lambda: next(asked))
    done_first: list[int] = []
    resumed = trained(blob_set, folder=tmp_path, progress=lambda done, total, note="": done_first.append(done))
    assert done_first[0] == 2
    assert equal(resumed, trained(blob_set))


@pytest.mark.slow
def test_the_loss_falls_and_nothing_is_printed(blob_set: SampleSet, capfd: pytest.CaptureFixture[str]) -> None:
    notes: list[str] = []
    context = Context(seed=2, budget=Budget(24, 2, 48), progress=lambda done, total, note="": notes.append(note))
    segmenter = Cellpose()
    segmenter.fit(TrainingMix(blob_set), blob_set[:1], context)
    segmenter.predict(blob_set[0].image)
    losses = [float(note.split()[1].rstrip(",")) for note in notes if note.startswith("loss")]
    assert losses[-1] < 0.7 * losses[0]
    assert capfd.readouterr() == ("", "")


# -- ignore regions ---------------------------------------------------------------------------------------------------


def region_of(labels: np.ndarray) -> np.ndarray:
    region = np.zeros(labels.shape, bool)
    region[:, 2 * region.shape[1] // 3 :] = True
    return region


def test_labels_within_the_region_change_nothing_and_the_region_does(blob_set: SampleSet) -> None:
    region = region_of(blob_set[0].labels)
    emptied = [np.where(region, 0, s.labels) for s in blob_set[:4]]
    fits = []
    for masks, ignore in (([s.labels for s in blob_set[:4]], region), (emptied, region), (emptied, None)):
        train = SampleSet.of(
            [Sample(s.id, s.image, m, ignore=ignore) for s, m in zip(blob_set[:4], masks, strict=True)]
        )
        segmenter = Cellpose()
        segmenter.fit(TrainingMix(train), train[:1], Context(budget=BUDGET))
        fits.append(list(segmenter.model.net.state_dict().values()))
    assert all(torch.equal(a, b) for a, b in zip(fits[0], fits[1], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(fits[0], fits[2], strict=True))


def test_thresholds_are_tuned_without_the_region(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    def tuned(decode: object, truths: object, grid: object, start: dict, *, ignores: list, before_trial) -> dict:
        given.extend(ignores)
        return start

    monkeypatch.setattr("synthbench.toolkit.training.threshold_tuning.tune", tuned)
    labels = discs()
    image = np.where(labels > 0, 200, 20).astype(np.uint8)
    region = region_of(labels)
    validation = SampleSet.of([Sample("a", image, labels, ignore=region), Sample("b", image, labels)])
    untrained().tune_thresholds(validation, Context(budget=BUDGET))
    assert np.array_equal(given[0], region)
    assert given[1] is None
