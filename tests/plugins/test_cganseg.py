"""cGAN-Seg: gradients reach both networks of the cycle, every term is the paper's, images follow seed and index."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy import ndimage
from torch import nn
from torch.nn import functional
from torchvision import models

from synthbench import Budget, Context, Sample, SampleSet, Stopped
from synthbench.errors import ConfigError, DataError, PluginError, StoreError
from synthbench.toolkit import weights
from synthbench.toolkit.joint import Joint
from synthbench.toolkit.loop import Diverged
from synthbench_cganseg import perceptual
from synthbench_cganseg.appearance import Appearance, lit
from synthbench_cganseg.config import CGanSegConfig, sized
from synthbench_cganseg.cycle import Cycle
from synthbench_cganseg.discriminator import LinearAttention, discriminator
from synthbench_cganseg.generator import CGanSeg
from synthbench_cganseg.losses import absolute, cross_entropy, dice, judged, verdict
from synthbench_cganseg.networks import STYLE, Modulated, Segmenter, StyleUNet, mixed_noise
from synthbench_cganseg.perceptual import Perceptual, choose, first_of_each_resolution

SMALL = {
    "filters": 4,
    "adversarial": 1.0,
    "mask_cycle": 100.0,
    "norm": "batch",
    "depth": 3,
    "segmenter_filters": 4,
    "discriminator_filters": 4,
    "heads": 2,
    "head_width": 4,
    "perceptual": "off",
}
TERMS = {"image_gan", "mask_gan", "image_cycle", "image_pair", "mask_cycle", "mask_pair"}


def fitted(train: SampleSet, *, steps: int = 3, patch: int = 32, batch: int = 2, context: dict | None = None, **config):
    generator = CGanSeg(CGanSegConfig(**{**SMALL, **config}))
    generator.fit(train, Context(seed=1, budget=Budget(steps, batch, patch), **(context or {})))
    return generator


def pixels(generator: CGanSeg, index: int | range, seed: int = 0) -> list[bytes]:
    return [sample.image.tobytes() + sample.labels.tobytes() for sample in generator.draw(index, seed)]


def cycle(train: SampleSet, **config: object) -> tuple[Cycle, *tuple[torch.Tensor, ...]]:
    """Return an untrained cycle, and the image, mask, told planes and strength of pixel noise of two samples."""
    torch.manual_seed(0)
    generator = CGanSeg(CGanSegConfig(**{**SMALL, **config}))
    generator.joint = Joint.of(train, "distance", 1)
    generator.appearance = Appearance.of(train, generator.joint)
    generator.device = torch.device("cpu")
    generator.network = generator._build()
    pairs = [generator._encode(train[k], k) for k in range(2)]
    image, planes = (torch.from_numpy(np.stack(part)) for part in zip(*pairs, strict=True))
    return generator._cycle(torch.Generator().manual_seed(0)), image, *generator._parts(planes)


def pull(term: torch.Tensor, network: nn.Module) -> float:
    """Return the norm of a term's gradient in a network's parameters; NaN where it doesn't depend on them."""
    found = torch.autograd.grad(term, list(network.parameters()), retain_graph=True, allow_unused=True)
    known = [g.square().sum() for g in found if g is not None]
    return float(torch.stack(known).sum().sqrt()) if known else math.nan


@pytest.fixture(scope="module")
def drawn_from(blob_set: SampleSet) -> CGanSeg:
    return fitted(blob_set)


@pytest.fixture(scope="module")
def squeezenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of torchvision's SqueezeNet, random ones, in a file."""
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights") / "any.safetensors"
    save_file(models.squeezenet1_0(weights=None).state_dict(), path)
    return path


