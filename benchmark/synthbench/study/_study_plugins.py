"""The generators and segmenters of a study: found and described, with what they start from and train together with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from synthbench.environments.plugins import find_plugin
from synthbench.errors import ConfigError
from synthbench.plugin.registry import Registered
from synthbench.study._dataset_sources import split_dataset
from synthbench.study._hosts import Hosts
from synthbench.study._inits import AS_PUBLISHED, Opener, ResolvedInit, resolve_init
from synthbench.study._plugin_titles import errors_named
from synthbench.study.model import BudgetConfig, PluginConfig, Study
from synthbench.study.provenance.plugins import PluginFingerprint

__all__ = ["JointGenerator", "LONG", "StudyPlugin", "StudyPlugins", "find_entry", "resolve_plugins"]

LONG = ("standard", "paper")
"""Budgets in which a generator is trained twice unless the study says otherwise."""


@dataclass(frozen=True)
class StudyPlugin:
    """A plugin of the study: how tables call it, what it is, how many seeds it has, and what it starts from."""

    title: str
    plugin: PluginFingerprint
    seeds: int
    init: ResolvedInit | None = None

    @property
    def is_trained(self) -> bool:
        """Whether its weights change: False where published ones are used as they are."""
        return self.init is None or bool(self.plugin.budget.get("steps"))


@dataclass(frozen=True)
class JointGenerator:
    """A generator that is trained together with segmenters.

    Attributes
    ----------
    title : str
    plugins : mapping
        Title of a segmenter that can do so → the generator, with that segmenter's budget.
    """

    title: str
    plugins: Mapping[str, PluginFingerprint]


@dataclass(frozen=True)
class StudyPlugins:
    """The plugins of a study.

    Attributes
    ----------
    generators
        Those that draw samples.
    segmenters
        Each once for each thing that it starts from.
    joint
        The generators that are trained together with segmenters.
    named
        Every generator and segmenter, with the budget that it is trained with.
    entries
        Where the generators are, by title.
    """

    generators: tuple[StudyPlugin, ...]
    segmenters: tuple[StudyPlugin, ...]
    joint: tuple[JointGenerator, ...]
    named: tuple[StudyPlugin, ...]
    entries: Mapping[str, Registered]

    @property
    def patches(self) -> dict[str, int]:
        """What trains → side of its training patches in pixels."""
        trained = {each.title: each.plugin for each in self.named}
        for segmenter in self.segmenters:
            if segmenter.init and segmenter.init.pretraining:
                trained[f"{segmenter.title} (its first training)"] = segmenter.init.pretraining.plugin
        return {title: plugin.budget["patch_size"] for title, plugin in trained.items() if plugin.budget.get("steps")}


def resolve_plugins(hosts: Hosts, study: Study, opened: Opener) -> tuple[Study, StudyPlugins]:
    """Find and describe the generators and segmenters of a study.

    Parameters
    ----------
    hosts, study
    opened
        Opens a dataset that segmenters start from.

    Returns
    -------
    study
        With the number of generator seeds filled in.
    plugins
    """
    entries = {kind: [find_entry(kind, c) for c in getattr(study, f"{kind}s")] for kind in ("generator", "segmenter")}
    every = _choices(hosts, study, "generator", entries["generator"])
    segmenters = _segmenters(hosts, study, entries["segmenter"], opened)
    if study.generator_seeds is None:
        study = study.model_copy(update={"generator_seeds": _generator_seeds(study, every)})
        own = zip(study.generators, every, strict=True)
        every = tuple(replace(g, seeds=c.seeds or study.generator_seeds or 1) for c, g in own)
    joint = _joint(hosts, study, entries["generator"], every, segmenters)
    drawing = tuple(g for choice, g in zip(study.generators, every, strict=True) if not choice.joint)
    together = [StudyPlugin(each.title, plugin, 1) for each in joint for plugin in each.plugins.values()]
    where = {choice.title: entry for choice, entry in zip(study.generators, entries["generator"], strict=True)}
    return study, StudyPlugins(drawing, segmenters, joint, (*drawing, *together, *segmenters), where)


def find_entry(kind: str, choice: PluginConfig) -> Registered:
    """Return where a plugin of a study is."""
    return find_plugin(kind, choice.name, choice.environment)


def _generator_seeds(study: Study, generators: Sequence[StudyPlugin]) -> int:
    """Return how many seeds generators have by default: two where one of them trains for long."""
    names = [(choice.budget or study.budget).name for choice in study.generators]
    trained = [
        bool(g.plugin.budget.get("steps")) and not c.joint for c, g in zip(study.generators, generators, strict=True)
    ]
    long = [name in LONG and is_trained for name, is_trained in zip(names, trained, strict=True)]
    return 2 if any(long) else 1


def _choices(hosts: Hosts, study: Study, kind: str, entries: Sequence[Registered]) -> tuple[StudyPlugin, ...]:
    seeds = study.seeds if kind == "segmenter" else study.generator_seeds or 1
    chosen = []
    for choice, entry in zip(getattr(study, f"{kind}s"), entries, strict=True):
        budget = choice.budget or study.budget
        with errors_named(kind, choice.name, choice.title):
            described = hosts.fingerprint(entry, choice.config, budget)
        if choice.budget and budget.steps != 0 and not described.budget.get("steps"):
            raise ConfigError(
                f"{kind} {choice.title!r}: takes no training steps, so its budget would change nothing; leave it out"
            )
        chosen.append(StudyPlugin(choice.title, described, choice.seeds or seeds))
    return tuple(chosen)


def _segmenters(hosts: Hosts, study: Study, entries: Sequence[Registered], opened: Opener) -> tuple[StudyPlugin, ...]:
    """Return the segmenters, each once for each thing that it starts from."""
    chosen = []
    named = _choices(hosts, study, "segmenter", entries)
    for choice, entry, plain in zip(study.segmenters, entries, named, strict=True):
        budget = choice.budget or study.budget
        for init in choice.init or study.init:
            with errors_named("segmenter", choice.name, choice.title):
                resolved = resolve_init(hosts, entry, choice, init, budget, opened, split_dataset)
            if resolved is None:
                if budget.steps == 0:
                    raise ConfigError(
                        f"segmenter {choice.title!r}: 0 steps are for weights from elsewhere; give it an init, or steps"
                    )
                chosen.append(plain)
                continue
            title = f"{choice.title} from {resolved.title}{'' if budget.steps != 0 else AS_PUBLISHED}"
            seeds = plain.seeds if budget.steps != 0 else 1
            chosen.append(replace(plain, title=title, seeds=seeds, init=resolved))
    for title in (titles := [each.title for each in chosen]):
        if titles.count(title) > 1:
            raise ConfigError(f"segmenters: {title!r} occurs twice; give one of them a label of its own")
    return tuple(chosen)


def _joint(
    hosts: Hosts,
    study: Study,
    entries: Sequence[Registered],
    generators: Sequence[StudyPlugin],
    segmenters: Sequence[StudyPlugin],
) -> tuple[JointGenerator, ...]:
    """Return the generators that are trained together with segmenters."""
    able = [each for each in segmenters if each.plugin.supports_joint and each.is_trained]
    joint = []
    for choice, entry, generator in zip(study.generators, entries, generators, strict=True):
        if not choice.joint:
            continue
        if not generator.plugin.supports_joint:
            raise ConfigError(f"generator {choice.title!r} can't be trained together with a segmenter; leave joint out")
        if not able:
            names = ", ".join(each.title for each in segmenters)
            raise ConfigError(
                f"generator {choice.title!r}: none of the segmenters can be trained together with it ({names}); add "
                "unet, or leave joint out"
            )
        for segmenter in able:
            if segmenter.plugin.environment != generator.plugin.environment:
                raise ConfigError(
                    f"generator {choice.title!r} and segmenter {segmenter.title!r} are in different environments, and "
                    "can't be trained together"
                )
        budgets = {
            each.title: BudgetConfig.model_validate({"name": study.budget.name, **each.plugin.budget}) for each in able
        }
        with errors_named("generator", choice.name, choice.title):
            plugins = {title: hosts.fingerprint(entry, choice.config, budget) for title, budget in budgets.items()}
        joint.append(JointGenerator(choice.title, plugins))
    return tuple(joint)
