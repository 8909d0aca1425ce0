"""StarDist's training: its targets and losses, one optimiser step per batch of the patch stream."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from synthbench import Context
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.finetuning import finetune_factor, frozen_steps
from synthbench.toolkit.training.patches import PatchStream
from synthbench_stardist.initial import is_encoder, named
from synthbench_stardist.network import from_arrays, to_arrays
from synthbench_stardist.runtime import tensorflow

if TYPE_CHECKING:
    from synthbench_stardist.config import StarDistConfig

Batch = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
Item = TypeVar("Item")


def targets(labels: NDArray[Any], n_rays: int, grid: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return what the network shall say of a patch.

    Parameters
    ----------
    labels
        ``(P, P)`` integers, 0 is background, below 0 unknown; P is a multiple of `grid`.

    Returns
    -------
    probability : ndarray
        ``(P / grid, P / grid, 1)`` float32: distance to the object's border, scaled to 1 in each object; where the
        label is unknown −1, which the library's loss leaves out.
    distances : ndarray
        ``(P / grid, P / grid, n_rays + 1)`` float32: distance to the object's border along each ray in pixels, then
        the probability again, by which the library weighs the loss of the distances, 0 where the label is unknown.
    """
    from stardist.geometry import star_dist
    from stardist.utils import edt_prob

    numbered = relabel(np.maximum(labels, 0))
    probability = edt_prob(numbered[::grid, ::grid])[..., None].astype(np.float32)
    rays = star_dist(numbered, n_rays, mode="cpp", grid=(grid, grid)).astype(np.float32)
    unknown = labels[::grid, ::grid, None] < 0
    return np.where(unknown, np.float32(-1), probability), np.concatenate([rays, probability], axis=-1)


def relabel(labels: NDArray[Any]) -> NDArray[Any]:
    """Return a label map, ids ≥ 0, as int32 with ids 1 … n: the library takes memory by the largest id."""
    highest = int(labels.max())
    if highest <= 8 * labels.size:  # a table of the ids is ten times as fast as sorting the pixels
        present = np.zeros(highest + 1, np.int32)
        present[labels.ravel()] = 1
        present[0] = 0
        by_table: NDArray[Any] = present.cumsum(dtype=np.int32)[labels]
        return by_table
    ids, numbered = np.unique(labels, return_inverse=True)
    relabelled: NDArray[Any] = numbered.reshape(labels.shape).astype(np.int32) + np.int32(ids[0] > 0)
    return relabelled


def training_batch(stream: PatchStream, step: int, n_rays: int, grid: int) -> Batch:
    """Return a step's images ``(B, P, P, C)``, probabilities and distances, float32."""
    images, labels = stream.batch(step)
    pairs = [targets(plane[0], n_rays, grid) for plane in labels]
    probability, distances = (np.stack(column) for column in zip(*pairs, strict=True))
    return np.ascontiguousarray(np.moveaxis(images, 1, -1)), probability, distances


class Prefetch(Generic[Item]):
    """Makes item n + 1, n + 2 … in threads while item n is used; items are asked for in order."""

    def __init__(self, make: Callable[[int], Item], total: int, threads: int) -> None:
        self._make = make
        self._total = total
        self._depth = threads + 1
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="patches")
        self._pending: dict[int, Future[Item]] = {}

    def __enter__(self) -> Prefetch[Item]:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __getitem__(self, number: int) -> Item:
        for ahead in range(number, min(number + self._depth, self._total)):
            if ahead not in self._pending:
                self._pending[ahead] = self._pool.submit(self._make, ahead)
        return self._pending.pop(number).result()


