"""Other environments for tests: made in no time, as they see the packages of this one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import synthbench
import synthbench_unet


def packages_here() -> list[str]:
    """The folders of packages of this interpreter, as they stand on its path; then where synthbench is.

    An editable install isn't on the path.
    """
    standard = (sys.prefix, sys.base_prefix)
    found = [
        path for path in sys.path if Path(path).is_dir() and (not path.startswith(standard) or "site-packages" in path)
    ]
    editable = [str(Path(str(package.__file__)).parents[1]) for package in (synthbench, synthbench_unet)]
    return list(dict.fromkeys([*found, *editable]))


def second_environment(folder: Path, *own: Path, packages: Sequence[str] | None = None) -> str:
    """Make a virtual environment with packages of its own before those of this one; return its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60)
    (site,) = folder.glob("lib/python*/site-packages")
    known = packages_here() if packages is None else packages
    (site / "packages.pth").write_text("".join(f"{path}\n" for path in (*map(str, own), *known)))
    return str(folder / "bin" / "python")


def distribution(
    folder: Path, name: str, version: str, modules: dict[str, str], entry_points: str = "", record: Sequence[str] = ()
) -> Path:
    """Write modules as an installed distribution, which may say that it brings more than it does."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in (*modules, *record)))
    if entry_points:
        (info / "entry_points.txt").write_text(f"[synthbench]\n{entry_points}\n")
    for module, text in modules.items():
        (folder / module).parent.mkdir(parents=True, exist_ok=True)
        (folder / module).write_text(text)
    return folder
