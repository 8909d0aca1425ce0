"""Leaderboards: the table, its renderings, and the page that a run ends with."""

from synthbench.leaderboard.page import page
from synthbench.leaderboard.render import as_json, csv, markdown
from synthbench.leaderboard.report import report, write_text
from synthbench.leaderboard.table import by_group, table
from synthbench.leaderboard.terminal import terminal

__all__ = ["as_json", "by_group", "csv", "markdown", "page", "report", "table", "terminal", "write_text"]
