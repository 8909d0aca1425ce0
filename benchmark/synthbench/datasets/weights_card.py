"""What a file of published weights was trained on, and under which terms it may be used.

The declaration is a YAML file beside the weights, or beside a folder of weights, named like them with ``.yaml`` added:
``cyto3.yaml`` beside ``cyto3``, ``net.pt.yaml`` beside ``net.pt``::

    trained_on: [livecell, tissuenet]
    licence: CC BY-NC 4.0
    source: https://www.cellpose.org/models/cyto3
    citation: Stringer & Pachitariu 2025

All keys are optional. Well-known published models are recognised by their file name; what the declaration says takes
precedence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from synthbench.errors import ConfigError, suggest
from synthbench.io.safe_yaml import read_yaml

__all__ = ["KNOWN", "WeightsCard", "card_file", "read_card"]


@dataclass(frozen=True)
class WeightsCard:
    """What is known of published weights.

    Attributes
    ----------
    trained_on : tuple of str or None
        Names of datasets, in lower case, as `synthbench list` and the literature spell them; empty if the weights saw
        none; None if nobody has declared it.
    licence, source, citation : str
        Empty where unknown.
    declared_by : str
        ``"file"``: a declaration beside the weights names `trained_on`; ``"name"``: the name of the file is that of a
        well-known model, which isn't proof of its content; empty: `trained_on` is None.
    """

    trained_on: tuple[str, ...] | None = None
    licence: str = ""
    source: str = ""
    citation: str = ""
    declared_by: Literal["file", "name", ""] = ""


_NUCLEI = ("dsb2018", "bbbc039", "monuseg", "isbi2009")
"""Sources of Cellpose's data of nuclei (Stringer et al. 2021)."""
_CYTO = ("cellpose", "bbbc007", "bbbc020")
"""Cellpose's data of cells, and the public sets that it took images from (Stringer et al. 2021)."""
_CELLPOSE_3 = (*_CYTO, *_NUCLEI, "tissuenet", "livecell", "omnipose", "yeaz", "deepbacs")
"""The nine sets of `cyto3` (Stringer & Pachitariu 2025); Omnipose and YeaZ count twice there."""
_HISTOLOGY = ("monusac", "cryonuseg", "nuinsseg", "cpm15", "cpm17", "tnbc", "lynsec", "ihc-tma", "conic", "pannuke")
_CELLPOSE_TERMS = "trained on data under CC BY-NC"
_CELLPOSE_SITE = "https://www.cellpose.org/models"
_CELLPOSE_1 = "Stringer et al. 2021, Nature Methods 18"
_CELLPOSE_2 = "Pachitariu & Stringer 2022, Nature Methods 19"
_CELLPOSE_3_PAPER = "Stringer & Pachitariu 2025, Nature Methods 22"
_STARDIST_SITE = "https://github.com/stardist/stardist-models"
_STARDIST = "Schmidt et al. 2018, MICCAI"


def _cellpose(name: str, trained_on: tuple[str, ...], citation: str) -> WeightsCard:
    return WeightsCard(trained_on, _CELLPOSE_TERMS, f"{_CELLPOSE_SITE}/{name}", citation, "name")


def _stardist(trained_on: tuple[str, ...]) -> WeightsCard:
    return WeightsCard(trained_on, "none stated", _STARDIST_SITE, _STARDIST, "name")


