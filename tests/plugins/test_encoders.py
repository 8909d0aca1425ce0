"""Encoders: one rule of resizing, weights that are what they should be, features that are the network's own."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from synthbench import Context
from synthbench.errors import PluginError
from synthbench.metrics.features import distance_names
from synthbench.metrics.frechet import frechet_distance
from synthbench.metrics.kernel import kernel_distance
from synthbench.plugin.variants import variant_of
from synthbench.samples import SampleSet, read_array
from synthbench.toolkit.training import weights
from synthbench_encoders import inception
from synthbench_encoders.classifier import Classifier, ClassifierConfig
from synthbench_encoders.classifier_network import classifier_features
from synthbench_encoders.inception import Inception, InceptionConfig
from synthbench_encoders.inception_network import inception_network
from synthbench_encoders.pictures import BATCH, batches, resize
from synthbench_encoders.timm_model import TimmConfig, TimmModel
from synthbench_encoders.untrained import Untrained, layers


def micrograph(seed: int, *shape: int, dtype: str = "uint8") -> np.ndarray:
    rng = np.random.default_rng((30, seed))
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


# -- images -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(40, 61), (300, 500), (299, 299)])
def test_resizing_is_clean_fids(shape: tuple[int, int]) -> None:
    cleanfid = pytest.importorskip("cleanfid.resize")
    image = micrograph(0, *shape, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        expected = cleanfid.build_resizer("clean")(image)
    np.testing.assert_array_equal(resize(image, 299, 65535), expected.transpose(2, 0, 1))


def test_grey_is_repeated_and_sixteen_bit_has_one_fixed_scale() -> None:
    grey = micrograph(1, 50, 60)
    planes = resize(grey, 32, 65535)
    assert planes.shape == (3, 32, 32)
    assert planes.dtype == np.float32
    np.testing.assert_array_equal(planes[0], planes[2])
    np.testing.assert_allclose(resize(grey.astype(np.uint16) * 257, 32, 65535), planes, atol=1e-3)
    np.testing.assert_allclose(resize(grey.astype(np.uint16), 32, 255), planes, atol=1e-3)
    dark = resize((grey // 16).astype(np.uint16), 32, 65535)
    assert dark.max() < 1


@pytest.mark.parametrize(
    "image", [np.zeros((5, 5)), np.zeros((5, 5), np.int64), np.zeros((5, 5), bool), np.zeros((5, 5, 4), np.uint8)]
)
def test_an_image_of_another_kind_is_refused_before_it_is_misread(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match=rf"^images: {image.dtype} of shape"):
        Untrained().encode([image])


def test_batches_hold_all_images_in_order() -> None:
    images = [np.full((5, 6 + i), i, np.uint8) for i in range(BATCH + 3)]
    found = list(batches(iter(images), 4, 65535))
    assert [len(batch) for batch in found] == [BATCH, 3]
    assert np.concatenate(found)[:, 0, 0, 0].tolist() == list(range(BATCH + 3))


# -- untrained --------------------------------------------------------------------------------------------------------


def test_untrained_weights_are_the_same_bits_everywhere() -> None:
    digest = hashlib.sha256(b"".join(layer.tobytes() for layer in layers())).hexdigest()
    assert digest == "26ed4e30f3117ebe0c974f1a4cecba403ef405ce6b0dcc92417c2f5d39b21dfb"
    assert Untrained().fingerprint().endswith(f"sha256:{digest}")
    for layer in layers():
        fan_in = layer.shape[1] * 9
        assert layer.std() == pytest.approx(np.sqrt(4 / (1.04 * fan_in)), rel=0.05)
        np.testing.assert_allclose(layer.sum(axis=(2, 3)), 0, atol=1e-6)


def test_features_hang_on_neither_neighbours_nor_number() -> None:
    images = [micrograph(i, 40 + i, 64) for i in range(BATCH + 2)]
    encoder = Untrained()
    encoder.prepare(Context())
    together = encoder.encode(images)
    assert together.shape == (BATCH + 2, 966)
    alone = np.concatenate([encoder.encode([image]) for image in images])
    np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(encoder.encode(iter(images)), together)


def test_untrained_features_tell_every_kind_of_spoiling_from_the_real_thing(real_data: Path) -> None:
    from scipy import ndimage

    files = sorted((real_data / "fluo_nuclei_dsb2018" / "train" / "images").glob("*.png"))
    files = [files[i] for i in np.random.default_rng(0).permutation(len(files))[:100]]
    images = [read_array(path) for path in files]
    rng = np.random.default_rng(0)
    encoder = Untrained()
    one, other = encoder.encode(images[:50]), encoder.encode(images[50:])
    floor = frechet_distance(one, other), kernel_distance(one, other)
    spoilt = {
        "noise": [np.clip(image + rng.normal(0, 5, image.shape), 0, 255) for image in images[50:]],
        "blur": [ndimage.gaussian_filter(image, 1) for image in images[50:]],
        "light": [255 * (image / 255) ** 0.8 for image in images[50:]],
        "contrast": [0.8 * image for image in images[50:]],
    }
    for kind, changed in spoilt.items():
        features = encoder.encode([image.astype(np.uint8) for image in changed])
        assert frechet_distance(one, features) > 1.3 * floor[0], kind
        assert kernel_distance(one, features) > 1.3 * floor[1], kind


def test_no_images_and_no_file_are_said_plainly() -> None:
    with pytest.raises(ValueError, match=r"^images: "):
        Untrained().encode([])
    assert Untrained.unavailable(Untrained.Config()) == ""


# -- Inception --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    """Weights of Inception's form with random values, under torch-fidelity's names."""
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    generator = torch.Generator().manual_seed(1)
    shapes: dict[str, torch.Size] = {}

    class Bare(fidelity.FeatureExtractorInceptionV3):
        def load_state_dict(self, *_: object) -> None:
            shapes.update({name: value.shape for name, value in self.state_dict().items()})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fidelity, "load_state_dict_from_url", lambda *_, **__: {})
        Bare("inception-v3-compat", ["2048"])
    made = {}
    for name, shape in shapes.items():
        if name.endswith(("conv.weight", "fc.weight")):
            made[name] = torch.randn(shape, generator=generator) * (2 / shape[1:].numel()) ** 0.5
        elif name.endswith(("running_var", "bn.weight")):
            made[name] = 0.5 + torch.rand(shape, generator=generator)
        elif not name.endswith("num_batches_tracked"):
            made[name] = 0.1 * torch.randn(shape, generator=generator)
    return made


@pytest.fixture
def state_file(tensors: dict[str, torch.Tensor], tmp_path: Path) -> tuple[Path, str]:
    path = tmp_path / "pt_inception.pth"
    torch.save(tensors, path)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def test_inception_is_torch_fidelitys_network(tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    torch.save(tensors, tmp_path / "weights.pth")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fidelity.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        oracle = fidelity.FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(tmp_path / "weights.pth")
        )
    torch.nn.Module.load_state_dict(oracle, tensors, strict=False)
    oracle.eval()
    images = torch.from_numpy(micrograph(2, 2, 3, 299, 299))
    with torch.inference_mode():
        expected = oracle(images)[0]
        found = inception_network(tensors, "here")((images.float() - 128) / 128)
    assert found.shape == (2, 2048)
    assert expected.std() > 0
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_state_dict_is_used_when_its_hash_is_the_one_given(state_file: tuple[Path, str]) -> None:
    path, digest = state_file
    config = InceptionConfig(weights=path, sha256=digest)
    assert Inception.unavailable(config) == ""
    encoder = Inception(config)
    assert digest in encoder.fingerprint()
    assert distance_names("inception", variant_of(encoder)) == tuple(
        f"{kind}(inception, own weights)" for kind in ("FD", "KD")
    )
    encoder.prepare(Context())
    features = encoder.encode([micrograph(3, 30, 40), micrograph(4, 400, 310, 3, dtype="uint16")])
    assert features.shape == (2, 2048)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


def test_only_the_published_weights_are_called_fid(
    state_file: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, digest = state_file
    monkeypatch.setattr(inception, "TENSORS_SHA256", digest)
    for config in (InceptionConfig(weights=path), InceptionConfig(weights=path, sha256=digest)):
        assert distance_names("inception", variant_of(Inception(config))) == ("FID", "KID")


def test_the_others_say_which_they_are(tmp_path: Path) -> None:
    assert variant_of(Untrained()) == ""
    assert variant_of(Classifier(ClassifierConfig(architecture="resnet18"))) == "resnet18"
    given = Classifier(ClassifierConfig(architecture="resnet18", weights=tmp_path / "x.pth"))
    assert distance_names("torchvision", variant_of(given))[0] == "FD(torchvision, resnet18, own weights)"


def test_a_variant_is_one_line_of_text() -> None:
    class Vague(Untrained):
        def variant(self) -> object:
            return None

    with pytest.raises(ValueError, match=r"^variant: the encoder said None"):
        variant_of(Vague())


def test_a_file_with_another_hash_is_refused_in_one_line(state_file: tuple[Path, str]) -> None:
    path, digest = state_file
    config = InceptionConfig(weights=path)
    reason = Inception.unavailable(config)
    assert "not the published file" in reason
    assert digest[:16] in reason
    assert "\n" not in reason
    with pytest.raises(PluginError, match="not the published file"):
        Inception(config).prepare(Context())


class Layers(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(x.repeat(1, 683, 1, 1)[:, :2048], 1)


class Whole(torch.nn.Module):
    """A TorchScript program of the published one's form: the features are what `layers` gives."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = Layers()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def test_the_torchscript_file_is_opened_only_with_the_published_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cleanfid")
    from cleanfid.inception_torchscript import InceptionV3W

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(Whole()).save(str(tmp_path / inception.SCRIPT))
    config = InceptionConfig(weights=tmp_path / inception.SCRIPT, sha256="0" * 64)
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("an unknown program was opened"))
    with pytest.raises(PluginError, match="not the published file"):
        Inception(config).prepare(Context())
    monkeypatch.undo()
    monkeypatch.setattr(inception, "SCRIPT_SHA256", weights.sha256(tmp_path / inception.SCRIPT))
    encoder = Inception(config)
    images = [micrograph(5, 299, 299, 3), micrograph(6, 299, 299, 3)]
    monkeypatch.setattr(InceptionV3W, "__init__", torch.nn.Module.__init__)
    theirs = InceptionV3W()
    theirs.layers, theirs.resize_inside = Layers(), False
    expected = theirs(torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).astype(np.float32)))
    np.testing.assert_allclose(encoder.encode(images), expected.numpy(), rtol=1e-5, atol=1e-6)


