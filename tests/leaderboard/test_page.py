"""The page holds everything in itself, shows what happened, and nothing a stranger wrote can act in it."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from helpers.html import Reader
from synthbench.leaderboard import page, report
from synthbench.leaderboard._charts import Line, curves
from synthbench.leaderboard._svg import Scale, spaced, step_for
from synthbench.leaderboard.crops import SIDE, crop, crop_sample
from synthbench.samples import Sample, SampleSet

TEMPLATES = Path(page.__code__.co_filename).parent / "templates"


@pytest.fixture(scope="module")
def shots(blob_set: SampleSet) -> dict[str, list[Sample]]:
    return {"real": [blob_set[0], blob_set[1]], "pix2pix": [blob_set[2]]}


@pytest.fixture(scope="module")
def written(gaps: SimpleNamespace, shots: dict[str, list[Sample]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of results with gaps."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "failures.txt").write_text("Traceback: <loss> is NaN", encoding="utf-8")
    return report(folder, gaps, shots)


def test_real_images_alone_have_no_chart_of_differences(frames: SimpleNamespace, tmp_path: Path) -> None:
    """A study of segmenters only: scores, and nothing that is drawn of nothing."""
    alone = frames.results(effects={"real": 0.0}, segmenters=("unet",), seeds=1, count=8, ious=(0.5, 0.75, 0.9))
    text = page(alone, tmp_path)
    assert {"id": "leaderboard"} in Reader(text).all("section")
    assert {"id": "differences"} not in Reader(text).all("section")


def test_report_is_one_file_that_asks_for_nothing(written: Path) -> None:
    assert written.name == "report.html"
    read = Reader(written.read_text(encoding="utf-8"))
    for _, attrs in read.elements:
        for name in ("src", "href", "srcset", "action", "data"):
            assert (attrs.get(name) or "data:").startswith("data:")
    assert not re.search(r"url\(|@import|https?:", written.read_text(encoding="utf-8"))
    assert len(read.all("script")) == 1
    assert sorted(p.name for p in written.parent.iterdir()) == ["failures.txt", "pictures", "report.html"]


def test_report_shows_what_happened(written: Path) -> None:
    read = Reader(written.read_text(encoding="utf-8"))
    told = " ".join(" ".join(read.text).split())
    assert "pix2pix improved stardist; no generator measurably improved unet (pix2pix missing)" in told
    assert "4 of 24 trainings are missing" in told
    assert "Diverged: loss is NaN" in told
    assert "Traceback: <loss> is NaN" in told
    assert "segmenters: [unet]" in told
    assert "KD(untrained) real-vs-real" in told
    assert "difficulty" in told
    headings = [attrs for attrs in read.all("th") if "col" in (attrs.get("scope") or "")]
    assert headings


def test_everything_that_is_seen_is_also_told(written: Path) -> None:
    text = written.read_text(encoding="utf-8")
    read = Reader(text)
    assert len(read.all("img")) == 3
    assert all(attrs.get("alt") for attrs in read.all("img"))
    for attrs in read.all("svg"):
        if attrs.get("class") == "chart":
            assert attrs.get("role") == "img"
    assert text.count('class="chart"') == text.count("<desc>") == 4
    assert len(re.findall(r"<html lang=", text)) == 1
    assert re.findall(r"<h(\d)", text)[0] == "1"


def test_what_strangers_wrote_stays_text(
    gaps: SimpleNamespace, renamed: Callable[[SimpleNamespace, str, str], SimpleNamespace], tmp_path: Path
) -> None:
    evil = '"><img src=x onerror=alert(1)><script>alert(2)</script>&lt;{{ 7*7 }}'
    hostile = gaps
    for name in ("pix2pix", "phantom-nuclei", "unet", "A172", "loss is NaN"):
        hostile = renamed(hostile, name, f"{name}{evil}")
    study = {"name": f"study{evil}", "to_yaml": lambda: f"name: {evil}"}
    hostile.study = SimpleNamespace(**{**vars(hostile.study), **study})
    (tmp_path / "failures.txt").write_text(evil, encoding="utf-8")
    sample = Sample("s1", np.zeros((8, 8), np.uint8), np.ones((8, 8), np.uint8))
    read = Reader(report(tmp_path, hostile, {f"real{evil}": [sample]}).read_text(encoding="utf-8"))
    assert len(read.all("script")) == 1
    assert len(read.all("img")) == 1
    assert not [name for _, attrs in read.elements for name in attrs if name.startswith("on")]
    assert sum(evil in part for part in read.text) > 10


def test_pictures_stay_when_none_are_given(
    small: SimpleNamespace, shots: dict[str, list[Sample]], tmp_path: Path
) -> None:
    first = report(tmp_path, small, shots).read_text(encoding="utf-8")
    again = report(tmp_path, small).read_text(encoding="utf-8")
    assert again == first == page(small, tmp_path)
    report(tmp_path, small, {"real": shots["real"][:1]})
    index = json.loads((tmp_path / "pictures" / "index.json").read_text())
    assert [row["title"] for row in index] == ["real"]
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 1


def test_pictures_show_the_image_and_its_outlines(
    small: SimpleNamespace, shots: dict[str, list[Sample]], tmp_path: Path
) -> None:
    report(tmp_path, small, shots)
    with Image.open(tmp_path / "pictures" / "00-00.png") as file:
        pair = np.asarray(file)
    sample = shots["real"][0]
    size = sample.labels.shape[0]
    assert pair.shape == (size, 2 * size + 4, 4)
    left, right = pair[:, :size, :3], pair[:, -size:, :3]
    assert (left[..., 0] == left[..., 1]).all()
    coloured = (right.max(axis=-1) - right.min(axis=-1)) > 30
    assert coloured.any()
    assert (sample.labels[coloured] > 0).all()


@pytest.mark.parametrize("index", ['[{"title": "x"}]', '["x"]', "{", '{"a": 1}'])
def test_a_damaged_index_of_pictures_is_told_and_stops_no_report(
    small: SimpleNamespace, shots: dict[str, list[Sample]], tmp_path: Path, index: str
) -> None:
    report(tmp_path, small, shots)
    (tmp_path / "pictures" / "index.json").write_text(index)
    assert "The list of pictures, pictures/index.json, is damaged" in page(small, tmp_path)


@pytest.mark.parametrize("harm", [Path.unlink, lambda file: file.write_bytes(file.read_bytes()[:90])])
def test_a_damaged_picture_is_told_in_its_place(
    small: SimpleNamespace, shots: dict[str, list[Sample]], tmp_path: Path, harm
) -> None:
    report(tmp_path, small, shots)
    whole = page(small, tmp_path).count("data:image/png")
    harm(tmp_path / "pictures" / "00-00.png")
    text = page(small, tmp_path)
    assert text.count("data:image/png") == whole - 1
    assert "(not shown: its file is missing or damaged)" in text


def test_pictures_of_other_folders_are_out_of_reach(
    small: SimpleNamespace, shots: dict[str, list[Sample]], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    report(run, small, shots)
    (tmp_path / "secret.png").write_bytes(b"secret")
    (run / "pictures" / "linked.png").symlink_to(tmp_path / "secret.png")
    (run / "failures.txt").symlink_to(tmp_path / "secret.png")
    named = [{"file": name, "told": "x"} for name in ("../../secret.png", str(tmp_path / "secret.png"), "linked.png")]
    (run / "pictures" / "index.json").write_text(json.dumps([{"title": "x", "pictures": named}]))
    text = page(small, run)
    assert base64.b64encode(b"secret").decode() not in text
    assert "secret" not in text


def test_a_folder_of_pictures_that_is_a_link_is_not_followed(
    small: SimpleNamespace, shots: dict[str, list[Sample]], tmp_path: Path
) -> None:
    report(tmp_path / "other", small, shots)
    assert "data:image/png" in page(small, tmp_path / "other")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "pictures").symlink_to(tmp_path / "other" / "pictures")
    assert "data:image/png" not in page(small, tmp_path / "run")


def test_words_of_unknown_origin_turn_no_line_around(
    small: SimpleNamespace, shots: dict[str, list[Sample]], tmp_path: Path
) -> None:
    report(tmp_path, small, shots)
    index = tmp_path / "pictures" / "index.json"
    rows = json.loads(index.read_text(encoding="utf-8"))
    rows[0]["title"] = "turned \u202e\x1b[31m around"
    index.write_text(json.dumps(rows), encoding="utf-8")
    assert "turned \\u202e\\x1b[31m around" in page(small, tmp_path)


def test_crops_hold_the_objects() -> None:
    labels = np.zeros((600, 900), np.uint16)
    labels[560:590, 850:890] = 1
    window = crop(labels)
    assert (labels[window] > 0).sum() == 30 * 40
    assert labels[window].shape == (SIDE, SIDE)
    assert crop(np.zeros((601, 301), int)) == (slice(172, 172 + SIDE), slice(22, 22 + SIDE))


def test_a_semantic_study_has_a_page(semantic: SimpleNamespace, tmp_path: Path) -> None:
    image = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
    sample = Sample("s", image, (image > 30).astype(np.uint8))
    text = report(tmp_path, semantic, {"real": [sample]}).read_text(encoding="utf-8")
    assert "mIoU*" in text
    assert "classes in colour" in text
    assert "F-score by IoU threshold" not in text


def test_a_study_of_which_nothing_is_left_has_a_page(
    whole: SimpleNamespace, frames: SimpleNamespace, tmp_path: Path
) -> None:
    nothing = frames.lose(whole, pd.Series(True, index=whole.runs.index))
    nothing.images, nothing.fidelity = pd.DataFrame(), pd.DataFrame()
    text = report(tmp_path, nothing, {}).read_text(encoding="utf-8")
    assert "Nothing could be compared" in text
    assert not re.search(r"\bnan\b", text.replace("loss is NaN", ""), flags=re.I)


# -- charts and colours ---------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 200), min_size=1, max_size=12))
def test_labels_stand_apart_in_order_and_near_their_curves(values: list[float]) -> None:
    wanted = sorted(values)
    spots = spaced(wanted, 15, -500, 700)
    assert all(b - a >= 15 - 1e-6 for a, b in pairwise(spots))
    if all(b - a >= 15 for a, b in pairwise(wanted)):
        assert spots == pytest.approx(wanted)
    assert np.mean(spots) == pytest.approx(np.mean(wanted), abs=1e-6)


@pytest.mark.parametrize("score", [0.0, 0.4, 1.0])
def test_the_title_of_the_axis_stands_above_its_highest_tick(score: float) -> None:
    scores = [score] * 3
    drawn = curves([Line("real", [0.5, 0.7, 0.9], scores, scores, scores, 0)], "title", "description", "F-score")
    heights = {text: float(y) for y, text in re.findall(r'<text [^>]*?y="([\d.]+)"[^>]*>([^<]+)</text>', drawn)}
    numbers = {text: y for text, y in heights.items() if re.fullmatch(r"\d\.\d+", text) and y < 250}
    assert min(numbers.values()) - heights["F-score"] >= 12
    assert max(map(len, numbers)) <= 4


def test_an_arm_that_changed_nothing_has_no_interval_in_the_chart(small: SimpleNamespace, tmp_path: Path) -> None:
    assert page(small, tmp_path).count('class="bar"') == 1
    own, real = (small.images["arm"] == arm for arm in ("real + pix2pix × 9", "real"))
    same = small.images.copy()
    for name in ("tp", "fp", "fn", "dice"):
        same.loc[own, name] = same.loc[real, name].to_numpy()
    unchanged = SimpleNamespace(**{**vars(small), "images": same})
    assert page(unchanged, tmp_path).count('class="bar"') == 0


@given(st.floats(1e-4, 1e3))
def test_axes_have_a_few_round_ticks(span: float) -> None:
    ticks = Scale(0.0, span, 0, 100, step_for(span)).ticks
    assert 2 <= len(ticks) <= 7


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_text_and_labels_have_contrast_by_day_and_by_night() -> None:
    css = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    schemes = re.findall(r":root \{(.*?)\}", css, flags=re.S)[:2]
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", scheme))
        for paper in ("paper", "wash"):
            for name in ("ink", "soft", "good", "bad", *(f"arm-{i}" for i in range(1, 8))):
                pair = sorted((luminance(colours[name]), luminance(colours[paper])))
                assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (name, paper)
        pair = sorted((luminance(colours["ink"]), luminance(colours["caution"])))
        assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5


# -- in a browser ---------------------------------------------------------------------------------------------------


def browse(chromium: str, tmp_path: Path, *options: str) -> str:
    command = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
        f"--user-data-dir={tmp_path / 'profile'}", *options,
    ]  # fmt: skip
    env = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, env=env)
    return done.stdout


@pytest.mark.browser
def test_a_press_on_a_heading_sorts_and_the_page_fits_a_narrow_window(
    written: Path, tmp_path: Path, chromium: str
) -> None:
    text = written.read_text(encoding="utf-8")
    probe = """<script>
      const tables = [...document.querySelectorAll("#leaderboard table")];
      const table = tables.find((t) => t.tHead.textContent.includes("F1@.50"));
      const column = (name) => [...table.tHead.rows[0].cells].findIndex((c) => c.textContent === name);
      const read = (name) => [...table.tBodies[0].rows].map((r) => r.cells[column(name)].textContent).join("|");
      const press = (name) => table.tHead.rows[0].cells[column(name)].querySelector("button").click();
      const seen = [];
      press("F1@.50"); seen.push(read("F1@.50"));
      press("F1@.50"); seen.push(read("F1@.50"));
      press("arm"); seen.push(read("arm"));
      seen.push(document.documentElement.scrollWidth <= window.innerWidth);
      document.body.replaceChildren(JSON.stringify(seen));
    </script></html>"""
    file = tmp_path / "probe.html"
    file.write_text(text.replace("</html>", probe), encoding="utf-8")
    dom = browse(chromium, tmp_path, "--window-size=500,900", "--dump-dom", file.as_uri())
    falling, rising, arms, fits = json.loads(re.search(r"<body>(.*)</body>", dom, flags=re.S)[1])
    numbers = [float(v) for v in falling.split("|")[:-1]]
    assert numbers == sorted(numbers, reverse=True)
    assert falling.split("|")[-1] == rising.split("|")[-1] == "missing"
    assert [float(v) for v in rising.split("|")[:-1]] == numbers[::-1]
    assert arms.split("|") == sorted(arms.split("|"))
    assert fits


@pytest.mark.browser
def test_the_page_renders_by_day_and_by_night(written: Path, tmp_path: Path, chromium: str) -> None:
    papers = []
    for scheme in (1, 0):
        shot = tmp_path / f"{scheme}.png"
        options = (f"--blink-settings=preferredColorScheme={scheme}", "--window-size=700,500", f"--screenshot={shot}")
        browse(chromium, tmp_path, *options, written.as_uri())
        with Image.open(shot) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50
        papers.append(pixels[2, 2].mean())
    assert papers[0] > 240
    assert papers[1] < 40


def test_the_part_of_an_image_that_is_shown_has_its_ignore_region() -> None:
    labels = np.zeros((2 * SIDE, SIDE), np.uint8)
    labels[SIDE:] = 1
    region = np.random.default_rng(0).random(labels.shape) < 0.3
    shown = crop_sample(Sample("a", labels, labels, ignore=region))
    assert np.array_equal(shown.ignore, region[SIDE:])
    assert crop_sample(Sample("a", labels, labels)).ignore is None


def test_scores_stand_over_the_numbers_of_real_images(frames: SimpleNamespace, tmp_path: Path) -> None:
    """The axis is logarithmic: from 10 to 40 images, 20 are half way."""
    images = pd.concat(
        [
            frames.images({"real": 0.0, "real + g × 9": 0.05}, segmenters=("unet",), fraction=10),
            frames.images({"real": 0.03}, segmenters=("unet",), fraction=20),
            frames.images({"real": 0.1}, segmenters=("unet",), fraction=40),
        ],
        ignore_index=True,
    )
    html = page(frames.results(table=images), tmp_path)
    section = re.search(r'<section id="learning">.*?</section>', html, re.DOTALL)[0]
    x = [float(cx) for cx in re.findall(r'<circle cx="([\d.]+)"', section)]
    assert len(x) == 4
    assert x[3] == x[0]
    assert x[1] == pytest.approx((x[0] + x[2]) / 2, abs=0.1)
    real = frames.f1_by_hand(images[images["fraction"] == 40], "real")
    assert f"{real:.3f} with 40" in re.search("<desc>(.*?)</desc>", section)[1]
    assert 'id="learning"' not in page(frames.results(table=images[images["fraction"] == 10]), tmp_path)