# -- gradients --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["instances", "semantic"])
@pytest.mark.parametrize("handover", ["straight-through", "soft"])
def test_adversarial_and_cycle_terms_reach_the_segmenter(blob_set, semantic_set, task, handover):
    """Every layer of it: a term that ends at a hard mask would leave nothing."""
    around, image, mask, told, grain = cycle(blob_set if task == "instances" else semantic_set, handover=handover)
    terms, _ = around.terms(image, mask, told, grain)
    assert set(terms) == TERMS
    for name in ("mask_gan", "image_cycle", "mask_cycle", "mask_pair"):
        gradients = torch.autograd.grad(terms[name], list(around.segments.parameters()), retain_graph=True)
        assert all(
            float(g.abs().max()) > 0 for g, p in zip(gradients, around.segments.parameters(), strict=True) if p.ndim > 1
        ), name
        assert all(bool(g.isfinite().all()) for g in gradients)


def test_each_term_reaches_the_networks_it_is_made_of(blob_set):
    around, image, mask, told, grain = cycle(blob_set)
    terms, fake = around.terms(image, mask, told, grain)
    of_images = {name for name in TERMS if pull(terms[name], around.draws) > 0}
    of_masks = {name for name in TERMS if pull(terms[name], around.segments) > 0}
    assert of_images == {"image_gan", "image_cycle", "image_pair", "mask_cycle"}
    assert of_masks == {"mask_gan", "image_cycle", "mask_cycle", "mask_pair"}
    judging = around.judging({"image": image, "mask": mask}, fake)
    assert math.isnan(pull(judging, around.segments))
    assert pull(judging, around.judges) > 0


def test_no_distance_is_asked_back_from_a_drawn_image(blob_set):
    around, image, mask, told, grain = cycle(blob_set, grain=False)
    around.image_of = lambda mask, told: image
    first = around.terms(image, mask, told, grain)[0]
    changed = mask.clone()
    changed[:, 0] = 0.3
    second = around.terms(image, changed, told, grain)[0]
    assert torch.equal(first["mask_cycle"], second["mask_cycle"])
    assert not torch.equal(first["mask_pair"], second["mask_pair"])
    changed[:, 1] *= -1
    assert not torch.equal(first["mask_cycle"], around.terms(image, changed, told, grain)[0]["mask_cycle"])


@pytest.mark.parametrize("task", ["instances", "semantic"])
def test_a_mask_handed_straight_through_is_hard_and_has_the_soft_ones_gradient(blob_set, semantic_set, task):
    train = blob_set if task == "instances" else semantic_set
    logits = torch.randn(2, 2, 5, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    towards = torch.randn(2, 2, 5, 5, generator=torch.Generator().manual_seed(1))
    gradients, values = [], []
    for handover in ("soft", "straight-through"):
        found = cycle(train, handover=handover)[0].mask_of(logits)
        gradients.append(torch.autograd.grad((found * towards).sum(), logits)[0])
        values.append(found.detach())
    assert torch.allclose(*gradients)
    soft, hard = values
    if task == "instances":
        assert torch.allclose(hard[:, 0], soft[:, 0])
        hard, soft = hard[:, 1:], soft[:, 1:]
        assert torch.equal(hard > 0, soft >= 0)
    else:
        assert torch.equal(hard.argmax(dim=1), logits.argmax(dim=1))
        assert torch.allclose(hard.sum(dim=1), torch.zeros(2, 5, 5), atol=1e-6)
    assert torch.allclose(hard.abs(), torch.ones_like(hard), atol=1e-6)


def test_a_step_moves_all_four_networks_by_its_own_term_alone(blob_set):
    """With the weight of one term alone, a step moves just the networks that the term reaches, and the judges."""
    zero = dict.fromkeys(("adversarial", "image_cycle", "image_pair", "mask_cycle", "mask_pair"), 0.0)
    moved = {}
    for name in zero:
        around, image, mask, told, grain = cycle(blob_set, **{**zero, name: 1.0})
        networks = {"draws": around.draws, "segments": around.segments, "judges": around.judges}
        before = {key: [p.detach().clone() for p in net.parameters()] for key, net in networks.items()}
        optimisers = [
            torch.optim.SGD([*around.draws.parameters(), *around.segments.parameters()], 0.1),
            torch.optim.SGD(around.judges.parameters(), 0.1),
        ]
        around.step(image, mask, told, grain, *optimisers)
        moved[name] = {
            key
            for key, net in networks.items()
            if not all(torch.equal(old, new) for old, new in zip(before[key], net.parameters(), strict=True))
        }
    assert moved == {
        "adversarial": {"draws", "segments", "judges"},
        "image_cycle": {"draws", "segments", "judges"},
        "image_pair": {"draws", "judges"},
        "mask_cycle": {"draws", "segments", "judges"},
        "mask_pair": {"segments", "judges"},
    }


def test_discriminators_see_changed_planes_and_the_gradient_still_arrives(blob_set):
    around, image, mask, told, grain = cycle(blob_set, augment=1.0)
    seen = {}

    def keep(judge: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        seen["image" if judge is around.judges["image"] else "mask"] = inputs[0].detach()

    for judge in around.judges.values():
        judge.register_forward_pre_hook(keep)
    terms, fake = around.terms(image, mask, told, grain)
    for name in ("image", "mask"):
        assert not torch.equal(seen[name], fake[name].detach())
    assert pull(terms["mask_gan"], around.segments) > 0
    assert pull(terms["image_gan"], around.draws) > 0
    levels = set(seen["mask"][:, 1].unique().tolist())
    assert levels <= {-1.0, 0.0, 1.0}


# -- losses -----------------------------------------------------------------------------------------------------------


def test_terms_have_the_values_of_a_calculation_by_hand():
    logits = torch.tensor([[[[0.5, 2.0]]]])
    assert verdict(logits, real=True) == pytest.approx((0.25 + 1) / 2)
    assert judged(logits, logits) == pytest.approx(((0.25 + 1) / 2 + (0.25 + 4) / 2) / 2)
    assert absolute(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.5])) == pytest.approx(0.375)
    mask, shares = torch.tensor([[[[1.0, 0.0, 1.0]]]]), torch.tensor([[[[0.5, 0.5, 1.0]]]])
    assert dice(shares, mask) == pytest.approx(1 - (2 * 1.5 + 1) / (1.5 + 2 + 1))