def test_weights_are_found_where_other_tools_keep_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inception.tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    reason = Inception.unavailable(InceptionConfig())
    assert inception.SCRIPT_URL in reason
    assert str(tmp_path / "temporary" / inception.SCRIPT) in reason
    assert "\n" not in reason
    for path in inception.weight_files():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"cut off")
        assert str(path) in Inception.unavailable(InceptionConfig())
        path.unlink()
    assert "no Inception weights at" in Inception.unavailable(InceptionConfig(weights=tmp_path / "nowhere.pt"))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"conv.weight": torch.zeros(3)}, path)
    with pytest.raises(PluginError, match=r"other\.pth: not the weights of"):
        Inception(InceptionConfig(weights=path, sha256=weights.sha256(path))).prepare(Context())


# -- torchvision ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "dimension"),
    [("squeezenet1_1", 512), ("resnet18", 512), ("mobilenet_v3_small", 1024), ("densenet121", 1024), ("swin_t", 768),
     ("shufflenet_v2_x0_5", 1024)],
)  # fmt: skip
def test_features_are_what_the_last_layer_sees(architecture: str, dimension: int) -> None:
    from torchvision import models

    torch.manual_seed(0)
    network = models.get_model(architecture, weights=None, num_classes=7).eval()
    features = classifier_features(architecture, network.state_dict(), "here", "cpu")
    batch = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        found = features(batch)
        assert found.shape == (2, dimension)
        head = [m for m in network.modules() if isinstance(m, torch.nn.Linear)]
        if head:
            torch.testing.assert_close(head[-1](found), network(batch), rtol=1e-3, atol=1e-5)
        else:
            # squeezenet: average and last convolution may change places where no ReLU lies between.
            torch.testing.assert_close(found, network.features(batch).mean(dim=(2, 3)))


