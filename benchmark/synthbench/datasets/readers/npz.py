"""npz files with X, ``(n, height, width[, channels])``, and y, ``(n, height, width[, masks])``: TissueNet's form.

Arrays are read image by image, so a file may be larger than the memory. Arrays of Python objects are pickles and aren't
opened. One-dimensional arrays of n strings or integers become groups (``tissue_list`` → ``tissue``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from synthbench.datasets.files import safe_id, split_of, walk_folders
from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.npz_file import NpzFile
from synthbench.datasets.pixels import make_sample, to_label_map, to_sample_image
from synthbench.errors import DataError
from synthbench.samples import Sample
from synthbench.types import AnyArray

__all__ = ["read", "sniff"]

IMAGES = ("X", "x", "images", "image")
MASKS = ("y", "Y", "labels", "masks", "mask")
DEPTH = 1


def sniff(path: Path) -> str | None:
    """Describe the arrays if `path` is an npz file, or a folder with npz files."""
    descriptions = []
    log = ImportLog()
    for file in _files(path):
        with log.collecting_errors():
            archive = NpzFile(file)
            images, masks = _names(archive)
            descriptions.append(f"{file.name} ({images} {_size(archive, images)}, {masks} {_size(archive, masks)})")
    log.raise_problems(path)
    return f"npz arrays in {', '.join(descriptions)}" if descriptions else None


def read(path: Path, options: ImportOptions, log: ImportLog, *, mask: int = 0) -> Iterator[Sample]:
    """Yield the images of one npz file after another; ids are ``<file>-<index>``.

    Images have up to four channels; a fourth that is opaque alpha in all its pixels is dropped. Their types are
    converted by `synthbench.datasets.pixels.to_sample_image`.

    Parameters
    ----------
    mask
        Index of the mask to use if an image has several (in TissueNet 0 is whole cells, 1 is nuclei).

    Raises
    ------
    DataError
        If arrays are missing, differ in length, contain Python objects, or are truncated.
    """
    archives = [NpzFile(file) for file in _files(path)]
    log.total += sum(archive.headers[_names(archive)[0]].shape[0] for archive in archives)
    for archive in archives:
        images, masks = _names(archive)
        groups = _groups(archive, archive.headers[images].shape[0], log)
        for index, (image, labels) in enumerate(zip(archive.rows(images), archive.rows(masks), strict=True)):
            image_at, mask_at = (f"{archive.path}: {name}[{index}]" for name in (images, masks))
            with log.collecting_errors():
                yield make_sample(
                    f"{safe_id(archive.path.stem)}-{index:05d}",
                    to_sample_image(image, image_at, log, guess_alpha=True),
                    to_label_map(_channel(labels, mask, mask_at, log), mask_at, options, log),
                    {name: values[index] for name, values in groups.items()},
                    image_at,
                    mask_at,
                )
    log.raise_problems(path)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() == ".npz" else []
    if not path.is_dir():
        return []
    return [
        file for folder in walk_folders(path, DEPTH) for file in sorted(folder.glob("*.npz")) if file.name[0] != "."
    ]


def _names(archive: NpzFile) -> tuple[str, str]:
    chosen = []
    for role, names in (("images", IMAGES), ("masks", MASKS)):
        name = next((name for name in names if name in archive.headers), None)
        if name is None:
            present = ", ".join(sorted(archive.headers)) or "none"
            raise DataError(f"{archive.path}: no array of {role}, such as {names[0]}; its arrays: {present}")
        chosen.append(name)
    shapes = [archive.headers[name].shape for name in chosen]
    if min(map(len, shapes)) < 3 or shapes[0][0] != shapes[1][0]:
        stated = " and ".join(f"{name} has shape {shape}" for name, shape in zip(chosen, shapes, strict=True))
        raise DataError(f"{archive.path}: {stated}; expected (n, height, width, …) with the same n")
    return chosen[0], chosen[1]


def _size(archive: NpzFile, name: str) -> str:
    header = archive.headers[name]
    return f"{'×'.join(map(str, header.shape))} {header.dtype}"


def _groups(archive: NpzFile, count: int, log: ImportLog) -> dict[str, list[str]]:
    split = split_of(archive.path.stem)
    groups = {"split": [split] * count} if split else {}
    for name, header in archive.headers.items():
        if name in (*IMAGES, *MASKS):
            continue
        if header.dtype.kind in "USiu" and header.shape == (count,):
            values = [row.item() for row in archive.rows(name)]
            texts = [value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in values]
            groups[name.removesuffix("_list")] = texts
        else:
            log.count(f"array {name} of {archive.path.name} not read (not a list of n strings or integers)")
    return groups


def _channel(labels: AnyArray, mask: int, where: str, log: ImportLog) -> AnyArray:
    if labels.ndim != 3:
        return labels
    if mask >= labels.shape[2]:
        raise DataError(f"{where}: has {labels.shape[2]} masks; there is no mask {mask} (the first is 0)")
    if labels.shape[2] > 1:
        log.count(f"masks taken from channel {mask} of {labels.shape[2]}")
    return labels[..., mask]
