"""The images of a folder, read one by one as datasets are, for a trained segmenter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from synthbench.datasets.files import IMAGE_SUFFIXES, image_files, is_image_file, without_suffix
from synthbench.datasets.import_options import ImportLog
from synthbench.datasets.pixels import read_image
from synthbench.errors import DataError
from synthbench.types import AnyArray, Image

__all__ = ["ImageFolder", "find_images"]


@dataclass(frozen=True)
class ImageFolder:
    """Image files, and what their predictions are called.

    Attributes
    ----------
    path : Path
    files : dict
        Name of the prediction → image file. The name is that of the file without its suffix, or with it where several
        files would have the same.
    log : ImportLog
        What was done to the images on their way in.
    """

    path: Path
    files: dict[str, Path]
    log: ImportLog

    def read(self, name: str) -> Image:
        """Read an image as uint8 or uint16 of 1 to 4 channels.

        Raises
        ------
        DataError
            If it can't be used: a stack, say.
        """
        return read_image(self.files[name], self.log)


def find_images(path: Path) -> ImageFolder:
    """Find the images in a folder, or in its ``images/``; or take one image file.

    Raises
    ------
    DataError
        If there is none.
    """
    if is_image_file(path):
        files, path = [path], path.parent
    elif path.is_dir():
        places = (path, path / "images")
        files = next((found for place in places if place.is_dir() and (found := image_files(place))), [])
    elif path.exists():
        raise DataError(f"{path}: is no image; expected a file of {', '.join(IMAGE_SUFFIXES)}, or a folder of them")
    else:
        raise DataError(f"{path}: no such file or folder")
    if not files:
        raise DataError(f"{path}: has no image files ({', '.join(IMAGE_SUFFIXES)}), nor has its folder images/")
    often = Counter(without_suffix(file.name).casefold() for file in files)
    names = [
        file.name if often[without_suffix(file.name).casefold()] > 1 else without_suffix(file.name) for file in files
    ]
    log = ImportLog()

    def read_all(measuring: ImportLog) -> Iterator[AnyArray]:
        for file in files:
            with measuring.collecting_errors():
                yield read_image(file, measuring)

    log.measure_with(read_all, str(path))
    return ImageFolder(path, dict(zip(names, files, strict=True)), log)
