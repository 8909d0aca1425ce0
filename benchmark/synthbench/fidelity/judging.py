"""The figures of one set of synthetic images, or samples, against real ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from synthbench.errors import DataError
from synthbench.fidelity.looking import Eye, Seen, look, open_eye
from synthbench.fidelity.reading import Pictures, open_pictures
from synthbench.metrics.features import distance_names
from synthbench.metrics.frechet import frechet_distance
from synthbench.metrics.kernel import kernel_distance, kernel_interval
from synthbench.metrics.memorisation import authenticity, data_copying, nearest_training, nearness
from synthbench.metrics.prdc import NEIGHBOURS, prdc
from synthbench.metrics.realism import compare_masks
from synthbench.metrics.similarity import SIDE
from synthbench.plugin.api import Context, Progress, silent
from synthbench.samples import Task

SEED = 0
"""Which images are taken of the larger set."""

LEAST = NEIGHBOURS + 1

SAME = 0.15
"""Distance of thumbnails, √(2 − 2r), below which two real images are called one: a correlation of .99."""


def judge(
    synthetic: str | Path,
    real: str | Path,
    *,
    train: str | Path | None = None,
    encoder: str | None = None,
    config: Mapping[str, Any] | None = None,
    task: Task | None = None,
    components: bool = False,
    device: str = "cpu",
    threads: int = 1,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Compare synthetic images, and their masks where both sets have some, with real ones.

    Equally many images of each set are compared, for every distance depends on their number: the larger sets are
    thinned by a fixed seed. The floor is what real training images reach against the real ones, at the same number.

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
        How masks are understood; see `datasets.importing.import_set`.
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
    sets = {name: open_pictures(path, task=task, components=components) for name, path in paths.items()}
    fewest = min(sets.values(), key=len)
    n = len(fewest)
    if n < LEAST:
        raise DataError(f"{fewest.path}: {n} images; at least {LEAST} are needed")
    eye = open_eye(encoder, config or {}, Context(device=device, threads=threads))
    seen = _look_at_all(sets, n, eye, progress)
    _same_treatment(sets)
    floor = seen["train"].take(chosen(len(seen["train"].names), n)) if train is not None else None
    memorisation = _memorisation(seen) if train is not None else None
    return {
        "n": n,
        "images": {
            name: {"path": str(part.path), "found": part.found, "count": len(part)} for name, part in sets.items()
        },
        "seed": SEED,
        "encoder": {"name": eye.name, "variant": eye.variant, "fingerprint": eye.fingerprint},
        **_distances(seen["synthetic"], seen["real"], floor, distance_names(eye.name, eye.variant)),
        "memorisation": memorisation,
        "masks": _masks(seen["synthetic"], seen["real"], floor),
        "notes": _notes(sets, seen, memorisation),
    }


def chosen(count: int, n: int) -> list[int]:
    """Return n of `count` positions, in order: the same ones every time."""
    return sorted(np.random.default_rng((SEED, 29)).permutation(count)[:n].tolist())


def _look_at_all(sets: Mapping[str, Pictures], n: int, eye: Eye, progress: Progress) -> dict[str, Seen]:
    """Look at n images of each set, and at all training images."""
    wanted = {name: list(range(len(part))) if name == "train" else chosen(len(part), n) for name, part in sets.items()}
    total, before = sum(map(len, wanted.values())), 0
    seen = {}
    for name, part in sets.items():
        already = before

        def report(done: int, already: int = already) -> None:
            progress(already + done, total, "")

        seen[name] = look(part, wanted[name], eye, report)
        before += len(wanted[name])
    return seen


def _same_treatment(sets: Mapping[str, Pictures]) -> None:
    """Refuse to compare images that were stretched one by one with images that were not."""
    stretched = [part for part in sets.values() if part.stretched]
    plain = [part for part in sets.values() if not part.stretched]
    if stretched and plain:
        raise DataError(
            f"{stretched[0].path}: its floating-point images were rescaled, each from its own minimum … maximum, and "
            f"those of {plain[0].path} were not; save both as uint8 or uint16 on one scale"
        )


def _distances(synthetic: Seen, real: Seen, floor: Seen | None, names: tuple[str, str]) -> dict[str, Any]:
    x, y = synthetic.features, real.features
    low, high = kernel_interval(x, y, SEED)
    return {
        "frechet": {
            "name": names[0],
            "value": frechet_distance(x, y),
            "floor": frechet_distance(floor.features, y) if floor else None,
        },
        "kernel": {
            "name": names[1],
            "value": kernel_distance(x, y),
            "low": low,
            "high": high,
            "floor": kernel_distance(floor.features, y) if floor else None,
        },
        "prdc": {
            "neighbours": NEIGHBOURS,
            "synthetic": dict(prdc(y, x)),
            "floor": dict(prdc(y, floor.features)) if floor else None,
        },
    }


def _memorisation(seen: Mapping[str, Seen]) -> dict[str, Any]:
    """Look for copies of training images, judged by real ones, and of real ones, judged by training images.

    A real image that is a training image too was never held out, and judges nothing.
    """
    synthetic, real, train = (seen[name] for name in ("synthetic", "real", "train"))
    small = {name: part.thumbnails for name, part in seen.items()}
    distance, near_train = nearest_training(small["synthetic"], small["train"])
    held_out = nearest_training(small["real"], small["train"])[0]
    to_real, near_real = nearest_training(small["synthetic"], small["real"])
    unlike = nearest_training(small["train"], small["real"])[0]
    new = held_out >= SAME
    if min(new.sum(), (unlike >= SAME).sum()) < LEAST:
        raise DataError(
            f"{len(new) - new.sum()} of the {len(new)} real images are training images too; give real images that the "
            "generator didn't see, or leave out --train"
        )
    found, leaked = nearness(distance, held_out[new]), nearness(to_real, unlike[unlike >= SAME])

    def pairs(positions: list[int], which: np.ndarray, others: Seen, how: np.ndarray) -> list[dict[str, Any]]:
        return [
            {"image": synthetic.names[i], "of": others.names[which[i]], "distance": float(how[i])} for i in positions
        ]

    return {
        "training_images": len(train.names),
        "held_out_images": int(new.sum()),
        "real_in_train": int(len(new) - new.sum()),
        "side": SIDE,
        **found,
        "copies": pairs(found["copies"], near_train, train, distance),
        "leaked_yardstick": leaked["yardstick"],
        "leaked": pairs(leaked["copies"], near_real, real, to_real),
        "authenticity": authenticity(train.features, synthetic.features),
        "authenticity_held_out": authenticity(train.features, real.features[new]),
        "c_t": data_copying(train.features, real.features[new], synthetic.features),
    }


def _masks(synthetic: Seen, real: Seen, floor: Seen | None) -> dict[str, Any] | None:
    ours, theirs = synthetic.masks, real.masks
    if ours is None or theirs is None:
        return None
    return {name: dict(gap) for name, gap in compare_masks(ours, theirs, floor.masks if floor else None).items()}


def _notes(sets: Mapping[str, Pictures], seen: Mapping[str, Seen], memorisation: Mapping[str, Any] | None) -> list[str]:
    """Return what a reader of the figures should know, a sentence each."""
    said = [
        f"{name}: {line}" for name, part in sets.items() for line in part.notes() if not line.startswith("objects:")
    ]
    forms = {name: ", ".join(sorted(set(part.forms))) for name, part in seen.items()}
    if len(set(forms.values())) > 1:
        said.append("pixels differ: " + "; ".join(f"{name} {form}" for name, form in forms.items()))
    areas = {name: float(np.median(part.areas)) for name, part in seen.items()}
    if max(areas.values()) > 1.1 * min(areas.values()):
        told = "; ".join(f"{name} {area:,.0f}" for name, area in areas.items())
        said.append(
            f"sizes differ, in pixels: {told}; images are resized for the encoder, masks are measured as they are"
        )
    if any(part.masks == "semantic" for part in sets.values()):
        said.append("masks of classes are not compared; those of objects are")
    if memorisation and memorisation["real_in_train"]:
        said.append(
            f"{memorisation['real_in_train']} of the {len(seen['real'].names)} real images are training images too: "
            "too near for a floor; the search for copies leaves them out"
        )
    return said
