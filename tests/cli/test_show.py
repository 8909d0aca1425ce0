"""A plugin's page in the terminal."""

from __future__ import annotations

import json

import pytest

from synthbench.cli import main


def test_a_plugin_is_shown_with_budgets_and_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "pix2pix"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("generator pix2pix, for instances and semantic (synthbench ")
    assert "  quick: 2,000 steps of 4 patches of 128²" in out
    assert "  ngf: 24 (smoke, quick), 64 (standard, paper)    int" in out
    assert "  foreground_fraction: none    float" in out
    assert all(len(line) <= 120 for line in out.splitlines())


def test_json_holds_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "unet", "--kind", "segmenter", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["plugins"]
    assert (found["kind"], found["name"]) == ("segmenter", "unet")
    assert found["budgets"]["quick"]["steps"] == 1_600
    assert {
        "name": "max_grad_norm",
        "default": 1.0,
        "kind": "float",
        "description": "gradients are clipped to this norm",
        "resolved": {},
    } in found["options"]


def test_a_configuration_is_shown_with_what_it_sets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "pix2pix", "--config", "preset=paper"]) == 0
    assert '  upsampling: "transposed" (smoke, quick, standard, paper)' in capsys.readouterr().out
    assert main(["show", "pix2pix", "--config", "preset=papr"]) == 2
    assert "config: preset: " in capsys.readouterr().err


def test_an_unknown_name_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "pix2pixel"]) == 2
    assert "did you mean 'pix2pix'" in capsys.readouterr().err


def test_support_of_ignore_regions_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    for name, supported in (("unet", True), ("pix2pix", False)):
        assert main(["show", name]) == 0
        assert ("(an ignore region) are supported" in capsys.readouterr().out) is supported
