"""Which test images belong together, and are resampled as one: those that the split keeps together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from synthbench.results._test_sets import with_tested_on
from synthbench.statistics.image_counts import UNIT
from synthbench.study.model import Study

__all__ = ["FEWEST", "GROUP", "split_groups", "unmodelled_groups", "with_units"]

GROUP = "group:"
FEWEST = 3
"""Values of a group from which it may be what images were taken from."""


def split_groups(study: Study) -> dict[str, str]:
    """Return by dataset that is tested on the name of the group that its split keeps together, where it names one."""
    return {
        Path(choice.name).expanduser().resolve().name: choice.split.group
        for choice in (*study.test_on, *study.datasets)
        if choice.split.group
    }


def with_units(images: pd.DataFrame, groups: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows with a column ``unit``: the value of the group that the split keeps together.

    Parameters
    ----------
    images
        Rows with ``tested_on`` and columns ``group:<name>``.
    groups
        By dataset; the images of others are in no unit. With none at all there is no column.
    """
    rows = with_tested_on(images.drop(columns=UNIT, errors="ignore"))
    known = {name: f"{GROUP}{group}" for name, group in groups.items() if f"{GROUP}{group}" in rows}
    if rows.empty or not known:
        return rows
    units = pd.Series("", index=rows.index, dtype=object)
    for name, column in known.items():
        units = units.where(rows["tested_on"] != name, rows[column].fillna("").astype(str))
    return rows.assign(**{UNIT: units})


def unmodelled_groups(images: pd.DataFrame) -> dict[str, int]:
    """Return the groups that test images share without being resampled together, and how many values each has.

    Only groups of three values or more are reported, because groups of two values are usually kinds of images, not
    origins; and none of a dataset whose split names a group already. Those with most values come first: they are the
    likeliest.

    Parameters
    ----------
    images
        Rows of one dataset.
    """
    columns = [name for name in map(str, images.columns) if name.startswith(GROUP)]
    if not columns or (UNIT in images and (images[UNIT].fillna("") != "").any()):
        return {}
    homes = images[["image", *columns]].drop_duplicates("image")
    found = {}
    for column in columns:
        shared = homes[column].replace("", np.nan).value_counts()
        if len(shared) >= FEWEST and shared.max() > 1:
            found[column.removeprefix(GROUP)] = len(shared)
    return dict(sorted(found.items(), key=lambda item: -item[1]))
