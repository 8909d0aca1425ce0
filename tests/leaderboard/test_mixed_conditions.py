"""A board says that its rows weren't made alike, and of what makes no difference nothing."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from synthbench.leaderboard import markdown, table
from synthbench.leaderboard._caveats import caveats
from synthbench.leaderboard._mixed_conditions import entries, mixtures
from synthbench.results.made_by import made_by


def record(device: str = "cpu", torch: str = "2.14.1", commit: str = "0123456789abcdef", **more: object) -> dict:
    return {
        "device": device,
        "versions": {"python": "3.11.9", "synthbench": "0.1.0", "torch": torch},
        "source_state": {"commit": commit, "changed": False},
        **more,
    }


def board(*rows: list[dict]) -> pd.DataFrame:
    """A table whose rows were each made by these artifacts."""
    return pd.DataFrame([made_by(records) for records in rows])


def test_a_row_tells_what_made_it() -> None:
    plugin = {"distribution": "synthbench-mine", "version": "0.3", "state": {"commit": "f" * 40, "changed": True}}
    assert made_by([record(), record("cuda", gpu="NVIDIA H100", plugin_source=plugin)]) == {
        "device": "cpu, cuda (NVIDIA H100)",
        "versions": "python 3.11.9, torch 2.14.1",
        "code": "synthbench 0.1.0 at 0123456789, synthbench-mine 0.3 at ffffffffff+",
    }
    assert made_by([]) == {"device": "", "versions": "", "code": ""}
    assert made_by([{"versions": {"synthbench": "0.1.0"}}])["code"] == "synthbench 0.1.0"


def test_rows_that_were_made_alike_need_no_words() -> None:
    assert list(mixtures(board([record()], [record(), record()]))) == []
    assert list(mixtures(pd.DataFrame({"arm": ["real"]}))) == []


@pytest.mark.parametrize(
    ("other", "line"),
    [
        (
            record("cuda", gpu="NVIDIA H100"),
            "Rows mix devices: cpu and cuda (NVIDIA H100)",
        ),
        (record(torch="2.13.0"), "Rows mix versions: torch 2.13.0 and 2.14.1."),
        (
            record(commit="fedcba9876543210"),
            "Rows mix states of the code: synthbench 0.1.0 at 0123456789 and 0.1.0 at fedcba9876.",
        ),
    ],
)
@pytest.mark.parametrize("within", [False, True], ids=["between rows", "within a row"])
def test_rows_that_were_not_made_alike_are_told(other: dict, line: str, within: bool) -> None:
    table = board([record(), other]) if within else board([record()], [other])
    (told,) = mixtures(table)
    assert told.startswith(line)


def test_two_gpus_are_two_devices() -> None:
    (told,) = mixtures(board([record("cuda", gpu="NVIDIA H100")], [record("cuda", gpu="NVIDIA T4")]))
    assert told.startswith("Rows mix devices: cuda (NVIDIA H100) and cuda (NVIDIA T4).")


def test_many_versions_are_counted() -> None:
    names = [f"lib{i}" for i in range(8)]
    rows = [[{"versions": dict.fromkeys(names, version)}] for version in ("1.0", "1.1")]
    (told,) = mixtures(board(*rows))
    assert told.startswith("Rows mix versions: lib0 1.0 and 1.1; lib1")
    assert "lib5 1.0 and 1.1; and 2 more." in told


def test_lists_are_joined_and_blanks_left_out() -> None:
    assert entries(pd.DataFrame({"versions": ["b 1, a 2", "", None, "a 2, c 3"]}), "versions") == "a 2, b 1, c 3"


def test_the_board_itself_says_so(frames: SimpleNamespace) -> None:
    made = frames.results(frames.images(seeds=2, count=12, segmenters=("unet",)))
    assert not any(line.startswith("Rows mix") for line in caveats(table(made, draws=50)))
    arms = made.runs["arm"] == "real"
    made.runs["device"] = arms.map({True: "cpu", False: "cuda (NVIDIA H100)"})
    made.runs["versions"] = arms.map({True: "torch 2.13.0", False: "torch 2.14.1"})
    found = table(made, draws=50)
    told = [line for line in caveats(found) if line.startswith("Rows mix")]
    assert [line.split(":")[0] for line in told] == ["Rows mix devices", "Rows mix versions"]
    assert "Rows mix devices: cpu and cuda" in markdown(found)
