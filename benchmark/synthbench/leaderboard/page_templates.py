"""Templates of pages: every value is escaped, and one that a template names must be there."""

from __future__ import annotations

import re
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from synthbench.io.escaping import printable

__all__ = ["page_environment"]


def page_environment(*packages: str) -> Environment:
    """Return the templates of some packages, and those of the report, among which is ``parts.html``.

    Parameters
    ----------
    *packages
        Names of packages with a folder ``templates``; the first that has a template is asked.
    """
    loaders = [PackageLoader(name) for name in (*packages, "synthbench.leaderboard")]
    found = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=_shown,
    )
    found.filters["unbroken"] = _unbroken
    return found


def _shown(value: Any) -> Any:
    """Return what a template puts on the page: text of unknown origin turns no line around."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _unbroken(line: str) -> Markup:
    """Return a sentence in which no line ends within an option such as ``--budget``."""
    return Markup(re.sub(r"--[a-z][a-z-]*", r'<span class="option">\g<0></span>', str(escape(printable(line)))))
