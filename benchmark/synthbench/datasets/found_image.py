"""An annotated image on its way in: what was found of it, unread."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["FoundImage"]


@dataclass(frozen=True)
class FoundImage:
    """An annotated image that was found, unread.

    Attributes
    ----------
    stem : str
        What its id is made from.
    image : Path
    masks : tuple of Path
        One label map, or one mask per object.
    groups : dict
    """

    stem: str
    image: Path
    masks: tuple[Path, ...] = ()
    groups: dict[str, str] = field(default_factory=dict)
