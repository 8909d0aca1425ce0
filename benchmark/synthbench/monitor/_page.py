"""How far a run is, as a page that loads itself again while the run goes on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from synthbench.io.escaping import printable
from synthbench.monitor.phrases import STATES, clock, losses_text, step_text, summary
from synthbench.monitor.reading import RunningTask, RunStatus
from synthbench.study.runtime_estimates import format_duration
from synthbench.version import __version__

__all__ = ["REFRESH", "status_page"]

REFRESH = 10
"""Seconds after which the page loads itself again, as long as the run goes on."""

_WIDTH, _HEIGHT = 240, 48


def status_page(status: RunStatus) -> str:
    """Return a run's status as one HTML file without scripts that makes no requests but for itself."""
    templates = Environment(
        loader=PackageLoader("synthbench.monitor"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=_shown,
    )
    total = sum(count.done + count.running + count.failed + count.left for count in status.kinds)
    done = sum(count.done for count in status.kinds)
    return templates.get_template("progress.html").render(
        status=status,
        state=STATES[status.state],
        refresh=None if status.is_over else REFRESH,
        percent=f"{100 * done / max(1, total):.1f}",
        done=done,
        total=total,
        summary=summary(status),
        running=[_task(task) for task in status.running],
        now=time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(status.read_at)),
        clock=clock,
        version=__version__,
    )


def _shown(value: Any) -> Any:
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _task(task: RunningTask) -> dict[str, Any]:
    return {
        "kind": task.kind,
        "label": task.label,
        "step": step_text(task),
        "percent": f"{100 * min(1.0, task.done / task.total):.1f}" if task.total else None,
        "losses": losses_text(task),
        "since": format_duration(task.seconds),
        "where": f"{task.host}, process {task.pid}",
        "curve": _points(task.curve),
        "loss": next(iter(task.losses), ""),
        "size": (_WIDTH, _HEIGHT),
    }


def _points(curve: Sequence[tuple[int, float]]) -> str:
    """Return the points of a line of losses in an SVG; an empty string where there are fewer than two."""
    if len(curve) < 2:
        return ""
    low, high = min(value for _, value in curve), max(value for _, value in curve)
    first, last = curve[0][0], curve[-1][0]
    spread = (high - low) or 1.0
    return " ".join(
        f"{_WIDTH * (step - first) / max(1, last - first):.1f},{2 + (_HEIGHT - 4) * (high - value) / spread:.1f}"
        for step, value in curve
    )
