"""``synthbench fidelity``: the text is readable, JSON is JSON, a mistake is one line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.blobs import blobs
from synthbench.cli import main
from synthbench.samples import SampleSet, write_array

pytestmark = pytest.mark.usefixtures("trial_registry")


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    for number, name in enumerate(("synthetic", "real", "train")):
        samples = [blobs(100 * number + i) for i in range(7 + number)]
        SampleSet.write(tmp_path / name, samples, name=name)
    return [str(tmp_path / name) for name in ("synthetic", "real", "train")]


def test_text_says_n_encoder_floor_and_what_each_figure_is(
    folders: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fidelity", *folders[:2], "--train", folders[2], "--encoder", "moments"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "real: 7 of 8 images" in out
    assert "compare 7 of each set, drawn with seed 0" in out
    rows = {line.split("  ")[0]: line for line in out.splitlines() if line and not line.startswith(" ")}
    for name in (
        "KD(moments)",
        "FD(moments)",
        "coverage",
        "train duplicates",
        "authenticity",
        "C_T",
        "area",
        "touching",
    ):
        assert len(rows[name].split()) > 5, name
    table = out[out.index("KD(moments)") :].splitlines()
    assert [line for line in table if len(line) > 140] == [], "distances of this encoder are as wide as any"


def test_what_the_figures_lack_is_shown(folders: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fidelity", *folders[:2], "--encoder", "moments"]) == 0
    out = capsys.readouterr().out
    assert "no real-vs-real figures" in out
    assert "FID and KID are the names" in out


def test_duplicates_are_listed_by_name_and_sought_in_all_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real, train = ([blobs(seed) for seed in seeds] for seeds in (range(8), range(20, 32)))
    train.append(real[0])
    synthetic = [*(blobs(seed) for seed in range(100, 110)), replace(train[4], image=np.rot90(train[4].image).copy())]
    for name, samples in (("s", synthetic), ("r", real), ("t", train)):
        (tmp_path / name).mkdir()
        for i, sample in enumerate(samples):
            write_array(tmp_path / name / f"{i:03d}.png", sample.image)
    paths = [str(tmp_path / name) for name in ("s", "r", "t")]
    assert main(["fidelity", *paths[:2], "--train", paths[2], "--encoder", "moments"]) == 0
    out = capsys.readouterr().out
    assert "010.png duplicates train image 004.png (distance" in out
    assert "1 of 11" in out
    assert "note: 1 of the 8 real images" in out
    assert "KD(moments) and the search for duplicates use all images" in out


def test_json_is_json_and_nothing_else(folders: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fidelity", *folders[:2], "--encoder", "untrained", "--config", "white_level=4095", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["n"] == 7
    assert "white:4095" in result["encoder"]["fingerprint"]
    assert result["memorisation"] is None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--encoder", "moments", "--config", "white"], "--config white: expected KEY=VALUE"),
        (["--encoder", "moments", "--inception", "x.pth"], "--inception contradicts --encoder 'moments'"),
        (["--encoder", "moments", "--device", "tpu"], "--device tpu: "),
        (["--config", "a=1"], "--config: name the encoder with --encoder"),
        (["--inception", "x.pth"], "no Inception weights at x.pth"),
    ],
)
def test_a_mistake_is_one_line(
    words: list[str], told: str, folders: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fidelity", *folders[:2], *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert told in err