def test_cross_entropy_and_dice_are_lowest_where_a_distance_is_met():
    mask = torch.tensor([0.1, 0.4, 0.9, 1.0]).reshape(1, 1, 2, 2)
    right = torch.logit(mask, eps=1e-6)
    for off in (-0.5, 0.5):
        assert cross_entropy(right, mask, semantic=False) < cross_entropy(right + off, mask, semantic=False)
        assert dice(right.sigmoid(), mask) < dice((right + off).sigmoid(), mask)
    assert dice(mask, mask) == pytest.approx(0, abs=1e-6)


def test_cross_entropy_of_classes_is_that_of_the_pixels():
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    classes = torch.randint(0, 3, (2, 4, 4), generator=torch.Generator().manual_seed(1))
    mask = functional.one_hot(classes, 3).movedim(-1, 1).float()
    assert cross_entropy(logits, mask, semantic=True) == pytest.approx(functional.cross_entropy(logits, classes).item())


# -- networks ---------------------------------------------------------------------------------------------------------


def test_modulated_convolution_is_that_of_weights_scaled_and_brought_to_unit_length():
    """The form of Karras et al. 2020, equations 1 to 3: a convolution per sample, its weights scaled, then divided."""
    torch.manual_seed(0)
    layer = Modulated(3, 5)
    x, style = torch.randn(2, 3, 6, 6), torch.randn(2, STYLE)
    drawn = layer(x, style, torch.Generator())
    for k in range(2):
        scaled = layer.weight * layer.scales(style[k])[None, :, None, None]
        scaled = scaled / (scaled.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        expected = functional.leaky_relu(functional.conv2d(x[k : k + 1], scaled, padding=1), 0.2) * math.sqrt(2)
        assert torch.allclose(drawn[k : k + 1], expected, atol=1e-5)


def test_styles_and_pixel_noise_change_the_image():
    torch.manual_seed(0)
    network = StyleUNet(2, 1, 4, 3, True).eval()
    mask, noise = torch.randn(1, 2, 32, 32), torch.randn(2, 6, STYLE)

    def drawn(style: int, seed: int) -> torch.Tensor:
        return network(mask, noise[style : style + 1], torch.Generator().manual_seed(seed))

    assert torch.equal(drawn(0, 0), drawn(0, 1))
    gap, spread = (drawn(0, 0) - drawn(1, 0)).std(), drawn(0, 0).std()
    assert gap > 0.01 * spread
    for layer in (*network.before, *network.after):
        nn.init.ones_(layer.noise)
    assert not torch.allclose(drawn(0, 0), drawn(0, 1), atol=1e-4)


def test_without_styles_the_image_is_a_function_of_the_mask_alone():
    torch.manual_seed(0)
    network = StyleUNet(2, 1, 4, 3, False).eval()
    mask = torch.randn(1, 2, 32, 32)
    images = [network(mask, torch.randn(1, 6, STYLE), torch.Generator().manual_seed(k)) for k in range(2)]
    assert torch.equal(*images)


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (17, 64), (33, 31)])
def test_both_generators_work_at_any_size(shape):
    network, segmenter = StyleUNet(2, 3, 4, 4, True).eval(), Segmenter(3, 2, 4).eval()
    image = network(torch.zeros(1, 2, *shape), torch.zeros(1, 8, STYLE), torch.Generator())
    assert image.shape == (1, 3, *shape)
    assert image.isfinite().all()
    assert segmenter(image.expand(-1, -1, *shape)).shape == (1, 2, *shape)


