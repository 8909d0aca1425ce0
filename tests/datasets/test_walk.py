"""Names on disk: splits that they tell, ids that are made of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthbench.datasets.walk import Item, groups_of, safe_id, split_of, with_ids
from synthbench.errors import DataError
from synthbench.samples import check_id


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("stage1_test", "test"),
        ("livecell_coco_val", "validation"),
        ("instances_train2017", "train"),
        ("tissuenet_v1.1_test", "test"),
        ("stage1_test_extra", None),
        ("contest", None),
        ("restrain", None),
        ("images", None),
    ],
)
def test_a_name_tells_a_split_when_it_ends_in_one(name, split):
    assert split_of(name) == split


def test_the_way_to_a_folder_tells_its_groups():
    root = Path("/data")
    assert groups_of(root, root) == {}
    assert groups_of(root, root / "plate 3" / "train") == {"split": "train", "folder": "plate 3"}
    assert groups_of(root, root / "train" / "well_test") == {"split": "train", "folder": "well_test"}


@given(st.text(min_size=1, max_size=300))
def test_any_name_becomes_an_id(text):
    check_id(safe_id(text))


def test_long_names_that_differ_at_the_end_stay_different():
    assert safe_id("a" * 300) != safe_id("a" * 301)


def _item(name: str, **groups: str) -> Item:
    return Item(name, Path(f"{name}.png"), (), groups)


def test_ids_are_stems_and_carry_the_split_only_where_stems_meet():
    items = [_item("1", split="train"), _item("1", split="test"), _item("2", split="test")]
    assert [name for name, _ in with_ids(items)] == ["train-1", "test-1", "2"]


def test_a_folder_that_all_share_is_no_group():
    assert [item.groups for _, item in with_ids([_item("1", folder="x"), _item("2", folder="x")])] == [{}, {}]
    mixed = with_ids([_item("1", folder="x"), _item("2", folder="y")])
    assert [item.groups for _, item in mixed] == [{"folder": "x"}, {"folder": "y"}]


def test_names_that_become_one_id_are_refused():
    with pytest.raises(DataError, match=r"a\?b\.png and a b\.png both get the id 'a_b'; rename one of them"):
        with_ids([_item("a b"), _item("a?b")])
