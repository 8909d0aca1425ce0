"""A dataset under other names is the board's where its content is, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.blobs import blobs
from helpers.boards import Place
from synthbench.board.naming import write_named
from synthbench.board.participating import study_content
from synthbench.cli import main
from synthbench.errors import ConfigError, DataError
from synthbench.samples import Sample, SampleSet
from synthbench.store import Store
from synthbench.study.model import make_study
from synthbench.study.resolve import resolve


def renamed(data: Path, **changes: object) -> list[Sample]:
    """Return the samples of the board backwards, under other names and without groups."""
    kept = reversed(list(SampleSet.open(data)))
    return [replace(sample, id=f"mine-{number}", groups={}) for number, sample in enumerate(kept)]


def test_the_board_takes_images_that_someone_has_under_other_names(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stranger = Sample("stranger", *(getattr(blobs(99), name) for name in ("image", "labels")))
    SampleSet.of([stranger, *renamed(place.data)]).save(tmp_path / "mine")
    assert main(["board", "data", str(place.board), str(tmp_path / "mine"), "--out", str(tmp_path)]) == 0
    original = SampleSet.open(place.data)
    assert f"kept {len(original)} of the {len(original) + 1} images" in capsys.readouterr().out
    kept = SampleSet.open(tmp_path / place.data.name)
    assert (kept.fingerprint, kept.ids) == (original.fingerprint, original.ids)
    content = study_content(place.board, ["duplicate"], [str(tmp_path / place.data.name)])
    assert resolve(make_study(content, "test"), Store(tmp_path / "store")).conditions


def test_the_library_keeps_it_under_the_boards_name(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SYNTHBENCH_HOME", str(tmp_path / "home"))
    SampleSet.of(renamed(place.data)).save(tmp_path / "mine")
    words = ["board", "data", str(place.board), str(tmp_path / "mine")]
    assert main(words) == 0
    capsys.readouterr()
    assert main(words) == 2
    assert "already exists" in capsys.readouterr().err


def test_images_that_look_alike_are_told_apart_by_content(place: Place, tmp_path: Path) -> None:
    """Two of the same size and number of objects; one has a pixel changed."""
    samples = renamed(place.data)
    image = samples[0].image.copy()
    image[0, 0] ^= 1
    changed = SampleSet.of([replace(samples[0], image=image), *samples[1:]], name="mine")
    with pytest.raises(DataError, match=rf"mine: lacks 1 of the {len(samples)} images of 'blobs' .*: blob"):
        write_named(place.board, "blobs", changed, tmp_path / "blobs")
    labels = np.where(samples[0].labels == 1, 0, samples[0].labels)
    with pytest.raises(DataError, match="lacks 1 of the"):
        write_named(
            place.board, "blobs", SampleSet.of([replace(samples[0], labels=labels), *samples[1:]]), tmp_path / "blobs"
        )
    assert not (tmp_path / "blobs").exists()


def test_what_the_board_does_not_have_is_refused(place: Place, tmp_path: Path) -> None:
    samples = renamed(place.data)
    with pytest.raises(ConfigError, match=r"cells: no dataset of the board .*, which is on blobs"):
        write_named(place.board, "cells", SampleSet.of(samples), tmp_path / "cells")
    flat = [replace(sample, labels=(sample.labels > 0).astype(np.uint8)) for sample in samples]
    semantic = SampleSet.of(flat, name="mine", task="semantic", classes=("background", "disc"))
    with pytest.raises(DataError, match=r"mine: is for semantic \(background, disc\), and 'blobs'"):
        write_named(place.board, "blobs", semantic, tmp_path / "blobs")