def test_styles_are_mixed_at_one_place_in_the_wanted_share_of_the_images():
    noise = mixed_noise(2000, 8, 0.9, torch.Generator().manual_seed(0))
    changes = (noise[:, 1:] != noise[:, :-1]).any(dim=-1).sum(dim=1)
    assert set(changes.tolist()) == {0, 1}
    assert float(changes.float().mean()) == pytest.approx(0.9, abs=0.03)
    assert float(noise.std()) == pytest.approx(1, abs=0.02)
    assert (mixed_noise(9, 8, 0.0, torch.Generator()).diff(dim=1) == 0).all()


def test_linear_attention_is_the_weighted_mean_of_the_values():
    """Against the matrix of all places with all places, written out."""
    torch.manual_seed(0)
    layer = LinearAttention(6, 2, 3)
    x = torch.randn(1, 6, 3, 4)
    queries, keys, values = (part.reshape(2, 3, 12) for part in layer.ask(x)[0].chunk(3))
    found = []
    for query, key, value in zip(queries, keys, values, strict=True):
        share = query.softmax(dim=0).T @ key.softmax(dim=1)
        assert torch.allclose(share.sum(dim=1), torch.ones(12))
        found.append((share @ value.T).T)
    expected = x + layer.answer(torch.cat(found).reshape(1, 6, 3, 4))
    assert torch.allclose(layer(x), expected, atol=1e-6)


def test_the_discriminator_judges_patches_and_sees_beyond_them():
    torch.manual_seed(0)
    network = discriminator(3, 8, 2, 4)
    assert network(torch.zeros(2, 3, 128, 128)).shape == (2, 1, 14, 14)
    first = network[:3]
    point = torch.zeros(1, 3, 64, 64)
    point[..., 0, 0] = 9
    assert (first(point) - first(torch.zeros_like(point)))[..., -1, -1].abs().max() > 0


# -- the perceptual term ----------------------------------------------------------------------------------------------


def test_layers_of_vgg19_are_the_first_relu_of_each_block():
    """relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1, by torchvision's numbers."""
    with torch.device("meta"):
        assert first_of_each_resolution(models.vgg19(weights=None).features) == [1, 6, 11, 20, 29]
        features = models.vgg16_bn(weights=None).features
        found = first_of_each_resolution(features)
        assert [type(features[k]) for k in found] == [nn.ReLU] * 5
        assert len(first_of_each_resolution(models.squeezenet1_0(weights=None).features)) == 4


