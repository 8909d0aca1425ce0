"""Answers about the plugins of this environment, for a process of another: ``python -m synthbench.study._answers``.

It takes messages of the type ``question`` and answers each by ``answer`` or ``refusal``; see docs/environments.md.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from synthbench.errors import SynthbenchError
from synthbench.plugin.registry import one_line
from synthbench.processes.child import become_leader, end_orphan
from synthbench.processes.handshake import hello
from synthbench.processes.messages import MessageStream
from synthbench.samples import Task

__all__ = ["QUESTIONS", "serve"]

Tell = Callable[[int, int, str], None]


def serve() -> None:
    """Answer until the input closes; then end, with all that was started on the way."""
    become_leader(lambda: os._exit(1))
    stream = MessageStream()
    questions: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(stream, questions), daemon=True).start()
    stream.send(hello())
    while (message := questions.get()) is not None:
        number = message.get("number")

        def progress(done: int, total: int, note: str = "", number: object = number) -> None:
            stream.send({"type": "progress", "number": number, "progress": [int(done), int(total), str(note)]})

        stream.send({"number": number, **_answer(message, progress)})


def _listen(stream: MessageStream, questions: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    for message in stream:
        if message["type"] == "question":
            questions.put(message)
    questions.put(None)
    end_orphan()


def _answer(message: Mapping[str, Any], progress: Tell) -> dict[str, Any]:
    question = str(message.get("question"))
    try:
        answer = QUESTIONS[question]
    except KeyError:
        return {"type": "refusal", "error": "PluginError", "message": f"unknown question {question!r}"}
    try:
        return {"type": "answer", "value": answer(progress, **message.get("arguments", {}))}
    except SynthbenchError as error:
        return {"type": "refusal", "error": type(error).__name__, "message": str(error)}
    except (Exception, SystemExit) as error:  # a plugin may raise anything
        return {"type": "refusal", "error": "PluginError", "message": one_line(error)}


def _describe_plugins(progress: Tell) -> dict[str, Any]:
    from synthbench.environments.offers import describe_plugins

    return describe_plugins()


def _fingerprint_plugin(
    progress: Tell, store: str, kind: str, name: str, config: Mapping[str, Any], budget: Mapping[str, Any] | None
) -> dict[str, Any]:
    from synthbench.store import Store
    from synthbench.study.model import BudgetConfig
    from synthbench.study.provenance.plugins import fingerprint_plugin

    chosen = BudgetConfig(**budget) if budget else None
    found = asdict(fingerprint_plugin(Store(store), kind, name, config, chosen))
    return {**found, "tasks": sorted(found["tasks"])}


def _check_init(progress: Tell, name: str, config: Mapping[str, Any], file: str) -> None:
    from synthbench.study.provenance.plugin_settings import check_init

    check_init(name, config, Path(file))


def _encoder_weights(progress: Tell, name: str, config: Mapping[str, Any]) -> str:
    from synthbench.study.provenance.encoders import pick_encoder

    return pick_encoder(name, config).fingerprint


def _download_terms(progress: Tell, name: str, config: Mapping[str, Any]) -> str:
    from synthbench.datasets.building import download_terms

    return download_terms(name, config)


def _build_dataset(progress: Tell, name: str, config: Mapping[str, Any], folder: str, work: str) -> None:
    from synthbench.datasets.building import build_dataset
    from synthbench.plugin.api import Context

    build_dataset(name, config, Path(folder), Context(folder=Path(work), progress=progress))


def _existing_samples(
    progress: Tell, name: str, config: Mapping[str, Any], task: Task, classes: list[str], folder: str
) -> dict[str, Any] | None:
    from synthbench.plugin.api import Context
    from synthbench.study.provenance.existing import existing_samples

    found = existing_samples(name, config, task, classes, Context(folder=Path(folder), progress=progress))
    if found is None:
        return None
    trained_on = None if found.trained_on is None else list(found.trained_on)
    return {"folders": [str(path) for path in found.folders], "trained_on": trained_on}


QUESTIONS: Mapping[str, Callable[..., Any]] = {
    "describe_plugins": _describe_plugins,
    "fingerprint_plugin": _fingerprint_plugin,
    "check_init": _check_init,
    "encoder_weights": _encoder_weights,
    "download_terms": _download_terms,
    "build_dataset": _build_dataset,
    "existing_samples": _existing_samples,
}
"""What can be asked. Arguments and answers are JSON; while an answer is worked out, progress may be told."""


if __name__ == "__main__":
    serve()
