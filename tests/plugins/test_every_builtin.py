"""Every built-in plugin keeps the contract that strangers' plugins are held to."""

from __future__ import annotations

import pytest

from synthbench.plugin.registry import registry
from synthbench.testing import run_contract

TRAINED = {
    ("segmenter", "unet"),
    ("segmenter", "stardist"),
    ("segmenter", "cellpose"),
    ("generator", "pix2pix"),
    ("generator", "vqvae-pixelcnn"),
    ("generator", "cgan-seg"),
    ("generator", "diffusion"),
    ("generator", "stylegan2-mask"),
}
BUILT_IN = [key for key, entry in registry().entries.items() if entry.distribution == "synthbench"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [pytest.param(*key, marks=[pytest.mark.slow] * (key in TRAINED), id="-".join(key)) for key in BUILT_IN],
)
def test_it_keeps_the_contract(kind: str, name: str) -> None:
    if registry().get(kind, name).missing:
        pytest.skip(registry().get(kind, name).off)
    findings = run_contract(kind, name)
    assert [f"{f.check}: {f.sentence}" for f in findings if f.status == "violated"] == []
    trained = bool(getattr(registry().load(kind, name), "budgets", {}))
    assert trained == ((kind, name) in TRAINED)


def test_there_are_built_ins_of_every_kind() -> None:
    assert {kind for kind, _ in BUILT_IN} == {"generator", "segmenter", "encoder", "dataset"}
