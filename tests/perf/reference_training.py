"""The trainings of published code that `library_loops.py` compares: cGAN-Seg, and StyleGAN2 in PyTorch.

Their files are run from clones. Where they require a GPU, an older version of a library, or have a size fixed, the text
is changed as it is loaded; see `CGANSEG_CHANGES`, `cganseg_widths` and `stylegan2_channels`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from library_training import BUDGETS, CONFIGS, ENDLESS, STYLEGAN2_CHANNELS, images

CGANSEG_CHANGES: Mapping[str, Mapping[str, str]] = {
    "utils": {".cuda(device)": ".to(device)"},
    "data": {"img.ptp()": "np.ptp(img)"},
    "train": {"62, 94": "SIZE, SIZE", "num_workers=8": "num_workers=0"},
}
"""By file: the CPU, NumPy 2, the size of the discriminators' output, and reading in the process that is measured."""


class Before:
    """Iterates over something, and calls a function before each item is fetched."""

    def __init__(self, items: Iterable[Any], call: Callable[[], None]) -> None:
        self._items, self._call = items, call

    def __iter__(self) -> Iterator[Any]:
        items = iter(self._items)
        while True:
            self._call()
            yield next(items)


def changed(text: str, changes: Mapping[str, str]) -> str:
    """Return a text with words replaced; raise `ValueError` if one isn't there."""
    for before, after in changes.items():
        if before not in text:
            raise ValueError(f"{before!r} isn't in the file; the clone is of another version")
        text = text.replace(before, after)
    return text


def stylegan2_channels(text: str, channel_max: int, channel_base: int) -> str:
    """Return the text of rosinality's networks with other channels in their tables, by resolution."""

    def line(found: re.Match[str]) -> str:
        return f"{found[1]}{found[2]}: {min(channel_max, channel_base // int(found[2]))},"

    return re.sub(r"(?m)^(\s+)(\d+): \d+(?: \* channel_multiplier)?,$", line, text)


