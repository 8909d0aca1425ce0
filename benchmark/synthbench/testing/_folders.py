"""What a plugin may leave in the folder it is saved to."""

from __future__ import annotations

import zipfile
from pathlib import Path

from synthbench.testing.check_results import require

__all__ = ["check_saved", "is_pickle"]

_PICKLE_NAMES = {".pkl", ".pickle", ".joblib", ".dill"}


def check_saved(folder: Path) -> None:
    """Raise `CheckFailure` if the folder holds a pickle in any guise, or nothing."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    require(files, "save wrote nothing; call super().save(folder) first")
    for path in files:
        name = path.relative_to(folder)
        require(not path.is_symlink(), f"save made a link, {name}: write the content")
        require(
            not is_pickle(path),
            f"save wrote a pickle, {name}: write weights as safetensors and the rest as JSON or npz",
        )


def is_pickle(path: Path) -> bool:
    """True if a file is a pickle by its name or first bytes, a torch archive, or a numpy file of objects."""
    if path.suffix.lower() in _PICKLE_NAMES:
        return True
    head = path.open("rb").read(128)
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05") and not _is_safetensors(head):
        return True
    if head[:6] == b"\x93NUMPY":
        return b"'|O'" in head
    if head[:2] == b"PK":
        with zipfile.ZipFile(path) as archive:
            return any(
                name.endswith(".pkl") or (name.endswith(".npy") and b"'|O'" in archive.open(name).read(128))
                for name in archive.namelist()
            )
    return False


def _is_safetensors(head: bytes) -> bool:
    """A safetensors file begins with the length of its header, which may look like a pickle's first bytes."""
    return head[8:9] == b"{"
