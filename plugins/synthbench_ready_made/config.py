"""Where the images are, how their masks are read, and what their maker has seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from synthbench import Config
from synthbench.errors import ConfigError

__all__ = ["ReadyMadeConfig"]


class ReadyMadeConfig(Config):
    """Folders of images with masks; any layout that ``synthbench dataset add`` reads."""

    locations: ClassVar[tuple[str, ...]] = ("path", "trained_on")

    path: tuple[str, ...] = Field(
        default=(),
        description="the folder of images with masks; several folders are several generator seeds, in this order",
    )
    trained_on: str = Field(
        default="",
        description="a text file with the ids of the real images that the tool has seen, one per line (an empty file "
        "if it has seen none); not declared by default",
    )
    components: bool = Field(default=False, description="make each connected component of a mask an object of its own")
    ignore: int | None = Field(default=None, ge=0, description="the mask value of pixels whose label is unknown")
    white: float | None = Field(
        default=None, gt=0, description="the image value that is white; images are rescaled to it"
    )
    trust_masks: bool = Field(default=False, description="do not check whether masks are label maps of objects")

    @field_validator("path", mode="before")
    @classmethod
    def _absolute_paths(cls, value: object) -> object:
        given = [value] if isinstance(value, str | Path) else value
        if not isinstance(given, Sequence) or not all(isinstance(path, str | Path) and str(path) for path in given):
            raise ValueError("give a folder, or a list of folders")
        return tuple(str(Path(path).expanduser().absolute()) for path in given)

    @field_validator("trained_on")
    @classmethod
    def _absolute_path(cls, value: str) -> str:
        return str(Path(value).expanduser().absolute()) if value else ""

    def files(self) -> Mapping[str, Path]:
        """Return the folders by the number of their seed.

        Raises
        ------
        ConfigError
            If one is missing, or isn't a folder or an npz file.
        """
        if not self.path:
            raise ConfigError("path is missing; give the folder of images with masks, as in config: {path: my-images}")
        for path in map(Path, self.path):
            if not path.exists():
                raise ConfigError(f"path: {path}: no such folder")
            if not path.is_dir() and path.suffix.lower() != ".npz":
                raise ConfigError(f"path: {path}: is a file; give the folder that it is in")
        return {f"path {number}": Path(path) for number, path in enumerate(self.path)}

    def ids_seen(self) -> tuple[str, ...] | None:
        """Return the ids of the real images that the tool has seen; None where that isn't declared.

        Raises
        ------
        ConfigError
            If the file can't be read.
        """
        if not self.trained_on:
            return None
        try:
            lines = Path(self.trained_on).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(f"trained_on: {self.trained_on}: can't be read: {reason}") from None
        return tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
