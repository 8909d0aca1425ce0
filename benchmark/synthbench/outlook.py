"""What a planned study will be able to see: per cell, the smallest difference that its design detects as a rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from synthbench.plan import Cell, Plan
from synthbench.results import Results, collect
from synthbench.statistics import PRIOR, Noise, detectable, pilot
from synthbench.store import Store


@dataclass(frozen=True)
class Outlook:
    """The smallest Δ of one cell.

    Attributes
    ----------
    dataset, fraction, segmenter
        The cell; `fraction` in real training images.
    images, pairs, arms : int
        Test images, pairs of runs per arm, arms beside `real`.
    difference : float
        Found with probability 0.8; NaN with fewer than two test images.
    noise : Noise
        What it rests on.
    """

    dataset: str
    fraction: int
    segmenter: str
    images: int
    pairs: int
    arms: int
    difference: float
    noise: Noise


def outlook(plan: Plan, store: Store, earlier: Results | None = None) -> list[Outlook]:
    """Return the smallest detectable Δ of each cell of a plan that compares anything.

    The noise is measured on the cell's own results, if some are stored; else on those of an earlier run, of the same
    dataset and segmenter and the nearest amount of real data; else assumed.

    Parameters
    ----------
    earlier
        The results of another run, a pilot.
    """
    stored = collect(plan, store, {})
    cells: dict[tuple[str, int, str], list[Cell]] = {}
    for cell in plan.cells:
        arena = plan.resolved.arenas[cell.arena]
        cells.setdefault((arena.dataset, len(arena.train), cell.segmenter), []).append(cell)
    out = []
    for (dataset, fraction, segmenter), members in cells.items():
        arms = {cell.arm for cell in members} - {"real"}
        if not arms or all(cell.arm != "real" for cell in members):
            continue
        arenas = {cell.arena for cell in members}
        images = sum(len(plan.resolved.arenas[i].test) for i in arenas)
        pairs = min(sum(cell.arm == arm for cell in members) for arm in arms)
        noise = _noise(stored, earlier, dataset, fraction, segmenter)
        smallest = detectable(noise, images, pairs, len(arms))
        out.append(Outlook(dataset, fraction, segmenter, images, pairs, len(arms), smallest, noise))
    return out


def _noise(stored: Results, earlier: Results | None, dataset: str, fraction: int, segmenter: str) -> Noise:
    """Return the noise that the nearest results show."""
    for results, words in ((stored, "stored"), (earlier, "the earlier run's")):
        for rows in _near(results, dataset, fraction, segmenter):
            instances = "iou" in rows and rows["iou"].notna().any()
            found = pilot(rows) if instances else pilot(rows.drop(columns="iou", errors="ignore"), metric="miou_star")
            if found is not None:
                return Noise(found.image, found.training, f"{words} results, {found.source}")
    return PRIOR


def _near(results: Results | None, dataset: str, fraction: int, segmenter: str) -> Iterator[pd.DataFrame]:
    """Yield the rows of each amount of real data, the nearest first."""
    if results is None or results.images.empty:
        return
    table = results.images
    here = table[(table["dataset"] == dataset) & (table["segmenter"] == segmenter)]
    for amount in sorted(here["fraction"].unique(), key=lambda n: abs(n - fraction)):
        yield here[here["fraction"] == amount]
