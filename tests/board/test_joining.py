"""Results with the same baseline are paired, whether or not they hold it; others stand apart with the reason."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from helpers.boards import Place
from synthbench.board.entries import Entry, open_entry
from synthbench.board.frozen import freeze
from synthbench.board.joining import check_belongs, join_results
from synthbench.bundle.contents import Contents
from synthbench.errors import ConfigError
from synthbench.leaderboard import table
from synthbench.results import Results
from synthbench.study.model import BudgetConfig, Study


@pytest.fixture(scope="module")
def first(place: Place) -> Entry:
    return open_entry(place.first, verified=frozenset({"blobs"}))


@pytest.fixture(scope="module")
def brighter(place: Place) -> Entry:
    return open_entry(place.brighter, verified=frozenset({"blobs"}))


def with_plan(entry: Entry, change: Callable[[dict[str, Any]], None], kinds: tuple[str, ...]) -> Entry:
    """Return an entry whose tasks have other content."""
    plan = copy.deepcopy(dict(entry.contents.plan))
    for task in plan.values():
        if task["kind"] in kinds:
            change(task["content"])
    return Entry("other", replace(entry.contents, plan=plan), entry.verified, entry.path)


def on_a_gpu(content: dict[str, Any]) -> None:
    content["compute"] = {"device": "cuda", "precision": "bfloat16 in part"}


def another_version(content: dict[str, Any]) -> None:
    content["plugin"]["versions"] = {**content["plugin"]["versions"], "numpy": "1.0"}


def another_source(content: dict[str, Any]) -> None:
    content["core"] = "0" * 64


@pytest.mark.parametrize(
    ("change", "kinds", "words"),
    [
        (on_a_gpu, ("fit-segmenter", "evaluate"), "device cuda, expected cpu"),
        (another_version, ("fit-segmenter",), "numpy 1.0, expected "),
        (another_source, ("evaluate",), "source of scoring in synthbench"),
    ],
)
def test_what_can_not_be_paired_stands_apart_with_the_reason(
    first: Entry, brighter: Entry, change: Callable[[dict[str, Any]], None], kinds: tuple[str, ...], words: str
) -> None:
    together = join_results([first, brighter])
    assert [group.entries for group in together] == [("first", "brighter")]
    assert together[0].reasons == ()
    groups = join_results([first, with_plan(brighter, change, kinds)])
    assert [group.entries for group in groups] == [("first",), ("other",)]
    assert any(words in reason for reason in groups[1].reasons)
    assert set(groups[1].results.runs["generator"]) == {"brighter"}


def test_whether_segmenters_have_converged_is_told_as_the_first_entry_found_it(first: Entry, brighter: Entry) -> None:
    def scored(entry: Entry, scores: dict[int, float]) -> Entry:
        study = entry.contents.study
        budget = BudgetConfig(name="quick", steps=20, score_by_steps={"blobs": scores})
        segmenters = [choice.model_copy(update={"budget": budget}) for choice in study.segmenters]
        contents = replace(entry.contents, study=study.model_copy(update={"segmenters": segmenters}))
        return replace(entry, contents=contents)

    (group,) = join_results([scored(first, {10: 0.5, 20: 0.6}), scored(brighter, {10: 0.6, 20: 0.6})])
    assert set(table(group.results)["convergence"]) == {"not converged"}
    (group,) = join_results([first, brighter])
    assert "convergence" not in table(group.results)


def test_an_entry_without_a_baseline_is_paired_with_the_one_of_the_board(first: Entry, brighter: Entry) -> None:
    assert "real" not in set(brighter.contents.results.runs["arm"])
    (group,) = join_results([first, brighter])
    runs = group.results.runs
    assert set(runs[runs["arm"] == "real"]["entry"]) == {"first"}
    assert list(runs[runs["entry"] == "brighter"]["arm"]) == ["real + brighter (brighter) × 4"] * 2
    assert [choice.title for choice in group.results.study.generators] == [
        "duplicate",
        "brighter",
        "brighter (brighter)",
    ]
    assert group.notes == (
        "brighter of brighter is another method than brighter of an earlier entry (other configuration, source or "
        "versions), and is called brighter (brighter)",
    )


def renamed(entry: Entry, new: str) -> Entry:
    """Return an entry in which `brighter` has another label."""

    def rename(table: pd.DataFrame) -> pd.DataFrame:
        out = table.replace({"generator": {"brighter": new}})
        return out.assign(arm=out["arm"].str.replace("brighter", new)) if "arm" in out else out

    contents = entry.contents
    results, study = contents.results, contents.study
    tables = {name: rename(getattr(results, name)) for name in ("images", "runs", "fidelity", "label_consistency")}
    trainings = [
        {**row, "generator": new, "arm": row["arm"].replace("brighter", new)} if row["generator"] == "brighter" else row
        for row in contents.trainings
    ]
    generators = [each.model_copy(update={"label": new}) for each in study.generators if each.title == "brighter"]
    study = study.model_copy(update={"generators": generators})
    made = Results(study, tasks=results.tasks, **tables)
    return Entry("renamed", replace(contents, study=study, trainings=trainings, results=made), entry.verified)


def test_the_same_method_under_two_names_counts_once(first: Entry) -> None:
    (group,) = join_results([first, renamed(first, "glow")])
    assert group.notes == ("glow of renamed has the keys of brighter, and is counted once, as brighter",)
    assert len(group.results.runs) == len(first.contents.results.runs)
    assert group.repeats.same == len(first.contents.trainings)  # the same bundle is no re-run
    assert group.repeats.confirmed == 0


def test_other_scores_for_the_same_key_are_reported(first: Entry) -> None:
    results = first.contents.results
    rows = results.images["arm"].eq("real") & results.images["image"].eq(results.images["image"].iloc[0])
    images = results.images.assign(tp=results.images["tp"].where(~rows, results.images["tp"] + 1))
    runs = results.runs.assign(fit_seconds=results.runs["fit_seconds"] + 1)
    other = replace(first.contents, results=replace(results, images=images, runs=runs))
    (group,) = join_results([first, Entry("again", other, first.verified)])
    real = {(row["fraction"], row["seed"]) for row in first.contents.trainings if row["arm"] == "real"}
    assert len(group.repeats.differing) == len(real)
    assert "again has other scores than first for the same key" in group.repeats.differing[0]
    marks = group.results.runs.set_index("arm")["verification"]
    assert set(marks["real"]) == {"verified"}
    assert set(marks["real + duplicate × 4"]) == {"re-run"}


def test_a_rerun_of_what_nobody_verified_is_self_reported(first: Entry) -> None:
    results = first.contents.results
    runs = results.runs.assign(fit_seconds=results.runs["fit_seconds"] + 1)
    other = Entry("again", replace(first.contents, results=replace(results, runs=runs)))
    (group,) = join_results([Entry("first", first.contents), other])
    assert group.repeats.confirmed == len(runs)
    assert set(group.results.runs["verification"]) == {"self-reported"}


def changed_study(contents: Contents, **values: Any) -> Contents:
    return replace(contents, study=Study.model_validate(contents.study.model_dump() | values))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"seeds": 5}, "seeds: is 5, expected 2"),
        ({"synthetic": ["2x"]}, r"synthetic: is \['2x'\], expected \[4\]"),
        ({"border_objects": "exclude"}, "border_objects: is 'exclude', expected 'include'"),
        ({"segmenters": ["warm"]}, "segmenters"),
        ({"decide": 0.02}, "decide: is 0.02, expected not given"),
    ],
)
def test_another_study_is_refused_with_the_field(first: Entry, values: dict[str, Any], words: str) -> None:
    study, splits = freeze(first.contents, "board"), first.contents.splits
    other = Entry("other", changed_study(first.contents, **values))
    check_belongs(first, study, splits, "the board")
    with pytest.raises(ConfigError, match=words) as caught:
        check_belongs(other, study, splits, "the board")
    assert "\n" not in str(caught.value)


def test_other_images_splits_and_configurations_are_refused(first: Entry) -> None:
    contents = first.contents
    study, splits = freeze(contents, "board"), contents.splits
    other = Entry("other", replace(contents, fingerprints={"blobs": "0" * 64}))
    with pytest.raises(ConfigError, match="fingerprint of 'blobs': is 000000000000"):
        check_belongs(other, study, splits, "the board")
    (split,) = splits["blobs"]
    swapped = replace(split, train=(split.test[0], *split.train[1:]), test=(split.train[0], *split.test[1:]))
    other = Entry("other", replace(contents, splits={"blobs": (swapped,)}))
    with pytest.raises(ConfigError, match="splits of 'blobs': train images of fold 0 are others"):
        check_belongs(other, study, splits, "the board")

    def level(content: dict[str, Any]) -> None:
        content["plugin"]["config"] = dict.fromkeys(content["plugin"]["config"], 0.123)

    with pytest.raises(ConfigError, match=r"segmenters\.threshold\.config\."):
        check_belongs(with_plan(first, level, ("fit-segmenter",)), study, splits, "the board")
