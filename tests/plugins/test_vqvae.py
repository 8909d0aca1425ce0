"""VQ-VAE + PixelCNN: codes follow from those before them, and what is drawn is a function of seed and index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from synthbench import Budget, Context, Sample, SampleSet
from synthbench.errors import ConfigError, DataError, StoreError
from synthbench_vqvae.generator import VqVaePixelCnn, VqVaePixelCnnConfig
from synthbench_vqvae.pixelcnn import PixelCNN, Sampler

SMALL = {"filters": 8, "codes": 16, "dimension": 8, "prior_filters": 8, "prior_layers": 2}


def fitted(train: SampleSet, *, steps: int = 6, patch: int = 32, batch: int = 2, **config: object) -> VqVaePixelCnn:
    generator = VqVaePixelCnn(VqVaePixelCnnConfig(**{**SMALL, **config}))
    generator.fit(train, Context(seed=1, budget=Budget(steps, batch, patch)))
    return generator


def pixels(generator: VqVaePixelCnn, index: int | range, seed: int = 0) -> list[bytes]:
    return [sample.image.tobytes() + sample.labels.tobytes() for sample in generator.draw(index, seed)]


@pytest.fixture(scope="module")
def drawn_from(blob_set: SampleSet) -> VqVaePixelCnn:
    return fitted(blob_set)


def prior(kernel: int = 5) -> PixelCNN:
    torch.manual_seed(0)
    return PixelCNN(codes=7, channels=6, layers=3, kernel=kernel).eval()


# -- the prior --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(5, 6), (1, 4), (6, 1)])
def test_a_code_follows_from_those_before_it_alone(height: int, width: int) -> None:
    network = prior()
    codes = torch.randint(0, 7, (1, height, width), generator=torch.Generator().manual_seed(1))
    before = network(codes)
    for place in range(height * width):
        changed = codes.clone()
        changed[0].view(-1)[place] = (changed[0].view(-1)[place] + 1) % 7
        moved = (network(changed) - before).abs().amax(dim=1)[0].view(-1) > 1e-6
        assert not moved[: place + 1].any()
        assert place + 1 == height * width or moved[place + 1 :].any()


@pytest.mark.parametrize("kernel", [3, 5])
def test_cached_sampling_sees_what_the_whole_network_says(kernel: int) -> None:
    network, seen = prior(kernel), []

    def pick(logits: np.ndarray) -> int:
        seen.append(logits.copy())
        return (3 * len(seen)) % 7

    codes = Sampler(network).sample(4, 5, pick)
    expected = network(torch.from_numpy(codes)[None])[0].flatten(1).T
    assert np.allclose(np.stack(seen), expected.detach().numpy(), atol=1e-5)
    assert codes.flatten().tolist() == [(3 * i) % 7 for i in range(1, 21)]


def test_the_prior_learns_which_code_follows() -> None:
    """Codes in stripes: after training, each follows from the one to its left."""
    torch.manual_seed(0)
    network = PixelCNN(codes=4, channels=16, layers=2, kernel=3)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    codes = (torch.arange(8) % 4).expand(4, 6, 8)
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(network(codes), codes)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.05


# -- the generator ----------------------------------------------------------------------------------------------------


def test_a_sample_depends_on_seed_and_index_alone(drawn_from: VqVaePixelCnn) -> None:
    expected = pixels(drawn_from, range(4))
    assert [pixels(drawn_from, i)[0] for i in (3, 1)] == [expected[3], expected[1]]
    assert pixels(drawn_from, range(4), seed=1) != expected
    assert drawn_from.counts["drawn"] >= 10


def test_what_was_saved_draws_the_same_bytes(drawn_from: VqVaePixelCnn, tmp_path: Path) -> None:
    drawn_from.save(tmp_path)
    assert pixels(VqVaePixelCnn.load(tmp_path, Context(seed=9)), range(2)) == pixels(drawn_from, range(2))
    (tmp_path / "joint.json").write_text("{}")
    with pytest.raises(StoreError, match=r"joint\.json"):
        VqVaePixelCnn.load(tmp_path, Context())


def test_training_lowers_the_error_of_what_is_decoded(blob_set: SampleSet) -> None:
    def error(generator: VqVaePixelCnn) -> float:
        total = 0.0
        for position, sample in enumerate(blob_set):
            planes = torch.from_numpy(np.concatenate(generator.joint.encode(sample, position)))[None, :, :32, :32]
            codes = generator.coder.index_quantize(planes)[0]
            total += float(((torch.from_numpy(generator._decoded(codes)) - planes[0]) ** 2).mean())
        return total / len(blob_set)

    assert error(fitted(blob_set, steps=160, batch=4, share=0.9)) < 0.7 * error(fitted(blob_set))


def test_a_patch_of_odd_size_is_refused(blob_set: SampleSet) -> None:
    with pytest.raises(ConfigError, match="use --patch 32"):
        fitted(blob_set, patch=30)


def test_without_objects_there_is_nothing_to_learn() -> None:
    train = SampleSet.of([Sample("a", np.zeros((32, 32), np.uint8), np.zeros((32, 32), np.int32))])
    with pytest.raises(DataError, match="no objects"):
        fitted(train)
