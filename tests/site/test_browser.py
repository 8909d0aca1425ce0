"""In a real browser: no errors, no sideways scrolling, filters and sorting work, text has contrast, pages print."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.browser import Browser
from synthbench.site.building import Built

pytestmark = pytest.mark.browser
BOARD = "boards/discs.html"
ROWS = "[...document.querySelectorAll('#table-1 tbody tr')].filter((row) => row.offsetParent)"

CONTRAST = """(() => {
  const parse = (text) => {
    const found = text.match(/[\\d.]+/g).map(Number);
    const scale = text.startsWith("color(") ? 255 : 1;
    return [...found.slice(0, 3).map((value) => value * scale), found[3] ?? 1];
  };
  const over = (front, back) => [0, 1, 2].map((i) => front[i] * front[3] + back[i] * (1 - front[3])).concat(1);
  const ground = (element) => {
    const layers = [];
    for (let each = element; each; each = each.parentElement) {
      layers.push(parse(getComputedStyle(each).backgroundColor));
    }
    return layers.reverse().reduce((back, front) => over(front, back), [255, 255, 255, 1]);
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const bad = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let count = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const back = ground(element);
    const text = over(parse(element instanceof SVGElement ? style.fill : style.color), back);
    const [low, high] = [light(text), light(back)].sort((a, b) => a - b);
    count += 1;
    if ((high + 0.05) / (low + 0.05) < 4.5) bad.push([walker.currentNode.textContent.trim(), style.color, back]);
  }
  return { bad, count };
})()"""


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_pages_fit_log_nothing_and_have_contrast(
    built: Built, pages: dict[str, str], browser: Browser, width: int, dark: bool
) -> None:
    for name in pages:
        browser.open(built.folder / name, width, dark=dark)
        assert browser.problems == [], name
        assert browser.run("document.documentElement.scrollWidth") <= width, name
        found = browser.run(CONTRAST)
        assert found["bad"] == [], name
        assert found["count"] > 10
        assert browser.run("document.styleSheets.length") == 1
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(21, 24, 28)") == dark


def test_the_policy_stops_a_script_that_got_into_a_page(built: Built, browser: Browser, tmp_path: Path) -> None:
    page = (built.folder / "index.html").read_text(encoding="utf-8")
    for name in ("site.css", "site.js", "icon.svg"):
        (tmp_path / name).write_bytes((built.folder / name).read_bytes())
    injected = '<script>window.hit = 1</script><img src="data:," onerror="window.hit = 2">'
    (tmp_path / "index.html").write_text(page.replace("</main>", f"{injected}</main>"), encoding="utf-8")
    browser.open(tmp_path / "index.html")
    assert browser.run("window.hit ?? null") is None
    assert any("Content Security Policy" in problem for problem in browser.problems)


def test_filters_hide_rows_and_say_how_many_are_left(built: Built, browser: Browser) -> None:
    browser.open(built.folder / BOARD)

    def choose(name: str, value: str) -> None:
        browser.run(
            f"""(() => {{ const field = document.querySelector('[data-filter="{name}"]'); field.value = "{value}";
            field.dispatchEvent(new Event("input", {{ bubbles: true }})); }})()"""
        )

    total = browser.run(f"{ROWS}.length")
    assert total == 5
    choose("amount", "8")
    assert browser.run(f"{ROWS}.map((row) => row.dataset.amount)") == ["8"]
    assert browser.run("document.querySelector('.filters output').textContent") == "1 of 5 rows"
    choose("amount", "")
    choose("kind", "control")
    assert sorted(browser.run(f"{ROWS}.map((row) => row.cells[0].innerText)")) == ["duplicate × 4", "shuffled × 4"]
    choose("name", "SHUF")
    assert browser.run(f"{ROWS}.map((row) => row.cells[0].innerText)") == ["shuffled × 4"]
    browser.run("document.querySelector('.filters [type=reset]').click()")
    assert browser.run(f"new Promise((done) => setTimeout(() => done({ROWS}.length), 50))") == total
    assert browser.problems == []


def test_the_keyboard_sorts_the_table_and_follows_the_page(built: Built, browser: Browser) -> None:
    browser.open(built.folder / BOARD)
    browser.press("Tab", 9)
    assert browser.run("document.activeElement.className") == "skip"
    assert browser.run("document.activeElement.getBoundingClientRect().left") >= 0
    heads = browser.run("[...document.querySelectorAll('#table-1 thead th')].map((head) => head.textContent)")
    column = heads.index("F1 mean")
    browser.run(f"document.querySelectorAll('#table-1 thead button')[{column}].focus()")
    assert browser.run("getComputedStyle(document.activeElement).outlineStyle") != "none"
    browser.press("Enter", 13, "\r")
    read = f"{ROWS}.map((row) => Number(row.cells[{column}].dataset.sort))"
    falling = browser.run(read)
    assert falling == sorted(falling, reverse=True)
    assert len(set(falling)) > 2
    sort = f"document.querySelectorAll('#table-1 thead th')[{column}].getAttribute('aria-sort')"
    assert browser.run(sort) == "descending"
    browser.press("Enter", 13, "\r")
    assert browser.run(read) == sorted(falling)
    assert browser.run(sort) == "ascending"


def test_a_phone_shows_rows_with_their_headings_and_sorts_them(built: Built, browser: Browser) -> None:
    browser.open(built.folder / BOARD, 400)
    label = "getComputedStyle(document.querySelector('#table-1 td[data-label=\"verdict\"]'), '::before').content"
    assert browser.run(label) == '"verdict"'
    browser.run(
        """(() => { const choice = document.querySelector(".filters [data-sort]");
        choice.value = [...choice.options].find((each) => each.text === "F1 mean").value;
        choice.dispatchEvent(new Event("change")); })()"""
    )
    scores = browser.run(f"""{ROWS}.map((row) => Number(row.querySelector('[data-label="F1 mean"]').dataset.sort))""")
    assert scores == sorted(scores, reverse=True)


def test_without_scripts_everything_can_be_read(built: Built, browser: Browser) -> None:
    browser.open(built.folder / BOARD, scripts=False)
    assert browser.run(f"{ROWS}.length") == 5
    assert browser.run("document.querySelector('.filters').hidden")
    assert browser.run("document.querySelectorAll('.case img').length") > 0


def test_a_board_prints(built: Built, browser: Browser) -> None:
    browser.open(built.folder / BOARD)
    browser.run("[...document.images].forEach((each) => { each.loading = 'eager'; })")
    pdf = browser.print()
    assert pdf.startswith(b"%PDF")
    assert len(pdf) > 20_000
