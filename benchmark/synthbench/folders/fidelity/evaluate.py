"""Compute the fidelity of one set of synthetic images, or samples, against real ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from synthbench.datasets.intensity_scale import RESCALED
from synthbench.errors import DataError
from synthbench.folders.fidelity.feature_extraction import ExtractedSet, LoadedEncoder, extract_set, load_encoder
from synthbench.folders.fidelity.reading import Pictures, open_pictures
from synthbench.metrics.comparison import MIN_IMAGES, compare_features, compare_kernel, compare_mask_shapes
from synthbench.metrics.duplicates import TooFewHeldOut, find_duplicates
from synthbench.plugin.api import Context, Progress, silent
from synthbench.samples import Task, check_channels

__all__ = ["SEED", "chosen", "evaluate_fidelity"]

SEED = 0
"""Seed of the choice of images from larger sets."""


def evaluate_fidelity(
    synthetic: str | Path,
    real: str | Path,
    *,
    train: str | Path | None = None,
    encoder: str | None = None,
    config: Mapping[str, Any] | None = None,
    task: Task | None = None,
    components: bool = False,
    white: float | None = None,
    device: str = "cpu",
    threads: int = 1,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Compare synthetic images, and their masks where both sets have some, with real ones.

    The kernel distance and the search for duplicates use all images of all sets. The other distances depend on the
    number of images, so the same number of images of each set is compared; larger sets are subsampled with a fixed
    seed. The real-vs-real figures are those of the real training images in place of the synthetic ones.

    Parameters
    ----------
    synthetic, real
        Folders: images, or annotated images in any form that can be imported. The real ones should be test images.
    train
        The real images that the generator was trained on: for the real-vs-real figures, and to search for duplicates.
    encoder, config
        Name of an encoder plugin, and keys of its configuration. By default Inception if its weights are installed,
        else the untrained network.
    task, components
        How masks are interpreted; see `synthbench.datasets.importing.prepare_import`.
    white
        The value that is white in the images of all folders that aren't sample sets.
    device, threads, progress
        Where the encoder runs, and what reports its progress.

    Returns
    -------
    dict
        Numbers, texts and lists, ready for JSON; None where a figure doesn't apply. Keys: ``n``, ``images``, ``seed``,
        ``encoder``, ``frechet``, ``kernel``, ``prdc``, ``memorisation``, ``masks``, ``notes``.

    Raises
    ------
    DataError, ConfigError, PluginError
        If a folder or the encoder can't be used, there are too few images, or the sets were scaled differently.
    """
    paths = {"synthetic": synthetic, "real": real} | ({"train": train} if train is not None else {})
    sets = {name: open_pictures(path, task=task, components=components, white=white) for name, path in paths.items()}
    smallest = min(sets.values(), key=len)
    n = len(smallest)
    if n < MIN_IMAGES:
        raise DataError(f"{smallest.path}: {n} images; at least {MIN_IMAGES} are needed")
    loaded = load_encoder(encoder, config or {}, Context(device=device, threads=threads))
    extracted = _extract_all(sets, loaded, progress)
    _check_same_scale(sets)
    check_channels(
        (
            (f"{sets[name].path}: {first}", count)
            for name, one in extracted.items()
            for count, first in one.channels.items()
        ),
        "images to compare",
    )
    every = {name: one.features for name, one in extracted.items()}
    equal = {name: features.take(chosen(len(features.names), n)) for name, features in every.items()}
    try:
        memorisation = find_duplicates(every["synthetic"], every["real"], every["train"]) if "train" in every else None
    except TooFewHeldOut as error:
        raise DataError(f"{error}; use real images that the generator wasn't trained on, or omit --train") from None
    return {
        "n": n,
        "images": {
            name: {"path": str(images.path), "found": images.found, "count": len(images)}
            for name, images in sets.items()
        },
        "seed": SEED,
        "encoder": {"name": loaded.name, "variant": loaded.variant, "fingerprint": loaded.fingerprint},
        "kernel": compare_kernel(every["synthetic"], every["real"], every.get("train"), loaded.name, loaded.variant),
        **compare_features(equal["synthetic"], equal["real"], equal.get("train"), loaded.name, loaded.variant),
        "memorisation": memorisation,
        "masks": compare_mask_shapes(equal["synthetic"], equal["real"], equal.get("train")),
        "notes": _notes(sets, extracted, memorisation),
    }


def chosen(count: int, n: int) -> list[int]:
    """Return n of `count` positions in ascending order, always the same ones."""
    return sorted(np.random.default_rng((SEED, 29)).permutation(count)[:n].tolist())


def _extract_all(sets: Mapping[str, Pictures], encoder: LoadedEncoder, progress: Progress) -> dict[str, ExtractedSet]:
    total, before = sum(map(len, sets.values())), 0
    extracted = {}
    for name, images in sets.items():
        offset = before

        def report(done: int, _of_set: int, note: str, offset: int = offset) -> None:
            progress(offset + done, total, note)

        extracted[name] = extract_set(images, encoder, report)
        before += len(images)
    return extracted


def _check_same_scale(sets: Mapping[str, Pictures]) -> None:
    """Refuse to compare sets whose grey values were rescaled by different rules."""
    rules = {name: images.rule for name, images in sets.items()}
    with_rule = [name for name, rule in rules.items() if rule]
    rescaled = [name for name in with_rule if RESCALED in rules[name]]
    if (rescaled and len(set(rules.values())) > 1) or len({rules[name] for name in with_rule}) > 1:
        first = (rescaled or with_rule)[0]
        other = next(name for name in sets if rules[name] != rules[first])
        raise DataError(
            f"{sets[first].path}: its images are {rules[first]}, but those of {sets[other].path} aren't; save both as "
            "uint8 or uint16 on one scale, or give the white value of both with --white"
        )


def _notes(
    sets: Mapping[str, Pictures], extracted: Mapping[str, ExtractedSet], memorisation: Mapping[str, Any] | None
) -> list[str]:
    """Return what a reader of the figures should know, one sentence each."""
    notes = [
        f"{name}: {line}" for name, images in sets.items() for line in images.notes() if not line.startswith("objects:")
    ]
    formats = {name: ", ".join(sorted(set(one.pixel_formats))) for name, one in extracted.items()}
    if len(set(formats.values())) > 1:
        notes.append("pixel types differ: " + "; ".join(f"{name} {form}" for name, form in formats.items()))
    areas = {name: float(np.median(one.areas)) for name, one in extracted.items()}
    if max(areas.values()) > 1.1 * min(areas.values()):
        sizes = "; ".join(f"{name} {area:,.0f}" for name, area in areas.items())
        notes.append(
            f"image sizes differ, in pixels: {sizes}; images are resized for the encoder, masks are measured unresized"
        )
    if any(images.masks == "semantic" for images in sets.values()):
        notes.append("masks of classes are not compared, only masks of objects")
    if memorisation and memorisation["real_in_train"]:
        notes.append(
            f"{memorisation['real_in_train']} of the {len(extracted['real'].pixel_formats)} real images are training "
            "images too: real-vs-real figures are too low; the search for duplicates leaves these images out"
        )
    return notes
