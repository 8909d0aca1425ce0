"""Names on disk: splits that they tell, ids that are made of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthbench.datasets.files import assign_ids, by_stem, groups_from_path, safe_id, split_of, walk_folders
from synthbench.datasets.found_image import FoundImage
from synthbench.datasets.import_options import ImportLog
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
    assert groups_from_path(root, root) == {}
    assert groups_from_path(root, root / "plate 3" / "train") == {"split": "train", "folder": "plate 3"}
    assert groups_from_path(root, root / "train" / "well_test") == {"split": "train", "folder": "well_test"}


@given(st.text(min_size=1, max_size=300))
def test_any_name_becomes_an_id(text):
    check_id(safe_id(text))


def test_long_names_that_differ_at_the_end_stay_different():
    assert safe_id("a" * 300) != safe_id("a" * 301)


def _item(name: str, **groups: str) -> FoundImage:
    return FoundImage(name, Path(f"{name}.png"), (), groups)


def test_ids_are_stems_and_carry_the_split_only_where_stems_meet():
    items = [_item("1", split="train"), _item("1", split="test"), _item("2", split="test")]
    assert [name for name, _ in assign_ids(items)] == ["train-1", "test-1", "2"]


def test_a_folder_that_all_share_is_no_group():
    assert [item.groups for _, item in assign_ids([_item("1", folder="x"), _item("2", folder="x")])] == [{}, {}]
    mixed = assign_ids([_item("1", folder="x"), _item("2", folder="y")])
    assert [item.groups for _, item in mixed] == [{"folder": "x"}, {"folder": "y"}]


def test_names_whose_difference_can_not_be_in_an_id_get_a_hash() -> None:
    for first, second in (("a b", "a?b"), ("\u7ec6\u80de1", "\u7ec4\u7ec71"), ("A", "a")):
        (one, _), (two, _) = assign_ids([_item(first), _item(second)])
        assert one.casefold() != two.casefold()
        assert [name for name, _ in assign_ids([_item(second), _item(first)])] == [two, one]
        check_id(one)


def test_a_letter_and_its_accent_make_the_same_id_as_the_accented_letter() -> None:
    assert safe_id("Zelle_a\u0308 1") == safe_id("Zelle_\u00e4 1")
    log = ImportLog()
    assert list(by_stem([Path("a\u0308.png"), Path("b.png")], log)) == ["\u00e4", "b"]
    by_stem([Path("a\u0308.png"), Path("\u00e4.tif")], log)
    assert len(log.problems) == 1


def test_two_files_of_one_name_are_refused_all_at_once() -> None:
    with pytest.raises(DataError, match=r"2 problems: \(1\) .*both get the id 'x-[0-9a-f]{8}'.*\(2\) .*rename one"):
        assign_ids([_item("x"), _item("x"), _item("x")])


def test_a_link_that_leads_back_brings_no_file_again(tmp_path: Path) -> None:
    (tmp_path / "images" / "a").mkdir(parents=True)
    (tmp_path / "images" / "a" / "back").symlink_to(tmp_path)
    (tmp_path / "images" / "self").symlink_to(tmp_path / "images")
    found = [folder.relative_to(tmp_path).as_posix() for folder in walk_folders(tmp_path, 4)]
    assert found == [".", "images", "images/a"]
