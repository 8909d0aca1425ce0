"""VQ-VAE + PixelCNN: codes follow from those before them, and what is drawn is a function of seed and index."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.trainings import SmallGenerator, pixels, same_weights, stop
from synthbench import Budget, Context, Sample, SampleSet
from synthbench.errors import ConfigError, DataError, StoreError
from synthbench.toolkit.training import checkpoints, loop
from synthbench.toolkit.training.mode_collapse import Diverged
from synthbench_vqvae import training
from synthbench_vqvae.config import VqVaePixelCnnConfig
from synthbench_vqvae.generator import VqVaePixelCnn
from synthbench_vqvae.pixelcnn import PixelCNN, Sampler, categorical

SMALL = {"num_hiddens": 8, "num_embeddings": 16, "embedding_dim": 8, "pixelcnn_channels": 8, "pixelcnn_layers": 2}


fitted = SmallGenerator(VqVaePixelCnn, SMALL, steps=6)


@pytest.fixture(scope="module")
def drawn_from(blob_set: SampleSet) -> VqVaePixelCnn:
    return fitted(blob_set)


def prior(kernel: int = 5) -> PixelCNN:
    torch.manual_seed(0)
    return PixelCNN(num_embeddings=7, channels=6, layers=3, kernel=kernel).eval()


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
        assert moved[place + 1 :].all()


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
    network = PixelCNN(num_embeddings=4, channels=16, layers=2, kernel=3)
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
    assert pixels(drawn_from, [3, 1]) == [expected[3], expected[1]]
    assert pixels(drawn_from, range(4), seed=1) != expected
    assert drawn_from.counts["drawn"] >= 10


def test_what_was_saved_draws_the_same_bytes(drawn_from: VqVaePixelCnn, tmp_path: Path) -> None:
    drawn_from.save(tmp_path)
    assert pixels(VqVaePixelCnn.load(tmp_path, Context(seed=9)), range(2)) == pixels(drawn_from, range(2))
    (tmp_path / "codec.json").write_text("{}")
    with pytest.raises(StoreError, match=r"codec\.json"):
        VqVaePixelCnn.load(tmp_path, Context())


def test_training_lowers_the_error_of_what_is_decoded(blob_set: SampleSet) -> None:
    def error(generator: VqVaePixelCnn) -> float:
        total = 0.0
        for position, sample in enumerate(blob_set):
            planes = torch.from_numpy(np.concatenate(generator.codec.encode(sample, position)))[None, :, :32, :32]
            codes = generator.vqvae.index_quantize(planes)
            total += float(((generator.vqvae.decode_samples(codes) - planes) ** 2).mean().detach())
        return total / len(blob_set)

    assert error(fitted(blob_set, steps=160, batch=4, vqvae_fraction=0.9)) < 0.7 * error(fitted(blob_set))


def test_class_maps_are_drawn_too(semantic_set: SampleSet) -> None:
    generator = fitted(semantic_set, steps=60, vqvae_fraction=0.8)
    drawn = generator.sample_batch(range(3), 0)
    assert generator.codec.mask_encoding == "classes"
    assert all(sample.image.shape == sample.labels.shape == (32, 32) for sample in drawn)
    assert set(np.unique([sample.labels for sample in drawn])) == {0, 1}


def test_the_prior_that_draws_is_the_average(blob_set: SampleSet, tmp_path: Path) -> None:
    generator = fitted(blob_set, context={"folder": tmp_path})
    kept = checkpoints.read(tmp_path / "pixelcnn.pt")["state"]
    for name, value in generator.pixelcnn.state_dict().items():
        assert torch.equal(value, kept["average"][f"module.{name}"])
        assert not torch.equal(value, kept["pixelcnn"][name])


@pytest.mark.parametrize("after", [2, 4, 6])
def test_a_training_stopped_in_either_phase_goes_on_to_the_same_weights(
    blob_set: SampleSet, tmp_path: Path, after: int
) -> None:
    whole = fitted(blob_set, steps=8)
    stop(lambda **context: fitted(blob_set, steps=8, context=context), tmp_path, at=after)
    assert (tmp_path / "pixelcnn.pt").exists() == (after >= 4)
    resumed = fitted(blob_set, steps=8, context={"folder": tmp_path})
    for network in ("vqvae", "pixelcnn"):
        assert same_weights(getattr(whole, network), getattr(resumed, network))


# -- the codebook -----------------------------------------------------------------------------------------------------


def test_a_dead_code_comes_back(blob_set: SampleSet) -> None:
    generator = fitted(blob_set)
    book, dead = generator.vqvae.quantizer.quantizer, [3, 7]
    book.ema_cluster_size.fill_(2.0)
    book.ema_cluster_size[dead] = 0.0
    book.embedding.weight[dead] = 1e3
    planes = torch.rand(2, generator.codec.planes, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    living = book.embedding.weight[8:].clone()
    assert not set(generator.vqvae.index_quantize(planes).unique().tolist()) & set(dead)
    training.restart_unused_codes(generator.vqvae, planes)
    assert torch.equal(book.embedding.weight[8:], living)
    assert torch.allclose(book.ema_w[dead] / book.ema_cluster_size[dead, None], book.embedding.weight[dead])
    assert set(generator.vqvae.index_quantize(planes).unique().tolist()) & set(dead)


def test_codes_are_renewed_early(blob_set: SampleSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that nothing has taken since the first step are, the first time that they can be."""
    restart, restarted = training.restart_unused_codes, []

    def watched(vqvae: torch.nn.Module, planes: torch.Tensor) -> None:
        before = vqvae.quantizer.quantizer.ema_w.clone()
        restart(vqvae, planes)
        restarted.append(int((vqvae.quantizer.quantizer.ema_w != before).any(dim=1).sum()))

    monkeypatch.setattr(training, "restart_unused_codes", watched)
    fitted(blob_set, steps=2 * training.RESTART_INTERVAL, vqvae_fraction=0.9)
    assert len(restarted) == 2
    assert restarted[0] == SMALL["num_embeddings"]
    assert 0 < restarted[1] < SMALL["num_embeddings"]
    restarted.clear()
    monkeypatch.setattr("synthbench_vqvae.generator.check_codebook", lambda *given: None)
    fitted(blob_set, codebook_restart=False)
    assert not restarted


