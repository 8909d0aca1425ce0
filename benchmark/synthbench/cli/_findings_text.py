"""What a verification found, line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synthbench.io.escaping import printable

if TYPE_CHECKING:
    from synthbench.bundle.findings import Findings

__all__ = ["findings_lines"]


def findings_lines(findings: Findings, what: str) -> list[str]:
    """Return problems, what was and wasn't verified, and the number of problems of `what`."""
    lines = [f"problem: {problem}" for problem in findings.problems]
    lines += [f"verified: {sentence}" for sentence in findings.verified]
    lines += [f"not verified: {sentence}" for sentence in findings.not_verified]
    number = len(findings.problems)
    lines.append(f"{what}: {f'{number} problem' + 's' * (number > 1) if number else 'no problems'}")
    return [printable(line).replace("\n", r"\n") for line in lines]
