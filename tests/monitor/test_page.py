"""The page of a run that goes on."""

from __future__ import annotations

import re
from dataclasses import replace

from synthbench.monitor import read_status, status_page
from synthbench.monitor.reading import Failure, RunningTask

MARKUP = '<script>alert("x")</script>\u202e'


def test_the_run_leaves_a_page_that_no_longer_refreshes(watched) -> None:
    page = (watched.folder / "progress.html").read_text(encoding="utf-8")
    assert "http-equiv" not in page
    assert 'href="report.html"' in page
    assert "f1@mean" in page


def test_the_page_refreshes_while_the_run_goes_on_and_asks_no_other_host(watched) -> None:
    curve = [(0, 1.0), (10, 0.5), (20, 0.25)]
    task = RunningTask("fit-segmenter", MARKUP, "0" * 64, MARKUP, 1, 3.0, "fit", 20, 40, MARKUP, {"loss": 0.25}, curve)
    failure = Failure("draw", MARKUP, "failed", "draw", MARKUP)
    status = replace(read_status(watched.folder), name=MARKUP, state="running", running=[task], failures=[failure])
    page = status_page(status)
    assert '<meta http-equiv="refresh" content="10">' in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "\u202e" not in page
    assert re.findall(r"(?:src|href|url)\b", page) == []
    assert "http://" not in page.replace("http-equiv", "")
    (points,) = re.findall(r'polyline points="([^"]+)"', page)
    places = [tuple(map(float, point.split(","))) for point in points.split()]
    assert [x for x, _ in places] == [0, 120, 240]
    assert places[0][1] < places[1][1] < places[2][1]  # a falling loss goes down on the page