@pytest.mark.parametrize("relative", [False, True])
def test_the_perceptual_term_weighs_layers_as_the_paper_does(relative):
    torch.manual_seed(0)
    features = models.vgg11(weights=None).features
    network = Perceptual(features, [0.4, 0.5, 0.6], [0.2, 0.3, 0.4], relative=relative)
    drawn, real = torch.rand(2, 1, 2, 32, 32).mul(2).sub(1).transpose(1, 2)
    expected = 0.0
    mean, spread = torch.tensor([0.4, 0.5, 0.6])[:, None, None], torch.tensor([0.2, 0.3, 0.4])[:, None, None]
    for layer, share in zip((1, 4, 7, 12, 17), (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1), strict=True):
        a, b = (features[: layer + 1](((x.repeat(1, 3, 1, 1) + 1) / 2 - mean) / spread) for x in (drawn, real))
        expected += share * float((a - b).abs().mean()) / (float(b.mean()) if relative else 1)
    assert float(network(drawn, network.seen(real))) == pytest.approx(expected, rel=1e-5)
    assert float(network(real, network.seen(real))) == 0


def test_weights_are_taken_from_a_file_and_recorded(blob_set, squeezenet, tmp_path: Path):
    generator = fitted(blob_set, steps=2, perceptual="squeezenet1_0", perceptual_weights=squeezenet)
    generator.save(tmp_path)
    expected = f"squeezenet1_0 sha256:{weights.sha256(squeezenet)}"
    assert json.loads((tmp_path / "training.json").read_text())["perceptual"] == expected
    squeezed, plain = (
        cycle(blob_set, perceptual=name, perceptual_weights=path)[0]
        for name, path in (("squeezenet1_0", squeezenet), ("off", None))
    )
    kept = squeezed.perceptual.features.state_dict()
    original = models.squeezenet1_0(weights=None)
    original.load_state_dict(weights.state_dict(squeezenet))
    assert all(torch.equal(value, original.features.state_dict()[key]) for key, value in kept.items())
    assert plain.perceptual is None


def test_a_long_training_needs_vgg19_and_a_short_one_nothing(tmp_path: Path, monkeypatch):
    """What is trained follows from configuration and budget, not from what a machine happens to have."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    quick, paper = (sized(CGanSegConfig(), CGanSeg.budgets[name]).perceptual for name in ("quick", "paper"))
    assert (quick, paper) == ("off", "vgg19")
    assert choose("off", None).build(torch.device("cpu")) is None
    weights.checkpoints().mkdir(parents=True)
    perceptual._cached("vgg19").write_bytes(b"cut off")
    with pytest.raises(PluginError, match="SHA-256"):
        choose("vgg19", None).build(torch.device("cpu"))


def test_networks_without_weights_and_weights_without_network_are_refused(tmp_path: Path, monkeypatch, squeezenet):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(PluginError, match=r"no weights of vgg19 at .*; fetch https://.*, or give perceptual: off"):
        choose("vgg19", None)
    with pytest.raises(PluginError, match="no weights of vgg19 at"):
        choose("vgg19", tmp_path / "nowhere.pth")
    with pytest.raises(ConfigError, match="vgg19"):
        choose("vgg91", None)
    with pytest.raises(ConfigError, match="name the network"):
        choose("off", squeezenet)
    with pytest.raises(PluginError, match="not the weights of vgg11"):
        choose("vgg11", squeezenet).build(torch.device("cpu"))


# -- what the generator is told of the light --------------------------------------------------------------------------


def two_objects(left: int, right: int, background: int = 20) -> Sample:
    labels = np.zeros((32, 48), np.uint8)
    labels[8:24, 4:20], labels[12:22, 30:40] = 3, 7
    levels = np.array([background, left, right], np.uint8)
    return Sample(f"{left}-{right}", levels[(labels > 0) + 1 * (labels > 3)], labels)


def test_every_pixel_is_told_the_light_of_the_nearest_object():
    train = SampleSet.of([two_objects(80, 240), two_objects(240, 130)])
    joint = Joint.of(train, "distance", 1)
    appearance = Appearance.of(train, joint)
    labels = train[0].labels
    planes = appearance.own(labels, 0)
    assert planes.shape == (appearance.planes, 32, 48)
    image, _ = joint.encode(train[0], 0)
    columns = np.arange(48)
    expected = np.where(columns < 25, image[0, 10, 10], image[0, 15, 35])
    assert np.allclose(planes[0, 16], expected)
    assert np.allclose(planes[1], 0)
    assert all(plane.min() == plane.max() for plane in planes[2:])
    thinner = np.where(ndimage.binary_erosion(labels > 0), labels, 0)
    assert np.array_equal(appearance.own(thinner, 0)[:, 16], planes[:, 16])


def test_new_objects_borrow_the_light_of_those_of_their_size():
    """Of one image's two objects, the five nearest in area are both: each turns up, and no other light."""
    train = SampleSet.of([two_objects(80, 240), two_objects(240, 130)])
    appearance = Appearance.of(train, Joint.of(train, "distance", 1))
    labels = train[0].labels
    known = set(appearance.objects[1][:, 1].tolist())
    found = [set(np.unique(appearance.like(labels, 1, np.random.default_rng(k))[0]).tolist()) for k in range(20)]
    assert set.union(*found) == known
    assert not appearance.like(np.zeros_like(labels), 1, np.random.default_rng(0))[0].any()


