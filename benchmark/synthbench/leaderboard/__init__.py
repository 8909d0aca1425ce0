"""Leaderboards: the table, its renderings, and the page that a run ends with."""

from synthbench.leaderboard._baseline_delta import baseline_delta
from synthbench.leaderboard._baseline_delta_text import terminal_baseline_delta
from synthbench.leaderboard._console import terminal, terminal_by_group
from synthbench.leaderboard._overview import ABOUT_OVERVIEW, overview
from synthbench.leaderboard._pages import page
from synthbench.leaderboard._render import as_json, brief_markdown, csv, markdown, overview_markdown
from synthbench.leaderboard._reporting import report
from synthbench.leaderboard._strata import by_group
from synthbench.leaderboard._tables import table

__all__ = [
    "ABOUT_OVERVIEW",
    "as_json",
    "baseline_delta",
    "brief_markdown",
    "by_group",
    "csv",
    "markdown",
    "overview",
    "overview_markdown",
    "page",
    "report",
    "table",
    "terminal",
    "terminal_baseline_delta",
    "terminal_by_group",
]