KNOWN: Mapping[str, Mapping[str, WeightsCard]] = {
    "cellpose": {
        "cytotorch_0": _cellpose("cytotorch_0", _CYTO, _CELLPOSE_1),
        "cyto2torch_0": _cellpose("cyto2torch_0", _CYTO, _CELLPOSE_2),
        "nucleitorch_0": _cellpose("nucleitorch_0", _NUCLEI, _CELLPOSE_1),
        "nuclei": _cellpose("nuclei", _NUCLEI, _CELLPOSE_1),
        "cyto3": _cellpose("cyto3", _CELLPOSE_3, _CELLPOSE_3_PAPER),
        "tissuenet_cp3": _cellpose("tissuenet_cp3", ("tissuenet",), _CELLPOSE_3_PAPER),
        "livecell_cp3": _cellpose("livecell_cp3", ("livecell",), _CELLPOSE_3_PAPER),
        "yeaz_PhC_cp3": _cellpose("yeaz_PhC_cp3", ("yeaz",), _CELLPOSE_3_PAPER),
        "yeaz_BF_cp3": _cellpose("yeaz_BF_cp3", ("yeaz",), _CELLPOSE_3_PAPER),
        "bact_phase_cp3": _cellpose("bact_phase_cp3", ("omnipose",), _CELLPOSE_3_PAPER),
        "bact_fluor_cp3": _cellpose("bact_fluor_cp3", ("omnipose",), _CELLPOSE_3_PAPER),
        "deepbacs_cp3": _cellpose("deepbacs_cp3", ("deepbacs",), _CELLPOSE_3_PAPER),
    },
    "cellpose-sam": {
        "cpsam": WeightsCard(
            ("sa-1b", *_CELLPOSE_3, "neurips2022-cellseg", "bccd", *_HISTOLOGY),
            _CELLPOSE_TERMS,
            "https://huggingface.co/mouseland/cellpose-sam",
            "Pachitariu et al. 2025, bioRxiv (Cellpose-SAM)",
            "name",
        ),
    },
    "stardist": {
        "2D_versatile_fluo": _stardist(("dsb2018",)),
        "2D_paper_dsb2018": _stardist(("dsb2018",)),
        "2D_versatile_he": _stardist(("monuseg", "tnbc")),
    },
}
"""Well-known models: by the segmenter that starts from them, and the name of their file or folder."""


def card_file(path: Path) -> Path:
    """Return where the declaration of a file or folder of weights lies, whether it exists or not."""
    return path.with_name(f"{path.name}.yaml")


def read_card(path: Path, segmenter: str | None = None) -> WeightsCard:
    """Return what is declared or known of a file or folder of weights; the weights themselves aren't read.

    Parameters
    ----------
    path
        The file or folder of weights.
    segmenter
        Name of the segmenter that starts from it: only models of that method are recognised by their name. None: any.

    Raises
    ------
    ConfigError
        If its declaration can't be read, has an unknown key, or a value of another kind.
    """
    path = path.absolute()
    name = path.name.removeprefix("python_") if path.is_dir() else path.stem
    methods = KNOWN if segmenter is None else [segmenter]
    known = next((KNOWN[each][name] for each in methods if name in KNOWN.get(each, {})), WeightsCard())
    declaration = card_file(path)
    if not declaration.is_file():
        return known
    content = read_yaml(declaration)
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise ConfigError(f"{declaration}: give keys and values, like trained_on: [livecell]")
    keys = ("trained_on", "licence", "source", "citation")
    for key in content:
        if key not in keys:
            hint = suggest(str(key), keys) or f"; there are: {', '.join(keys)}"
            raise ConfigError(f"{declaration}: unknown key {key!r}{hint}")
    texts = {key: _text(declaration, key, content.get(key), getattr(known, key)) for key in keys[1:]}
    if content.get("trained_on") is None:
        return WeightsCard(known.trained_on, **texts, declared_by=known.declared_by)
    return WeightsCard(_names(declaration, content["trained_on"]), **texts, declared_by="file")


def _names(declaration: Path, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) and name.strip() for name in value):
        raise ConfigError(f"{declaration}: trained_on is {value!r}; give a list of names of datasets, like [livecell]")
    return tuple(dict.fromkeys(name.strip().lower() for name in value))


def _text(declaration: Path, key: str, value: Any, default: str) -> str:
    if value is None:
        return default
    if not isinstance(value, str):
        raise ConfigError(f"{declaration}: {key} is {value!r}; give a text")
    return value.strip()