@pytest.mark.parametrize(
    ("first", "seed", "config"),
    [*((30, seed, SMALL) for seed in (0, 1, 3, 5, 7)), *((15, seed, {"pixelcnn_layers": 1}) for seed in (2, 3, 5))],
)
def test_short_trainings_keep_more_than_one_code(
    blob_set: SampleSet, first: int, seed: int, config: dict[str, int]
) -> None:
    """It would raise `Diverged`."""
    steps = first + 2
    generator = VqVaePixelCnn(VqVaePixelCnnConfig(vqvae_fraction=first / steps, **config))
    generator.fit(blob_set, Context(seed=seed, budget=Budget(steps, 2, 32)))


def test_the_codebook_sums_in_full_precision(blob_set: SampleSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU's autocast, on the CPU: networks compute in bfloat16, and the sums of what they give are exact."""
    generator = fitted(blob_set)
    book = generator.vqvae.quantizer.quantizer.train()
    book.decay = 0.0
    monkeypatch.setattr(loop, "autocast", lambda device: torch.autocast("cpu", dtype=torch.bfloat16))
    found = []
    generator.vqvae.encoder.register_forward_hook(lambda module, given, result: found.append(result))
    planes = torch.rand(2, generator.codec.planes, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    decoded, _ = training.reconstruct(generator.vqvae, planes)
    assert (found[0].dtype, decoded.dtype) == (torch.bfloat16, torch.float32)
    assert torch.allclose(book.ema_w.sum(dim=0), found[0].float().sum(dim=(0, 2, 3)), rtol=1e-5, atol=1e-4)


# -- what can't be trained --------------------------------------------------------------------------------------------


def test_a_step_for_each_network_is_needed(blob_set: SampleSet) -> None:
    with pytest.raises(ConfigError, match="--steps 2"):
        fitted(blob_set, steps=1)
    fitted(blob_set, steps=2)


def test_drawings_get_the_grain_of_training_images(drawn_from: VqVaePixelCnn, monkeypatch: pytest.MonkeyPatch) -> None:
    config = drawn_from.config
    with_grain = drawn_from.sample(0, 0)
    monkeypatch.setattr(drawn_from, "config", config.model_copy(update={"pixel_noise": False}))
    smooth = drawn_from.sample(0, 0)
    assert np.array_equal(smooth.labels, with_grain.labels)
    added = with_grain.image.astype(float) - smooth.image
    assert 1 < added.std() < 30
    assert abs(added.mean()) < 3


def test_a_low_temperature_draws_the_likeliest_code() -> None:
    logits = np.array([0.0, 1.0, 0.9], np.float32)
    shares = {}
    for temperature in (1.0, 0.01):
        rng = np.random.default_rng(0)
        drawn = [categorical(logits, temperature, rng) for _ in range(3000)]
        shares[temperature] = np.bincount(drawn, minlength=3) / 3000
    chances = np.exp(logits) / np.exp(logits).sum()
    assert shares[1.0] == pytest.approx(chances, abs=0.03)
    assert shares[0.01][1] > 0.99


def test_the_mask_weighs_as_much_as_was_asked_for(blob_set: SampleSet, tmp_path: Path) -> None:
    first = {}
    for weight in (1.0, 3.0):
        folder = tmp_path / str(weight)
        fitted(blob_set, mask_weight=weight, context={"folder": folder})
        lines = (folder / "log" / "vqvae.jsonl").read_text(encoding="utf-8").splitlines()
        first[weight] = json.loads(lines[0])
    assert first[3.0]["mask"] == pytest.approx(3 * first[1.0]["mask"], rel=1e-5)
    assert first[3.0]["image"] == pytest.approx(first[1.0]["image"], rel=1e-5)


def test_the_commitment_weighs_as_much_as_was_asked_for(blob_set: SampleSet, tmp_path: Path) -> None:
    first = {}
    for weight in (0.25, 0.75):
        folder = tmp_path / str(weight)
        fitted(blob_set, steps=2, commitment_cost=weight, context={"folder": folder})
        first[weight] = json.loads((folder / "log" / "vqvae.jsonl").read_text(encoding="utf-8"))
    assert first[0.75]["commitment"] == pytest.approx(3 * first[0.25]["commitment"], rel=1e-5)
    assert first[0.25]["commitment"] > 0


def test_the_codebook_follows_faster_in_the_first_steps_alone(blob_set: SampleSet) -> None:
    """Of three steps, the last keeps (1 + 2) / (10 + 2) of it, or less if that is asked for."""
    books = [fitted(blob_set, codebook_decay=decay).vqvae.quantizer.quantizer for decay in (0.99, 0.2)]
    assert [book.decay for book in books] == pytest.approx([0.25, 0.2])
    assert fitted(blob_set, codebook_warmup=False).vqvae.quantizer.quantizer.decay == 0.99


@pytest.mark.parametrize(("lr_schedule", "factor"), [("one_cycle", 1e-4), ("constant", 1.0)])
def test_both_rates_end_where_the_schedule_says(
    blob_set: SampleSet, tmp_path: Path, lr_schedule: str, factor: float
) -> None:
    fitted(blob_set, learning_rate=2e-3, lr_schedule=lr_schedule, context={"folder": tmp_path})
    for name in ("vqvae", "pixelcnn"):
        (group,) = checkpoints.read(tmp_path / f"{name}.pt")["state"]["optimiser"]["param_groups"]
        assert group["lr"] == pytest.approx(2e-3 * factor)


def test_codes_are_left_alone_in_the_end(blob_set: SampleSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten steps, in those after number 6."""
    restart, restarted = training.restart_unused_codes, []
    monkeypatch.setattr(training, "RESTART_INTERVAL", 2)
    monkeypatch.setattr(training, "restart_unused_codes", lambda *given: restarted.append(1) or restart(*given))
    fitted(blob_set, steps=12, vqvae_fraction=10 / 12)
    assert len(restarted) == len([0, 2, 4, 6])


def test_sizes_left_open_are_those_of_the_budget_and_the_others_stand() -> None:
    """In long trainings, the figures of van den Oord et al. 2017, and none of this project's additions."""
    found = VqVaePixelCnnConfig().resolve(VqVaePixelCnn.budgets["paper"])
    assert (found.num_hiddens, found.num_embeddings, found.embedding_dim) == (128, 512, 64)
    assert (found.codebook_decay, found.commitment_cost, found.learning_rate) == (0.99, 0.25, 2e-4)
    assert (found.codebook_warmup, found.codebook_restart, found.cycle_spinning, found.pixel_noise) == (False,) * 4
    short = VqVaePixelCnnConfig(num_hiddens=9).resolve(VqVaePixelCnn.budgets["quick"])
    assert (short.preset, short.num_hiddens, short.num_embeddings, short.num_downsamples) == ("microscopy", 9, 256, 3)
    assert (short.codebook_warmup, short.codebook_restart, short.cycle_spinning, short.pixel_noise) == (True,) * 4


def test_the_published_method_trains_and_draws(blob_set: SampleSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """In so few steps its codebook has hardly moved."""
    monkeypatch.setattr("synthbench_vqvae.generator.check_codebook", lambda *given: None)
    monkeypatch.setattr(VqVaePixelCnn, "check_samples", lambda *given: None)
    assert len(pixels(fitted(blob_set, preset="paper"), range(2))) == 2


def test_a_codebook_of_one_code_is_a_failure(blob_set: SampleSet) -> None:
    generator = fitted(blob_set)
    batch = tuple(torch.rand(2, planes, 32, 32) for planes in (1, 2))
    training.check_codebook(generator.vqvae, [batch], 0)
    generator.vqvae.quantizer.quantizer.embedding.weight[1:] = 1e6
    with pytest.raises(Diverged, match="one code"):
        training.check_codebook(generator.vqvae, [batch], 0)


def test_a_former_key_is_refused_with_the_present_one_named() -> None:
    for former, present in VqVaePixelCnnConfig.renamed.items():
        with pytest.raises(ValueError, match=present):
            VqVaePixelCnnConfig(**{former: 1})


def test_grey_levels_are_refused_where_masks_are_distances() -> None:
    with pytest.raises(ConfigError, match="grey_levels: 5"):
        VqVaePixelCnnConfig(grey_levels=5).resolve(Budget(4, 2, 32))


def test_a_patch_of_odd_size_is_refused(blob_set: SampleSet) -> None:
    with pytest.raises(ConfigError, match="use --patch 32"):
        fitted(blob_set, patch=30)


def test_without_objects_there_is_nothing_to_learn() -> None:
    train = SampleSet.of([Sample("a", np.zeros((32, 32), np.uint8), np.zeros((32, 32), np.int32))])
    with pytest.raises(DataError, match="no objects"):
        fitted(train)


def test_flat_drawings_are_a_failure(blob_set: SampleSet) -> None:
    generator = fitted(blob_set)
    real = np.stack([np.concatenate(generator.codec.encode(sample, 0))[:, :32, :32] for sample in blob_set])
    generator.check_samples(real, 0)
    for parameter in [*generator.vqvae.decoder.parameters()][-2:]:
        torch.nn.init.zeros_(parameter)
    with pytest.raises(Diverged, match="flat"):
        generator.check_samples(real, 0)


def test_objects_for_which_there_is_no_level_are_counted() -> None:
    """Four squares that meet in a point need four levels."""
    labels = np.kron(np.array([[1, 2], [3, 4]]), np.ones((16, 16), int))
    noise = np.random.default_rng(0).integers(0, 200, (3, 32, 32)).astype(np.uint8)
    train = SampleSet.of(Sample(f"s{i}", image, labels) for i, image in enumerate(noise))
    assert [fitted(train, mask_encoding="grey", grey_levels=levels).counts["lost"] for levels in (2, 4)] == [6, 0]


def test_drawn_images_are_evened_out_and_their_masks_stay(
    drawn_from: VqVaePixelCnn, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec, block = drawn_from.codec, 2**drawn_from.config.num_downsamples
    pattern = torch.arange(block)[:, None] + 3.0 * torch.arange(block)

    def coded(_: torch.nn.Module, planes: torch.Tensor) -> tuple[torch.Tensor, None]:
        return planes + pattern.repeat(planes.shape[2] // block, planes.shape[3] // block), None

    planes = np.random.default_rng(0).uniform(-1, 1, (codec.planes, 32, 32)).astype(np.float32)
    monkeypatch.setattr("synthbench_vqvae.generator.reconstruct", coded)
    found = drawn_from.smooth(planes)
    assert np.allclose(found[: codec.image_planes], planes[: codec.image_planes] + float(pattern.mean()), atol=1e-4)
    assert np.array_equal(found[codec.image_planes :], planes[codec.image_planes :])