def test_squeezenet_sees_nuclei_as_torchvision_does(real_data: Path) -> None:
    path = real_data.parent / "weights" / "squeezenet1_0.safetensors"
    if not path.is_file():
        pytest.skip(f"no weights at {path}")
    from safetensors.torch import load_file
    from torchvision import models

    config = ClassifierConfig(architecture="squeezenet1_0", weights=path)
    assert Classifier.unavailable(config) == ""
    encoder = Classifier(config)
    assert weights.sha256(path) in encoder.fingerprint()
    encoder.prepare(Context())
    files = sorted((real_data / "fluo_nuclei_dsb2018" / "test" / "images").glob("*.png"))[:3]
    images = [read_array(file) for file in files]
    network = models.squeezenet1_0()
    network.load_state_dict(load_file(path))
    mean, spread = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    batch = torch.from_numpy(np.stack([resize(image, 224, 65535) for image in images]))
    with torch.inference_mode():
        normal = (batch / 255 - mean[:, None, None]) / spread[:, None, None]
        expected = network.eval().features(normal).mean(dim=(2, 3))
    np.testing.assert_allclose(encoder.encode(images), expected.numpy(), rtol=1e-4, atol=1e-5)


def test_unknown_architecture_and_absent_weights_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert "did you mean 'resnet50'" in Classifier.unavailable(ClassifierConfig(architecture="resnet5O"))
    reason = Classifier.unavailable(ClassifierConfig(architecture="resnet18"))
    assert "download.pytorch.org" in reason
    assert str(tmp_path / "hub" / "checkpoints") in reason
    assert "no weights at" in Classifier.unavailable(ClassifierConfig(weights=tmp_path / "x.pth"))
    with pytest.raises(PluginError, match="no weights of resnet18"):
        Classifier(ClassifierConfig(architecture="resnet18")).fingerprint()


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    save_file({"features.0.weight": torch.zeros(2)}, tmp_path / "x.safetensors")
    config = ClassifierConfig(architecture="resnet18", weights=tmp_path / "x.safetensors")
    with pytest.raises(PluginError, match=r"x\.safetensors: not the weights of resnet18"):
        Classifier(config).prepare(Context())


