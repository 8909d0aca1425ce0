"""What images belong to: tables, and named parts of file names."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthbench.datasets.files import ImageName
from synthbench.datasets.group_table import GroupTable
from synthbench.datasets.name_pattern import NamePattern
from synthbench.datasets.split_files import read_splits, write_splits
from synthbench.datasets.splits import make_splits
from synthbench.errors import ConfigError, DataError
from synthbench.samples import SampleSet


def called(path: str, name: str = "", stem: str = "") -> ImageName:
    return ImageName(name or Path(path).stem, stem or Path(path).stem, Path(path))


@pytest.mark.parametrize(
    ("pattern", "path", "parts"),
    [
        ("{well}_{site}", "A16_s2.png", {"well": "A16", "site": "s2"}),
        ("{well}_s{site}", "images/A16_s2.ome.tif", {"well": "A16", "site": "2"}),
        ("{well}_s{site}.tif", "A16_s2.png", {"well": "A16", "site": "2"}),
        (
            "{line}_Phase_{well}_{pos}_{time}_*",
            "A172_Phase_A7_1_00d00h00m_1.tif",
            {"line": "A172", "well": "A7", "pos": "1", "time": "00d00h00m"},
        ),
        ("{row:1}{column:2}_*", "A16_anything_at_all.tif", {"row": "A", "column": "16"}),
        ("r{row}c{col}f{field}p*", "r01c02f03p01-ch1.tiff", {"row": "01", "col": "02", "field": "03"}),
        ("*_{well:3}", "a_b_c_A16.tif", {"well": "A16"}),
        ("{patient}/images/*", "x/P-7/images/12.png", {"patient": "P-7"}),
        ("{patient}/*/{slide}_*", "P-7/images/s3_tile4.png", {"patient": "P-7", "slide": "s3"}),
        ("{a}-{b}", "ä-é.png", {"a": "ä", "b": "é"}),
        ("{a}+({b})", "x.y+(3).png", {"a": "x.y", "b": "3"}),
        ("{well}_{site}", "A16.png", None),
        ("{well}_{site}", "_s2.png", None),
        ("{a:3}", "ab.png", None),
        ("{p}/{q}", "alone.png", None),
    ],
)
def test_a_pattern_names_parts_of_a_file_name(pattern, path, parts):
    assert NamePattern(pattern).of(called(path)) == parts


def test_a_name_that_fits_in_more_than_one_way_is_not_guessed():
    with pytest.raises(DataError, match=r"'\{a\}_\{b\}': a of 'x_y_z' could be 'x' or 'x_y'; .*more specific"):
        NamePattern("{a}_{b}").of(called("x_y_z.png"))
    with pytest.raises(DataError, match=r"well of 'a_b_c_d' could be"):
        NamePattern("*_{well}_*").of(called("a_b_c_d.png"))
    assert NamePattern("{a}_{b:1}").of(called("x_y_z.png")) == {"a": "x_y", "b": "z"}


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("", r"name.*parts of the file name"),
        ("plain_*", r"name.*parts of the file name"),
        ("{a}_{a}", "each once"),
        ("{a", r"from '\{a'"),
        ("{a}}", r"from.*'\}'"),
        ("{}_{b}", r"from '\{\}_\{b\}'"),
        ("{0a}", "syntax error"),
        ("{a:0}", "syntax error"),
        ("{a}{b}", r"nothing.*\{a\}.*from \{b\};.*the text between them, or a width"),
        ("*{b}", r"nothing.*\*.*from \{b\}"),
    ],
)
def test_a_pattern_that_can_not_be_understood_is_refused(pattern, says):
    with pytest.raises(ConfigError, match=says):
        NamePattern(pattern)


def test_no_name_keeps_a_pattern_busy():
    """A regular expression of such parts would try billions of ways."""
    pattern = NamePattern("_".join(f"{{p{i}}}" for i in range(40)) + "!")
    begin = time.process_time()
    assert pattern.of(called("_" * 250 + ".png")) is None
    assert time.process_time() - begin < 1


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("abc12", min_size=1, max_size=4), min_size=2, max_size=5), st.sampled_from("_-. "))
def test_parts_that_do_not_hold_the_text_between_them_are_found(parts, between):
    pattern = NamePattern(between.join(f"{{p{i}}}" for i in range(len(parts))))
    found = pattern.of(called(f"{between.join(parts)}.png"))
    assert found == {f"p{i}": part for i, part in enumerate(parts)}


@pytest.mark.parametrize(
    "text",
    [
        "id,well,site\na,A1,1\nb,B2,2\n",
        "\ufeffid;well;site\r\na;A1;1\r\nb;B2;2\r\n",
        "sep=;\nfile;well;site\na.png;A1;1\nb.tif;B2;2\n",
        'well\tFilename\tsite\n"A1"\ta.png\t1\nB2\timages/b.tif\t2\n\n',
        '"id","well","site"\n" a ","A1","1"\n"b"," B2 ","2"\n',
        "picture,well,site\nimages\\a.png,A1,1\nb,B2,2\n",
        "id,well,site\na,A1,1\na,A1,1\nb,B2,2\n",
    ],
)
def test_a_table_may_be_written_as_people_write_it(tmp_path, text):
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    table = GroupTable(tmp_path / "t.csv")
    assert table.of(called("images/a.png")) == {"well": "A1", "site": "1"}
    assert table.of(called("images/b.tif")) == {"well": "B2", "site": "2"}
    assert table.of(called("images/c.tif")) is None
    assert table.unused() == []


@pytest.mark.parametrize("blank", ["", "NaN", "n/a", "NA", "None", "<NA>", "null"])
def test_what_programs_write_for_a_missing_value_is_no_group(tmp_path, blank):
    (tmp_path / "t.csv").write_text(f"id,well,site\na,{blank},1\n", encoding="utf-8")
    assert GroupTable(tmp_path / "t.csv").of(called("images/a.png")) == {"site": "1"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id\na\n", "has no second column"),
        ("", "has no second column"),
        ("id,well,well\na,1,2\n", "the column 'well' occurs twice"),
        ("id,,well\na,1,2\n", "a column has no name"),
        ("id,well\na,1,2\n", "'a' has 3 cells, but the header 2"),
        ("id,well\na,1\na,2\n", "'a' occurs twice"),
        ('id,well\na,"' + "x" * 200_000 + '"\n', "can't be read: field larger than"),
    ],
)
def test_a_table_that_can_not_be_understood_is_refused(tmp_path, text, says):
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"t\.csv: .*{says}"):
        GroupTable(tmp_path / "t.csv")


def test_a_table_in_another_encoding_says_what_to_do(tmp_path):
    (tmp_path / "t.csv").write_bytes("id,wéll\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"can't be read: .*UTF-8"):
        GroupTable(tmp_path / "t.csv")
    with pytest.raises(ConfigError, match=r"none\.csv: no such table"):
        GroupTable(tmp_path / "none.csv")


def test_a_table_without_end_is_refused():
    if not Path("/dev/zero").is_char_device():
        pytest.skip("there is no /dev/zero here")
    with pytest.raises(ConfigError, match="/dev/zero: is larger than 64 MiB"):
        GroupTable(Path("/dev/zero"))


@pytest.fixture
def wells(put, grey, two_cells, tmp_path) -> Path:
    for number, name in enumerate(("A01_s1", "A01_s2", "B07_s1")):
        put(f"cells/images/{name}.png", grey + np.uint8(number))
        put(f"cells/labels/{name}.png", two_cells)
    return tmp_path / "cells"


def groups(samples) -> dict[str, dict[str, str]]:
    return {sample.id: dict(sample.groups) for sample in samples}


def test_table_and_file_names_tell_groups_and_the_table_counts(bring, wells, tmp_path):
    (tmp_path / "t.csv").write_text("id,well,patient\nA01_s1,X1,p\nA01_s2.png,X1,p\nB07_s1,X2,\nC01_s1,X3,r\n")
    samples, found = bring(wells, groups=tmp_path / "t.csv", group_from="{well}_s{site}")
    assert groups(samples) == {
        "A01_s1": {"well": "X1", "site": "1", "patient": "p"},
        "A01_s2": {"well": "X1", "site": "2", "patient": "p"},
        "B07_s1": {"well": "X2", "site": "1"},
    }
    assert "rows of t.csv without an image, ignored (C01_s1): 1" in found.log.lines()
    assert found.info["import"] == found.log.lines()


def test_a_table_beside_the_images_that_was_not_asked_for_is_told_of(bring, wells):
    (wells / "other.csv").write_text("id,well\nA01_s1,X1\n")
    _, found = bring(wells)
    assert not any("--groups" in line for line in found.log.lines())
    (wells / "wells.csv").write_text("id,well\nA01_s1,X1\nA01_s2,X1\nB07_s1,X2\n")
    samples, found = bring(wells)
    said = f"images listed in wells.csv (well); --groups {wells / 'wells.csv'} would import these columns: 3"
    assert said in found.info["import"]
    assert groups(samples) == {"A01_s1": {}, "A01_s2": {}, "B07_s1": {}}


def test_images_without_a_row_and_rows_without_an_image_are_told_together(bring, wells, tmp_path):
    (tmp_path / "t.csv").write_text("id,well\nA01_s1,A01\nA1_s2,A01\n")
    (wells / "images" / "B07_s1.png").write_bytes(b"broken")
    with pytest.raises(DataError) as raised:
        bring(wells, groups=tmp_path / "t.csv", group_from="{well}_s1")
    said = str(raised.value)
    assert "3 problems: (1) images/B07_s1.png: can't be read" in said
    assert "'{well}_s1': 1 file names don't match: A01_s2.png" in said
    assert "no row: A01_s2.png; rows without an image: A1_s2;" in said


def test_a_row_that_could_be_two_images_is_refused(put, bring, grey, two_cells, tmp_path):
    for split in ("train", "test"):
        put(f"s/{split}/images/a.png", grey)
        put(f"s/{split}/labels/a.png", two_cells)
    (tmp_path / "t.csv").write_text("id,well\na.png,A01\n")
    with pytest.raises(DataError, match=r"'a\.png' matches 'test-a' and 'train-a'; use these ids in"):
        bring(tmp_path / "s", groups=tmp_path / "t.csv")
    for names in (("train-a", "test-a"), ("train/images/a.png", "test/images/a")):
        (tmp_path / "t.csv").write_text(f"id,well\n{names[0]},A01\n{names[1]},B02\n")
        samples, _ = bring(tmp_path / "s", groups=tmp_path / "t.csv")
        assert {s.id: s.groups["well"] for s in samples} == {"train-a": "A01", "test-a": "B02"}


def test_a_table_may_tell_the_split(bring, wells, tmp_path):
    (tmp_path / "t.csv").write_text("id,split\nA01_s1,Training\nA01_s2,val\nB07_s1,test\n")
    samples, _ = bring(wells, groups=tmp_path / "t.csv")
    assert [s.groups["split"] for s in samples] == ["train", "validation", "test"]
    (tmp_path / "t.csv").write_text("id,split\nA01_s1,Training\nA01_s2,spare\nB07_s1,test\n")
    with pytest.raises(DataError, match=r"A01_s2\.png: unknown split 'spare'; .*train, validation or test"):
        bring(wells, groups=tmp_path / "t.csv")


def test_names_of_any_script_are_matched_with_the_table(put, bring, grey, two_cells, tmp_path):
    for name in ("\u7ec6\u80de1", "\u7ec4\u7ec71", "Zelle a\u0308"):
        put(f"s/images/{name}.png", grey)
        put(f"s/labels/{name}.png", two_cells)
    (tmp_path / "t.csv").write_text(
        "id,kind\n\u7ec6\u80de1,cell\n\u7ec4\u7ec71,tissue\nZelle \u00e4.png,Zelle\n", encoding="utf-8"
    )
    samples, _ = bring(tmp_path / "s", groups=tmp_path / "t.csv")
    assert sorted(s.groups["kind"] for s in samples) == ["Zelle", "cell", "tissue"]


def test_groups_reach_every_form(put, bring, grey, two_cells, tmp_path):
    put("beside/A1_x.png", grey)
    put("beside/A1_x_masks.png", two_cells)
    put("objects/A1_x/images/A1_x.png", grey)
    put("objects/A1_x/masks/1.png", (two_cells == 1).astype(np.uint8) * 255)
    (tmp_path / "npz").mkdir()
    np.savez(tmp_path / "npz" / "A1_x.npz", X=grey[None], y=two_cells[None])
    put("film/01/t000.tif", grey)
    put("film/01_GT/SEG/man_seg000.tif", two_cells)
    put("coco/A1_x.png", grey)
    (tmp_path / "coco" / "c.json").write_text('{"images": [{"id": 1, "file_name": "A1_x.png"}], "annotations": []}')
    for form, pattern in (
        ("beside", "{well}_x"),
        ("objects", "{well}_x"),
        ("coco", "{well}_x"),
        ("npz", "{well}_*"),
        ("film", "{well}/t*"),
    ):
        samples, _ = bring(tmp_path / form, group_from=pattern)
        assert [s.groups["well"] for s in samples] == ["01" if form == "film" else "A1"], form


def test_real_wells_are_split_whole(real_data, tmp_path, bring):
    folder = real_data / "wells_bbbc039"
    samples = SampleSet.of(bring(folder, groups=folder / "groups.csv")[0])
    assert len(samples) == 72
    by_well: dict[str, list[str]] = {}
    for entry in samples.entries:
        assert entry.id == f"{entry.groups['well']}_s{entry.groups['site']}"
        by_well.setdefault(entry.groups["well"], []).append(entry.id)
    assert {len(ids) for ids in by_well.values()} == {2}
    assert len(by_well) == 36
    write_splits(tmp_path / "splits.json", make_splits(samples, "kfold", folds=4, group="well"))
    folds = read_splits(tmp_path / "splits.json")
    assert sorted(name for fold in folds for name in fold.test) == sorted(samples.ids)
    for fold in folds:
        fold.check(samples, "well")
        for ids in fold.parts.values():
            assert all(set(by_well[samples.entries[samples.position(one)].groups["well"]]) <= set(ids) for one in ids)


def test_real_file_names_tell_what_the_table_tells(real_data, bring):
    folder = real_data / "wells_bbbc039"
    table = GroupTable(folder / "groups.csv")
    pattern = NamePattern("{well}_s{site}")
    files = sorted((folder / "images").iterdir())
    assert len(files) == 72
    for file in files:
        named = called(f"images/{file.name}")
        assert pattern.of(named) == table.of(named)
