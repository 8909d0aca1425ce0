"""Frames of results as a study leaves them, made from chosen effects, so that the truth is known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd

IOUS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
EFFECTS = {"real": 0.0, "real + duplicate × 50": 0.002, "real + pix2pix × 50": 0.03, "real + shuffled × 50": -0.12}


MASKS = ("area", "eccentricity", "solidity", "spacing", "count", "covered", "touching")
HEAD = ["dataset", "fold", "fraction", "arm", "generator", "synthetic", "segmenter", "generator_seed", "seed"]


def parts(arm: str) -> tuple[str, int]:
    """Return the generator and the number of synthetic samples that an arm's name tells of."""
    if arm == "real":
        return "", 0
    generator, count = arm.removeprefix("real + ").split(" × ")
    return generator, int(count)


def images(
    effects: dict[str, float] = EFFECTS,
    *,
    segmenters: tuple[str, ...] = ("unet", "stardist"),
    seeds: int = 3,
    count: int = 50,
    ious: tuple[float, ...] = IOUS,
    image_spread: float = 0.08,
    effect_spread: float = 0.02,
    seed_spread: float = 0.006,
    dataset: str = "phantom-nuclei",
    fraction: int = 45,
    rng_seed: int = 0,
) -> pd.DataFrame:
    """Return an `images` frame: recall = precision = .85 + effect + noise, falling with the IoU threshold.

    Noise: `image_spread` per image, common to all arms; `effect_spread` per arm and image; `seed_spread` per training.
    """
    rng = np.random.default_rng((5, rng_seed))
    objects = rng.integers(20, 60, count)
    base = rng.normal(0, image_spread, count)
    heads, hits, levels = [], [], []
    for segmenter in segmenters:
        for arm, effect in effects.items():
            generator, synthetic = parts(arm)
            own = rng.normal(0, effect_spread, count) if generator else np.zeros(count)
            for seed in range(seeds):
                level = 0.85 + effect + base + own + rng.normal(0, seed_spread)
                heads.append(
                    (dataset, 0, fraction, arm, generator, synthetic, segmenter, 0.0 if generator else np.nan, seed)
                )
                levels.append(level)
                fit = level - 0.9 * (np.array(ious)[:, None] - 0.5) ** 1.5
                hits.append(np.minimum.accumulate(rng.binomial(objects, np.clip(fit, 0.02, 0.99))))
    size = (len(heads), len(ious), count)

    def spread(values: object, axis: int) -> np.ndarray:
        shape = [1, 1, 1]
        shape[axis] = size[axis]
        return np.broadcast_to(np.asarray(values).reshape(shape), size).ravel()

    numbers = np.arange(count)
    tp, true = np.array(hits).ravel(), spread(objects, 2)
    return pd.DataFrame(
        {
            **{name: spread(column, 0) for name, column in zip(HEAD, zip(*heads, strict=True), strict=True)},
            "image": spread([f"test-{i:03d}" for i in numbers], 2),
            "difficulty": spread(np.where(numbers % 2, "hard", "easy"), 2),
            "iou": spread(ious, 1),
            "true": true,
            "predicted": true,
            "tp": tp,
            "fp": true - tp,
            "fn": true - tp,
            "dice": np.repeat(np.clip(np.array(levels)[:, None] + 0.05, 0, 1), len(ious), axis=1).ravel(),
            "group:cell_type": spread(np.where(numbers % 3, "A172", "SkBr3"), 2),
        }
    )


def f1_by_hand(images: pd.DataFrame, arm: str, iou: float = 0.5) -> float:
    """Return the F-score of an arm: counts of the images summed per training, then the mean over trainings."""
    rows = images[(images["arm"] == arm) & (images["iou"] == iou)]
    sums = rows.groupby(["fold", "seed"])[["tp", "fp", "fn"]].sum()
    return float((2 * sums["tp"] / (2 * sums["tp"] + sums["fp"] + sums["fn"])).mean())


def runs(images: pd.DataFrame) -> pd.DataFrame:
    """Return the `runs` frame that goes with an `images` frame: all done, with plausible cost."""
    table = images[HEAD].drop_duplicates().reset_index(drop=True)
    scale = table["segmenter"].map({"unet": 1.0}).fillna(2.5)
    trained = table["generator"].eq("pix2pix")
    return table.assign(
        status="ok",
        error="",
        coco_ap=0.6,
        coco_ap50=0.8,
        coco_ap75=0.62,
        unscored=False,
        fit_seconds=60 * scale + table["seed"],
        predict_seconds=4.0,
        generator_steps=np.where(table["generator"] == "", np.nan, np.where(trained, 2_000.0, 0.0)),
        generator_seconds=np.where(trained, 214.0, np.where(table["generator"] == "", np.nan, 0.2)),
        draw_seconds=np.where(table["generator"] == "", np.nan, np.where(trained, 9.0, 1.5)),
        peak_memory_mb=900.0 * scale,
        gpu_memory_mb=np.nan,
        device="cpu",
    )