# -- timm -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def timm() -> Any:
    return pytest.importorskip("timm")


def random_weights(timm: Any, model: str, folder: Path, **options: Any) -> Path:
    torch.manual_seed(0)
    path = folder / f"{model}.safetensors"
    save_file(timm.create_model(model, **options).state_dict(), path)
    return path


def test_dinov2_is_torch_fidelitys_extractor(timm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 224 px, where nothing is resized; torch-fidelity gets the network from torch.hub, here with random weights."""
    from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2

    path = random_weights(timm, "vit_small_patch14_dinov2", tmp_path, img_size=224, num_classes=0)
    network = timm.create_model("vit_small_patch14_dinov2", img_size=224, num_classes=0)
    network.load_state_dict(weights.read_state_dict(path))
    monkeypatch.setattr(torch.hub, "load", lambda *_: network)
    expected = FeatureExtractorDinoV2("dinov2-vit-s-14", ["dinov2"])
    images = [micrograph(k, 224, 224, 3) for k in range(2)]
    (features,) = expected(torch.from_numpy(np.stack(images)).movedim(-1, 1))
    found = TimmModel(TimmConfig(weights=path)).encode(images)
    assert found.shape == (2, 384)
    np.testing.assert_allclose(found, features.numpy(), rtol=1e-3, atol=1e-4)


def test_weights_in_their_authors_form_are_converted(timm: Any, tmp_path: Path) -> None:
    """DINOv2's own file is for 518 px, and holds a mask token, which timm's network hasn't."""
    path = random_weights(timm, "vit_small_patch14_dinov2", tmp_path, num_classes=0)
    tensors = weights.read_state_dict(path) | {"mask_token": torch.zeros(1, 384)}
    torch.save(tensors, tmp_path / "published.pth")
    image = micrograph(1, 60, 50)
    ours, theirs = (TimmModel(TimmConfig(weights=file)).encode([image]) for file in (path, tmp_path / "published.pth"))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("model", "dimension"), [("resnet18", 512), ("convnext_atto", 320)])
