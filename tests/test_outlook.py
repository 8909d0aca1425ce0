"""What a plan will be able to see: its design is counted as the leaderboard's test counts it."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from synthbench.cli.plan import _print_outlook
from synthbench.outlook import outlook
from synthbench.plan import Cell
from synthbench.statistics import PRIOR, detectable

make_crossed = runpy.run_path(str(Path(__file__).parent / "statistics" / "crossed.py"))["images"]


def plan(
    folds: int = 1, generator_seeds: int = 1, seeds: int = 3, train: tuple[int, ...] = (40,), test: int = 20
) -> SimpleNamespace:
    """Return a plan of `real` and one generator; the amounts of real data of each fold in turn."""
    arenas = [
        SimpleNamespace(dataset="d", fold=fold, train=range(train[fold % len(train)]), test=range(test))
        for fold in range(folds)
    ]
    cells = []
    for arena, place in enumerate(arenas):
        amount = len(place.train)
        cells += [Cell(arena, "real", "", 0, "unet", None, s, "", "") for s in range(seeds)]
        cells += [
            Cell(arena, f"real + g × {amount}", "g", amount, "unet", g, s, "", "")
            for g in range(generator_seeds)
            for s in range(seeds)
        ]
    return SimpleNamespace(resolved=SimpleNamespace(arenas=arenas), cells=cells)


@pytest.fixture(autouse=True)
def nothing_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthbench.outlook.collect", lambda *_: SimpleNamespace(images=pd.DataFrame()))


def test_crossed_seeds_are_counted_as_such() -> None:
    (found,) = outlook(plan(generator_seeds=3, seeds=3), None)  # type: ignore[arg-type]
    assert (found.folds, found.generator_seeds, found.seeds, found.pairs, found.images) == (1, 3, 3, 9, 20)
    assert found.difference == detectable(PRIOR, 20, 3, 1, generator_seeds=3)
    assert found.difference > detectable(PRIOR, 20, 9, 1)


def test_folds_that_differ_by_an_image_are_one_cell_and_one_arm() -> None:
    (found,) = outlook(plan(folds=3, seeds=2, train=(66, 67, 67)), None)  # type: ignore[arg-type]
    assert (found.fraction, found.folds, found.arms, found.pairs, found.images) == (66, 3, 1, 6, 60)
    assert found.difference == detectable(PRIOR, 60, 2, 1, folds=3)


def test_what_the_prior_has_to_assume_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    cases = {
        "3 folds × 2 generator seeds × 1 seed each; noise: assumed": plan(3, 2, 1),
        "1 seed each; with one seed, the test counts test images alone; noise: assumed": plan(seeds=1),
        "one test image shows no difference": plan(test=1),
    }
    for words, study in cases.items():
        _print_outlook(outlook(study, None))  # type: ignore[arg-type]
        assert words in capsys.readouterr().out


def test_an_earlier_run_of_all_its_folds_is_the_pilot() -> None:
    """Also where folds differ by an image, and where one amount of real data has no baseline."""
    parts = [make_crossed(0.02, 2, 2, rng_seed=fold) for fold in range(3)]
    rows = pd.concat(
        [p.assign(fold=f, fraction=66 + (f > 0), image=f"{f}-" + p["image"]) for f, p in enumerate(parts)],
        ignore_index=True,
    )
    made = rows["arm"] != "real"
    rows["synthetic"] = rows["fraction"].where(made, 0)
    rows["arm"] = rows["arm"].where(~made, "real + g × " + rows["fraction"].astype(str))
    alone = rows[made].assign(fraction=lambda table: table["fraction"] - 26)
    earlier = SimpleNamespace(images=pd.concat([rows, alone], ignore_index=True))
    (found,) = outlook(plan(folds=3, train=(40, 41, 41)), None, earlier)  # type: ignore[arg-type]
    assert found.noise.source == "the earlier run's results, 1 arm"
    assert found.noise.image > 0
