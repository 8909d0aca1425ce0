"""A study: the grid of datasets × folds × fractions × arms × segmenters × seeds, as a YAML file and as models."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from synthbench.errors import ConfigError
from synthbench.io.safe_yaml import read_yaml
from synthbench.plugin.api import Schedule
from synthbench.plugin.config_errors import first_problem
from synthbench.study._choices import (
    AUTO,
    FLAT,
    READY_MADE,
    BudgetConfig,
    GeneratorConfig,
    InitConfig,
    PluginConfig,
    Seeds,
    is_flat,
    is_image_folder,
)
from synthbench.study._dataset_choices import DatasetConfig, HyperParameters, SplitConfig

__all__ = [
    "AUTO",
    "Amount",
    "BudgetConfig",
    "DEFAULT",
    "DatasetConfig",
    "FLAT",
    "Fraction",
    "GeneratorConfig",
    "HyperParameters",
    "InitConfig",
    "MOST_SEEDS",
    "PluginConfig",
    "READY_MADE",
    "RENAMED",
    "STUDIES",
    "Scale",
    "Seeds",
    "SplitConfig",
    "Study",
    "is_flat",
    "is_image_folder",
    "load_study",
    "make_study",
    "named_after",
    "read_study",
]

STUDIES = Path(__file__).parent / "studies"
DEFAULT = STUDIES / "default.yaml"


Amount = Annotated[int, Field(ge=1, strict=True)] | Annotated[str, Field(pattern=r"^\d+(\.\d+)?x$")]
Fraction = Annotated[int, Field(ge=1, strict=True)] | Annotated[float, Field(gt=0, le=1, strict=True)]
Scale = Literal["none", "auto"] | Annotated[int, Field(ge=4, le=1000, strict=True)]


def _scored_threshold(value: float) -> float:
    """Return an IoU threshold that is scored, 0.5, 0.55 … 0.95; raise ValueError for others."""
    twentieths = round(20 * value)
    if not 10 <= twentieths <= 19 or abs(20 * value - twentieths) > 1e-6:
        raise ValueError("isn't scored")
    return round(twentieths / 20, 2)


class Study(BaseModel):
    """What `synthbench run` runs.

    Attributes
    ----------
    name
    datasets
    test_on
        Other datasets on whose test images segmenters are scored as well, out of domain: each has a table of its own.
    generators
        Each makes an arm ``real + G × n`` per amount; the arm ``real`` is always there. A path is a folder of images
        with masks that another tool has made.
    segmenters
    init
        What segmenters start from; each start is an arm of its own, with its own baseline. A segmenter may have its
        own list.
    fractions
        How much of the real training data the arms have: shares (0 … 1], or numbers of images. Nested: the smaller
        is part of the larger.
    real_only
        More amounts of real training data, written as in `fractions`, that segmenters are trained on without synthetic
        samples: the learning curve, and with the largest amount the positive control, for one arm each.
    synthetic
        How many synthetic samples an arm gets: a number, or a multiple of the real ones (``"2x"``).
    synthetic_ratio
        The fraction of the patches that are synthetic; several make an arm each.
    schedule
        ``mix``: synthetic samples in each batch. ``synthetic-first``: training on synthetic samples first, then on real
        ones, with as many patches of each and as many steps. Both make an arm each.
    synthetic_only
        Add the arms ``G × n only``, trained without real data.
    seeds
        Segmenter seeds: each is one training per arm. A segmenter may have its own number.
    generator_seeds
        Generator seeds: each is one training and one drawing, and every segmenter seed is run on each. By default 1;
        2 where a generator trains in the budget ``standard`` or ``paper``, for what is said of one trained generator
        needn't hold for the next.
    scale
        The diameter in pixels that the median object of the training images is brought to before generators and
        segmenters see any image: one factor per dataset and fold. ``auto``: a third of the smallest training patch,
        where it is larger; ``none``: all images stay as they are. Predictions are brought back and scored at the
        original size.
    budget
        Of everything that doesn't have its own.
    check_convergence
        Also score segmenters with a fixed number of steps on validation images after half of it, in a training of its
        own, to see whether they are trained far enough.
    border_objects
        Whether objects at the image border are scored: ``"exclude"`` leaves out those with a pixel in the outermost two
        rows or columns, true and predicted ones, as the NeurIPS 2022 Cell Segmentation Challenge does.
    iou
        The IoU threshold of the F-score that differences, ranks and decisions refer to: 0.5, 0.55 … 0.95, or
        ``mean``, the mean over them. A semantic study's refer to mIoU*, whatever this is.
    decide
        A difference in score that is of practical size. If it is given, the study trains in rounds: with two seeds
        first, then with more for the arms that aren't decided yet, up to `seeds`. An arm is decided when it is shown to
        be better or worse than real images alone, or within this difference of them. `seeds` is then the largest
        number; where it isn't given, or is below 3, it is 12.
    encoder
        For the fidelity of the synthetic images; by default Inception where its weights are on the machine, else
        a fixed-seed untrained network.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")] = "study"
    datasets: Annotated[list[DatasetConfig], Field(min_length=1)]
    test_on: list[DatasetConfig] = []
    generators: list[GeneratorConfig] = []
    segmenters: Annotated[list[PluginConfig], Field(min_length=1)]
    init: Annotated[list[InitConfig], Field(min_length=1)] = [InitConfig()]
    fractions: Annotated[list[Fraction], Field(min_length=1)] = [1.0]
    real_only: list[Fraction] = []
    synthetic: Annotated[list[Amount], Field(min_length=1)] = ["1x"]
    synthetic_ratio: Annotated[list[Annotated[float, Field(gt=0, lt=1)]], Field(min_length=1)] = [0.5]
    schedule: Annotated[list[Schedule], Field(min_length=1)] = ["mix"]
    synthetic_only: bool = False
    seeds: Seeds = 3
    generator_seeds: Seeds | None = None
    scale: Scale = "none"
    budget: BudgetConfig = BudgetConfig()
    check_convergence: bool = False
    border_objects: Literal["include", "exclude"] = "include"
    iou: Annotated[float, AfterValidator(_scored_threshold)] | Literal["mean"] = "mean"
    decide: Annotated[float, Field(gt=0, lt=1)] | None = None
    encoder: PluginConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _most_seeds_to_decide(cls, content: Any) -> Any:
        if not isinstance(content, Mapping) or content.get("decide") is None:
            return content
        enough = {"seeds": _most_seeds(content.get("seeds"))}
        segmenters = content.get("segmenters")
        if isinstance(segmenters, list):
            enough["segmenters"] = [
                {**each, "seeds": _most_seeds(each["seeds"])}
                if isinstance(each, Mapping) and each.get("seeds") is not None
                else each
                for each in segmenters
            ]
        return {**content, **enough}

    @field_validator("init", "test_on", "synthetic_ratio", "schedule", "real_only", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str | float | int | Mapping) else value

    @model_validator(mode="after")
    def _inits_are_distinct(self) -> Study:
        for owner, inits in (("study", self.init), *((each.title, each.init or []) for each in self.segmenters)):
            titles = [init.title for init in inits]
            for title in titles:
                if titles.count(title) > 1:
                    raise ValueError(f"init: {title!r} occurs twice ({owner}); give one of them a label of its own")
        budgets = {f"generators: {choice.title!r}: budget": choice.budget for choice in self.generators}
        for key, budget in {"budget": self.budget, **budgets}.items():
            if budget is not None and budget.steps == 0:
                raise ValueError(f"{key}.steps is 0; that is for a segmenter with an init, in its own budget")
        for generator in self.generators:
            if generator.init is not None:
                raise ValueError(f"generators: {generator.title!r}: init is for segmenters; leave it out")
            if generator.budget is not None and generator.budget.steps == AUTO:
                raise ValueError(f"generators: {generator.title!r}: steps: auto is for segmenters; give a number")
        return self

    @model_validator(mode="after")
    def _joint_keys_fit(self) -> Study:
        for segmenter in self.segmenters:
            if segmenter.joint:
                raise ValueError(f"segmenters: {segmenter.title!r}: joint is for generators; leave it out")
        for generator in self.generators:
            if generator.joint and (generator.budget or generator.seeds):
                raise ValueError(
                    f"generators: {generator.title!r}: a joint training has the segmenter's budget and seeds; leave "
                    "budget and seeds out"
                )
        return self

    @model_validator(mode="after")
    def _values_are_distinct(self) -> Study:
        for key in ("synthetic_ratio", "schedule"):
            values = getattr(self, key)
            for value in values:
                if values.count(value) > 1:
                    raise ValueError(f"{key}: {value} occurs twice; name it once")
        return self

    @model_validator(mode="after")
    def _titles_are_unique(self) -> Study:
        for kind in ("generators", "segmenters", "datasets", "test_on"):
            choices = [choice for choice in getattr(self, kind) if not getattr(choice, "init", None)]
            titles = [getattr(choice, "title", choice.name) for choice in choices]
            for title in titles:
                if titles.count(title) > 1:
                    way = "name it once" if kind in ("datasets", "test_on") else "give one of them a label of its own"
                    raise ValueError(f"{kind}: {title!r} occurs twice; {way}")
                if kind == "generators" and title == "real":
                    raise ValueError("generators: 'real' is the arm without synthetic data, always there")
                for other in titles:
                    if other != title and other.casefold() == title.casefold():
                        raise ValueError(f"{kind}: {title!r} and {other!r} differ by case only; rename one of them")
        return self

    @property
    def real_amounts(self) -> list[int | float]:
        """All amounts of real training data: `fractions`, then `real_only`."""
        return [*self.fractions, *self.real_only]

    def to_yaml(self) -> str:
        """Return the study with every default written out."""
        return yaml.safe_dump(self.model_dump(mode="json", exclude_none=True), sort_keys=False, allow_unicode=True)


