"""Commands that run in another environment, as if they were typed there."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from synthbench.environments.registered import environment_named
from synthbench.environments.variables import interpreter_variables
from synthbench.errors import PluginError

__all__ = ["run_command"]


def run_command(environment: str, words: Sequence[str]) -> int:
    """Run ``synthbench WORDS`` by the interpreter of an environment; its output is this command's.

    Parameters
    ----------
    environment
        Its name.
    words

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    ConfigError
        If there is no environment of that name.
    PluginError
        If its interpreter can't be started.
    """
    python = environment_named(environment).python
    command = [python, "-P", "-m", "synthbench", *words]
    try:
        return subprocess.run(command, env=interpreter_variables(environment), check=False).returncode
    except OSError as error:
        raise PluginError(
            f"environment {environment!r}: {python}: can't be started: {error.strerror or error}"
        ) from None
