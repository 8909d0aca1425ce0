"""What a watched fit does is counted: whose optimiser it is, and where it runs."""

from __future__ import annotations

import multiprocessing
import os

import pytest
import torch

from synthbench.testing._watch import Watch


def descend(steps: int) -> None:
    light = torch.nn.Parameter(torch.ones(1))
    optimiser = torch.optim.AdamW([light], lr=0.1)
    for _ in range(steps):
        optimiser.zero_grad()
        light.square().sum().backward()
        optimiser.step()


def test_steps_and_gradients_are_counted_within_and_not_after() -> None:
    watch = Watch()
    with watch.counting():
        descend(4)
        descend(3)
    descend(2)
    assert sorted(watch.counts()) == [3, 4]
    assert watch.gradients == 7
    assert watch.processes == 0


def test_the_steps_of_lbfgs_are_told_by_its_gradients() -> None:
    light = torch.nn.Parameter(torch.ones(3))
    optimiser = torch.optim.LBFGS([light], max_iter=20, tolerance_grad=0, tolerance_change=0)
    watch = Watch()

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = (light**4).sum()
        loss.backward()
        return loss

    with watch.counting():
        optimiser.step(closure)
    assert watch.counts() == [1]
    assert watch.gradients >= 20


def test_steps_of_a_forked_process_are_counted() -> None:
    watch = Watch()
    with watch.counting():
        if (child := os.fork()) == 0:
            descend(6)
            os._exit(0)
        os.waitpid(child, 0)
        descend(2)
    assert watch.counts() == [2, 6]
    assert watch.gradients == 8
    assert watch.processes >= 1


def test_a_process_that_is_spawned_is_noticed() -> None:
    watch = Watch()
    with watch.counting():
        process = multiprocessing.get_context("spawn").Process(target=os.getpid)
        process.start()
        process.join()
    assert watch.processes >= 1


@pytest.mark.slow
def test_steps_of_keras_are_counted_also_in_a_compiled_function() -> None:
    keras = pytest.importorskip("keras")
    tf = pytest.importorskip("tensorflow")
    watch = Watch()
    with watch.counting():
        light = keras.Variable([1.0])
        optimiser = keras.optimizers.Adam(0.1)
        optimiser.build([light])

        @tf.function
        def step() -> None:
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.square(light.value))
            optimiser.apply_gradients([(tape.gradient(loss, light.value), light)])

        for _ in range(5):
            step()
    assert watch.counts() == [5]
