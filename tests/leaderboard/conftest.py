"""Results made from chosen effects, and a browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import pandas as pd
import pytest

from helpers import frames as made


@pytest.fixture(scope="session")
def frames() -> ModuleType:
    """The functions of `helpers.frames`."""
    return made


@pytest.fixture(scope="session")
def whole() -> SimpleNamespace:
    """Four arms, two segmenters, three seeds, 50 images, ten thresholds: pix2pix helps, shuffled hurts."""
    effects = {"real": 0.0, "real + duplicate × 50": 0.0, "real + pix2pix × 50": 0.06, "real + shuffled × 50": -0.15}
    return made.results(effects=effects, seed_spread=0.002)


@pytest.fixture(scope="session")
def gaps(whole: SimpleNamespace) -> SimpleNamespace:
    """The same, but U-Net failed on all of pix2pix and on one seed of duplicate."""
    unet = whole.runs["segmenter"] == "unet"
    lost = made.lose(whole, unet & (whole.runs["generator"] == "pix2pix"))
    return made.lose(lost, unet & (whole.runs["generator"] == "duplicate") & (whole.runs["seed"] == 1))


@pytest.fixture(scope="session")
def small() -> SimpleNamespace:
    """Two arms, one segmenter, two seeds, eight images, three thresholds."""
    effects = {"real": 0.0, "real + pix2pix × 9": 0.05}
    return made.results(effects=effects, segmenters=("unet",), seeds=2, count=8, ious=(0.5, 0.75, 0.9))


@pytest.fixture(scope="session")
def semantic() -> SimpleNamespace:
    """Two arms of a semantic study with two classes."""
    table = made.images({"real": 0.0, "real + copy-paste × 9": 0.04}, segmenters=("unet",), count=12, ious=(0.5, 0.55))
    pixels = table.drop(columns=["iou", "true", "predicted", "difficulty"])
    pixels["class"] = (table["iou"] > 0.5).astype(int)
    pixels["cldice"] = pixels["dice"] - 0.1
    return made.results(table=pixels)


@pytest.fixture(scope="session")
def chromium() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not found:
        pytest.skip("no headless Chromium on this machine")
    return found


@pytest.fixture
def renamed() -> Callable[[SimpleNamespace, str, str], SimpleNamespace]:
    """Give every occurrence of a name in the results another one."""

    def rename(found: SimpleNamespace, old: str, new: str) -> SimpleNamespace:
        def change(table: pd.DataFrame) -> pd.DataFrame:
            out = table.copy()
            for column in out.select_dtypes(["object", "string"]):
                out[column] = out[column].map(
                    lambda value: value.replace(old, new) if isinstance(value, str) else value
                )
            return out

        tables = {
            name: change(getattr(found, name)) for name in ("images", "runs", "fidelity", "label_consistency", "tasks")
        }
        return SimpleNamespace(study=found.study, **tables)

    return rename
