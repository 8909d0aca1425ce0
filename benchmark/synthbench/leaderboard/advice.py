"""What a person with these images should do next: annotate more, add synthetic images, train longer, or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from synthbench.leaderboard._columns import title
from synthbench.leaderboard._convergence import CONVERGED, convergence, scores_by_steps
from synthbench.leaderboard._formatting import duration, first_words, records, recovered, short, signed
from synthbench.leaderboard._headline import found_nothing, place
from synthbench.leaderboard._narrative import NEGATIVE_CONTROL, REPEATED, with_differences
from synthbench.leaderboard._tables import table

if TYPE_CHECKING:
    from synthbench.results import Results

__all__ = ["PRACTICAL", "Advice", "Option", "advice", "lines"]

PRACTICAL = 0.02
"""Change of a score from which on it matters in practice."""


@dataclass(frozen=True)
class Option:
    """One thing that can be done.

    Attributes
    ----------
    kind : str
        ``"annotate"``, ``"add synthetic"`` or ``"train longer"``.
    helps : bool or None
        None: not known.
    text : str
        What is known of it, in a sentence.
    gain, low, high : float or None
        Expected change of the score, with its 95 % interval.
    arm : str
        With synthetic images: the one that gains are of.
    images : int or None
        Real images to annotate, or synthetic ones to add.
    enough : int or None
        Fewer real images to annotate that bring as much, within `PRACTICAL`.
    machine_hours, hours_of_annotating : float or None
        What it costs, where that is known; of `enough` images where there is such a number.
    """

    kind: Literal["annotate", "add synthetic", "train longer"]
    helps: bool | None
    text: str
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    arm: str = ""
    images: int | None = None
    enough: int | None = None
    machine_hours: float | None = None
    hours_of_annotating: float | None = None


@dataclass(frozen=True)
class Advice:
    """What to do next with one dataset, amount of real images and segmenter.

    Attributes
    ----------
    dataset, fraction, segmenter
        `fraction` is the number of real training images.
    metric : str
        The score that gains are of.
    answer : str
        One sentence.
    options : tuple of Option
    """

    dataset: str
    fraction: int
    segmenter: str
    metric: str
    answer: str
    options: tuple[Option, ...]


def advice(
    results: Results, minutes_per_image: float | None = None, *, board: pd.DataFrame | None = None
) -> list[Advice]:
    """Return what to do next, for each dataset, amount of real images and segmenter, from a study's results.

    Nothing is said that the study didn't measure: an option without a comparison is not known.

    Parameters
    ----------
    results
    minutes_per_image
        How long it takes to annotate an image; None: hours of annotating aren't given.
    board
        The leaderboard of these results, `synthbench.leaderboard.table`, where it is there already.
    """
    whole = table(results) if board is None else board
    own = whole[whole["tested_on"] == whole["dataset"]]
    found = []
    for _, of_segmenter in own.groupby(["dataset", "segmenter"], sort=False):
        for _, part in of_segmenter.groupby("fraction", sort=True):
            rows = records(part)
            options = (
                _annotate(rows, of_segmenter, minutes_per_image),
                _add_synthetic(rows),
                _train_longer(results, rows[0]),
            )
            first = rows[0]
            answer = f"{place(first)}: {_answer(rows, options)}"
            found.append(
                Advice(first["dataset"], int(first["fraction"]), first["segmenter"], first["metric"], answer, options)
            )
    return found


def _answer(rows: Sequence[Mapping[str, Any]], options: Sequence[Option]) -> str:
    annotate, synthetic, longer = options
    if found_nothing(rows):
        return "train longer first; almost nothing is found yet, so nothing else can be told."
    first = "train longer first, for other answers may change then; of what was measured, " if longer.helps else ""
    helping = sorted((o for o in (annotate, synthetic) if o.helps), key=lambda o: -(o.gain or 0))
    if helping:
        return f"{first}{' or '.join(_named(option) for option in helping)}."
    if longer.helps:
        return "train longer first; nothing else that was measured brings a gain."
    unknown = [_NAMES[option.kind] for option in options if option.helps is None]
    open_ = f"whether {_either(unknown)} helps isn't known"
    if len(unknown) == len(options):
        return f"{open_}."
    return "nothing that was measured brings a gain" + (f"; {open_}." if unknown else ".")


_NAMES = {
    "annotate": "annotating more images",
    "add synthetic": "adding synthetic images",
    "train longer": "training longer",
}


_KNOWN = {True: "", False: ", no gain of practical size", None: ", not significantly above 0, so not known"}


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else "".join(names)


def _named(option: Option) -> str:
    gain = f"{signed(option.gain or 0)}"
    if option.kind == "annotate":
        if option.enough is not None:
            return f"annotate {option.enough} more images (as good as {option.images} more: {gain})"
        return f"annotate {option.images} more images ({gain})"
    return f"add {short(option.arm)} ({gain})"


def _annotate(rows: Sequence[Mapping[str, Any]], of_segmenter: pd.DataFrame, minutes_per_image: float | None) -> Option:
    first = rows[0]
    most = int(of_segmenter["fraction"].max())
    if pd.isna(first["headroom"]):
        why = "this is the largest amount of the study" if first["fraction"] == most else "trainings are missing"
        return Option("annotate", None, f"more real images: not known, for {why}.")
    gain, low, high = (_known(first[name]) for name in ("headroom", "headroom_low", "headroom_high"))
    more = int(first["headroom_images"]) - int(first["fraction"])
    score = title(first["metric"])
    once = first["headroom_seeds"] == 1 and first["folds"] == 1
    text = f"{more} more real images: {score} {signed(first['headroom'])}{_interval(low, high)}"
    helps = None if once else True if low is not None and low > 0 else False if _is_small(high) else None
    enough = _enough(of_segmenter, int(first["fraction"]), most) if helps else None
    hours = None if minutes_per_image is None else (more if enough is None else enough) * minutes_per_image / 60
    if once:
        text += ", from one seed: not known"
    else:
        text += _KNOWN[helps]
        text += "" if enough is None else f"; {enough} more bring as much, within {PRACTICAL}"
        text += "" if hours is None else f"; {hours:.1f} h of annotating"
    return Option("annotate", helps, f"{text}.", gain, low, high, "", more, enough, None, hours)


def _is_small(high: float | None) -> bool:
    return high is not None and high < PRACTICAL


def _enough(of_segmenter: pd.DataFrame, fraction: int, most: int) -> int | None:
    """Return how many more images reach the smallest amount from which on the largest brings no gain in practice."""
    for row in records(of_segmenter.drop_duplicates("fraction").sort_values("fraction")):
        if fraction < row["fraction"] < most and _is_small(_known(row["headroom_high"])):
            return int(row["fraction"]) - fraction
    return None


def _add_synthetic(rows: Sequence[Mapping[str, Any]]) -> Option:
    compared = [row for row in with_differences(rows) if row["generator"] not in (REPEATED, NEGATIVE_CONTROL)]
    if not compared:
        return Option("add synthetic", None, "synthetic images: not known, for no generator was compared.")
    best = max(compared, key=lambda row: row["delta"])
    better = [row for row in compared if str(row["verdict"]).startswith("better")]
    chosen = max(better, key=lambda row: row["delta"]) if better else best
    low, high = _known(chosen["delta_low"]), _known(chosen["delta_high"])
    seconds = [_known(chosen.get(name)) for name in ("generator_seconds", "draw_seconds")]
    hours = None if seconds[1] is None else sum(value or 0.0 for value in seconds) / 3600
    text = f"{short(chosen['arm'])}: {title(chosen['metric'])} {signed(chosen['delta'])}{_interval(low, high)}"
    numbers = (float(chosen["delta"]), low, high, str(chosen["arm"]), int(chosen["synthetic"]), None, hours)
    if better:
        share = "" if pd.isna(chosen["recovered"]) else f", {recovered(chosen)} of what more real images bring"
        cost = "" if hours is None else f"; {duration(3600 * hours)} to make"
        return Option("add synthetic", True, f"{text}{share}{cost}.", *numbers)
    which = f", the best of {len(compared)}" if len(compared) > 1 else ""
    if all(_brings_nothing(row) for row in compared):
        return Option("add synthetic", False, f"{text}{which}: no gain.", *numbers)
    return Option("add synthetic", None, f"{text}{which}: undecided, so not known.", *numbers)


def _brings_nothing(row: Mapping[str, Any]) -> bool:
    verdict = str(row["verdict"])
    return first_words(verdict) in ("worse", "nothing changed") or "within ±" in verdict


def _train_longer(results: Results, row: Mapping[str, Any]) -> Option:
    scores = scores_by_steps(results, str(row["segmenter"]), str(row["dataset"]))
    if not scores:
        return Option("train longer", None, "more steps: not known; a study with check_convergence measures it.")
    before, after = list(scores)[-2:]
    rise = scores[after] - scores[before]
    text = f"{after:,} steps instead of {before:,}: {signed(rise)} on validation images"
    if convergence(scores) == CONVERGED:
        return Option("train longer", False, f"{text}; the training has converged.", round(rise, 4))
    return Option("train longer", True, f"{text}; not flat at the largest number that was tried.", round(rise, 4))


def _known(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" [{signed(low)}, {signed(high)}]"


def lines(found: Sequence[Advice]) -> Iterator[str]:
    """Yield advice as lines for people: the answer, and what is known of each option."""
    for each in found:
        yield each.answer
        yield from (f"  - {option.text}" for option in each.options)
