"""The contract tests in a process of their own: what a plugin does there can't end, or outlive, who asked for them."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from synthbench.errors import SynthbenchError
from synthbench.processes.child import CONTEXT, become_leader, die_with_parent, how_it_ended, spawn
from synthbench.processes.family import end_family, new_mark
from synthbench.processes.guard import Guard
from synthbench.testing._contract import iter_contract
from synthbench.testing.check_results import CheckResult

__all__ = ["iter_contract_in_subprocess"]


def iter_contract_in_subprocess(
    kind: str, name: str, config: Mapping[str, Any] | None = None, dataset: Path | None = None
) -> Iterator[CheckResult]:
    """Yield the results of `synthbench.testing.run_contract` as they come, from a process of their own.

    When this generator ends, and when this process dies, nothing runs on that the plugin has started. A plugin that
    ends the process fails the check ``the_process_survives``.

    Raises
    ------
    PluginError
        If there is no such plugin, or it can't be loaded.
    """
    mark = new_mark()
    guard = Guard(mark)
    ours, theirs = CONTEXT.Pipe()
    process = spawn(_serve, (theirs, kind, name, config, dataset), mark)
    guard.watch(process.pid)
    theirs.close()
    try:
        while (said := ours.recv()) is not None:
            if isinstance(said, SynthbenchError):
                raise said
            yield said
    except EOFError:
        process.join()
        how = f"the process {how_it_ended(process)}"
        yield CheckResult("the_process_survives", "The plugin leaves its process running", "failed", how)
    finally:
        end_family([process.pid], mark)
        process.join()
        guard.dismiss()


def _serve(pipe: Connection, kind: str, name: str, config: Mapping[str, Any] | None, dataset: Path | None) -> None:
    become_leader(lambda: os._exit(1))
    die_with_parent()
    sys.stdout = sys.stderr  # what a plugin prints is none of the results
    try:
        with warnings.catch_warnings(record=True) as caught:
            for result in iter_contract(kind, name, config, dataset):
                pipe.send(replace(result, warnings=tuple(map(_one_line, caught))))
                caught.clear()
        pipe.send(None)
    except SynthbenchError as error:
        pipe.send(error)


def _one_line(warning: warnings.WarningMessage) -> str:
    """Return ``"RuntimeWarning: invalid value … (plugin/file.py:12)"``."""
    text = " ".join(str(warning.message).split())
    return f"{warning.category.__name__}: {text} ({'/'.join(warning.filename.split('/')[-2:])}:{warning.lineno})"
