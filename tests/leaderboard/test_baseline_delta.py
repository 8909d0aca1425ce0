"""The layout "baseline (Δ)": the numbers of hand-made sums, in the place of their group and amount of real data."""

from __future__ import annotations

import io
import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from helpers import frames
from synthbench.errors import ConfigError
from synthbench.leaderboard import as_json, baseline_delta, csv, markdown, terminal_baseline_delta

DRAWS = 300
ARM = "pix2pix × 2x"


@pytest.fixture(scope="module")
def study() -> SimpleNamespace:
    """Two amounts of real images, synthetic ones as a multiple and as a number, two cell types at three stages."""
    parts = []
    for number, fraction in enumerate((10, 40)):
        effects = {"real": 0.0, f"real + pix2pix × {2 * fraction}": 0.08, "real + duplicate × 30": -0.002}
        table = frames.images(
            effects, segmenters=("unet",), seeds=2, count=24, fraction=fraction, ious=(0.5, 0.75), rng_seed=number
        )
        image = table["image"].str[-3:].astype(int)
        table["group:stage"] = np.select([image % 4 == 0, image % 4 == 1], ["early", "mid"], "late")
        parts.append(table)
    found = frames.results(table=pd.concat(parts, ignore_index=True))
    found.study.real_amounts, found.study.synthetic = [0.25, 1.0], ["2x", 30]
    return found


def grids(text: str) -> dict[str, list[list[str]]]:
    """Return the rows of the tables of a Markdown page by their headings."""
    found = {}
    for part in text.split("### ")[1:]:
        heading, _, rest = part.partition("\n")
        lines = [line for line in rest.splitlines() if line.startswith("|") and "---" not in line]
        found[heading] = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return found


def written(value: float, *, signed: bool = False) -> str:
    """Return a number as a paper prints it."""
    sign = ("+" if value > 0 else "−") if signed else ""
    return f"{sign}{abs(value):.3f}".replace("0.", ".", 1)


def test_cells_are_the_sums_of_their_images(study: SimpleNamespace) -> None:
    table = baseline_delta(study, ["cell_type", "stage"], draws=DRAWS)
    grid = grids(markdown(table))["phantom-nuclei · unet · " + ARM + " (F1@.50, pooled)"]
    assert grid[0] == ["cell_type", "stage", "images", "25 % (10 images)", "100 % (40 images)"]
    kinds = [(kind, stage) for kind in ("A172", "SkBr3") for stage in ("early", "mid", "late")]
    assert [tuple(row[:2]) for row in grid[1:]] == kinds
    for (kind, stage), row in zip(kinds, grid[1:], strict=True):
        here = study.images[(study.images["group:cell_type"] == kind) & (study.images["group:stage"] == stage)]
        assert row[2] == str(here["image"].nunique())
        for fraction, cell in zip((10, 40), row[3:], strict=True):
            images = here[here["fraction"] == fraction]
            real = frames.f1_by_hand(images, "real")
            change = frames.f1_by_hand(images, f"real + pix2pix × {2 * fraction}") - real
            assert cell.replace("\\*", "") == f"{written(real)} ({written(change, signed=True)})"


def test_a_difference_is_marked_where_its_interval_excludes_zero(study: SimpleNamespace) -> None:
    table = baseline_delta(study, ["stage"], draws=DRAWS)
    marked = (table["delta_low"] > 0) | (table["delta_high"] < 0)
    assert 0 < marked.sum() < len(table)
    text = markdown(table)
    cells = [cell for grid in grids(text).values() for row in grid[1:] for cell in row[2:]]
    assert len(cells) == len(table)
    assert sum("\\*" in cell for cell in cells) == marked.sum()
    assert "one in twenty" in text
    once = SimpleNamespace(**vars(study))
    once.images, once.runs = (part[part["seed"] == 0] for part in (study.images, study.runs))
    table = baseline_delta(once, draws=DRAWS)
    assert ((table["delta_low"] > 0) | (table["delta_high"] < 0)).any()
    assert not any("\\*" in cell for grid in grids(markdown(table)).values() for row in grid for cell in row)


