"""From images to number: clean-fid's and torch-fidelity's figures, with one file of random Inception weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch

from synthbench.folders.fidelity.evaluate import evaluate_fidelity
from synthbench.samples import write_array

extractor = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")

pytestmark = pytest.mark.slow
COUNT = 8


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dict of torch-fidelity's architecture, drawn at random so that signals neither fade nor explode."""
    generator = torch.Generator().manual_seed(3)
    drawn: dict[str, torch.Tensor] = {}

    class Blank(extractor.FeatureExtractorInceptionV3):
        def load_state_dict(self, state: object) -> None:
            for name, value in self.state_dict().items():
                if value.ndim > 1:
                    drawn[name] = torch.randn(value.shape, generator=generator) * (2 / value[0].numel()) ** 0.5
                elif name.endswith(("running_var", "bn.weight")):
                    drawn[name] = 0.5 + torch.rand(value.shape, generator=generator)
                elif value.dtype.is_floating_point:
                    drawn[name] = 0.1 * torch.randn(value.shape, generator=generator)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extractor, "load_state_dict_from_url", lambda *_, **__: {})
        Blank("inception-v3-compat", ["2048"])
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(drawn, path)
    return path


def pictures(folder: Path, seed: int, shape: Callable[[int], tuple[int, ...]]) -> Path:
    """Smooth noise, so that resizing matters and doesn't erase everything."""
    from scipy.ndimage import zoom

    folder.mkdir()
    rng = np.random.default_rng((40, seed))
    for i in range(COUNT):
        size = shape(i)
        coarse = rng.random((9, 11, *size[2:])) ** (1 + seed)
        full = zoom(coarse, [a / b for a, b in zip(size, coarse.shape, strict=True)], order=1)
        write_array(folder / f"{i}.png", (255 * full).round().astype(np.uint8))
    return folder


def ours(synthetic: Path, real: Path, weights: Path) -> dict:
    config = {"weights": str(weights), "sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}
    found = evaluate_fidelity(synthetic, real, encoder="inception", config=config)
    assert found["frechet"]["name"] == "FD(inception, own weights)"
    assert found["kernel"]["name"] == "KD(inception, own weights)"
    return found


def test_it_is_clean_fids_number(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Grey and RGB images of odd sizes, read and resized by clean-fid; torch-fidelity's network with these weights."""
    fid = pytest.importorskip("cleanfid.fid")
    folders = [
        pictures(tmp_path / "grey", 0, lambda i: (60 + 11 * i, 150)),
        pictures(tmp_path / "colour", 1, lambda i: (350, 90 + 40 * i, 3)),
    ]
    network = extractor.FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights)
    )
    # It takes bytes; what clean-fid hands it has been resized to 299² already, in floating point.
    monkeypatch.setattr(extractor, "vassert", lambda *_: None)
    features = [
        fid.get_folder_features(
            str(folder), lambda batch: network(batch)[0], num_workers=0, device=torch.device("cpu"), verbose=False
        )
        for folder in folders
    ]
    found = ours(*folders, weights)
    assert found["kernel"]["value"] == pytest.approx(fid.kernel_distance(*features, num_subsets=1), rel=1e-4)
    # All features lie in a few dimensions; turning those into the first axes changes no distance, and saves minutes.
    axes = np.linalg.qr(np.concatenate(features).astype(np.float64).T)[0]
    root = scipy.linalg.sqrtm
    monkeypatch.setattr(fid.linalg, "sqrtm", lambda a, disp=True: root(a) if disp else (root(a), 0.0))
    theirs = fid.fid_from_feats(*(part.astype(np.float64) @ axes for part in features))
    assert found["frechet"]["value"] == pytest.approx(theirs, rel=1e-4)


def test_it_is_torch_fidelitys_number(weights: Path, tmp_path: Path) -> None:
    """RGB images of 299², for torch-fidelity resizes by another rule: as TensorFlow 1 did."""
    torch_fidelity = pytest.importorskip("torch_fidelity")
    folders = [pictures(tmp_path / name, seed, lambda _: (299, 299, 3)) for seed, name in enumerate(("one", "other"))]
    theirs = torch_fidelity.calculate_metrics(
        input1=str(folders[0]), input2=str(folders[1]), fid=True, kid=True, kid_subsets=1, kid_subset_size=COUNT,
        feature_extractor_weights_path=str(weights), cuda=False, cache=False, verbose=False, batch_size=COUNT,
        save_cpu_ram=True,
    )  # fmt: skip
    found = ours(*folders, weights)
    assert found["kernel"]["value"] == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-4)
    # It sums the roots of 2,048 eigenvalues, of which all but a few are rounding errors: their roots are 1e-8.
    assert found["frechet"]["value"] == pytest.approx(theirs["frechet_inception_distance"], rel=1e-3)
