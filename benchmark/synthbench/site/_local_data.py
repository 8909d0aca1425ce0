"""Images of the datasets, where they are on this machine and their licence lets anyone show excerpts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from synthbench.bundle.contents import Contents
from synthbench.datasets.import_options import DERIVED_FROM
from synthbench.datasets.library import Library, open_dataset
from synthbench.errors import DataError, SynthbenchError
from synthbench.plugin.registry import registry
from synthbench.results.sources import ABOUT
from synthbench.samples import Sample, SampleSet
from synthbench.site._safety import allows_excerpts

__all__ = ["LocalData", "LocalImages", "terms_of"]


@dataclass(frozen=True)
class LocalImages:
    """The images of a dataset, or why none are shown.

    Attributes
    ----------
    samples : SampleSet or None
    terms : mapping
        Source, licence and citation as they are known on this machine: what an entry says of them shows nothing.
    reason : str
        Why no image is shown; empty if they are.
    """

    samples: SampleSet | None = None
    terms: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""

    def sample(self, contents: Contents, title: str, image: str) -> Sample | None:
        """Return an image of a dataset, if it is shown and is the one that an entry was made with."""
        if self.samples is None or image not in self.samples.ids:
            return None
        known = contents.datasets[title]
        position = self.samples.position(image)
        if self.samples.entries[position].digest != known.entries[known.position(image)].digest:
            return None
        try:
            return self.samples[position]
        except SynthbenchError:
            return None


@dataclass
class LocalData:
    """The datasets of this machine: those that were named, and those of the library.

    Attributes
    ----------
    given : sequence of str
        Names in the library, or paths.
    """

    given: Sequence[str] = ()
    _opened: list[SampleSet] = field(default_factory=list)
    _found: dict[tuple[str, str], LocalImages] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._opened = [open_dataset(name)[0] for name in self.given]

    def find(self, contents: Contents, title: str) -> LocalImages:
        """Return the images of a dataset of an entry."""
        place = title, contents.fingerprints[title]
        if place not in self._found:
            self._found[place] = self._find(*place)
        return self._found[place]

    def _find(self, title: str, fingerprint: str) -> LocalImages:
        samples = next((each for each in self._candidates(title) if each.fingerprint == fingerprint), None)
        if samples is None:
            return LocalImages(reason="the dataset isn't at hand where these pages were made")
        terms = terms_of(samples)
        if not terms["licence"]:
            return LocalImages(terms=terms, reason="the licence of the dataset isn't known")
        if not allows_excerpts(terms["licence"]):
            return LocalImages(terms=terms, reason=f"the licence of the dataset ({terms['licence']}) may not allow it")
        return LocalImages(samples, terms)

    def _candidates(self, title: str) -> list[SampleSet]:
        library = Library()
        try:
            stored = [library.open(title)] if title in library.names() else []
        except DataError:
            stored = []
        return [*self._opened, *stored]


def terms_of(samples: SampleSet) -> dict[str, str]:
    """Return source, licence and citation of a dataset: its own, or those that all datasets it derives from share."""
    own = {name: str(samples.info.get(name) or "") for name in ABOUT}
    origins = samples.info.get(DERIVED_FROM)
    known = registry().names("dataset")
    if own["licence"] or not isinstance(origins, list) or not origins or not all(name in known for name in origins):
        return own
    try:
        plugins = [registry().load("dataset", name) for name in origins]
    except (SynthbenchError, ImportError):
        return own
    for name in ABOUT:
        values = {str(getattr(plugin, name, "")) for plugin in plugins}
        own[name] = own[name] or (values.pop() if len(values) == 1 else "")
    return own