class Variables:
    """Keras variables as a part of `synthbench.toolkit.training.loop.train`."""

    def __init__(self, variables: list[Any]) -> None:
        self.variables = variables

    def state_dict(self) -> dict[str, Any]:
        import torch

        return {name: torch.from_numpy(np.array(array)) for name, array in to_arrays(self.variables).items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        from_arrays(self.variables, {name: tensor.numpy() for name, tensor in state.items()})


def train(model: Any, stream: PatchStream, config: StarDistConfig, context: Context) -> None:
    """Take the budget's steps with the library's losses and Adam.

    From scratch, the learning rate rises, then falls to zero; with an init, `Finetuner` says how it is.
    Pixels of unknown label have no part in the losses; see `mask_unknown`.

    Progress, checkpoints and stopping are those of `synthbench.toolkit.training.loop.train`.
    """
    from synthbench.toolkit.training import loop

    tf = tensorflow()
    network = model.keras_model
    optimiser = Finetuner(model, config, context) if context.init else Scratch(model, config, context)

    def update(images: Any, probability: Any, distances: Any, is_frozen: bool) -> Any:
        variables = optimiser.variables(is_frozen)
        with tf.GradientTape() as tape:
            targets, outputs = mask_unknown(probability, *network(images, training=True))
            loss = network.compute_loss(y=[targets, distances], y_pred=outputs)
        optimiser.apply(tape.gradient(loss, variables), is_frozen)
        return loss

    compiled_update = tf.function(update)
    total, workers = context.budget.steps, max(1, context.threads - 1)
    with Prefetch(lambda n: training_batch(stream, n, config.n_rays, config.grid), total, workers) as ahead:

        def step(number: int) -> dict[str, float]:
            batch = (tf.convert_to_tensor(part) for part in ahead[number])
            return {"loss": float(compiled_update(*batch, optimiser.begin(number)))}

        parts = {"network": Variables(network.variables), **optimiser.state()}
        loop.train(replace(context, device="cpu"), state=parts, step=step)


class Scratch:
    """One Adam for all variables, whose learning rate rises for a twentieth of the steps, then falls along a cosine."""

    def __init__(self, model: Any, config: StarDistConfig, context: Context) -> None:
        self.network = model.keras_model
        model.prepare_for_training(optimizer=_adam(resolved(config.train_learning_rate), context.budget.steps))
        self.optimiser = self.network.optimizer
        self.optimiser.build(self.network.trainable_variables)

    def begin(self, step: int) -> bool:
        """Prepare a step; return whether the encoder is frozen in it."""
        return False

    def variables(self, is_frozen: bool) -> list[Any]:
        """Return the variables that learn."""
        return list(self.network.trainable_variables)

    def apply(self, gradients: list[Any], is_frozen: bool) -> None:
        """Take the step with the gradients of `variables`."""
        self.optimiser.apply_gradients(zip(gradients, self.variables(is_frozen), strict=True))

    def state(self) -> dict[str, Variables]:
        """Return what changes besides the network."""
        return {"optimiser": Variables(self.optimiser.variables)}


class Finetuner(Scratch):
    """An Adam for the encoder and one for the rest, whose learning rates follow the configuration's `finetune`."""

    def __init__(self, model: Any, config: StarDistConfig, context: Context) -> None:
        from keras.optimizers import Adam

        self.network, self.config, self.steps = model.keras_model, config.finetune, context.budget.steps
        trainable = named(self.network)
        self.slow = [variable for name, variable in trainable.items() if is_encoder(name)]
        self.fast = [variable for name, variable in trainable.items() if not is_encoder(name)]
        decay = self.config.weight_decay or None
        model.prepare_for_training(optimizer=Adam(self.config.learning_rate, weight_decay=decay))
        self.optimiser = self.network.optimizer
        self.optimiser.build(self.fast)
        self.encoder_optimiser = Adam(self.config.learning_rate, weight_decay=decay)
        self.encoder_optimiser.build(self.slow)

    def begin(self, step: int) -> bool:
        factor = finetune_factor(step, self.steps, warmup=self.config.warmup, decay_from=self.config.decay_from)
        rate = factor * self.config.learning_rate
        self.optimiser.learning_rate.assign(rate)
        self.encoder_optimiser.learning_rate.assign(rate * self.config.encoder_lr_ratio)
        return step < frozen_steps(self.config, self.steps)

    def variables(self, is_frozen: bool) -> list[Any]:
        return self.fast if is_frozen else [*self.slow, *self.fast]

    def apply(self, gradients: list[Any], is_frozen: bool) -> None:
        if not is_frozen:
            count = len(self.slow)
            self.encoder_optimiser.apply_gradients(zip(gradients[:count], self.slow, strict=True))
            gradients = gradients[count:]
        self.optimiser.apply_gradients(zip(gradients, self.fast, strict=True))

    def state(self) -> dict[str, Variables]:
        return {**super().state(), "encoder_optimiser": Variables(self.encoder_optimiser.variables)}


def mask_unknown(probability: Any, predicted: Any, rays: Any) -> tuple[Any, list[Any]]:
    """Return the probability that is wanted, and what the network says, such that unknown pixels don't count.

    Where the wanted probability is below 0, the library leaves out the loss of the probability, and `targets` have
    weight 0 for that of the distances. The library would still pull the distances there towards 0, as it does outside
    of objects: so they are 0. And its mean over no pixel at all would be NaN: if nothing is known, both sides are 0.

    Parameters
    ----------
    probability
        What is wanted, ``(B, h, w, 1)``.
    predicted, rays
        The network's probability and distances, ``(B, h, w, 1)`` and ``(B, h, w, n_rays)``.
    """
    tf = tensorflow()
    unknown = probability < 0
    nothing = tf.reduce_all(unknown)
    return tf.where(nothing, 0.0, probability), [tf.where(nothing, 0.0, predicted), tf.where(unknown, 0.0, rays)]


def _adam(peak: float, steps: int) -> Any:
    """Return Adam whose rate rises linearly for a twentieth of the steps, and falls along a cosine to zero."""
    from keras.optimizers import Adam
    from keras.optimizers.schedules import CosineDecay

    warm = max(1, steps // 20)
    schedule = CosineDecay(
        initial_learning_rate=peak / warm, decay_steps=max(1, steps - warm), warmup_target=peak, warmup_steps=warm
    )
    return Adam(schedule)
