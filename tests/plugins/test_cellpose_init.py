"""Cellpose that starts from trained weights: files in the library's own form, and its own models."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from helpers.trainings import resumed
from synthbench import Budget, Context, Init, Sample, SampleSet, TrainingMix
from synthbench.errors import PluginError
from synthbench.toolkit.masks.flows import DEFAULT_THRESHOLDS

pytest.importorskip("cellpose", reason="needs the extra 'cellpose'")

from synthbench_cellpose import initial, library
from synthbench_cellpose.config import CellposeConfig
from synthbench_cellpose.segmenter import Cellpose, mean_diameter

BUDGET = Budget(steps=2, batch_size=1, patch_size=32)
ZERO = Budget(steps=0, batch_size=1, patch_size=32)
DIAM_MEAN, DIAM_LABELS = 14.0, 9.0


def library_model(gain: float = 1.0) -> Any:
    """A CellposeModel of the library with random weights; with a high gain at its end, it finds objects."""
    torch.manual_seed(3)
    made = library.model(2, DIAM_MEAN, "cpu")
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, value in made.net.state_dict().items():
            if name.endswith("running_mean"):
                value.copy_(0.3 * torch.rand(value.shape, generator=generator))
        made.net.output[2].weight *= gain
        made.net.diam_labels.fill_(DIAM_LABELS)
    made.net.eval()
    return made


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as Cellpose 3 writes it."""
    path = tmp_path_factory.mktemp("weights") / "some_cp3"
    library_model().net.save_model(path)
    return path


def fitted(samples: SampleSet, init: Init | None = None, *, config: Any = None, **more: Any) -> Cellpose:
    segmenter = Cellpose(CellposeConfig.model_validate(config or {}))
    settings = {"budget": ZERO, "seed": 4, "init": init, **more}
    segmenter.fit(TrainingMix(samples), samples[:1], Context(**settings))
    return segmenter


def state(segmenter: Cellpose) -> dict[str, torch.Tensor]:
    return dict(segmenter.model.net.state_dict())


def colours(samples: SampleSet) -> SampleSet:
    return SampleSet.of([Sample(s.id, np.stack([s.image] * 3, axis=-1), s.labels) for s in samples])


def test_a_file_of_the_library_has_the_layout_of_the_published_ones(published: Path) -> None:
    tensors = torch.load(published, weights_only=True)
    assert len(tensors) == 313
    assert sum(p.numel() for p in library_model().net.parameters()) == 6_600_845
    start = initial.read_file(published)
    assert (start.channels, start.diam_mean, start.diameter) == (1, DIAM_MEAN, DIAM_LABELS)
    Cellpose.check_init(CellposeConfig(), published)


def test_zero_steps_say_what_the_library_says(blob_set: SampleSet, tmp_path: Path) -> None:
    from cellpose.models import CellposeModel

    file = tmp_path / "loud"
    library_model(gain=100).net.save_model(file)
    segmenter = fitted(blob_set, Init(file=file))
    assert segmenter.thresholds == DEFAULT_THRESHOLDS
    theirs = CellposeModel(pretrained_model=str(file), device=torch.device("cpu"), mkldnn=False)
    assert theirs.diam_mean == DIAM_MEAN
    found = 0
    segmenter.thresholds = everything = {"cellprob_threshold": -9.0, "flow_threshold": 0.0}
    for sample in blob_set[:2]:
        labels = theirs.eval(sample.image, channels=[0, 0], diameter=mean_diameter(blob_set), **everything)[0]
        mine = segmenter.predict(sample.image).labels
        np.testing.assert_array_equal(mine > 0, labels > 0)
        assert mine.max() == len(np.unique(labels)) - 1
        found += mine.max()
    assert found > 0


def test_objects_are_brought_to_the_diameter_of_the_file(blob_set: SampleSet, published: Path) -> None:
    trained = fitted(blob_set, Init(file=published), budget=BUDGET)
    diameter = mean_diameter(blob_set)
    assert trained.diameter == diameter
    side = round(32 * DIAM_MEAN / diameter / 8) * 8
    assert trained.model.diam_mean == pytest.approx(diameter * side / 32)
    untrained = fitted(blob_set, Init(file=published))
    assert untrained.model.diam_mean == DIAM_MEAN
    assert [float(state(untrained)[name]) for name in initial.SIZES] == pytest.approx([DIAM_MEAN, diameter])
    assert fitted(blob_set, Init(file=published), config={"diam_mean": 20}).model.diam_mean == 20


def test_without_objects_the_diameter_is_that_of_the_file(blob_set: SampleSet, published: Path) -> None:
    empty = SampleSet.of([Sample("e", blob_set[0].image, np.zeros_like(blob_set[0].labels))])
    assert fitted(empty, Init(file=published)).diameter == DIAM_LABELS


def test_training_goes_on_from_weights_and_statistics(blob_set: SampleSet, published: Path) -> None:
    theirs = library_model().net.state_dict()
    slow = fitted(blob_set, Init(file=published), budget=BUDGET, config={"finetune": {"learning_rate": 1e-7}})
    scratch = fitted(blob_set, budget=BUDGET)
    for name in (initial.INPUT, "output.2.weight"):
        torch.testing.assert_close(state(slow)[name], theirs[name], atol=1e-4, rtol=0)
        assert (state(scratch)[name] - theirs[name]).abs().max() > 0.01
    statistics = "downsample.down.res_down_1.conv.conv_0.0.running_mean"
    assert not torch.equal(state(slow)[statistics], theirs[statistics])
    assert slow.high_percentile == 99
    assert scratch.high_percentile == 99.8


