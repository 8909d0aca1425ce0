"""The trainings that `library_loops.py` compares: this project's, and the loops of StarDist's and Cellpose's packages.

Each takes steps until its process ends, and calls a function before each of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

IMAGES, SIDE = 12, 256
ENDLESS = 100_000
"""Steps of a training, of which only the first are taken."""

BUDGETS: Mapping[str, tuple[int, int]] = {
    "stardist": (4, 96),
    "cellpose": (4, 96),
    "cgan-seg": (2, 64),
    "stylegan2-mask": (4, 32),
}
"""Patches of a step, and their side in pixels."""

STYLEGAN2_CHANNELS = {"channel_max": 64, "channel_base": 2048}
"""At resolution r there are ``channel_base / r`` channels, at most ``channel_max``."""

CONFIGS: Mapping[str, dict[str, Any]] = {
    "stardist": {"n_rays": 32, "grid": 2, "unet_n_depth": 3, "unet_n_filter_base": 32},
    "cgan-seg": {
        "preset": "paper",
        "gen_filters": 32,
        "seg_filters": 32,
        "ndf": 32,
        "attention_heads": 8,
        "attention_dim_head": 64,
        "lr": 1e-4,
    },
    "stylegan2-mask": {
        "preset": "paper",
        "mask_encoding": "none",
        **STYLEGAN2_CHANNELS,
        "mapping_layers": 8,
        "learning_rate": 2e-3,
        "r1_gamma": 10.0,
        "diff_augment": False,
        "ada": False,
        "apa": False,
        "selection_interval": ENDLESS,
    },
}
"""What isn't a default of this project: networks and terms of the loss are those of the other side."""


def images() -> list[Any]:
    """Return simulated grey images with nuclei, as samples."""
    from synthbench import Context
    from synthbench.plugin.registry import registry

    phantom = registry().load("dataset", "phantom-nuclei")
    drawn = phantom(phantom.Config(train=IMAGES, validation=0, test=0, size=SIDE)).samples(Context())
    return list(drawn)


def train_ours(
    name: str, precision: Any, threads: int, before_step: Callable[[], None], changes: Mapping[str, Any]
) -> None:
    """Train a segmenter or generator of this project.

    Parameters
    ----------
    name, precision, threads
    before_step
    changes
        Of the configuration.
    """
    from synthbench import Context, SampleSet, TrainingMix
    from synthbench.plugin.precision import computing_in
    from synthbench.plugin.registry import registry
    from synthbench.toolkit.training import loop

    samples = images()
    if name == "stylegan2-mask":
        samples = [replace(each, image=np.repeat(np.asarray(each.image)[..., None], 3, axis=2)) for each in samples]
    train = SampleSet.of(samples)
    kind = "segmenter" if name in ("stardist", "cellpose") else "generator"
    cls = registry().load(kind, name)
    batch, side = BUDGETS[name]
    budget = replace(cls.budgets["quick"], steps=ENDLESS, batch_size=batch, patch_size=side)
    plain = loop.train

    def counted(context: Any, *, step: Callable[[int], Any], **kwargs: Any) -> None:
        def with_turns(number: int) -> Any:
            before_step()
            return step(number)

        plain(context, step=with_turns, **kwargs)

    loop.train = counted
    with computing_in(precision):
        context = Context(seed=0, budget=budget, threads=threads)
        model = cls(cls.Config(**CONFIGS.get(name, {}), **changes))
        model.fit(*((train,) if kind == "generator" else (TrainingMix(train), train)), context)


def train_stardist(threads: int, before_step: Callable[[], None]) -> None:
    """Train with ``StarDist2D.train``, without augmentation, which is its default."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    from keras.callbacks import Callback
    from stardist.models import Config2D, StarDist2D

    class BeforeStep(Callback):  # type: ignore[misc]
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            before_step()

    batch, side = BUDGETS["stardist"]
    network = CONFIGS["stardist"]
    config = Config2D(
        **{**network, "grid": (network["grid"],) * 2},
        n_channel_in=1,
        train_patch_size=(side, side),
        train_batch_size=batch,
        train_epochs=1,
        train_steps_per_epoch=ENDLESS,
        train_n_val_patches=1,
        train_tensorboard=False,
    )
    pixels, labels = normalised()
    with tempfile.TemporaryDirectory() as folder:
        model = StarDist2D(config, name="stardist", basedir=folder)
        model.prepare_for_training()
        model.callbacks.append(BeforeStep())
        model.train(pixels, labels, validation_data=(pixels[:1], labels[:1]))


def train_cellpose(threads: int, before_step: Callable[[], None]) -> None:
    """Train with ``train_seg``, whose augmentation rotates, flips and resizes."""
    import torch

    torch.set_num_threads(threads)
    from cellpose import train, transforms
    from cellpose.models import CellposeModel

    plain = transforms.random_rotate_and_resize  # once in a step

    def augmented(*args: Any, **kwargs: Any) -> Any:
        before_step()
        return plain(*args, **kwargs)

    transforms.random_rotate_and_resize = augmented
    network = CellposeModel(gpu=False, pretrained_model=None, mkldnn=False, nchan=2).net
    batch, side = BUDGETS["cellpose"]
    pixels, labels = normalised()
    with tempfile.TemporaryDirectory() as folder:
        train.train_seg(
            network,
            train_data=pixels,
            train_labels=labels,
            channels=[0, 0],
            batch_size=batch,
            bsize=side,
            nimg_per_epoch=batch,
            n_epochs=ENDLESS,
            save_every=ENDLESS,
            save_path=folder,
        )


def normalised() -> tuple[list[Any], list[Any]]:
    from synthbench.toolkit.intensity.images import normalise

    samples = images()
    return [normalise(each.image)[0] for each in samples], [np.asarray(each.labels, np.int32) for each in samples]
