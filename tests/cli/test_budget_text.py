"""Budgets in words."""

from __future__ import annotations

from synthbench.cli._budget_text import budget_text


def test_one_is_singular_and_others_are_plural() -> None:
    assert budget_text(100_000, 1, 256) == "100,000 steps of 1 patch of 256²"
    assert budget_text(1, 4, 64) == "1 step of 4 patches of 64²"
