"""The site holds what the boards hold, links only to what is there, and lets nothing that a stranger wrote act."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import zlib
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
import yaml
from PIL import Image

from helpers.bundles import change_json, members, write
from helpers.html import Reader
from helpers.site import QUESTION, Made, relist
from helpers.trial import trial_plugins
from synthbench.board.model import BoardEntry, read_board, write_board
from synthbench.board.opening import open_board
from synthbench.errors import ConfigError, SynthbenchError
from synthbench.leaderboard import table
from synthbench.site._rows import filtered_table
from synthbench.site.building import LIST, Built, build_site
from synthbench.store import file_digest

BOARD = "boards/discs.html"


def text_of(page: str) -> str:
    return " ".join(" ".join(Reader(page).text).split())


def test_there_is_a_page_for_every_board_method_and_dataset(built: Built, pages: dict[str, str]) -> None:
    fixed = {"index.html", "methods.html", "datasets.html", "how-to-read.html", "how-to-join.html", BOARD}
    methods = {f"methods/generator-{name}.html" for name in ("brighter", "duplicate", "shuffled")}
    others = set(pages) - fixed - methods - {"methods/segmenter-threshold.html"}
    assert len(others) == 1
    assert re.fullmatch(r"datasets/discs-[0-9a-f]{8}[.]html", others.pop())
    assert built.boards == 1
    assert built.pages == len(pages)
    assert built.size < 2**20


def test_every_page_is_well_formed_and_has_one_heading_of_its_own(pages: dict[str, str]) -> None:
    titles = set()
    for text in pages.values():
        read = Reader(text)
        assert len(read.all("h1")) == 1
        assert len(read.all("main")) == 1
        assert read.all("html") == [{"lang": "en"}]
        titles.add(re.search("<title>(.*?)</title>", text)[1])
        levels = [int(level) for level in re.findall(r"<h(\d)", text)]
        assert all(b - a <= 1 for a, b in pairwise(levels)), levels
        assert all(each.get("alt") and each.get("width") and each.get("height") for each in read.all("img"))
    assert len(titles) == len(pages)


def test_every_link_leads_to_a_file_of_the_site_or_to_the_web(built: Built, pages: dict[str, str]) -> None:
    seen = 0
    for name, text in pages.items():
        read = Reader(text)
        ids = {attrs["id"] for _, attrs in read.elements if attrs.get("id")}
        for _, attrs in read.elements:
            for address in (attrs.get("href"), attrs.get("src")):
                if not address or address.startswith("https://"):
                    continue
                file, part = urldefrag(address)
                if file:
                    target = (built.folder / name).parent / unquote(file)
                    assert target.resolve().is_relative_to(built.folder.resolve())
                    assert target.is_file(), (name, address)
                    seen += 1
                else:
                    assert part in ids, (name, address)
    assert seen > 100


def test_pages_are_strict_and_load_nothing_from_elsewhere(pages: dict[str, str]) -> None:
    for text in pages.values():
        read = Reader(text)
        policy = next(each["content"] for each in read.all("meta") if each.get("http-equiv"))
        assert policy.startswith("default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'")
        assert "unsafe" not in policy
        for name, attrs in read.elements:
            assert "style" not in attrs
            assert not [each for each in attrs if each.startswith("on")]
            if name in ("img", "script", "link", "source", "iframe", "object"):
                assert ":" not in (attrs.get("src") or attrs.get("href") or "")
        assert not read.all("style")
        assert all(each.get("src") for each in read.all("script"))


def test_question_answer_and_certainty_come_first(pages: dict[str, str]) -> None:
    shown = text_of(pages[BOARD])
    order = [QUESTION, "On discs, shuffled and brighter improved threshold", "What to do with images like these"]
    order += ["How sure is this?", "Difference from real images alone", "All results of discs"]
    places = [shown.index(each) for each in order]
    assert places == sorted(places)
    assert QUESTION in text_of(pages["index.html"])
    assert "2 better" in text_of(pages["index.html"])


def test_the_table_is_that_of_the_board(made: Made, built: Built, pages: dict[str, str]) -> None:
    (group,) = open_board(made.boards / "discs").groups
    expected = table(group.results)
    with (built.folder / "boards/discs/leaderboard.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["arm"] for row in rows] == list(expected["arm"])
    assert [float(row["f1@mean"]) for row in rows] == pytest.approx(list(expected["f1@mean"]))
    content = json.loads((built.folder / "boards/discs/leaderboard.json").read_text(encoding="utf-8"))
    assert [row["arm"] for row in content["groups"][0]["rows"]] == list(expected["arm"])
    main = pages[BOARD].split('id="table-1"')[1].split("</table>")[0]
    cells = re.findall(r'data-label="F1 mean">([^<]+)<', main)
    assert cells == [f"{value:.3f}" for value in expected["f1@mean"]]
    amounts = re.findall(r'<tr class="[^"]*"[^>]* data-amount="(\d+)"', main)
    assert [int(each) for each in amounts] == list(expected["fraction"])
    assert set(re.findall(r'data-kind="([^"]+)"', main)) == {"real images alone", "control", "not trained"}
    assert (built.folder / "boards/discs/first.zip").read_bytes() == made.bundle.read_bytes()


def test_pictures_are_small_and_shown(built: Built, pages: dict[str, str]) -> None:
    shown = {Path(each["src"]).name for text in pages.values() for each in Reader(text).all("img")}
    kept = {path.name for path in (built.folder / "pictures").iterdir()}
    assert shown == kept
    for path in (built.folder / "pictures").iterdir():
        assert path.stat().st_size < 60_000
        with Image.open(path) as picture:
            assert max(picture.size) <= 400
    cases = pages[BOARD].count('class="case"')
    assert cases
    assert pages[BOARD].count("<small>true objects</small>") == cases
    assert "true objects real images alone" in text_of(pages[BOARD])


def test_images_are_shown_only_where_their_licence_is_known_to_allow_it(
    made: Made, built: Built, tmp_path: Path
) -> None:
    without = build_site(made.boards, tmp_path / "site")
    page = text_of((tmp_path / "site" / BOARD).read_text(encoding="utf-8"))
    assert "Better by" in page
    assert "true objects real images alone" not in page
    assert "the images aren't shown, because the dataset isn't at hand" in page
    assert without.pictures < built.pictures
    other = Path(shutil.copytree(made.data, tmp_path / "other"))
    index = json.loads((other / "samples.json").read_text(encoding="utf-8"))
    index["info"]["licence"] = "CC BY-NC 4.0"
    (other / "samples.json").write_text(json.dumps(index), encoding="utf-8")
    build_site(made.boards, tmp_path / "site", [str(other)])
    page = text_of((tmp_path / "site" / BOARD).read_text(encoding="utf-8"))
    assert "Better by" in page
    assert "true objects real images alone" not in page
    assert "the licence of the dataset (CC BY-NC 4.0) may not allow it" in page


def test_the_same_boards_give_the_same_bytes(made: Made, built: Built, tmp_path: Path) -> None:
    again = build_site(made.boards, tmp_path / "again", [str(made.data)])
    first, second = (
        {p.relative_to(f): p.read_bytes() for p in f.rglob("*") if p.is_file()} for f in (built.folder, again.folder)
    )
    assert first == second
    listed = json.loads(first[Path(LIST)])["boards"]
    assert [(each["name"], each["question"], each["page"]) for each in listed] == [("discs", QUESTION, BOARD)]


def test_other_folders_are_ignored_with_a_line(made: Made, built: Built) -> None:
    (note,) = built.notes
    assert note == f"{made.boards / 'notes'}: has no board.yaml, so it is no board, and is ignored"


def test_a_folder_that_holds_something_else_is_left_alone(made: Made, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("chapter 1")
    with pytest.raises(ConfigError, match="holds something that is no site"):
        build_site(made.boards, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("what", ["missing", "empty"])
def test_a_folder_without_boards_is_refused(tmp_path: Path, what: str) -> None:
    source = tmp_path / what
    if what == "empty":
        source.mkdir()
    with pytest.raises(ConfigError, match="no such folder" if what == "missing" else "has no board in it"):
        build_site(source, tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_a_changed_entry_leaves_the_old_site_as_it_is(made: Made, tmp_path: Path) -> None:
    boards = Path(shutil.copytree(made.boards, tmp_path / "boards"))
    build_site(boards, tmp_path / "site")
    before = (tmp_path / "site" / BOARD).read_bytes()
    bundle = boards / "discs" / "entries" / "first.zip"
    bundle.write_bytes(bundle.read_bytes() + b"x")
    with pytest.raises(SynthbenchError, match=r"first[.]zip"):
        build_site(boards, tmp_path / "site")
    assert (tmp_path / "site" / BOARD).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["boards", "site"]


def png_of(width: int, height: int) -> bytes:
    """The head of a PNG file that declares a size, and no more."""
    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    chunk = b"IHDR" + head
    return b"\x89PNG\r\n\x1a\n" + len(head).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")


EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def hostile(made: Made, tmp_path_factory: pytest.TempPathFactory) -> tuple[Built, dict[str, str]]:
    """The site of a board whose entry names things as an attacker would, and declares huge images."""
    folder = tmp_path_factory.mktemp("hostile")
    boards = Path(shutil.copytree(made.boards, folder / "boards"))
    bundle = boards / "discs" / "entries" / "first.zip"
    files = members(bundle)
    name = f"evil{EVIL}"
    for file, content in files.items():
        if file.endswith((".json", ".csv")):
            files[file] = content.replace(b"brighter", name.encode())
    content = yaml.safe_load(files["study.yaml"])
    for generator in content["generators"]:
        if generator["name"] == "brighter":
            generator["label"] = name
    files["study.yaml"] = yaml.safe_dump(content).encode()

    def describe(rows: list[dict[str, str]]) -> None:
        for row in rows:
            row["summary"] = "</p><script>alert(2)</script>\u202e"
            row["description"] = '`<b onclick=alert(3)>` arXiv 2512.10334 "><svg onload=alert(4)>'

    def sources(content: dict[str, dict[str, dict[str, str]]]) -> None:
        content["datasets"]["discs"]["source"] = "javascript:alert(5)"
        content["datasets"]["discs"]["licence"] = "CC0-1.0"

    change_json(files, "methods.json", describe)
    change_json(files, "sources.json", sources)
    for file in list(files):
        if file.startswith(("predictions/", "samples/")) and file.endswith(".png"):
            files[file] = png_of(100_000, 100_000)
    write(bundle, files)
    relist(boards / "discs")
    built = build_site(boards, folder / "site")
    pages = {path.relative_to(built.folder).as_posix(): path for path in built.folder.rglob("*.html")}
    return built, {name: path.read_text(encoding="utf-8") for name, path in pages.items()}


def test_what_strangers_wrote_stays_text(hostile: tuple[Built, dict[str, str]]) -> None:
    built, pages = hostile
    told = 0
    for name, text in pages.items():
        read = Reader(text)
        assert len(read.all("script")) == 1, name
        assert not [each for _, attrs in read.elements for each in attrs if each.startswith("on")]
        assert all((each.get("src") or "").startswith(("pictures/", "../pictures/")) for each in read.all("img"))
        assert "javascript:" not in {(each.get("href") or "").partition("alert")[0] for each in read.all("a")}
        assert "\u202e" not in text
        told += sum(EVIL in part for part in read.text)
    assert told > 5
    dataset = next(text for name, text in pages.items() if name.startswith("datasets/"))
    assert "javascript:alert(5)" in text_of(dataset)
    for path in built.folder.rglob("*"):
        assert re.fullmatch(r"[A-Za-z0-9._-]+", path.name)


def test_huge_images_of_strangers_are_left_out_with_a_line(hostile: tuple[Built, dict[str, str]]) -> None:
    built, pages = hostile
    assert built.pictures == 0
    assert [note for note in built.notes if "predictions/" in note and "100000×100000" in note]
    assert [note for note in built.notes if "samples/" in note and "100000×100000" in note]
    assert "Not drawn: its predictions can't be read, or are too large." in pages[BOARD]


@pytest.fixture(scope="session")
def apart(made: Made, tmp_path_factory: pytest.TempPathFactory, trial_site: Path) -> str:
    """The page of a board with a second entry, from another kind of device."""
    folder = tmp_path_factory.mktemp("apart")
    boards = Path(shutil.copytree(made.boards, folder / "boards"))
    files = members(made.bundle)

    def on_a_gpu(plan: dict) -> dict:
        for task in plan.values():
            if task["kind"] in ("fit-segmenter", "evaluate"):
                task["content"]["compute"] = {"device": "cuda", "precision": "float32"}
        return plan

    change_json(files, "plan.json", on_a_gpu)
    entry = write(boards / "discs" / "entries" / "on-a-gpu.zip", files)
    board, _ = read_board(boards / "discs")
    listed = BoardEntry(name="on-a-gpu", sha256=file_digest(entry), bytes=entry.stat().st_size)
    write_board(board.model_copy(update={"entries": [*board.entries, listed]}), boards / "discs")
    with trial_plugins(trial_site):
        build_site(boards, folder / "site", [str(made.data)])
    return (folder / "site" / BOARD).read_text(encoding="utf-8")


def test_results_that_cannot_be_paired_stand_under_their_own_heading_with_the_reason(apart: str) -> None:
    (own,) = re.findall(r'<section id="apart">.*?</section>', apart, re.DOTALL)
    text = text_of(own)
    assert "on-a-gpu" in text
    assert "device cuda, expected cpu" in text
    assert 'id="table-2"' in own
    assert "brighter × 4" in text
    (first,) = re.findall(r'<table[^>]*id="table-1".*?</table>', apart, re.DOTALL)
    assert "on-a-gpu" not in first


def test_rows_of_several_entries_say_whose_they_are(made: Made) -> None:
    found = table(open_board(made.boards / "discs").groups[0].results, draws=200)
    alone, several = (filtered_table("", found, {}, entries) for entries in (1, 2))
    assert ("whose", "scores of") in several.heads
    assert {row.cells[-1].text for row in several.rows} == {"first (verified)"}
    assert [name for name, _ in alone.heads][-1] == "verification"


def test_an_entry_elsewhere_is_linked_and_not_copied(made: Made, tmp_path: Path) -> None:
    boards = Path(shutil.copytree(made.boards, tmp_path / "boards"))
    relist(boards / "discs", address="https://example.org/first.zip")
    build_site(boards, tmp_path / "site")
    page = (tmp_path / "site" / BOARD).read_text(encoding="utf-8")
    assert '<a href="https://example.org/first.zip" rel="noopener nofollow">' in page
    assert not list((tmp_path / "site").rglob("*.zip"))
    assert io.BytesIO(page.encode()).readline() == b"<!doctype html>\n"
