"""The environment variables of an interpreter that belongs to another environment."""

from __future__ import annotations

import os

__all__ = ["INSIDE", "interpreter_variables"]

INSIDE = "SYNTHBENCH_ENVIRONMENT"
"""Name of the variable that tells an interpreter which environment it is: it looks for plugins in no other."""

_OF_THIS_INTERPRETER = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
"""Variables that would bring this interpreter's packages into another environment."""


def interpreter_variables(environment: str) -> dict[str, str]:
    """Return the variables that an interpreter is started with; of this environment, whose name is empty, all.

    Those of another environment don't get ``PYTHONPATH``: the modules that it names are meant for this interpreter.
    """
    if not environment:
        return dict(os.environ)
    kept = {name: value for name, value in os.environ.items() if name not in _OF_THIS_INTERPRETER}
    return {**kept, INSIDE: environment}