def test_fine_tuning_has_the_optimiser_that_the_library_recommends(
    blob_set: SampleSet, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []
    step = torch.optim.SGD.step
    monkeypatch.setattr(
        torch.optim.SGD, "step", lambda self, *a, **k: (seen.append(self.param_groups[0]), step(self, *a, **k))[1]
    )
    fitted(blob_set, Init(file=published), budget=Budget(1, 1, 32))
    assert len(seen) == 1
    assert (seen[0]["initial_lr"], seen[0]["weight_decay"], seen[0]["momentum"]) == (0.1, 1e-4, 0.9)


@pytest.mark.slow
def test_a_stopped_fine_tuning_ends_with_the_same_weights(blob_set: SampleSet, published: Path, tmp_path: Path) -> None:
    init, config = Init(file=published), {"finetune": {"freeze_encoder": 0.5}}
    fit = partial(fitted, blob_set, init, config=config, budget=BUDGET)
    whole, stopped = fit(), resumed(fit, tmp_path, at=1)
    assert all(torch.equal(value, state(whole)[name]) for name, value in state(stopped).items())


def test_its_own_model_is_used_as_it_is_and_starts_the_next(
    blob_set: SampleSet, published: Path, tmp_path: Path
) -> None:
    first = fitted(blob_set, Init(file=published))
    first.thresholds = {"cellprob_threshold": -2.0, "flow_threshold": 0.8}
    first.save(tmp_path)
    second = fitted(blob_set, Init(model=tmp_path))
    assert second.thresholds == first.thresholds
    assert second.high_percentile == 99
    assert all(torch.equal(value, state(first)[name]) for name, value in state(second).items())
    found, expected = second.predict(blob_set[3].image), first.predict(blob_set[3].image)
    np.testing.assert_array_equal(found.labels, expected.labels)


def test_grey_weights_see_a_grey_picture_in_rgb_as_they_saw_it(published: Path) -> None:
    grey = library_model().net
    rgb = library.bare_network(3).eval()
    rgb.load_state_dict(initial.as_rgb(grey.state_dict()))
    image = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for one, three in ((grey.downsample.down.res_down_0, rgb.downsample.down.res_down_0),):
            expected = one.proj(torch.cat([image, 0 * image], dim=1))
            torch.testing.assert_close(three.proj(image.expand(-1, 3, -1, -1)), expected)
            expected = one.conv.conv_0(torch.cat([image, 0 * image], dim=1))
            found = three.conv.conv_0(image.expand(-1, 3, -1, -1))
            torch.testing.assert_close(found[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1])


@pytest.mark.slow
def test_grey_weights_start_an_rgb_network_and_the_other_way_round(
    blob_set: SampleSet, published: Path, tmp_path: Path
) -> None:
    lines: list[str] = []
    rgb = fitted(colours(blob_set), Init(file=published), notify=lines.append)
    assert (rgb.model.nchan, len(lines)) == (3, 1)
    rgb.save(tmp_path)
    grey = fitted(blob_set, Init(model=tmp_path), budget=Budget(1, 1, 32))
    assert grey.model.nchan == 3
    assert grey.predict(blob_set[0].image).labels.shape == blob_set[0].labels.shape


@pytest.mark.parametrize("name", ["nuclei", "nucleitorch_0"])
def test_the_published_nuclei_have_the_diameter_that_the_library_knows(tmp_path: Path, name: str) -> None:
    tensors = dict(library_model().net.state_dict())
    torch.save(tensors, tmp_path / name)
    assert initial.read_file(tmp_path / name).diam_mean == 17
    for size in initial.SIZES:
        del tensors[size]
    torch.save(tensors, tmp_path / "cytotorch_0")
    start = initial.read_file(tmp_path / "cytotorch_0")
    assert (start.diam_mean, start.diameter) == (30, 30)
    Cellpose.check_init(CellposeConfig(), tmp_path / "cytotorch_0")


def test_weights_of_cellpose_4_are_refused_by_name(tmp_path: Path) -> None:
    torch.save({"W2": torch.eye(3)}, tmp_path / "cpsam")
    with pytest.raises(PluginError, match=r"cpsam.*Cellpose 4"):
        Cellpose.check_init(CellposeConfig(), tmp_path / "cpsam")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({initial.INPUT: torch.zeros(32, 5, 3, 3)}, "5 channels"),
        ({initial.INPUT: torch.zeros(16, 2, 3, 3)}, "conv_0"),
        ({"more": torch.zeros(1)}, "more"),
        ({"diam_mean": torch.zeros(1)}, "diam_mean"),
        ({"output.2.weight": torch.zeros(1, 32, 1, 1)}, ""),
    ],
)
def test_other_networks_are_refused_and_other_heads_are_not(
    blob_set: SampleSet, tmp_path: Path, change: dict[str, torch.Tensor], named: str
) -> None:
    path = tmp_path / "x"
    torch.save({**library_model().net.state_dict(), **change}, path)
    if named:
        with pytest.raises(PluginError, match=named):
            Cellpose.check_init(CellposeConfig(), path)
    else:
        lines: list[str] = []
        Cellpose.check_init(CellposeConfig(), path)
        fitted(blob_set, Init(file=path), budget=Budget(1, 1, 32), notify=lines.append)
        assert any("output layer" in line for line in lines)
