"""The study that someone runs who takes part in a board: the frozen one, with generators of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synthbench.board.model import read_board
from synthbench.board.opening import how_to_get
from synthbench.datasets.library import Library
from synthbench.environments.plugins import has_plugin
from synthbench.errors import ConfigError
from synthbench.samples import INDEX
from synthbench.study.model import named_after, read_study

__all__ = ["study_content"]

_FILES = (".yaml", ".yml")


def study_content(path: str | Path, generators: Sequence[str], datasets: Sequence[str] = ()) -> dict[str, Any]:
    """Return what stands in a study of a board with some generators.

    The splits are the board's files, and the datasets have its fingerprints: a run refuses other images or labels
    before anything is trained.

    Parameters
    ----------
    path
        Of the board.
    generators
        Names; or files with a key ``generators``, as in a study file.
    datasets
        Where datasets of the board lie that aren't in the library: paths whose last part is the dataset's name.

    Raises
    ------
    ConfigError
        If it is no board, or a dataset isn't at hand.
    """
    board, folder = read_board(path)
    content = board.study.model_dump(mode="json", exclude_none=True)
    places = _places(board.name, list(board.splits), datasets)
    for dataset in (*content["datasets"], *content["test_on"]):
        title = dataset["name"]
        dataset["split"]["file"] = str((folder / dataset["split"]["file"]).resolve())
        dataset["name"] = places.get(title, title)
        if not _is_at_hand(dataset["name"], dataset.get("environment", "")):
            raise ConfigError(
                f"{folder}: its dataset {title!r} isn't at hand; {how_to_get(title, '--dataset', folder)}"
            )
        if _is_sample_set(dataset["name"]):
            dataset.pop("ignore", None)  # a sample set has its ignore region
    content["generators"] = [each for name in generators for each in _generators(name)]
    names = [str(each["name"] if isinstance(each, dict) else each) for each in content["generators"]]
    content["name"] = named_after("-".join([board.name, *(Path(name).name for name in names)]))
    return content


def _places(board: str, titles: Sequence[str], datasets: Sequence[str]) -> dict[str, str]:
    places = {}
    for given in datasets:
        title = Path(given).expanduser().resolve().name
        if title not in titles:
            raise ConfigError(
                f"--dataset {given}: the board {board} is on {', '.join(titles)}; rename the folder, or keep the "
                f"dataset under the board's name: synthbench dataset add {given} --name {titles[0]}"
            )
        places[title] = given
    return places


def _is_at_hand(name: str, environment: str) -> bool:
    return bool(environment) or has_plugin("dataset", name) or Path(name).expanduser().exists() or _is_kept(name)


def _is_kept(name: str) -> bool:
    return name in Library().names()


def _is_sample_set(name: str) -> bool:
    return _is_kept(name) or (Path(name).expanduser() / INDEX).is_file()


def _generators(name: str) -> list[Any]:
    if not name.endswith(_FILES):
        return [name]
    found = read_study(name).get("generators")
    if not isinstance(found, list) or not found:
        raise ConfigError(f"{name}: has no list of generators, as in generators: [{{name: …, config: …}}]")
    return found