def test_light_that_was_saved_is_the_same_and_damage_is_named(semantic_set, blob_set, tmp_path: Path):
    path = tmp_path / "appearance.json"
    for train in (semantic_set, blob_set):
        appearance = Appearance.of(train, Joint.of(train, "distance", 1))
        for some in (appearance, Appearance.untold(len(train))):
            some.save(path)
            assert np.array_equal(Appearance.load(path).own(train[1].labels, 1), some.own(train[1].labels, 1))
    path.write_text('{"numbers": 3}')
    with pytest.raises(StoreError, match=r"appearance\.json"):
        Appearance.load(path)


def test_the_generator_sees_the_light_of_objects_where_the_mask_it_draws_to_has_some():
    """Not where the real objects are: a found mask would be mended by it."""
    told = torch.arange(2 * 3 * 4.0).reshape(1, 3, 2, 4) + 1
    mask = -torch.ones(1, 2, 2, 4)
    mask[0, 1, 1, 0] = 1
    seen = lit(mask, told, 2)
    assert torch.equal(seen[:, :2], mask)
    expected = torch.zeros(2, 2, 4)
    expected[:, 1, 0] = told[0, :2, 1, 0]
    assert torch.equal(seen[0, 2:4], expected)
    assert torch.equal(seen[:, 4:], told[:, 2:])
    assert torch.equal(lit(mask, told, 0), torch.cat([mask, told], dim=1))


def test_the_first_images_are_the_objects_light_blurred_on_grey(blob_set):
    """So that no chance of the first weights draws objects darker than their background."""
    around, image, mask, told, _ = cycle(blob_set)
    drawn = around.image_of(mask, told).detach()[:, 0]
    light = lit(mask, told, around.of_objects)[:, mask.shape[1]].numpy()
    blurred = np.stack([ndimage.gaussian_filter(plane, 1.5, mode="constant", truncate=2) for plane in light])
    assert np.corrcoef(drawn.numpy().ravel(), blurred.ravel())[0, 1] > 0.9
    untold = StyleUNet(2, 1, 4, 3, True)(mask, torch.randn(2, 6, STYLE), torch.Generator())
    assert 0 < float(untold.std()) < 0.5 * float(image.std())


def test_what_the_other_networks_see_of_a_drawn_image_has_the_noise_of_its_training_image(blob_set):
    """Or the discriminator knows drawn images by their lack of it, and asks for nothing else."""
    around, image, mask, told, grain = cycle(blob_set)
    assert grain.shape == image.shape
    asked: list[torch.Tensor] = []
    segments = around.segments.forward
    around.segments.forward = lambda planes: (asked.append(planes.detach()), segments(planes))[1]
    around.image_of = lambda mask, told: torch.zeros_like(image)
    seen = around.terms(image, mask, told, grain)[1]["image"]
    assert any(torch.equal(planes, seen) for planes in asked)
    shares = seen[grain > 0] / grain[grain > 0]
    assert float(shares.std()) == pytest.approx(1, abs=0.1)
    assert torch.equal(cycle(blob_set, grain=False)[4], torch.zeros_like(image))


