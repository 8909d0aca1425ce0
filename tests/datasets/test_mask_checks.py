"""Questions to masks: what is no label map of objects is refused, and what is one passes without a word."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import distance_transform_edt, gaussian_filter
from skimage.segmentation import find_boundaries

from synthbench.datasets.mask_checks import SCORE_OPTIONS, check_mask, check_masks
from synthbench.datasets.mask_statistics import MaskStatistics, mask_statistics
from synthbench.errors import DataError
from synthbench.samples import read_array

Masks = list[np.ndarray]


def cells(seed: int = 0, count: int = 6, radius: int = 9, size: int = 96) -> np.ndarray:
    """Return a label map of discs that don't touch."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    labels = np.zeros((size, size), np.uint16)
    while labels.max() < count:
        y, x = rng.integers(radius + 1, size - radius - 1, 2)
        distance = (rows - y) ** 2 + (columns - x) ** 2
        if not labels[distance <= (radius + 2) ** 2].any():
            labels[distance <= radius**2] = labels.max() + 1
    return labels


def grid(rows: int, columns: int, side: int = 6) -> np.ndarray:
    """Return a label map of squares in raster order, one pixel apart."""
    labels = np.kron(np.arange(1, rows * columns + 1).reshape(rows, columns), np.ones((side, side), int))
    labels[::side], labels[:, ::side] = 0, 0
    return labels


def tiled(rng: np.random.Generator, count: int = 12) -> np.ndarray:
    """Return grains that leave no background, numbered at random."""
    seeds = rng.random((count, 2)) * 96
    places = np.stack(np.mgrid[:96, :96], axis=-1).reshape(-1, 1, 2)
    return (rng.permutation(count) + 1)[((places - seeds) ** 2).sum(axis=-1).argmin(axis=1)].reshape(96, 96)


def ask(masks: Masks, *, in_pieces: bool = True) -> None:
    looks = [mask_statistics(mask, f"{i}.png") for i, mask in enumerate(masks)]
    for seen in looks if in_pieces else ():
        check_mask(seen)
    check_masks(looks, "set", check_components=in_pieces)


def three(change: Callable[[np.ndarray], np.ndarray]) -> Masks:
    return [change(cells(seed)) for seed in range(3)]


def boundary(labels: np.ndarray, value: int) -> np.ndarray:
    return np.where(find_boundaries(labels, mode="outer") & (labels == 0), value, labels)


def corner(labels: np.ndarray, value: int) -> np.ndarray:
    changed = labels.copy()
    changed[:20, :20] = value
    return changed


def resized(mask: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(mask.astype(np.uint8)).resize((125, 125), Image.Resampling.BILINEAR))


def saved_as_jpeg(mask: np.ndarray) -> np.ndarray:
    file = BytesIO()
    Image.fromarray(mask.astype(np.uint8)).save(file, "JPEG", quality=90)
    return np.asarray(Image.open(file))


