"""The status of a run as lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synthbench.cli._tables import table_lines
from synthbench.io.escaping import printable

if TYPE_CHECKING:
    from synthbench.monitor import RunStatus


def status_lines(status: RunStatus) -> list[str]:
    """Return how far a run is: tasks by kind, what is running, what has failed, first scores."""
    from synthbench.monitor.phrases import losses_text, step_text, summary
    from synthbench.study.runtime_estimates import format_duration

    lines = [f"{status.name}: {summary(status)}", ""]
    counts = [[c.kind, *map(str, (c.done, c.running, c.failed, c.left))] for c in status.kinds]
    if len(counts) > 1:
        totals = [sum(int(row[i]) for row in counts) for i in range(1, 5)]
        counts.append(["all", *map(str, totals)])
    lines += table_lines(["TASK", "DONE", "RUNNING", "FAILED", "LEFT"], counts, left=(0,)) if counts else []
    for task in status.running:
        where = f"for {format_duration(task.seconds)} on {task.host}, process {task.pid}"
        what = " · ".join(part for part in (step_text(task), losses_text(task), where) if part)
        lines += ["", f"{task.kind}: {task.label}", f"  {what}"]
    for failure in status.failures:
        stage = f" in {failure.stage}" if failure.stage else ""
        lines += ["", f"{failure.status}{stage}: {failure.kind}: {failure.label}", f"  {failure.error}"]
    if status.scores:
        rows = [
            [
                row.dataset if row.tested_on == row.dataset else f"{row.dataset} on {row.tested_on}",
                str(row.fraction),
                row.segmenter,
                row.arm,
                f"{row.score:.3f}",
                f"{row.finished}/{row.planned}",
            ]
            for row in status.scores
        ]
        heads = ["DATASET", "IMAGES", "SEGMENTER", "ARM", status.scores[0].metric.upper(), "TRAININGS"]
        lines += ["", *table_lines(heads, [[printable(cell) for cell in row] for row in rows], left=(0, 2, 3))]
        if any(row.finished < row.planned for row in status.scores):
            lines.append("means of what is finished; arms may still have different seeds")
    return [printable(line).replace("\n", r"\n") for line in lines]