def test_an_image_without_norms_is_the_same_in_training_and_drawing(blob_set):
    around, _, mask, told, _ = cycle(blob_set, norm="none")
    network = around.draws
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    seen, styles = lit(mask, told, around.of_objects), torch.randn(2, 6, STYLE)
    images = [network.train(mode)(seen, styles, torch.Generator().manual_seed(0)) for mode in (True, False)]
    assert torch.equal(*images)
    assert torch.allclose(network(seen[:1], styles[:1], torch.Generator()), images[1][:1], atol=1e-6)


def test_a_long_training_is_told_the_mask_alone_as_in_the_paper(blob_set):
    quick, paper = (sized(CGanSegConfig(), CGanSeg.budgets[name]) for name in ("quick", "paper"))
    assert (quick.appearance, quick.norm, quick.mask_cycle) == (True, "batch", 10)
    assert (paper.appearance, paper.norm, paper.mask_cycle) == (False, "batch", 100)
    alone = fitted(blob_set, appearance=False)
    assert alone.network.encoders[0][0].convolution.in_channels == alone.joint.masks


@pytest.mark.slow
def test_objects_are_as_bright_as_the_generator_is_told():
    rng = np.random.default_rng(0)
    train = SampleSet.of([two_objects(*(int(v) for v in rng.integers(60, 240, 2))) for _ in range(12)])
    generator = fitted(train, steps=150, patch=32, batch=4, learning_rate=3e-3, masks="train")
    wanted, drawn = [], []
    for k in range(12):
        labels = train[k].labels
        own = generator.appearance.own(labels, k)
        image = generator._image(labels, own, np.random.default_rng(k))[0]
        wanted += [float(own[0][labels == i][0]) for i in (3, 7)]
        drawn += [float(np.median(image[labels == i])) for i in (3, 7)]
    assert np.corrcoef(wanted, drawn)[0, 1] > 0.8


# -- the generator ----------------------------------------------------------------------------------------------------


def test_a_sample_depends_on_seed_and_index_alone(drawn_from):
    expected = pixels(drawn_from, range(5))
    assert [pixels(drawn_from, i)[0] for i in (4, 1, 3)] == [expected[4], expected[1], expected[3]]
    assert pixels(drawn_from, range(5), seed=1) != expected
    assert len(set(expected)) == 5
    assert drawn_from.counts["drawn"] >= 10


def test_what_was_saved_draws_the_same_bytes(drawn_from, tmp_path: Path):
    drawn_from.save(tmp_path)
    loaded = CGanSeg.load(tmp_path, Context(seed=99))
    assert pixels(loaded, range(3)) == pixels(drawn_from, range(3))
    assert loaded.perceptual == "off"
    (tmp_path / "training.json").write_text("[]")
    with pytest.raises(StoreError, match=r"training\.json"):
        CGanSeg.load(tmp_path, Context())