REFUSED: dict[str, tuple[Masks, str]] = {
    "0 and 255": (three(lambda m: (m > 0) * 255), r"0\.png: binary mask.*\(255 in 6 "),
    "0 and 65535": (three(lambda m: (m > 0) * 65535), r"binary mask.*\(65535 in 6 "),
    "0 and 1": (three(lambda m: (m > 0) * 1), r"binary mask.*\(1 in 6 "),
    "one binary mask among label maps": ([cells(0), cells(1), (cells(2) > 0) * 7], "2.png: binary mask"),
    "binary, few pieces": ([(cells(s, 2) > 0) * 1 for s in range(3)], "no mask has more than one label"),
    "inverted binary": (three(lambda m: (m == 0) * 255), "reaches all four sides around 6 holes"),
    "inverted binary of 1": (three(lambda m: (m == 0) * 1), "the holes seem to be the objects"),
    "ilastik": (three(lambda m: 1 + (m > 0)), "no mask contains 0, and 1 covers 8"),
    "ilastik, cells first": (three(lambda m: 2 - (m > 0)), "no mask contains 0, and 2 covers"),
    "ilastik, one mask": ([1 + (cells() > 0)], "no mask contains 0"),
    "background of 255": (three(lambda m: np.where(m == 0, 255, m)), "no mask contains 0, and 255 covers"),
    "background of 1000": (three(lambda m: np.where(m == 0, 1000, m)), "no mask contains 0, and 1000 covers"),
    "inside and border": (
        three(lambda m: (m > 0) + find_boundaries(m, mode="inner") * 1),
        "6 of 6 labels .*1, 2 seem to be classes",
    ),
    "inside and border, one mask": ([(cells() > 0) + find_boundaries(cells(), mode="inner") * 1], "classes"),
    "four types": (three(lambda m: (m % 4 + 1) * (m > 0)), "values 1, 2, 3, 4 seem to be classes"),
    "boundary of 255": (three(lambda m: boundary(m, 255)), "255 .* 1 … 6 in 3 of 3.*--ignore 255"),
    "boundary of 255, one mask": ([boundary(cells(), 255)], "--ignore 255"),
    "region of 255": (three(lambda m: corner(m, 255)), "boundary.*--ignore 255"),
    "region of 65535": (three(lambda m: corner(m, 65535)), "--ignore 65535"),
    "saturated": ([np.minimum(grid(18, 18), 255)], "label 255 has several.* 8 bits"),
    "wrapped": ([grid(18, 18) % 256], "labels have several separate .* its 255 labels end at 255"),
    "wrapped by few": ([grid(13, 20) % 256], " 8 bits"),
    "squeezed into 8 bits": ([np.ceil(grid(25, 25) * (255 / 625)).astype(int)], " 8 bits"),
    "soft edges": ([resized((cells(s) > 0) * 255) for s in range(3)], "0.png: binary mask with soft edges"),
    "soft edges of one cell": ([resized((cells(s, 1) > 0) * 255) for s in range(3)], "as after resizing"),
    "labels resized with smoothing": ([resized(cells(s)) for s in range(3)], "separate components, most of them tiny"),
    "saved as JPEG": ([saved_as_jpeg((cells(s) > 0) * 255) for s in range(3)], "not a label map"),
    "labels saved as JPEG": ([saved_as_jpeg(cells(s)) for s in range(3)], "not a label map"),
    "probabilities": (three(lambda m: np.rint(255 * gaussian_filter((m > 0) * 1.0, 2)).astype(int)), "not a label map"),
    "distances": (three(lambda m: distance_transform_edt(m > 0).astype(int)), "not a label map"),
    "three greys": (three(lambda m: np.where(m % 2 == 1, 128, (m > 0) * 255)), "seem to be classes"),
    "noise": ([np.random.default_rng(0).integers(0, 200, (64, 64))], "not a label map: its 199 values form"),
    "smooth picture": (
        [np.rint(60000 * gaussian_filter(np.random.default_rng(0).random((96, 96)), 6)).astype(int)],
        "not a label map",
    ),
    "gradient": ([np.add.outer(np.arange(64), np.arange(64))], "100% of neighbouring labelled pixels differ"),
}
PASSED: dict[str, Masks] = {
    "label maps": three(lambda m: m),
    "empty": [np.zeros((9, 9), int)] * 3,
    "one empty": [cells(), np.zeros((9, 9), int)],
    "one cell each": [(cells(s, 1) > 0) * 1 for s in range(5)],
    "one cell each, 255": [(cells(s, 1) > 0) * 255 for s in range(5)],
    "one big cell": [np.pad(np.ones((60, 60), int), 4)],
    "one cell that fills the image": [np.ones((40, 40), int), cells()],
    "one cell in two pieces": [(cells(0, 2) > 0) * 1],
    "one cell of many in two pieces": [np.where(cells() == 2, 1, cells())],
    "one cell in four pieces among label maps": [cells(0), cells(1), (cells(2, 4) > 0) * 1],
    "one crop of forty in pieces": [(cells(s, 1) > 0) * 1 for s in range(39)] + [(cells(0, 2) > 0) * 1],
    "a cell with a hole and debris": [np.where(cells() == 1, 0, 1) * (cells(3, 1, 30) > 0)],
    "gaps and large numbers": three(lambda m: m.astype(np.int64) * 9973),
    "tracks": three(lambda m: np.array([0, 3, 17, 80, 111, 254, 255])[m]),
    "255 objects": [grid(15, 17)],
    "300 objects in 16 bits": [grid(15, 20)],
    "grains without background": [tiled(np.random.default_rng(s)) for s in range(4)],
    "grains in one mask": [tiled(np.random.default_rng(9))],
    "packed cells": [np.kron(np.arange(1, 257).reshape(16, 16), np.ones((5, 5), int))],
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_label_map_is_refused_with_a_way_out(name: str) -> None:
    masks, says = REFUSED[name]
    with pytest.raises(DataError, match=says) as error:
        ask(masks)
    assert "\n" not in str(error.value)
    assert "--" in str(error.value)


@pytest.mark.parametrize("name", PASSED)
def test_label_maps_pass(name: str) -> None:
    ask(PASSED[name])


def test_where_each_piece_becomes_an_object_nothing_is_asked_about_pieces() -> None:
    for name in ("0 and 255", "0 and 1", "four types", "saturated"):
        ask(REFUSED[name][0], in_pieces=False)
    for name in ("ilastik", "background of 255", "boundary of 255"):
        with pytest.raises(DataError, match=REFUSED[name][1]):
            ask(REFUSED[name][0], in_pieces=False)


def test_the_ways_out_are_those_of_the_command() -> None:
    with pytest.raises(DataError, match=r"use --components .*, --semantic for classes, or --trust-masks"):
        check_mask(mask_statistics((cells() > 0) * 255, "a.png"), SCORE_OPTIONS)


def test_a_mask_is_measured() -> None:
    mask = np.zeros((8, 10), np.uint8)
    mask[0, :4], mask[2, :4], mask[4:6, 2:5] = 3, 3, 9
    assert mask_statistics(mask, "a") == MaskStatistics(
        where="a",
        label_count=2,
        values=(3, 9),
        has_background=True,
        largest=9,
        second_largest=3,
        consecutive=False,
        dominant=3,
        dominant_fraction=0.1,
        median_other_area=6.0,
        dominant_on_all_sides=False,
        components_per_label=1.5,
        disconnected_labels=(3,),
        components_of_only_label=0,
        components_of_largest=1,
        differing_fraction=0.0,
        holes=0,
    )


@pytest.mark.parametrize(
    "folder",
    ["fluo_nuclei_dsb2018/test", "phase_usiigaci/test", "histology_dsb2018/test", "wells_bbbc039"],
)
def test_real_label_maps_pass_and_real_images_are_no_label_maps(real_data: Path, folder: str) -> None:
    maps = sorted((real_data / folder / "labels").glob("*.png"))[:40]
    looks = [mask_statistics(read_array(path), path.name) for path in maps]
    for seen in looks:
        check_mask(seen)
        check_masks([seen], folder)
    check_masks(looks, folder)
    for path in sorted((real_data / folder / "images").glob("*.png"))[:2]:
        image = read_array(path)
        with pytest.raises(DataError, match=f"{path.name}: not a label map"):
            check_mask(mask_statistics(image if image.ndim == 2 else image[..., 0], path.name))
