"""Where a study's plugins are: here, or in other environments, whose interpreters are asked while planning."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from synthbench.datasets import building
from synthbench.environments.asking import Conversation
from synthbench.environments.registered import environment_named
from synthbench.errors import PluginError
from synthbench.plugin.api import Context, ExistingSamples
from synthbench.plugin.registry import Registered
from synthbench.samples import SampleSet
from synthbench.store import Store
from synthbench.study.model import BudgetConfig, PluginConfig
from synthbench.study.provenance.encoders import pick_encoder
from synthbench.study.provenance.existing import existing_samples
from synthbench.study.provenance.plugin_settings import check_init
from synthbench.study.provenance.plugins import PluginFingerprint, fingerprint_plugin

__all__ = ["Hosts"]


class Hosts:
    """Answers about plugins, of this environment or of others; used as a context manager.

    An environment's interpreter is started with the first question about one of its plugins, and ends with the context.

    Parameters
    ----------
    store
        Where interpreters remember what plugins' classes say, and where datasets are built.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._conversations: dict[str, Conversation] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        self._conversations.clear()

    def fingerprint(
        self, entry: Registered, config: Mapping[str, Any], budget: BudgetConfig | None = None
    ) -> PluginFingerprint:
        """Return what a plugin's results depend on, in its environment; see `fingerprint_plugin`."""
        kind, name = entry.spec.kind, entry.spec.name
        if not entry.environment:
            return fingerprint_plugin(self._store, kind, name, config, budget)
        answer = self._ask(
            entry,
            "fingerprint_plugin",
            store=str(self._store.root),
            kind=kind,
            name=name,
            config=dict(config),
            budget=budget.model_dump(exclude={"score_by_steps"}) if budget else None,
        )
        return PluginFingerprint(**{**answer, "tasks": frozenset(answer["tasks"]), "environment": entry.environment})

    def check_init(self, entry: Registered, config: Mapping[str, Any], file: Path) -> None:
        """Raise `PluginError` if a segmenter can't start from a file; see `synthbench.Segmenter.check_init`."""
        if not entry.environment:
            check_init(entry.spec.name, config, file)
            return
        self._ask(entry, "check_init", name=entry.spec.name, config=dict(config), file=str(file))

    def encoder(self, entry: Registered | None, choice: PluginConfig | None) -> tuple[PluginFingerprint, str]:
        """Return what an encoder's features depend on, and the name of its network and weights.

        Parameters
        ----------
        entry
            The encoder; None for the first that can run in this environment.
        choice
            What the study says of it.
        """
        config = choice.config if choice else {}
        if entry is None or not entry.environment:
            picked = pick_encoder(entry.spec.name if entry else None, config)
            return fingerprint_plugin(self._store, "encoder", picked.name, config), picked.fingerprint
        weights = self._ask(entry, "encoder_weights", name=entry.spec.name, config=dict(config))
        return self.fingerprint(entry, config), str(weights)

    def download_terms(self, entry: Registered, config: Mapping[str, Any]) -> str:
        """Return what is shown before a dataset is downloaded; see `synthbench.datasets.building.download_terms`."""
        if not entry.environment:
            return building.download_terms(entry.spec.name, config)
        return str(self._ask(entry, "download_terms", name=entry.spec.name, config=dict(config)))

    def build_dataset(self, entry: Registered, config: Mapping[str, Any], folder: Path, context: Context) -> None:
        """Write the samples of a dataset to a new folder; see `synthbench.datasets.building.build_dataset`."""
        if not entry.environment:
            building.build_dataset(entry.spec.name, dict(config), folder, context)
            return
        self._ask(
            entry,
            "build_dataset",
            context.progress,
            name=entry.spec.name,
            config=dict(config),
            folder=str(folder),
            work=str(context.folder),
        )

    def existing_samples(
        self, entry: Registered, config: Mapping[str, Any], samples: SampleSet, context: Context
    ) -> ExistingSamples | None:
        """Return the samples of a generator that exist already, for a dataset; see `synthbench.Generator.existing`."""
        name, task, classes = entry.spec.name, samples.task, list(samples.classes)
        if not entry.environment:
            return existing_samples(name, config, task, classes, context)
        answer = self._ask(
            entry,
            "existing_samples",
            context.progress,
            name=name,
            config=dict(config),
            task=task,
            classes=classes,
            folder=str(context.folder),
        )
        if answer is None:
            return None
        trained_on = None if answer["trained_on"] is None else tuple(answer["trained_on"])
        return ExistingSamples(tuple(map(Path, answer["folders"])), trained_on)

    def _ask(self, entry: Registered, question: str, *progress: Any, **arguments: Any) -> Any:
        if entry.disabled_reason:
            raise PluginError(
                f"{entry.spec.kind} {entry.spec.name!r} is disabled in environment {entry.environment!r}: "
                f"{entry.disabled_reason}"
            )
        name = entry.environment
        if name not in self._conversations:
            self._conversations[name] = self._open.enter_context(Conversation(environment_named(name)))
        return self._conversations[name].ask(question, *progress, **arguments)
