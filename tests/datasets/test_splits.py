"""Splits: disjoint, covering, never leaking a group, nested in their fractions, the same bytes everywhere."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthbench.datasets.fractions import take_fraction
from synthbench.datasets.split_files import read_splits, write_splits
from synthbench.datasets.splits import Split, make_splits
from synthbench.errors import ConfigError, DataError
from synthbench.samples import Entry, SampleSet

GOLDEN_SPLIT = "d94d46a1ff5cf96a12906c482b2deeeebfe348b5b07f94f5b2a97d16cbc6a3e2"
GOLDEN_FRACTION = "005008010016028"


def _unreadable() -> tuple[np.ndarray, np.ndarray]:
    raise AssertionError("a split must not read pixels")


def _set(count: int, *, objects: list[int] | None = None, **groups: list[str]) -> SampleSet:
    """A set whose pixels can't be read, with so many samples; each group gives a value per sample."""
    entries = [
        Entry(
            id=f"s{i:03d}",
            groups={name: values[i] for name, values in groups.items()},
            height=8,
            width=8,
            channels=1,
            dtype="uint8",
            objects=objects[i] if objects else i % 7,
            covered=0.1,
            digest=f"{i:064d}",
        )
        for i in range(count)
    ]
    return SampleSet(entries, [_unreadable] * count, name="paper")


grouped = st.lists(st.sampled_from("abcdefgh"), min_size=4, max_size=60).filter(lambda g: len(set(g)) >= 4)


@settings(max_examples=80, deadline=None)
@given(st.integers(4, 60), st.floats(0.05, 0.6), st.floats(0.05, 0.6), st.integers(0, 5))
def test_a_holdout_covers_all_is_disjoint_and_keeps_its_shares(count, test, validation, seed):
    samples = _set(count)
    (split,) = make_splits(samples, "holdout", test=test, validation=validation, seed=seed)
    assert sorted(split.train + split.validation + split.test) == sorted(samples.ids)
    tested = min(max(1, int(test * count + 0.5)), count - 1)
    assert len(split.test) == tested
    assert len(split.validation) == min(max(1, int(validation * (count - tested) + 0.5)), count - tested - 1)
    assert list(split.train) == sorted(split.train)


@settings(max_examples=80, deadline=None)
@given(grouped, st.sampled_from(["holdout", "kfold"]), st.integers(0, 5))
def test_no_group_is_ever_in_two_parts(wells, scheme, seed):
    samples = _set(len(wells), well=wells)
    owner = {entry.id: entry.groups["well"] for entry in samples.entries}
    for split in make_splits(samples, scheme, folds=3, group="well", seed=seed):
        parts = [{owner[name] for name in ids} for ids in split.parts.values()]
        assert all(parts)
        assert sum(map(len, parts)) == len(set().union(*parts))
        assert sorted(split.train + split.validation + split.test) == sorted(samples.ids)


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 60), st.integers(2, 6), st.integers(0, 3))
def test_folds_test_every_sample_once_and_are_of_one_size(count, folds, seed):
    samples = _set(count)
    splits = make_splits(samples, "kfold", folds=folds, seed=seed)
    assert sorted(name for split in splits for name in split.test) == sorted(samples.ids)
    sizes = [len(split.test) for split in splits]
    assert max(sizes) - min(sizes) <= 1


def test_seeds_differ_and_repeat():
    samples = _set(40)
    assert make_splits(samples, "holdout", seed=1) == make_splits(samples, "holdout", seed=1)
    assert make_splits(samples, "holdout", seed=1) != make_splits(samples, "holdout", seed=2)


def test_one_sample_more_moves_few_of_the_others():
    before, after = (set(make_splits(_set(n), "holdout")[0].test) for n in (100, 101))
    assert len(before - after) <= 1


def test_the_official_split_is_the_datasets_own():
    part = ["train"] * 20 + ["test"] * 5
    (split,) = make_splits(_set(25, split=part), "official", validation=0.2)
    assert split.test == tuple(f"s{i:03d}" for i in range(20, 25))
    assert (len(split.train), len(split.validation)) == (16, 4)
    (own,) = make_splits(_set(25, split=[*part[:-1], "validation"]), "official")
    assert own.validation == ("s024",)