def test_without_groups_rows_are_datasets(study: SimpleNamespace) -> None:
    both = SimpleNamespace(**vars(study))
    tissue = study.images.assign(dataset="tissue")
    for name in ("fraction", "synthetic"):
        tissue[name] *= 3
    more = {"real + pix2pix × 20": "real + pix2pix × 60", "real + pix2pix × 80": "real + pix2pix × 240"}
    tissue["arm"] = tissue["arm"].replace(more)
    both.images = pd.concat([study.images, tissue], ignore_index=True)
    both.runs = frames.runs(both.images)
    text = markdown(baseline_delta(both, draws=DRAWS))
    grid = grids(text)[f"unet · {ARM} (F1@.50, pooled)"]
    assert grid[0] == ["dataset", "images", "25 %", "100 %"]
    assert [row[0] for row in grid[1:]] == ["phantom-nuclei", "tissue"]
    assert len({tuple(row[2:]) for row in grid[1:]}) == 1


def test_what_was_not_scored_is_a_dash_and_what_is_incomplete_is_marked(study: SimpleNamespace) -> None:
    lost = (study.runs["fraction"] == 40) & (study.runs["arm"].str.contains("pix2pix"))
    gone = frames.lose(study, lost)
    gone = frames.lose(gone, (gone.runs["arm"] == "real + pix2pix × 20") & (gone.runs["seed"] == 1))
    text = markdown(baseline_delta(gone, ["stage"], draws=DRAWS))
    grid = grids(text)[f"phantom-nuclei · unet · {ARM} (F1@.50, pooled)"]
    assert all(row[2].endswith("†") for row in grid[1:])
    assert all(re.fullmatch(r"\.\d{3} \(–\).*", row[3]) for row in grid[1:])
    assert "Trainings are missing" in text
    no_real = frames.lose(study, (study.runs["arm"] == "real") & (study.runs["fraction"].isin([10, 40])))
    cells = [
        row[2:]
        for row in grids(markdown(baseline_delta(no_real, ["stage"], draws=DRAWS)))[
            f"phantom-nuclei · unet · {ARM} (F1@.50, pooled)"
        ][1:]
    ]
    assert cells == [["–", "–"]] * 3


def test_fewer_images_than_the_row_has_are_counted_in_the_cell(study: SimpleNamespace) -> None:
    fewer = SimpleNamespace(**vars(study))
    first = study.images["image"] == "test-000"
    fewer.images = study.images[~(first & (study.images["fraction"] == 10) & (study.images["arm"] != "real"))]
    grid = grids(markdown(baseline_delta(fewer, ["stage"], draws=DRAWS)))[
        f"phantom-nuclei · unet · {ARM} (F1@.50, pooled)"
    ]
    early = next(row for row in grid if row[0] == "early")
    assert early[1] == "6"
    assert ", of 5 images)" in early[2]
    assert "of" not in early[3]


def test_csv_and_json_hold_numbers(study: SimpleNamespace) -> None:
    table = baseline_delta(study, ["cell_type"], draws=DRAWS)
    read = pd.read_csv(io.StringIO(csv(table)))
    assert len(read) == len(table) == 2 * 2 * 2
    assert {"group:cell_type", "real", "fraction", "amount", "baseline", "score", "delta", "delta_low"} <= set(read)
    complete = read["score"] - read["baseline"]
    np.testing.assert_allclose(read["delta"], complete, atol=1e-12)
    assert set(read["real"]) == {"25 %", "100 %"}
    parsed = json.loads(as_json(table))
    assert parsed["rows"][0]["baseline"] == pytest.approx(table["baseline"].iloc[0])
    assert set(parsed["columns"]) == set(parsed["rows"][0])


def test_a_terminal_shows_the_same_cells(study: SimpleNamespace) -> None:
    table = baseline_delta(study, ["stage"], draws=DRAWS)
    out = io.StringIO()
    Console(width=120, file=out).print(terminal_baseline_delta(table))
    shown = [line.split() for line in out.getvalue().splitlines()]
    for heading, grid in grids(markdown(table)).items():
        assert heading in out.getvalue()
        for row in grid[1:]:
            assert " ".join(row).replace("\\", "").split() in shown


