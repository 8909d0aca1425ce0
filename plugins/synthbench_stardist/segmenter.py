"""The StarDist segmenter."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import cycle
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from synthbench import Budget, Context, Instances, Sample, SampleSet, Segmenter, TrainingMix
from synthbench.errors import StoreError
from synthbench.metrics.ignore import leave_out
from synthbench.toolkit.intensity.images import normalise, to_channels
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.initial_weights import input_channels, read_start
from synthbench.toolkit.training.patches import PatchStream, channels_of
from synthbench.toolkit.training.precision import in_bfloat16
from synthbench.toolkit.training.state_files import read_state, write_state
from synthbench.toolkit.training.threshold_tuning import subsample
from synthbench_stardist import network, runtime, training
from synthbench_stardist.config import StarDistConfig
from synthbench_stardist.initial import Start, check_folder, load_start, named, read_folder

WEIGHTS = "weights.safetensors"
STATE = "stardist.json"
TUNING_PIXELS = 2_000_000
"""About how many pixels of validation images the thresholds are tuned on."""

TILE = 1024
"""Images with a longer side are predicted in overlapping tiles of about this size."""


class StarDist(Segmenter[StarDistConfig]):
    """StarDist 0.9: network, losses, targets, non-maximum suppression and thresholds are the library's own.

    What is not the library's: its sampler, shuffler and augmenter are not used, patches come from the patch stream;
    the rate of Adam rises for a twentieth of the steps and falls along a cosine, instead of halving on a plateau;
    kernels are drawn from the seed. An image is normalised once, whole, by its percentiles 1 and 99.8.

    Scores are the object probabilities by which non-maximum suppression ranks the polygons. The two thresholds
    (probability, overlap) come from the library's ``optimize_thresholds`` on about two million pixels of validation
    images; without an object in them, they stay at its defaults, 0.5 and 0.4.

    Trained weights to start from (init) are its own model, or the unpacked folder of a published one
    (`2D_versatile_fluo` …), whose network must be the configuration's. With 0 steps its thresholds are kept.

    In bfloat16 all layers but the last two compute in it, by Keras' own policy for mixed precision.

    Equal seeds give equal weights on one machine; a training resumed from a checkpoint ends with the same bits as
    one never stopped (on a CPU, with the same number of threads).

    Sources: Schmidt et al., "Cell detection with star-convex polygons", MICCAI 2018; Weigert et al., WACV 2020.
    """

    Config = StarDistConfig
    supports_ignore: ClassVar[bool] = True
    supports_init: ClassVar[frozenset[Literal["model", "file"]]] = frozenset({"model", "file"})
    budgets: ClassVar[dict[str, Budget]] = {
        "smoke": Budget(steps=12, batch_size=2, patch_size=64),
        "quick": Budget(steps=3_500, batch_size=4, patch_size=96),
        "standard": Budget(steps=15_000, batch_size=8, patch_size=256),
        "paper": Budget(steps=40_000, batch_size=4, patch_size=256),
    }

    def __init__(self, config: StarDistConfig | None = None) -> None:
        super().__init__(config)
        self.model: Any = None
        self._channels = 1
        self._device, self._threads = "cpu", 1

    def fit(self, train: TrainingMix, validation: SampleSet, context: Context) -> None:
        start, steps = self._read_start(context), context.budget.steps
        if start is not None and self.config.unet_n_filter_base is None:
            self.config = self.config.model_copy(update={"unet_n_filter_base": start.filters})
        self.config = self.config.resolve(context.budget)
        channels = channels_of(train)
        if start is not None:
            channels = input_channels(channels, start.channels, start.source)
        self.build(channels, context)
        with self.on_device():
            network.initialise(self.model.keras_model.weights, context.seed)
            if start is not None:
                self._load_start(start, context)
            if steps:
                stream = PatchStream(train, context.budget, context.seed, channels=self._channels)
                training.train(self.model, stream, self.config, context)
            if steps or start is None:
                context.progress(steps, steps, "tuning thresholds")
                self.tune_thresholds(validation)

    @classmethod
    def check_init(cls, config: StarDistConfig, file: Path) -> None:
        """Raise `PluginError` if a folder isn't that of a published model with this configuration's network."""
        check_folder(file, config)

    def _read_start(self, context: Context) -> Start | None:
        """Return the trained weights to start from, and what is known of them."""

        def of_model(folder: Path) -> Start:
            fitted = self.load(folder, context)
            arrays = {name: np.asarray(v.numpy()) for name, v in named(fitted.model.keras_model).items()}
            thresholds = {"prob": fitted.model.thresholds.prob, "nms": fitted.model.thresholds.nms}
            return Start(folder, arrays, fitted._channels, thresholds, resolved(fitted.config.unet_n_filter_base))

        return read_start(context, lambda path: read_folder(path, self.config), of_model)

    def _load_start(self, start: Start, context: Context) -> None:
        """Give the network trained weights, and their thresholds."""
        if self._channels > start.channels:
            context.notify(f"init {start.source}: its weights are of grey images; the first layer is repeated for RGB")
        load_start(self.model.keras_model, start, self._channels)
        self.model.thresholds = dict(start.thresholds)

    def predict(self, image: NDArray[Any]) -> Instances:
        planes = self.as_input(image)
        tiles = tuple(-(-side // TILE) for side in planes.shape[:2])
        with self.on_device():
            labels, details = self.model.predict_instances(planes, n_tiles=(*tiles, 1), show_tile_progress=False)
        return relabelled(labels, np.asarray(details["prob"], np.float64))

    def save(self, folder: Path) -> None:
        super().save(folder)
        from safetensors.numpy import save_file

        thresholds = self.model.thresholds
        state = {"channels": self._channels, "prob": float(thresholds.prob), "nms": float(thresholds.nms)}
        beside = folder / f"{WEIGHTS}.tmp"
        save_file(network.to_arrays(self.model.keras_model.weights), beside)
        os.replace(beside, folder / WEIGHTS)
        write_state(folder / STATE, state)

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        new = super().load(folder, context)
        channels, thresholds = read_state(
            folder / STATE,
            lambda state: (int(state["channels"]), {name: float(state[name]) for name in ("prob", "nms")}),
        )
        new.build(channels, context)
        new.model.thresholds = thresholds
        try:
            network.from_arrays(new.model.keras_model.weights, load_file(folder / WEIGHTS))
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{folder / WEIGHTS}: the trained StarDist can't be read: {error}; fit again") from None
        return new

    def build(self, channels: int, context: Context) -> None:
        """Build the network for images of so many channels, on the task's device."""
        self._channels, self._device, self._threads = channels, context.device, context.threads
        bfloat16 = in_bfloat16(context.device)
        with self.on_device():
            self.model = network.build(self.config, channels, bfloat16=bfloat16)

    def on_device(self) -> AbstractContextManager[Any]:
        """Return a context in which TensorFlow computes on the task's device."""
        return runtime.start(self._device, self._threads)

    def as_input(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return a normalised image as ``(height, width, channels)`` float32."""
        return np.ascontiguousarray(np.moveaxis(to_channels(normalise(image), self._channels), 0, -1))

    def tune_thresholds(self, validation: SampleSet) -> None:
        """Choose the thresholds on validation images, spread evenly over the set."""
        chosen = (validation[position] for position in subsample(validation, TUNING_PIXELS))
        samples = [sample for sample in chosen if sample.labels.any()]
        if not samples:
            return
        with contextlib.redirect_stdout(io.StringIO()), shared_suppression(self.model, samples):
            found = self.model.optimize_thresholds(
                [self.as_input(sample.image) for sample in samples],
                [training.relabel(sample.labels) for sample in samples],
                predict_kwargs={"n_tiles": None},
                optimize_kwargs={"verbose": 0},
            )
        self.model.thresholds = {"prob": float(np.clip(found["prob"], 0.01, 0.99)), "nms": found["nms"]}


@contextlib.contextmanager
def shared_suppression(model: Any, samples: Sequence[Sample]) -> Iterator[None]:
    """Let many thresholds of the probability share one non-maximum suppression, and leave out the ignore regions.

    A polygon is suppressed by those of higher probability alone, and is drawn over by these alone. So what is found
    above a threshold is what is found above a lower one, without the objects that are below it. (Among polygons of
    exactly the same probability the library leaves the order to chance.)

    Parameters
    ----------
    model
        Its ``optimize_thresholds`` is to be called. That asks for the instances of one sample after another, in their
        order, and so round by round; the first round of each overlap threshold has the lowest of the probability.
    samples
    """
    turns, find = cycle(enumerate(samples)), model._instances_from_prediction
    known: dict[tuple[int, float], tuple[float, NDArray[Any], NDArray[Any]]] = {}

    def found(*args: Any, prob_thresh: float, nms_thresh: float) -> tuple[NDArray[Any], Any]:
        place, sample = next(turns)
        lowest, labels, scores = known.get((place, nms_thresh), (np.inf, np.empty(0), np.empty(0)))
        if prob_thresh < lowest:
            labels, details = find(*args, prob_thresh=prob_thresh, nms_thresh=nms_thresh)
            scores = np.asarray(details["prob"])
            known[place, nms_thresh] = prob_thresh, labels, scores
        labels = np.where(np.append(False, scores > prob_thresh)[labels], labels, 0)
        return leave_out(sample.labels, labels, sample.ignore)[1], {}

    model._instances_from_prediction = found
    try:
        yield
    finally:
        del model._instances_from_prediction


def relabelled(labels: NDArray[Any], scores: NDArray[Any]) -> Instances:
    """Number the objects that are left 1 … n, and keep their scores.

    Parameters
    ----------
    labels
        ``(height, width)``; an object may be covered by others, so that its label is nowhere.
    scores
        The score of label k + 1 at k.
    """
    present = np.unique(labels)
    present = present[present > 0]
    number = np.zeros(len(scores) + 1, np.int32)
    number[present] = np.arange(1, len(present) + 1)
    return Instances(number[labels], scores[present - 1])