MOST_SEEDS = 12
"""Segmenter seeds at most of a study that decides, where it names no number above 2."""


def _most_seeds(given: Any) -> Any:
    """Return the largest number of seeds of a study that decides; what isn't a number is left for the validation."""
    return MOST_SEEDS if given is None or (type(given) is int and 1 <= given <= 2) else given


RENAMED = {"share": "synthetic_ratio"}
"""Keys of a study by the names that they had in earlier versions."""


def read_study(path: str | Path) -> dict[str, Any]:
    """Return a study file's mapping, unvalidated, so that a command line can replace parts of it.

    Where it has no name, it is named after the file, or where that is called study, as many are, after its folder.

    Raises
    ------
    ConfigError
        If the file can't be read or isn't a YAML mapping.
    """
    path = Path(path)
    content = read_yaml(path)
    if not isinstance(content, dict):
        given = "nothing" if content is None else type(content).__name__
        raise ConfigError(f"{path}: a study is a mapping (datasets: …, segmenters: …), not {given}")
    name = path.resolve().parent.name if path.stem == "study" else path.stem
    return {"name": named_after(name), **content}


def named_after(text: str) -> str:
    """Return a name for a study that a text comes near to."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:80] or "study"


def make_study(content: dict[str, Any], source: str) -> Study:
    """Validate a mapping.

    Raises
    ------
    ConfigError
        One line: where it comes from, the key, what is wrong, and the nearest right key.
    """
    try:
        study = Study.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{source}: {_problem(error)}") from None
    if study.decide is not None and not study.generators:  # the frozen study of a board has none
        raise ConfigError(f"{source}: decide: there is no arm to decide on; add generators, or leave decide out")
    return study


def load_study(study: Study | Mapping[str, Any] | str | os.PathLike[str]) -> Study:
    """Return a study from a file, from a mapping of what stands in one, or as it is.

    Raises
    ------
    ConfigError
        If it can't be read, or isn't valid.
    """
    if isinstance(study, Study):
        return study
    if isinstance(study, Mapping):
        return make_study(dict(study), "study")
    return make_study(read_study(Path(study)), os.fspath(study))


_EXPECTED = {
    "name": "letters, digits, '.', '_' and '-', at most 80 of them, the first a letter or a digit",
    "fractions": "fractions above 0 and up to 1.0, or integers ≥ 1 (numbers of images)",
    "real_only": "fractions above 0 and up to 1.0, or integers ≥ 1 (numbers of images)",
    "border_objects": "include or exclude",
    "synthetic": "integers ≥ 1 (numbers of samples), or multiples such as 2x",
    "scale": "none, auto, or the diameter in pixels that objects are brought to (an integer from 4 to 1000)",
    "iou": "0.5, 0.55 … 0.95, or mean",
    "decide": "a difference in score above 0 and below 1, such as 0.02",
}
"""What these keys take, in words."""


def _problem(error: ValidationError) -> str:
    problem = min(error.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden")
    where = ".".join(map(str, problem["loc"]))
    key = where if len(problem["loc"]) == 1 else ""
    if problem["type"] == "extra_forbidden" and where in RENAMED:
        return f"{where}: was renamed; use {RENAMED[where]}"
    if problem["type"] == "extra_forbidden" and key in DatasetConfig.model_fields:
        return f"{key}: is a key of a dataset, as in datasets: [{{name: …, {key}: …}}]"
    return first_problem(error, Study, _EXPECTED)
