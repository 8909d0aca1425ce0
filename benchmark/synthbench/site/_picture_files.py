"""Pictures of a site: files named after their content, so that the same picture is kept once."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field

from PIL import Image

from synthbench.types import AnyArray

__all__ = ["Picture", "PictureFiles"]

FOLDER = "pictures"
_QUALITY = 80


@dataclass(frozen=True)
class Picture:
    """A picture of a page: its file, its size in pixels, and what it shows, in words."""

    file: str
    width: int
    height: int
    alt: str


@dataclass
class PictureFiles:
    """The pictures of a site by the names of their files."""

    files: dict[str, bytes] = field(default_factory=dict)

    def add(self, pixels: AnyArray, alt: str) -> Picture:
        """Keep a picture ``(height, width, 3 or 4)`` uint8 as WebP."""
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "WEBP", quality=_QUALITY, method=4)
        data = out.getvalue()
        name = f"{FOLDER}/{hashlib.sha256(data).hexdigest()[:20]}.webp"
        self.files[name] = data
        return Picture(name, pixels.shape[1], pixels.shape[0], alt)
