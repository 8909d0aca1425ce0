"""Leaderboards: the table, its renderings, and the page that a run ends with."""

from synthbench.leaderboard.console import terminal
from synthbench.leaderboard.pages import page
from synthbench.leaderboard.render import as_json, csv, markdown
from synthbench.leaderboard.reporting import report
from synthbench.leaderboard.strata import by_group
from synthbench.leaderboard.tables import table

__all__ = ["as_json", "by_group", "csv", "markdown", "page", "report", "table", "terminal"]