def test_samples_without_an_official_split_are_left_out_of_it():
    samples = _set(12, split=["train"] * 6 + ["test"] * 6)
    bare = [Entry(**{**vars(e), "groups": {}}) if i in (0, 11) else e for i, e in enumerate(samples.entries)]
    (split,) = make_splits(SampleSet(bare, [_unreadable] * 12, name="bare"), "auto")
    assert not {"s000", "s011"} & set(split.train + split.validation + split.test)


def test_auto_is_official_where_there_is_a_test_split_else_holdout():
    official = _set(12, split=["train"] * 9 + ["test"] * 3)
    assert make_splits(official) == make_splits(official, "official")
    assert make_splits(_set(12)) == make_splits(_set(12), "holdout")


def test_an_official_split_that_leaks_a_group_is_refused_by_name():
    samples = _set(
        6, split=["train", "train", "train", "test", "test", "train"], well=["A1", "A1", "A2", "B1", "A2", "C3"]
    )
    assert make_splits(samples, "official")
    with pytest.raises(DataError, match="leaks well 'A2': 's002' is in train, 's004'"):
        make_splits(samples, "official", group="well")


def test_an_official_validation_split_that_leaks_is_refused_too():
    samples = _set(6, split=["train", "train", "validation", "validation", "test", "test"], well=list("ababcd"))
    with pytest.raises(DataError, match="leaks well 'a': 's000' is in train, 's002'"):
        make_splits(samples, "official", group="well")


@pytest.mark.parametrize(
    ("samples", "how", "error", "says"),
    [
        (
            _set(9),
            {"scheme": "random"},
            ConfigError,
            r"split scheme 'random';.*auto, official, holdout, kfold",
        ),
        (_set(9), {"scheme": "kflod"}, ConfigError, r"did you mean 'kfold'"),
        (_set(9), {"test": 1.0}, ConfigError, r"test is 1.0;.*between 0 and 1"),
        (_set(9), {"validation": 0.0}, ConfigError, "validation is 0.0"),
        (_set(9), {"scheme": "official"}, DataError, r"has no official train split; use.*'holdout' or 'kfold'"),
        (
            _set(9, split=["val"] * 9),
            {"scheme": "official"},
            DataError,
            "'s000' has the split 'val'",
        ),
        (_set(9), {"group": "well"}, DataError, r"'s000' has no group 'well'; its groups: none"),
        (_set(9, well=["a"] * 9), {"group": "well"}, DataError, "testing needs at least two samples or groups"),
        (_set(9, well=list("aaaaaaabb")), {"group": "well"}, DataError, "validation needs at least two"),
        (_set(1), {}, DataError, r"testing needs at least two samples or groups.*there.*1"),
        (_set(4), {"scheme": "kfold"}, DataError, r"5 folds of 4 samples;.*2 … 4"),
    ],
)
def test_what_can_not_be_split_is_one_clear_line(samples, how, error, says):
    with pytest.raises(error, match=says):
        make_splits(samples, **how)


def test_an_id_may_be_in_one_part_only():
    with pytest.raises(DataError, match="'a' is in train and in test"):
        Split(("a", "b"), (), ("a",))


# -- fractions ------------------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=3, max_size=80),
    st.lists(st.floats(0.01, 1), min_size=2, max_size=6),
    st.integers(0, 3),
)
def test_fractions_are_nested_and_of_the_right_size(objects, amounts, seed):
    samples = _set(len(objects), objects=objects)
    previous: set[str] = set()
    for amount in sorted(amounts):
        count = int(amount * len(objects) + 0.5 + 1e-9)
        if count == 0:
            continue
        chosen = take_fraction(samples, samples.ids, amount, seed)
        assert len(chosen) == count
        assert previous <= set(chosen)
        assert list(chosen) == sorted(chosen)
        previous = set(chosen)


@settings(max_examples=60, deadline=None)
@given(grouped, st.integers(0, 3))
def test_a_fraction_holds_each_group_in_proportion(wells, seed):
    samples = _set(len(wells), well=wells)
    sizes = Counter(wells)
    for count in range(1, len(wells) + 1):
        chosen = Counter(int(name[1:]) for name in take_fraction(samples, samples.ids, count, seed, stratify="well"))
        held = Counter(wells[i] for i in chosen)
        for well, size in sizes.items():
            assert abs(held[well] - count * size / len(wells)) <= 1 + len(sizes) / 2


