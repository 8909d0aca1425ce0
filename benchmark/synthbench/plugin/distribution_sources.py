"""Where a distribution was installed from, so that another environment can have the same."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shlex
from collections.abc import Sequence
from urllib.parse import unquote, urlparse

__all__ = ["environment_command", "install_arguments"]


def install_arguments(distribution: str) -> list[str]:
    """Return the arguments of ``pip install`` that install a distribution as it is installed here.

    A checkout that is installed editable is installed editable, and one from a folder or a URL from there; of any other
    the same version is installed.

    Raises
    ------
    importlib.metadata.PackageNotFoundError
        If it isn't installed here.
    """
    found = importlib.metadata.distribution(distribution)
    try:
        origin = json.loads(found.read_text("direct_url.json") or "{}")
    except ValueError:
        origin = {}
    url = str(origin.get("url", ""))
    if url.startswith("file:"):
        path = unquote(urlparse(url).path)
        return ["--editable", path] if origin.get("dir_info", {}).get("editable") else [path]
    if url and "vcs_info" in origin:
        version = origin["vcs_info"]
        return [f"{distribution} @ {version['vcs']}+{url}@{version['commit_id']}"]
    return [f"{distribution} @ {url}"] if url else [f"{distribution}=={found.version}"]


def environment_command(requirements: Sequence[str], distribution: str) -> str:
    """Return the command that creates an environment for a plugin.

    Parameters
    ----------
    requirements
        What the plugin needs there; the first gives the environment its name.
    distribution
        The plugin's. synthbench's own plugins are in every environment.
    """
    name, version = re.fullmatch(r"\s*([\w.-]+)[^0-9]*([\d.]*\d)?.*", requirements[0], re.DOTALL).groups()  # type: ignore[union-attr]
    words = [f"{name}-{version}" if version else name, *requirements]
    if distribution != "synthbench":
        try:
            words += [word for word in install_arguments(distribution) if word != "--editable"]
        except importlib.metadata.PackageNotFoundError:
            words.append(distribution)
    return f"synthbench env create {shlex.join(words)}"
