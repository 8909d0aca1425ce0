"""What measurements say of the machine, and the page that they are written into."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path


def machine() -> str:
    """Return processor, system and Python in words."""
    cpus = Path("/proc/cpuinfo")
    named = re.search(r"^model name\s*: (.+)$", cpus.read_text(), re.MULTILINE) if cpus.is_file() else None
    name = named[1] if named else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count() or 1} processors, {platform.system()}, Python {platform.python_version()}"


def replace_section(page: Path, heading: str, text: str) -> None:
    """Write a text below a heading of the first or second level, up to the next heading like it, or to the end."""
    mark = heading.split(maxsplit=1)[0]
    lines = page.read_text(encoding="utf-8").splitlines()
    if heading not in lines:
        lines += ["", heading]
    start = lines.index(heading)
    later = (i for i, line in enumerate(lines[start + 1 :], start + 1) if line.startswith(f"{mark} "))
    end = next(later, len(lines))
    rest = ["", *lines[end:]] if end < len(lines) else []
    page.write_text("\n".join([*lines[: start + 1], "", *text.splitlines(), *rest]) + "\n", encoding="utf-8")