def cganseg_widths(text: str, filters: int) -> str:
    """Return the text of cGAN-Seg's networks with other planes at full resolution than 64; others are multiples."""

    def line(found: re.Match[str]) -> str:
        return re.sub(r"\b(?:64|128|256|512|1024)\b", lambda width: str(int(width[0]) * filters // 64), found[0])

    text = re.sub(r"(?m)^ +self\.\w+ = (?:\w*block|nn\.Conv2d)\(.*$", line, text)
    return text.replace("ndf=64", f"ndf={filters}")


def load(path: Path, text: str, **names: Any) -> ModuleType:
    """Run the text of a file as the module of its name, with some names in it, and return the module."""
    module = ModuleType(path.stem)
    module.__dict__.update(names, __file__=str(path))
    sys.modules[path.stem] = module
    exec(compile(text, str(path), "exec"), module.__dict__)
    return module


def train_cganseg(clone: Path, weights: Path, folder: Path, threads: int, before_step: Callable[[], None]) -> None:
    """Train with the ``train`` of abzargar/cGAN-Seg, with its U-Net as segmenter.

    Parameters
    ----------
    clone
    weights
        Of the convolutions of VGG19, as `vgg19_weights` writes them.
    folder
        For the pairs of images and masks.
    threads
    before_step
    """
    import torch
    from safetensors.torch import load_file
    from torchvision import models

    torch.set_num_threads(threads)
    sys.path.insert(0, str(clone))
    batch, side = BUDGETS["cgan-seg"]
    _write_pairs(folder, side)
    plain = models.vgg19

    def vgg19(pretrained: bool) -> Any:
        network = plain(weights=None)
        network.load_state_dict(load_file(weights), strict=False)
        return network

    models.vgg19 = vgg19
    _cganseg_networks(clone)
    for name, changes in CGANSEG_CHANGES.items():
        path = clone / f"{name}.py"
        module = load(path, changed(path.read_text(encoding="utf-8"), changes), SIZE=side // 8 - 2)
    module.tqdm = lambda items: Before(items, before_step)
    chosen = SimpleNamespace(
        train_set_dir=str(folder),
        output_dir=str(folder),
        lr=1e-4,
        max_epoch=1,
        batch_size=batch,
        p_vanilla=0.2,
        p_diff=0.2,
        seg_model="UNET",
        patience=1,
        gen_nc=1,
    )
    module.train(chosen, image_size=[side, side], train_ratio=0.99)


def vgg19_weights(path: Path) -> None:
    """Write random weights of VGG19's convolutions: what they are doesn't matter to the time that they take."""
    from safetensors.torch import save_file
    from torchvision import models

    state = models.vgg19(weights=None).features.state_dict()
    save_file({f"features.{name}": value for name, value in state.items()}, path)


def cganseg_network(clone: Path) -> Callable[..., Any]:
    """Return what builds the U-Net that cGAN-Seg trains as segmenter, by planes of the image and of the mask."""
    sys.path.insert(0, str(clone))
    networks = _cganseg_networks(clone)
    return lambda channels, masks, filters: networks.UnetSegmentation(n_channels=channels, n_classes=masks)


def _cganseg_networks(clone: Path) -> Any:
    path = clone / "unet_models.py"
    return load(path, cganseg_widths(path.read_text(encoding="utf-8"), CONFIGS["cgan-seg"]["gen_filters"]))


def _write_pairs(folder: Path, side: int, count: int = 1000) -> None:
    """Write so many pairs, each a piece of an image, for an epoch that doesn't end while it is measured."""
    from PIL import Image

    samples = images()
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for number in range(count):
        each = samples[number % len(samples)]
        pieces = (np.asarray(each.image), np.where(np.asarray(each.labels) > 0, 255, 0))
        for name, pixels in zip(("images", "masks"), pieces, strict=True):
            piece = np.clip(pixels[:side, :side], 0, 255).astype(np.uint8)
            Image.fromarray(piece).save(folder / name / f"{number:04d}.png")


def train_stylegan2(clone: Path, threads: int, before_step: Callable[[], None]) -> None:
    """Train with the ``train`` of rosinality/stylegan2-pytorch, without augmentation."""
    import torch
    from torch.utils import cpp_extension, data
    from torchvision import transforms

    torch.set_num_threads(threads)
    sys.path.insert(0, str(clone))
    cpp_extension.load = lambda *args, **kwargs: None  # on a CPU it doesn't use its CUDA operations
    sys.modules["dataset"] = ModuleType("dataset")
    sys.modules["dataset"].MultiResolutionDataset = None  # type: ignore[attr-defined]
    text = (clone / "model.py").read_text(encoding="utf-8")
    model: Any = load(clone / "model.py", stylegan2_channels(text, **STYLEGAN2_CHANNELS))
    module = load(clone / "train.py", (clone / "train.py").read_text(encoding="utf-8"))
    batch, side = BUDGETS["stylegan2-mask"]
    networks = [model.Generator(side, 512, 8), model.Discriminator(side), model.Generator(side, 512, 8).eval()]
    generator, discriminator, average = networks
    module.accumulate(average, generator, 0)
    ratios = 4 / 5, 16 / 17
    optimisers = [
        torch.optim.Adam(network.parameters(), lr=2e-3 * ratio, betas=(0.0, 0.99**ratio))
        for network, ratio in zip((generator, discriminator), ratios, strict=True)
    ]
    steps = [
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize((0.5,) * 3, (0.5,) * 3, inplace=True),
    ]
    loader = data.DataLoader(_Pictures(side, transforms.Compose(steps)), batch_size=batch, shuffle=True, drop_last=True)
    chosen = SimpleNamespace(
        iter=ENDLESS,
        start_iter=1,
        distributed=False,
        augment=False,
        augment_p=0,
        n_sample=1,
        latent=512,
        batch=batch,
        mixing=0.9,
        d_reg_every=16,
        r1=10,
        g_reg_every=4,
        path_batch_shrink=2,
        path_regularize=2,
        wandb=False,
    )
    module.train(chosen, Before(loader, before_step), generator, discriminator, *optimisers, average, "cpu")


class _Pictures:
    """Pieces of images in colours, as often as a loop wants: a data set of torch."""

    def __init__(self, side: int, transform: Callable[[Any], Any]) -> None:
        from PIL import Image

        self._transform = transform
        pieces = (np.clip(np.asarray(each.image)[:side, :side], 0, 255).astype(np.uint8) for each in images())
        self._pictures = [Image.fromarray(piece).convert("RGB") for piece in pieces]

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, number: int) -> Any:
        return self._transform(self._pictures[number % len(self._pictures)])
