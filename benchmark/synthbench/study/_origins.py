"""Which published datasets the images of a dataset come from, and whether anybody says so."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from synthbench.datasets.import_options import DERIVED_FROM
from synthbench.environments.plugins import find_plugin, has_plugin
from synthbench.plugin.registry import registry
from synthbench.plugin.specs import DatasetSpec
from synthbench.samples import SampleSet
from synthbench.study._dataset_choices import DatasetConfig

__all__ = ["Origins", "origins_of"]


@dataclass(frozen=True)
class Origins:
    """Where images come from.

    Attributes
    ----------
    names : frozenset of str
        Of datasets, in lower case letters and digits.
    declared : bool
        Whether these are all; False: nobody says whether the images come from further ones.
    """

    names: frozenset[str] = frozenset()
    declared: bool = False

    @classmethod
    def of(cls, names: Iterable[str] | None) -> Origins:
        """Return the origins of these names, as people write them; None: nobody says."""
        plain = frozenset(re.sub(r"[^a-z0-9]+", "", name.lower()) for name in names or ())
        return cls(plain, names is not None)


def origins_of(choice: DatasetConfig, samples: SampleSet) -> Origins:
    """Return the names of a dataset of a study, and of those that its images come from.

    They are declared where a plugin made the dataset, where it was added with them, or where the study names them. The
    name of a folder alone declares nothing.
    """
    stored = choice.derived_from, samples.info.get(DERIVED_FROM), _of_plugin(choice, samples)
    named = [names for names in stored if isinstance(names, list)]
    own = [Path(choice.name).expanduser().resolve().name, _maker(samples)]
    return replace(Origins.of(filter(None, map(str, chain(own, *named)))), declared=bool(named))


def _of_plugin(choice: DatasetConfig, samples: SampleSet) -> list[str] | None:
    """Return what the plugin that made a dataset says that it derives from; None if no installed one did."""
    if has_plugin("dataset", choice.name):
        spec = find_plugin("dataset", choice.name, choice.environment).spec
    elif (name := _maker(samples)) in registry().names("dataset"):
        spec = registry().get("dataset", name).spec
    else:
        return None
    return list(spec.derived_from) if isinstance(spec, DatasetSpec) else []


def _maker(samples: SampleSet) -> str:
    """Return the name of the plugin that made a set, if one did."""
    return str(samples.info.get("plugin") or "")