def test_by_default_sparse_and_crowded_images_are_both_kept():
    samples = _set(100, objects=[1] * 50 + [300] * 50)
    for seed in range(5):
        chosen = take_fraction(samples, samples.ids, 0.1, seed)
        assert 4 <= sum(name >= "s050" for name in chosen) <= 6


def test_a_share_of_one_is_all_and_a_number_of_one_is_one():
    samples = _set(45)
    assert take_fraction(samples, samples.ids, 1.0) == samples.ids
    assert len(take_fraction(samples, samples.ids, 1)) == 1
    assert len(take_fraction(samples, samples.ids, 0.1)) == 5
    assert len(take_fraction(samples, samples.ids, 0.7)) == 32
    assert take_fraction(samples, samples.ids, 0.1, 0) != take_fraction(samples, samples.ids, 0.1, 1)


@pytest.mark.parametrize(
    ("amount", "error", "says"),
    [
        (0.01, DataError, r"fraction 0.01 of 20 samples leaves no"),
        (21, DataError, r"fractions: 21 real images.*for.*20.*for"),
        (0, ConfigError, "fraction 0:"),
        (-0.5, ConfigError, r"fraction -0.5:"),
        (1.5, ConfigError, r"fraction 1.5:.*most 1.0"),
        (True, ConfigError, "fraction True"),
        ("half", ConfigError, "fraction 'half'"),
        (float("nan"), ConfigError, "fraction nan"),
    ],
)
def test_a_fraction_that_leaves_nothing_is_refused(amount, error, says):
    samples = _set(20)
    with pytest.raises(error, match=says):
        take_fraction(samples, samples.ids, amount)


# -- files ----------------------------------------------------------------------------------------------------------


def test_the_same_bytes_on_every_machine(tmp_path):
    """The hash was computed once; if it changes, studies frozen before can't be repeated."""
    samples = _set(30, well=[f"w{i % 9}" for i in range(30)])
    splits = make_splits(samples, "kfold", folds=3, group="well", seed=7)
    assert write_splits(tmp_path / "a.json", splits) == write_splits(tmp_path / "b.json", splits)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert splits[0].sha256 == GOLDEN_SPLIT
    assert "".join(name[1:] for name in take_fraction(samples, samples.ids, 5, seed=3)) == GOLDEN_FRACTION


def test_what_was_frozen_thaws_as_it_was(tmp_path):
    splits = make_splits(_set(30), "kfold", folds=4)
    write_splits(tmp_path / "deep" / "splits.json", splits)
    assert read_splits(tmp_path / "deep" / "splits.json") == splits
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["splits.json"]


def test_a_thawed_split_is_held_against_its_dataset(tmp_path):
    write_splits(tmp_path / "s.json", make_splits(_set(30), "holdout"))
    (split,) = read_splits(tmp_path / "s.json")
    split.check(_set(31))
    with pytest.raises(DataError, match="no sample 's0"):
        split.check(_set(5))
    with pytest.raises(DataError, match=r"leaks well 'a': 's000' is in train"):
        split.check(_set(30, well=["a"] * 30), "well")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c["splits"][0]["test"].pop(), "has changed since it was written"),
        (lambda c: c["splits"][0]["train"].append(c["splits"][0]["test"][0]), "has changed since it was written"),
        (lambda c: c.update(format=9), "unknown format 9; this version reads 1"),
        (lambda c: c.pop("sha256"), r"damaged splits file \(KeyError"),
        (lambda c: c.pop("splits"), "damaged splits file"),
    ],
)
def test_an_altered_file_is_refused(tmp_path, change, says):
    write_splits(tmp_path / "s.json", make_splits(_set(30)))
    content = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    change(content)
    (tmp_path / "s.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match=rf"s\.json: {says}"):
        read_splits(tmp_path / "s.json")


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_a_file_that_is_no_split_is_refused(tmp_path, text):
    (tmp_path / "s.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"s\.json: (can't be read|damaged)"):
        read_splits(tmp_path / "s.json")


def test_a_missing_file_and_a_place_that_can_not_be_written(tmp_path):
    with pytest.raises(DataError, match=r"none\.json: no such splits file"):
        read_splits(tmp_path / "none.json")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file/s\.json: can't be written"):
        write_splits(tmp_path / "file" / "s.json", make_splits(_set(30)))
