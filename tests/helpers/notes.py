"""What a study says of itself before it runs."""

from __future__ import annotations

from synthbench.study.notes import study_notes
from synthbench.study.resolve import Resolved


def notes_on_data(resolved: Resolved) -> list[str]:
    """Return the notes on a study, without those on the size of objects: the patches of trial plugins are small."""
    return [note for note in study_notes(resolved) if "median diameter" not in note]
