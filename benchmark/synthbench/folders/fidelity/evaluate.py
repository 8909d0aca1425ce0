"""The figures of one set of synthetic images, or samples, against real ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from synthbench.datasets.intensity_scale import RESCALED
from synthbench.errors import DataError
from synthbench.folders.fidelity.feature_extraction import Eye, Look, look, open_eye
from synthbench.folders.fidelity.reading import Pictures, open_pictures
from synthbench.metrics.comparison import LEAST, distances, kernel, masks
from synthbench.metrics.duplicates import NotHeldOut, copies
from synthbench.plugin.api import Context, Progress, silent
from synthbench.samples import Task

SEED = 0
"""Which images are taken of the larger set."""


def judge(
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

    The kernel distance and the search for copies take all images of all sets. The other distances depend on the number
    of images, so equally many of each set are compared: the larger sets are thinned by a fixed seed. The floor is what
    real training images reach against the real ones, in the same way.

    Parameters
    ----------
    synthetic, real
        Folders: images, or annotated images in any form that can be imported. The real ones should be test images.
    train
        The real images that the generator was trained on: for the floor, and to look for copies of any of them.
    encoder, config
        Name of an encoder plugin, and keys of its configuration. By default Inception where its weights are on the
        machine, else the untrained network.
    task, components
        How masks are understood; see `datasets.importing.prepare_import`.
    white
        The value that is white in the images of all folders that aren't sample sets.
    device, threads, progress
        Where the encoder runs, and who is told how far it is.

    Returns
    -------
    dict
        Plain numbers, texts and lists, ready for JSON; `None` where there is nothing to say. Keys: ``n``,
        ``images``, ``seed``, ``encoder``, ``frechet``, ``kernel``, ``prdc``, ``memorisation``, ``masks``, ``notes``.

    Raises
    ------
    DataError, ConfigError, PluginError
        If a folder or the encoder can't be used, there are too few images, or the sets weren't treated alike.
    """
    paths = {"synthetic": synthetic, "real": real} | ({"train": train} if train is not None else {})
    sets = {name: open_pictures(path, task=task, components=components, white=white) for name, path in paths.items()}
    fewest = min(sets.values(), key=len)
    n = len(fewest)
    if n < LEAST:
        raise DataError(f"{fewest.path}: {n} images; at least {LEAST} are needed")
    eye = open_eye(encoder, config or {}, Context(device=device, threads=threads))
    looks = _look_at_all(sets, eye, progress)
    _same_treatment(sets)
    seen = {name: look.seen for name, look in looks.items()}
    same = {name: part.take(chosen(len(part.names), n)) for name, part in seen.items()}
    floor = same.get("train")
    try:
        memorisation = copies(seen["synthetic"], seen["real"], seen["train"]) if train is not None else None
    except NotHeldOut as error:
        raise DataError(f"{error}; give real images that the generator didn't see, or leave out --train") from None
    return {
        "n": n,
        "images": {
            name: {"path": str(part.path), "found": part.found, "count": len(part)} for name, part in sets.items()
        },
        "seed": SEED,
        "encoder": {"name": eye.name, "variant": eye.variant, "fingerprint": eye.fingerprint},
        "kernel": kernel(seen["synthetic"], seen["real"], seen.get("train"), eye.name, eye.variant),
        **distances(same["synthetic"], same["real"], floor, eye.name, eye.variant),
        "memorisation": memorisation,
        "masks": masks(same["synthetic"], same["real"], floor),
        "notes": _notes(sets, looks, memorisation),
    }


def chosen(count: int, n: int) -> list[int]:
    """Return n of `count` positions, in order: the same ones every time."""
    return sorted(np.random.default_rng((SEED, 29)).permutation(count)[:n].tolist())


def _look_at_all(sets: Mapping[str, Pictures], eye: Eye, progress: Progress) -> dict[str, Look]:
    """Look at all images of each set, in their order."""
    total, before = sum(map(len, sets.values())), 0
    seen = {}
    for name, part in sets.items():
        already = before

        def report(done: int, already: int = already) -> None:
            progress(already + done, total, "")

        seen[name] = look(part, range(len(part)), eye, report)
        before += len(part)
    return seen


def _same_treatment(sets: Mapping[str, Pictures]) -> None:
    """Refuse to compare sets whose images were brought to scales of their own."""
    rules = {name: part.rule for name, part in sets.items()}
    told = [name for name, rule in rules.items() if rule]
    own = [name for name in told if RESCALED in rules[name]]
    if (own and len(set(rules.values())) > 1) or len({rules[name] for name in told}) > 1:
        first = (own or told)[0]
        other = next(name for name in sets if rules[name] != rules[first])
        raise DataError(
            f"{sets[first].path}: its images are {rules[first]}, and those of {sets[other].path} aren't; save both as "
            "uint8 or uint16 on one scale, or say by --white which value is white in both"
        )


def _notes(sets: Mapping[str, Pictures], looks: Mapping[str, Look], found: Mapping[str, Any] | None) -> list[str]:
    """Return what a reader of the figures should know, a sentence each."""
    said = [
        f"{name}: {line}" for name, part in sets.items() for line in part.notes() if not line.startswith("objects:")
    ]
    forms = {name: ", ".join(sorted(set(part.forms))) for name, part in looks.items()}
    if len(set(forms.values())) > 1:
        said.append("pixels differ: " + "; ".join(f"{name} {form}" for name, form in forms.items()))
    areas = {name: float(np.median(part.areas)) for name, part in looks.items()}
    if max(areas.values()) > 1.1 * min(areas.values()):
        told = "; ".join(f"{name} {area:,.0f}" for name, area in areas.items())
        said.append(
            f"sizes differ, in pixels: {told}; images are resized for the encoder, masks are measured as they are"
        )
    if any(part.masks == "semantic" for part in sets.values()):
        said.append("masks of classes are not compared; those of objects are")
    if found and found["real_in_train"]:
        said.append(
            f"{found['real_in_train']} of the {len(looks['real'].forms)} real images are training images too: "
            "too near for a floor; the search for copies leaves them out"
        )
    return said
