"""How tasks get into a plan, and how they say where samples lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synthbench.samples import SampleSet
from synthbench.store import key_of
from synthbench.study.plan._models import Plan, Task
from synthbench.study.provenance import SCALE, task_content
from synthbench.study.provenance.plugins import PluginFingerprint
from synthbench.study.resolve import Condition, Scaling, TestSet

__all__ = ["add_task", "location", "scale_part"]


def location(source: Condition | TestSet, samples: SampleSet) -> dict[str, Any]:
    """Return where samples of a condition or a test set lie."""
    return {"folder": str(source.folder), "ids": list(samples.ids)}


def scale_part(scaling: Scaling, plugin: PluginFingerprint) -> dict[str, Any]:
    """Return the part of a key that says by how much real samples are scaled, and by what code; empty where not."""
    if scaling.factor == 1:
        return {}
    return {"scale": {"factor": scaling.factor, **plugin.code[SCALE]}}


def add_task(
    plan: Plan,
    kind: str,
    inputs: Mapping[str, Any],
    *,
    where: Mapping[str, Any],
    label: str,
    needs: tuple[str, ...] = (),
    plugin: PluginFingerprint | None = None,
    compute: bool = True,
) -> Task:
    """Add a task, or return the one with its key that is there.

    Parameters
    ----------
    plan, kind
    inputs
        What the task reads, and its plugin: the part of its key that differs from task to task.
    where, label, needs
        See `Task`.
    plugin
        The plugin that does the work.
    compute
        Whether the result depends on the device.
    """
    code = plugin.code[kind] if plugin else None
    if kind == "evaluate":
        inputs = {**inputs, **_scoring(plan)}
    content = task_content(kind, inputs, plan.compute(plugin) if compute else None, code)
    key = key_of(content)
    if key not in plan.tasks:
        name, environment = (plugin.name, plugin.environment) if plugin else ("", "")
        plan.tasks[key] = Task(kind, key, content, needs, where, label, name, environment)
    return plan.tasks[key]


def _scoring(plan: Plan) -> dict[str, str]:
    """Return how a study scores, where it isn't the usual way: then it is part of the keys of evaluations."""
    border_objects = plan.resolved.study.border_objects
    return {} if border_objects == "include" else {"border_objects": border_objects}
