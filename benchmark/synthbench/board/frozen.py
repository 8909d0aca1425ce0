"""What a board freezes of a study, and where the study of a result differs from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from synthbench.board.model import split_file
from synthbench.bundle.contents import Contents
from synthbench.datasets.splits import Split
from synthbench.errors import DataError
from synthbench.study.model import DatasetConfig, Study

__all__ = ["FrozenStudy", "differences", "freeze", "frozen_study", "generators_of"]

FrozenStudy = Mapping[str, Any]
"""The part of a study that all results of a board have in common, as a mapping."""

_OWN = ("name", "generators", "datasets", "test_on", "encoder")
"""Keys of a study that may differ, or are compared in another way."""
_MISSING = "not given"


def freeze(contents: Contents, name: str) -> Study:
    """Return the study of a board from a result: without generators, with fingerprints and files of splits.

    Segmenters have their whole configuration and budget, so that the defaults of a later version don't change them.
    """

    def dataset(choice: DatasetConfig) -> dict[str, Any]:
        title = title_of(choice)
        split = choice.split.model_copy(update={"file": split_file(title)})
        frozen = {"name": title, "split": split, "fingerprint": contents.fingerprints[title]}
        return choice.model_copy(update=frozen).model_dump(exclude_none=True)

    content = contents.study.model_dump(mode="json", exclude_none=True)
    content |= {"name": name, "generators": []}
    for segmenter, planned in zip(content["segmenters"], _planned(contents), strict=True):
        segmenter["config"] = {**segmenter["config"], **planned["config"]}
        if planned["budget"].get("steps"):
            own = segmenter.get("budget") or content["budget"]
            segmenter["budget"] = {"name": own["name"], **planned["budget"]}
    for key in ("datasets", "test_on"):
        content[key] = [dataset(choice) for choice in getattr(contents.study, key)]
    return Study.model_validate(content)


def title_of(choice: DatasetConfig) -> str:
    """Return what tables call a dataset."""
    return Path(choice.name).name


def generators_of(study: Study) -> list[str]:
    """Return what tables call the generators of a study."""
    return [choice.title for choice in study.generators]


def frozen_study(study: Study) -> FrozenStudy:
    """Return what must be the same in all results of a board; names, paths and scores on validation images don't."""
    content = study.model_dump(mode="json")
    found = {key: value for key, value in content.items() if key not in _OWN}
    for segmenter in found["segmenters"]:
        del segmenter["config"], segmenter["budget"], segmenter["label"]
    for owner in (found, *_inits(found)):
        (owner.get("budget") or {}).pop("score_by_steps", None)
    found["segmenters"] = {each.title: row for each, row in zip(study.segmenters, found["segmenters"], strict=True)}
    for key in ("datasets", "test_on"):
        choices = getattr(study, key)
        found[key] = {title_of(each): {"split": {"group": each.split.group}} for each in choices}
    for each in study.datasets:  # its seed chooses the training images
        found["datasets"][title_of(each)]["split"]["seed"] = each.split.seed
    return found


def _planned(contents: Contents) -> list[Mapping[str, Any]]:
    """Return the whole configuration and budget of each segmenter of a study, as its plan has them.

    Raises
    ------
    DataError
        If a segmenter has no training.
    """
    found: list[Mapping[str, Any]] = []
    rows = {str(row["segmenter"]): contents.plan[row["fit"]]["content"]["plugin"] for row in contents.trainings}
    for choice in contents.study.segmenters:
        title = next((name for name in rows if name == choice.title or name.startswith(f"{choice.title} from ")), "")
        if not title:
            raise DataError(f"segmenter {choice.title!r} has no training; run the study again")
        found.append(rows[title])
    return found


def _compare_planned(contents: Contents, study: Study) -> Iterator[str]:
    """Compare configurations and budgets; keys that only one has are of another version, which stands apart."""
    for planned, own, expected in zip(_planned(contents), contents.study.segmenters, study.segmenters, strict=True):
        budget = {} if expected.budget is None else expected.budget.model_dump(exclude_none=True)
        for part, known in (("config", expected.config), ("budget", budget)):
            for key in planned[part].keys() & known.keys():
                yield from _compare(f"segmenters.{own.title}.{part}.{key}", planned[part][key], known[key])


def _inits(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for owner in (found, *found["segmenters"]):
        yield from (init for init in owner.get("init") or () if isinstance(init, dict))


def differences(contents: Contents, study: Study, splits: Mapping[str, tuple[Split, ...]]) -> list[str]:
    """Return where a result differs from a board, a text for each field: empty if it belongs to the board.

    Parameters
    ----------
    contents
        The result.
    study
        The board's study, whose datasets have fingerprints.
    splits
        The board's splits by title of the dataset.
    """
    found = list(_compare("", frozen_study(contents.study), frozen_study(study)))
    if not any(field.startswith("segmenters") for field in found):
        found += _compare_planned(contents, study)
    known = {title_of(choice): choice.fingerprint for choice in (*study.datasets, *study.test_on)}
    for title in known.keys() & contents.fingerprints.keys():
        if (own := contents.fingerprints[title]) != known[title]:
            found.append(
                f"fingerprint of {title!r}: is {own[:12]}…, expected {str(known[title])[:12]}…: other images, "
                "labels or groups"
            )
        elif contents.splits[title] != splits[title]:
            found.append(f"splits of {title!r}: {_first_difference(contents.splits[title], splits[title])}")
    return found


def _first_difference(own: tuple[Split, ...], expected: tuple[Split, ...]) -> str:
    if len(own) != len(expected):
        return f"{len(own)} fold(s), expected {len(expected)}"
    for fold, (found, right) in enumerate(zip(own, expected, strict=True)):
        for part, ids in right.parts.items():
            if others := sorted(set(found.parts[part]) ^ set(ids)):
                where = "not expected" if others[0] in found.parts[part] else "missing"
                return f"{part} images of fold {fold} are others, such as {others[0]!r} ({where})"
    return "the order of the images is another one"


def _compare(where: str, own: Any, expected: Any) -> Iterator[str]:
    if isinstance(own, Mapping) and isinstance(expected, Mapping):
        for key in dict.fromkeys([*expected, *own]):
            yield from _compare(f"{where}.{key}" if where else key, own.get(key), expected.get(key))
    elif own != expected:
        yield f"{where}: is {_shown(own)}, expected {_shown(expected)}"


def _shown(value: Any) -> str:
    text = _MISSING if value is None else repr(value)
    return text if len(text) <= 100 else f"{text[:100]} …"