def test_amounts_that_come_to_the_same_number_stand_in_both_tables(study: SimpleNamespace) -> None:
    twice = SimpleNamespace(**vars(study))
    twice.study = SimpleNamespace(**vars(study.study))
    twice.study.synthetic = ["3x", "2x", 30]
    found = baseline_delta(twice, draws=DRAWS).query("arm == 'real + duplicate × 30' and fraction == 10")
    assert found["amount"].tolist() == ["3x", "30"]
    assert found["delta"].nunique() == 1


def test_arms_of_one_generator_and_amount_have_tables_of_their_own(study: SimpleNamespace) -> None:
    """Ratios, schedules and “only” stand after the amount in the name of an arm."""
    several = SimpleNamespace(**vars(study))
    names = {"pix2pix × 20": "pix2pix × 20 (25 %)", "pix2pix × 80": "pix2pix × 80 (25 %)"}
    arms = study.images["arm"].str.removeprefix("real + ")
    others = study.images.assign(arm="real + " + arms.replace(names))[arms.isin(names)]
    alone = study.images.assign(arm=arms + " only")[arms.isin(names)]
    others["tp"], alone["tp"] = 0, 0
    for part in (others, alone):
        part["fp"], part["fn"] = part["predicted"], part["true"]
    several.images = pd.concat([study.images, others, alone], ignore_index=True)
    several.runs = frames.runs(several.images)
    found = grids(markdown(baseline_delta(several, draws=DRAWS)))
    cells = {heading.partition(" (F1")[0].removeprefix("unet · "): grid[1][2:] for heading, grid in found.items()}
    assert set(cells) == {"pix2pix × 2x", "pix2pix × 2x (25 %)", "pix2pix × 2x only", "duplicate × 30"}
    real = [frames.f1_by_hand(study.images[study.images["fraction"] == fraction], "real") for fraction in (10, 40)]
    for name in ("pix2pix × 2x (25 %)", "pix2pix × 2x only"):
        assert [cell.replace("\\*", "") for cell in cells[name]] == [
            f"{written(s)} ({written(-s, signed=True)})" for s in real
        ]
    assert all("(+" in cell for cell in cells["pix2pix × 2x"])


def test_a_study_of_real_images_alone_has_nothing_to_compare(small: SimpleNamespace) -> None:
    real = SimpleNamespace(**vars(small))
    real.images, real.runs = (part[part["arm"] == "real"] for part in (small.images, small.runs))
    with pytest.raises(ConfigError, match="no arm beside 'real'"):
        baseline_delta(real, draws=DRAWS)
    with pytest.raises(ConfigError, match=r"'cell_typ'.*group:cell_type"):
        baseline_delta(small, ["cell_typ"], draws=DRAWS)


def test_classes_of_pixels_are_compared_by_miou_star(semantic: SimpleNamespace) -> None:
    table = baseline_delta(semantic, ["cell_type"], draws=DRAWS)
    assert set(table["metric"]) == {"miou_star"}
    assert table["delta"].notna().all()
    assert "(mIoU\\*, pooled)" in markdown(table)


def test_folds_that_differ_by_an_image_are_one_column() -> None:
    parts = []
    for fold, sizes in enumerate([(5, 10), (6, 11)]):
        for size in sizes:
            effects = {"real": 0.0, f"real + pix2pix × {2 * size}": 0.05}
            part = frames.images(effects, segmenters=("unet",), seeds=2, count=6, fraction=size, ious=(0.5,))
            parts.append(part.assign(fold=fold, image=f"{fold}-" + part["image"]))
    found = frames.results(table=pd.concat(parts, ignore_index=True))
    found.study.real_amounts, found.study.synthetic = [0.5, 1.0], ["2x"]
    (grid,) = grids(markdown(baseline_delta(found, draws=DRAWS))).values()
    assert grid[0] == ["dataset", "images", "50 % (5 images)", "100 % (10 images)"]
    real = np.mean([frames.f1_by_hand(part, "real") for part in (parts[1], parts[3])])
    names = (parts[1], "real + pix2pix × 20"), (parts[3], "real + pix2pix × 22")
    arm = np.mean([frames.f1_by_hand(part, name) for part, name in names])
    assert grid[1][:2] == ["phantom-nuclei", "12"]
    assert grid[1][3].replace("\\*", "") == f"{written(real)} ({written(arm - real, signed=True)})"
