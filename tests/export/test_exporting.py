"""Exported models compute what the segmenters compute, in the libraries that open them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from helpers.blobs import blobs
from synthbench import Context, SampleSet, TrainingMix
from synthbench.errors import ConfigError, PluginError
from synthbench.export.exporting import export_segmenter
from synthbench.inference.choosing import ChosenSegmenter
from synthbench.inference.trained import Trained
from synthbench.plugin.registry import registry
from synthbench.toolkit.intensity.images import normalise, to_channels
from synthbench_maskrcnn.targets import enlarge

CONFIG = {
    "unet": {"features": [4, 4, 8, 8, 8, 4]},
    "deepsea": {"widths": [4, 8, 8]},
}


def trained(
    name: str, folder: Path, *, rgb: bool = False, task: str = "instances", **config: object
) -> ChosenSegmenter:
    """Train a segmenter for a few steps, and save it as a run does."""
    cls = registry().load("segmenter", name)
    samples = SampleSet.of([blobs(seed, rgb=rgb) for seed in range(4)], name="blobs")
    if task == "semantic":
        flat = [type(s)(s.id, s.image, (s.labels > 0).astype(np.uint8)) for s in samples]
        samples = SampleSet.of(flat, name="discs", task="semantic", classes=("ground", "disc"))
    segmenter, budget = cls(cls.Config.model_validate(config or CONFIG.get(name, {}))), cls.budget("smoke")
    (folder / "work").mkdir(parents=True)
    segmenter.fit(TrainingMix(samples), samples, Context(seed=3, budget=budget, folder=folder / "work"))
    (folder / "model").mkdir()
    segmenter.save(folder / "model")
    plugin = {"name": name, "config": segmenter.config.model_dump(mode="json"), "budget": asdict(budget)}
    record = {"content": {"plugin": plugin, "seed": 3}, "label": f"{name} on blobs", "threads": 1}
    return ChosenSegmenter(Trained("segmenter", "0" * 64, record, folder / "model"))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("unet", {}),
        pytest.param("unet", {"rgb": True, "decoding": "binary", **CONFIG["unet"]}, marks=pytest.mark.slow),
        pytest.param("unet", {"task": "semantic", "flip_tta": True, **CONFIG["unet"]}, marks=pytest.mark.slow),
        pytest.param("deepsea", {}, marks=pytest.mark.slow),
        pytest.param("mediar", {}, marks=pytest.mark.slow),
        pytest.param("instanseg", {}, marks=pytest.mark.slow),
    ],
)
def test_torchscript_computes_what_the_segmenter_does_and_is_described(
    name: str, options: dict[str, object], tmp_path: Path
) -> None:
    chosen = trained(name, tmp_path, **options)
    out = tmp_path / "out"
    done = export_segmenter(chosen, out)
    assert done.about["largest_difference"] <= 1e-3 * done.about["largest_value"]
    content = yaml.safe_load((out / "rdf.yaml").read_text())
    network = torch.jit.load(str(out / content["weights"]["torchscript"]["source"]))
    raw, expected = (np.load(out / file) for file in ("test_input.npy", "test_output.npy"))
    with torch.inference_mode():
        found = network(torch.from_numpy(normalise(np.moveaxis(raw[0], 0, -1))[None])).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5 * max(1.0, float(np.abs(expected).max())))
    assert len(content["outputs"][0]["axes"][1]["channel_names"]) == expected.shape[1]
    check_description(out)


def check_description(folder: Path) -> None:
    """Let the library of the BioImage Model Zoo read the description, its files and their hashes."""
    spec = pytest.importorskip("bioimageio.spec")
    summary = spec.load_description_and_validate_format_only(folder / "rdf.yaml", perform_io_checks=True)
    assert summary.status in ("passed", "valid-format"), summary.format()


def test_the_test_image_may_be_ones_own(tmp_path: Path) -> None:
    chosen = trained("unet", tmp_path)
    Image.fromarray(blobs(7, size=90).image).save(tmp_path / "mine.png")
    export_segmenter(chosen, tmp_path / "out", tmp_path / "mine.png")
    raw = np.load(tmp_path / "out" / "test_input.npy")
    assert np.array_equal(raw[0, 0], blobs(7, size=90).image[:80, :80])


def test_another_model_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = trained("unet", tmp_path)
    from synthbench_unet.synthbench_export import Activated

    usual = Activated.forward
    monkeypatch.setattr(Activated, "forward", lambda self, images: usual(self, images) * 0.9)
    with pytest.raises(PluginError, match=r"the exported model differs from the trained one by .* nothing was written"):
        export_segmenter(chosen, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_cellpose_opens_its_model_with_its_diameter(tmp_path: Path) -> None:
    models = pytest.importorskip("cellpose.models")
    chosen = trained("cellpose", tmp_path)
    done = export_segmenter(chosen, tmp_path / "out")
    assert done.about["format"] == "Cellpose 3"
    opened = models.CellposeModel(pretrained_model=str(tmp_path / "out" / "cellpose_model"), device=torch.device("cpu"))
    with chosen.trained.loaded("cpu") as segmenter:
        assert opened.diam_labels == pytest.approx(segmenter.diameter)
        assert opened.diam_mean == pytest.approx(segmenter.model.diam_mean)
    assert "pretrained_model='cellpose_model', nchan=2" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.slow
def test_stardist_opens_its_model_with_its_thresholds(tmp_path: Path) -> None:
    pytest.importorskip("stardist")
    chosen = trained("stardist", tmp_path)
    done = export_segmenter(chosen, tmp_path / "out")
    assert done.about["format"] == "StarDist"
    from stardist.models import StarDist2D

    opened = StarDist2D(None, name="stardist", basedir=str(tmp_path / "out"))
    with chosen.trained.loaded("cpu") as segmenter:
        assert opened.thresholds.prob == pytest.approx(segmenter.model.thresholds.prob)
        image = segmenter.as_input(blobs(9).image)
        found, expected = (model.predict_instances(image)[0] for model in (opened, segmenter.model))
    assert np.array_equal(found, expected)


@pytest.mark.slow
def test_mask_rcnn_finds_the_same_objects_in_images_of_any_size(tmp_path: Path) -> None:
    chosen, out = trained("mask-rcnn", tmp_path), tmp_path / "out"
    done = export_segmenter(chosen, out)
    assert done.about["largest_difference"] <= 1e-3 * done.about["largest_value"]
    network = torch.jit.load(str(out / "network.pt"))
    with chosen.trained.loaded("cpu") as segmenter:
        counts = []
        for side in (64, 96, 133):
            image = blobs(side, side).image
            expected = segmenter.output(image)
            large = enlarge(torch.from_numpy(to_channels(normalise(image), 1))[None], segmenter.geometry.scale)[0]
            with torch.inference_mode():
                _, (found,) = network([large])
            np.testing.assert_allclose(found["scores"].numpy(), expected.scores, atol=1e-4)
            np.testing.assert_allclose(found["masks"][:, 0].numpy(), expected.masks, atol=1e-4)
            counts.append(len(expected.scores))
    assert len(set(counts)) > 1, "the sizes should differ in their number of detections"
    assert "boxes (n, 4)" in (out / "README.md").read_text()


def test_a_segmenter_without_an_export_is_refused(trial_registry: None, tmp_path: Path) -> None:
    record = {"content": {"plugin": {"name": "threshold", "config": {}, "budget": {}}, "seed": 0}}
    chosen = ChosenSegmenter(Trained("segmenter", "0" * 64, record, tmp_path))
    with pytest.raises(PluginError, match=r"segmenter 'threshold' can't be exported.*synthbench predict"):
        export_segmenter(chosen, tmp_path / "out")
    with pytest.raises(ConfigError, match="isn't empty"):
        export_segmenter(chosen, Path(__file__).parent)
