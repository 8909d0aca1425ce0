"""Named streams: the same numbers everywhere, and other numbers for every other seed, name or index."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from synthbench.toolkit.rng import stream, torch_seed, torch_stream


def test_the_derivation_is_the_documented_one() -> None:
    digest = hashlib.sha256(b'["masks", 3, 14]').digest()
    expected = np.random.Generator(np.random.PCG64(np.random.SeedSequence(int.from_bytes(digest, "big"))))
    assert stream(3, "masks", 14).integers(2**63, size=4).tolist() == expected.integers(2**63, size=4).tolist()
    assert torch_seed(3, "masks", 14) == int.from_bytes(digest, "big") >> 193


def test_the_first_numbers_are_known() -> None:
    assert stream(0, "masks").bit_generator.random_raw(2).tolist() == [3585137156086360094, 18350926056933097428]
    assert torch_seed(0, "masks") == 4922619010609910867


def test_each_stream_is_its_own_and_begins_anew() -> None:
    streams = [(0, "masks"), (1, "masks"), (0, "patches"), (0, "masks", 0), (0, "masks", 1), (0, "masks", 0, 1)]
    first = [float(stream(*each).random()) for each in streams]
    assert len(set(first)) == len(streams)
    assert first == [float(stream(*each).random()) for each in streams]
    torches = [float(torch.rand((), generator=torch_stream(*each))) for each in streams]
    assert len(set(torches)) == len(streams)


def test_integers_of_numpy_are_integers() -> None:
    assert stream(np.int64(3), "masks", np.uint8(14)).random() == stream(3, "masks", 14).random()