def test_a_stopped_training_goes_on_to_the_same_weights(blob_set, tmp_path: Path):
    whole = fitted(blob_set, steps=5)
    asked = iter(range(100))
    with pytest.raises(Stopped):
        fitted(blob_set, steps=5, context={"folder": tmp_path, "should_stop": lambda: next(asked) == 3})
    resumed = fitted(blob_set, steps=5, context={"folder": tmp_path})
    for ours, theirs in zip(whole.network.state_dict().values(), resumed.network.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_mapping_network_learns_more_slowly(blob_set):
    """Adam's first step is as long as the rate: a tenth for the mapping."""
    before = fitted(blob_set, steps=1, learning_rate=1e-12).network.state_dict()
    after = fitted(blob_set, steps=1, learning_rate=1e-3).network.state_dict()
    moved = {key: float((after[key] - before[key]).abs().max()) for key in before}
    assert moved["to_image.weight"] == pytest.approx(1e-3, rel=0.01)
    assert moved["mapping.layers.0.weight"] == pytest.approx(1e-4, rel=0.01)


@pytest.mark.slow
def test_objects_are_drawn_where_the_mask_has_them(blob_set):
    generator = fitted(blob_set, steps=80, patch=64, learning_rate=3e-3)
    for sample in generator.draw(range(6), 0):
        inside = ndimage.binary_erosion(sample.labels > 0)
        outside = ~ndimage.binary_dilation(sample.labels > 0)
        assert np.median(sample.image[inside]) > np.median(sample.image[outside]) + 40


@pytest.mark.slow
def test_the_ablation_without_style_learns_too(blob_set):
    generator = fitted(blob_set, steps=80, patch=64, learning_rate=3e-3, style=False)
    labels = blob_set[0].labels
    told = generator.appearance.own(labels, 0)
    first, second = (generator._image(labels, told, np.random.default_rng(k)) for k in range(2))
    assert np.array_equal(first, second)
    sample = next(iter(generator.draw(1, 0)))
    inside = ndimage.binary_erosion(sample.labels > 0)
    assert np.median(sample.image[inside]) > np.median(sample.image[sample.labels == 0]) + 40


def test_training_that_goes_astray_is_a_failure(blob_set):
    with pytest.raises(Diverged, match="learning rate"):
        fitted(blob_set, steps=6, learning_rate=1e18)


def test_flat_images_are_a_failure(blob_set):
    generator = fitted(blob_set, steps=1)
    for layer in (generator.network.to_image, generator.network.light):
        nn.init.zeros_(layer.weight)
    with pytest.raises(Diverged, match="flat"):
        generator.refuse_collapse(blob_set, 0)


def test_what_cannot_be_learnt_from_is_refused(blob_set):
    with pytest.raises(DataError, match="no training samples"):
        fitted(blob_set[:0])
    with pytest.raises(DataError, match="smaller than a patch"):
        fitted(blob_set, patch=128)
    with pytest.raises(ConfigError, match="give patches of 64"):
        fitted(blob_set, patch=32, depth=5)
    empty = SampleSet.of([Sample("a", np.zeros((32, 32), np.uint8), np.zeros((32, 32), np.int32))])
    with pytest.raises(DataError, match="no objects"):
        fitted(empty)


def test_dense_masks_and_colonies_are_recombined_from_training_objects(blob_set):
    usual = np.mean([(s.labels > 0).mean() for s in blob_set])
    dense = fitted(blob_set, masks="recombine", density=min(0.9, 1.5 * usual))
    shares = [(s.labels > 0).mean() for s in dense.draw(range(6), 0)]
    assert np.mean(shares) > 1.2 * usual
    colonies = fitted(blob_set, masks="recombine", layout="discs", density=0.5 * usual)
    for sample in colonies.draw(range(4), 0):
        assert sample.labels.max() == len(np.unique(sample.labels)) - 1
    semantic = {"masks": "recombine"}
    with pytest.raises(ConfigError, match="semantic"):
        fitted(SampleSet.of(list(blob_set), task="semantic"), **semantic)


@pytest.mark.parametrize(("dtype", "channels"), [("uint8", 3), ("uint16", 1)])
def test_colours_and_depths_are_drawn_like_the_training_images(dtype, channels):
    rng = np.random.default_rng(0)
    labels = np.zeros((41, 57), np.uint8)
    labels[8:20, 9:24], labels[26:36, 12:22] = 1, 2
    level = 200 if dtype == "uint8" else 40_000
    image = np.where(labels > 0, level, level / 5) * (1 + rng.normal(0, 0.02, labels.shape))
    image = image.astype(dtype)
    picture = image if channels == 1 else np.stack([image, image // 2, image // 3], axis=-1)
    sample = next(iter(fitted(SampleSet.of([Sample("a", picture, labels)]), steps=1).draw(0, 0)))
    assert sample.image.dtype == dtype
    assert sample.image.ndim == (2 if channels == 1 else 3)
    assert level / 20 < sample.image.max() <= 1.2 * level


def test_semantic_images_are_drawn_to_turned_class_maps(semantic_set):
    drawn = list(fitted(semantic_set).draw(range(8), 0))
    assert sorted((s.labels == 1).sum() for s in drawn) == sorted((s.labels == 1).sum() for s in semantic_set)