def fidelity(images: pd.DataFrame, encoder: str = "untrained") -> pd.DataFrame:
    """Return the `fidelity` frame of the generators that occur."""
    names = [g for g in images["generator"].unique() if g]
    rows = [
        {
            "dataset": images["dataset"].iloc[0],
            "fold": 0,
            "fraction": images["fraction"].iloc[0],
            "generator": name,
            "generator_seed": 0,
            "encoder": encoder,
            "metric_fd": "FID" if encoder == "inception" else f"FD({encoder})",
            "metric_kd": "KID" if encoder == "inception" else f"KD({encoder})",
            "fd": 12.0 + 8 * i,
            "kd": 0.004 + 0.01 * i,
            "kd_low": 0.001 + 0.01 * i,
            "kd_high": 0.008 + 0.01 * i,
            "n": 45,
            "area": 65_536.0,
            "test_area": 65_536.0,
            "real_vs_real_fd": 9.5,
            "kd_p": 0.0005 + 0.01 * i,
            "real_vs_real_kd": 0.0007,
            "real_vs_real_kd_low": 0.0001,
            "real_vs_real_kd_high": 0.0019,
            "real_vs_real_kd_p": 0.4,
            "kd_n": 50,
            "kd_test_n": 45,
            "kd_train_n": 60,
            **dict.fromkeys(("precision", "recall", "density", "coverage"), 0.8 - 0.1 * i),
            **{f"real_vs_real_{name}": 0.9 for name in ("precision", "recall", "density", "coverage")},
            "synthetic_images": 50,
            "train_duplicates": 50 * (name in ("duplicate", "shuffled")),
            "test_duplicates": 0,
            "authenticity": 0.6,
            "authenticity_held_out": 0.7,
            "c_t": -0.5,
            **{f"mask_{name}": 0.1 + i for name in MASKS},
            **{f"real_vs_real_mask_{name}": 0.05 for name in MASKS},
        }
        for i, name in enumerate(names)
    ]
    return pd.DataFrame(rows)


def label_consistency(images: pd.DataFrame) -> pd.DataFrame:
    """Return the `label_consistency` frame: on each generator's images the segmenters do as well as on test images."""
    real = images[images["arm"] == "real"].drop(columns=["arm", "synthetic"])
    names = [g for g in images["generator"].unique() if g]
    parts = [real.assign(generator=name, generator_seed=0) for name in names]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def results(table: pd.DataFrame | None = None, **choices: object) -> SimpleNamespace:
    """Return results of the form that `synthbench.load_results` gives."""
    made = images(**choices) if table is None else table  # type: ignore[arg-type]
    done = runs(made)
    tasks = pd.DataFrame(
        {
            "kind": "fit-segmenter",
            "key": [f"{i:064x}" for i in range(len(done))],
            "label": done["segmenter"] + " on " + done["arm"] + " · seed " + done["seed"].astype(str),
            "plugin": done["segmenter"],
            "status": "done",
            "stage": "",
            "error": "",
            "seconds": done["fit_seconds"],
            "peak_memory_mb": done["peak_memory_mb"],
            "gpu_memory_mb": np.nan,
            "stored": True,
        }
    )
    study = SimpleNamespace(
        name="phantom-nuclei",
        budget=SimpleNamespace(name="quick", steps=None, score_by_steps=None),
        segmenters=[SimpleNamespace(budget=None)],
        real_amounts=[1.0],
        synthetic=["1x"],
        border_objects="include",
        iou=0.5,
        decide=None,
        to_yaml=lambda: "name: phantom-nuclei\nsegmenters: [unet]\n",
    )
    return SimpleNamespace(
        study=study,
        images=made,
        runs=done,
        fidelity=fidelity(made),
        label_consistency=label_consistency(made),
        tasks=tasks,
    )


def lose(
    found: SimpleNamespace, lost: pd.Series, error: str = "fit-segmenter: Diverged: loss is NaN"
) -> SimpleNamespace:
    """Return results in which these rows of `runs` (a mask) failed: nothing scored, the error kept."""
    keys = ["arm", "segmenter", "seed"]
    gone = set(map(tuple, found.runs.loc[lost, keys].to_numpy()))
    kept = [tuple(row) not in gone for row in found.images[keys].to_numpy()]
    table = found.runs.copy()
    table.loc[lost, "status"] = "failed"
    table.loc[lost, "error"] = error
    table.loc[lost, ["coco_ap", "coco_ap50", "coco_ap75", "fit_seconds", "predict_seconds"]] = np.nan
    table["unscored"] = table["unscored"].astype(object).where(~lost, None)
    tasks = found.tasks.copy()
    tasks.loc[lost.to_numpy(), ["status", "stage", "error", "stored"]] = ["failed", "fit", error, False]
    return SimpleNamespace(
        study=found.study,
        images=found.images[kept],
        runs=table,
        fidelity=found.fidelity,
        label_consistency=found.label_consistency,
        tasks=tasks,
    )
