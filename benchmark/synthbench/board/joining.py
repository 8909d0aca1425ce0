"""Results of several bundles or runs joined into one: what can be paired stands together, other results stand apart.

Results are paired where their trainings on real images alone have the same keys, so that differences are those of one
run: by fold, seed and test image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from synthbench.board._merging import Merging, Repeats
from synthbench.board.entries import Entry
from synthbench.board.frozen import differences, freeze
from synthbench.board.pairing import Baseline, Place, what_differs
from synthbench.datasets.splits import Split
from synthbench.errors import ConfigError, DataError
from synthbench.results import Results
from synthbench.study.model import Study

__all__ = ["Group", "check_belongs", "join", "join_results"]

_MOST_FIELDS = 3
"""Differing fields that a message names; of the others it gives the number."""


@dataclass(frozen=True, eq=False)
class Group:
    """Results whose trainings are paired with each other.

    Attributes
    ----------
    results : Results
        Of all entries of the group, with the columns ``entry`` and ``verification`` in `Results.runs`.
    entries : tuple of str
        Their names.
    reasons : tuple of str
        Why they can't be paired with the first group, a text for each field that differs; empty for the first.
    notes : tuple of str
        Sentences on trainings that several entries have, and on generators that were renamed.
    repeats : Repeats
        Trainings that several entries have.
    """

    results: Results
    entries: tuple[str, ...]
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    repeats: Repeats


def check_belongs(entry: Entry, study: Study, splits: Mapping[str, tuple[Split, ...]], board: str) -> None:
    """Raise `ConfigError` unless a result belongs to a board, naming the fields that differ.

    Parameters
    ----------
    entry
    study, splits
        See `synthbench.board.frozen.differences`.
    board
        What the message calls the board.
    """
    try:
        found = differences(entry.contents, study, splits)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{entry.path}: plan and trainings contradict each other; see 'synthbench verify'") from None
    if found:
        how = "; run the board's study: synthbench run BOARD --generators …" * board.startswith("the board")
        more = f"; and {len(found) - _MOST_FIELDS} more" * (len(found) > _MOST_FIELDS)
        raise ConfigError(f"{entry.path}: doesn't belong to {board}: {'; '.join(found[:_MOST_FIELDS])}{more}{how}")


def join_results(entries: Sequence[Entry]) -> list[Group]:
    """Join results that belong together, without a board: the first one's study is that of all.

    Raises
    ------
    ConfigError
        If one doesn't belong to the first.
    """
    first = entries[0]
    study = freeze(first.contents, first.contents.study.name)
    for entry in entries[1:]:
        check_belongs(entry, study, first.contents.splits, f"the study of {first.path}")
    return join(entries, first.contents.study.model_copy(update={"generators": []}))


def join(entries: Sequence[Entry], study: Study) -> list[Group]:
    """Join results that belong to one study.

    Parameters
    ----------
    entries
        In the order in which they were added: a training that several have is the first one's.
    study
        Without generators; that of `Group.results` has those of the entries.

    Returns
    -------
    list of Group
        The first one is that of the first entry. Entries that can't be paired with it form groups of their own.

    Raises
    ------
    DataError
        If an entry contradicts itself.
    """
    groups: list[tuple[dict[Place, Baseline], list[Entry]]] = []
    for entry in entries:
        for known, members in groups:
            if _can_be_paired(entry.baselines, known):
                known |= {place: own for place, own in entry.baselines.items() if place not in known}
                members.append(entry)
                break
        else:
            groups.append((dict(entry.baselines), [entry]))
    return [_merged(members, study, known, groups[0][0]) for known, members in groups]


def _can_be_paired(own: Mapping[Place, Baseline], known: Mapping[Place, Baseline]) -> bool:
    common = own.keys() & known.keys()
    return bool(common) and all(own[place].key == known[place].key for place in common)


def _merged(
    members: Sequence[Entry], study: Study, own: Mapping[Place, Baseline], first: Mapping[Place, Baseline]
) -> Group:
    merging = Merging(study)
    for entry in members:
        merging.add(entry)
    fields = {text: None for place in own if place in first for text in what_differs(own[place], first[place])}
    names = tuple(entry.name for entry in members)
    return Group(merging.results(), names, tuple(fields), tuple(merging.notes), merging.repeats)
