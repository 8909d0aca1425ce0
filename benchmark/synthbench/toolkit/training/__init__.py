"""Training of networks. Import from the modules; importing this package imports none of them.

patches
    `PatchStream`: which patch of which sample comes next, the same for every segmenter of a seed.
batches
    `Batches`: the patch stream as tensors on a device.
loop
    `prepare_torch` seeds torch, `autocast` is mixed precision, `train` is the resumable training loop.
checkpoints
    Files that `train` resumes from, protected by a checksum.
training_log
    Losses and pictures that a training leaves; `preview_of` samples from a generator during training.
schedules
    Learning-rate schedules and weight averages.
augmentation
    `diff_augment` and `ada_augment`: differentiable augmentation for discriminators.
adversarial
    Adversarial losses (LSGAN, hinge), feature matching, and a pool of earlier images.
perceptual_loss
    `Perceptual` compares images in the features of a pretrained network; `PerceptualConfig` names it.
mode_collapse
    `check_flat` and `check_mode_collapse` detect generators that failed.
threshold_tuning
    `tune` selects thresholds on the validation samples; `subsample` limits how many are used.
budget_defaults
    `resolve_defaults` fills in hyper-parameters whose defaults depend on the budget.
state_files
    `write_state` and `read_state`: a JSON file that a fitted plugin saves.
finetuning
    `FinetuneConfig`, `Finetuning`: groups of parameters and a schedule for training that starts from trained weights.
initial_weights
    `initialise_from` gives a network trained weights, with rules for other inputs and outputs.
weights
    Saving and loading a plugin's weights; reading pretrained ones safely.
weights_conversion
    What files of weights hold; the tensors of a checkpoint as a file of their own.
partner_losses
    `partner_losses`: a segmenter's losses when a generator is trained together with it.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = [
    "adversarial",
    "augmentation",
    "batches",
    "budget_defaults",
    "checkpoints",
    "finetuning",
    "initial_weights",
    "loop",
    "mode_collapse",
    "partner_losses",
    "patches",
    "perceptual_loss",
    "schedules",
    "state_files",
    "threshold_tuning",
    "training_log",
    "weights",
    "weights_conversion",
]


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")