def test_features_of_timm_are_what_its_classifier_sees(timm: Any, tmp_path: Path, model: str, dimension: int) -> None:
    encoder = TimmModel(TimmConfig(model=model, weights=random_weights(timm, model, tmp_path), size=64))
    encoder.prepare(Context())
    network = timm.create_model(model)
    network.load_state_dict(weights.read_state_dict(encoder.config.weights))
    image = micrograph(2, 64, 64)
    normal = network.pretrained_cfg
    mean, spread = (torch.tensor(normal[name])[:, None, None] for name in ("mean", "std"))
    batch = (torch.from_numpy(np.broadcast_to(image, (1, 3, 64, 64)).copy()) / 255 - mean) / spread
    with torch.inference_mode():
        expected = network.eval().forward_head(network.forward_features(batch), pre_logits=True)
    found = encoder.encode([image])
    assert found.shape == (1, dimension)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-3, atol=1e-5)


def test_distances_are_named_after_the_timm_network(timm: Any, tmp_path: Path) -> None:
    path = random_weights(timm, "resnet18", tmp_path)
    encoder = TimmModel(TimmConfig(model="resnet18", weights=path))
    assert distance_names("timm", variant_of(encoder))[0] == "FD(timm, resnet18)"
    assert weights.sha256(path) in encoder.fingerprint()


def test_what_timm_cannot_use_is_said_in_one_line(timm: Any, tmp_path: Path) -> None:
    assert "did you mean 'resnet18'" in TimmModel.unavailable(TimmConfig(model="resnet1B"))
    assert "dinov2_vits14_pretrain.pth" in TimmModel.unavailable(TimmConfig())
    assert "no weights at" in TimmModel.unavailable(TimmConfig(weights=tmp_path / "x.pth"))
    other = random_weights(timm, "convnext_atto", tmp_path)
    for model in ("resnet18", "vit_tiny_patch16_224"):
        with pytest.raises(PluginError, match=f"not the weights of {model}"):
            TimmModel(TimmConfig(model=model, weights=other)).prepare(Context())


# -- all --------------------------------------------------------------------------------------------------------------


def test_asking_whether_an_encoder_can_run_loads_no_torch() -> None:
    code = (
        "import sys; from synthbench_encoders.inception import Inception as I; I.unavailable(I.Config());"
        "from synthbench_encoders.untrained import Untrained as U; U().fingerprint(); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_cpus_features(blob_set: SampleSet) -> None:
    images = [sample.image for sample in blob_set]
    on_cpu, on_gpu = Untrained(), Untrained()
    on_gpu.prepare(Context(device="cuda"))
    np.testing.assert_allclose(on_gpu.encode(images), on_cpu.encode(images), rtol=1e-3, atol=1e-4)
