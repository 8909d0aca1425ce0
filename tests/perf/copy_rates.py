"""How often the search for copies is right: innocent images, images painted to training masks, and spoilt copies.

``python tests/perf/copy_rates.py FOLDER``, with a folder of annotated images, prints a column of the table of
``docs/fidelity.md``. Real images are dealt out at random, again and again, into training, held-out and innocent ones;
every training image is painted anew from its mask alone, and copied and spoilt, under three kinds of masks. A third of
the images is kept apart: a small network learns from them to paint, and never sees the others.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from synthbench import Context, Sample, SampleSet
from synthbench.folders.fidelity.reading import open_pictures
from synthbench.metrics.duplicates import find_duplicates
from synthbench.metrics.feature_set import FeatureSet
from synthbench.metrics.residuals import Residuals
from synthbench.metrics.similarity import oriented as turned
from synthbench.plugin.registry import registry
from synthbench.toolkit.masks.sampler import MaskSampler

CONTROLS = ("duplicate", "shuffled", "classic", "copy-paste")
STEPS, PATCH = 400, 96


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="real images and their masks of objects")
    parser.add_argument("--images", type=int, default=300, help="at most so many, in an order drawn by a fixed seed")
    parser.add_argument("--splits", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    pictures = open_pictures(given.folder)
    order = np.random.default_rng(0).permutation(len(pictures))[: given.images]
    every = [Sample(f"{i:06d}", *pictures.read(int(i))[:2]) for i in order]
    apart, rest = every[: len(every) // 3], every[len(every) // 3 :]
    makers: dict[str, Callable[[Sample, np.random.Generator], np.ndarray]] = {
        **PAINTERS,
        "painted: learned": learned(apart),
    }
    print(f"{len(rest)} of {len(every)} images of {given.folder}, {given.splits} splits", flush=True)
    sampler = MaskSampler([sample.labels for sample in rest], mode="recombine")
    masks = {
        "training": [s.labels for s in rest],
        "recombined": [sampler.sample_mask(i, 0).labels for i in range(len(rest))],
    }
    plain = seen([s.image for s in rest], masks["training"])
    made = {
        name: seen([make(s, rng(name, i)) for i, s in enumerate(rest)], masks["training"])
        for name, make in makers.items()
    }
    for name, spoil in SPOILT.items():
        images = [spoil(s, rng(name, i)) for i, s in enumerate(rest)]
        made[f"{name}, training mask"] = seen(images, masks["training"])
        made[f"{name}, other mask"] = seen(images, fitting(images, masks["recombined"]))
        made[f"{name}, no mask"] = seen(images)
    shares = defaultdict(list)
    for split in range(given.splits):
        deal = np.random.default_rng((1, split))
        places = deal.permutation(len(rest))
        train, held_out, innocent = np.split(places, [len(rest) // 2, 3 * len(rest) // 4])
        training, real = plain.take(train), plain.take(held_out)
        shares["innocent"].append(share(plain.take(innocent), real, training))
        for name, looked in made.items():
            shares[name].append(share(around(looked.take(train), deal), real, training))
    for name, found in shares.items():
        print(f"{name} | {np.mean(found):.1%} | at most {np.max(found):.1%} in a split", flush=True)
    train, held_out, _ = np.split(np.arange(len(rest)), [len(rest) // 2, 3 * len(rest) // 4])
    for name in CONTROLS:
        generator = registry().load("generator", name)()
        generator.fit(SampleSet.of([rest[i] for i in train]), Context())
        drawn = generator.sample_batch(range(len(train)), 0)
        looked = seen([s.image for s in drawn], [s.labels for s in drawn])
        print(f"{name} | {share(looked, plain.take(held_out), plain.take(train)):.1%}", flush=True)


def rng(name: str, index: int) -> np.random.Generator:
    return np.random.default_rng((index, *name.encode()))


def seen(images: Sequence[np.ndarray], masks: Sequence[np.ndarray] | None = None) -> FeatureSet:
    """Look at images; features aren't in question."""
    found = FeatureSet()
    for i, image in enumerate(images):
        found.add(f"{i:06d}", image, None if masks is None else masks[i])
    found.features = np.array([[image.mean(), image.std()] for image in images])
    return found


def share(synthetic: FeatureSet, real: FeatureSet, train: FeatureSet) -> float:
    return len(find_duplicates(synthetic, real, train)["train_duplicates"]) / len(synthetic.names)


def around(looked: FeatureSet, rng: np.random.Generator) -> FeatureSet:
    """Return the same images with their masks, each in one of the eight positions."""
    turns = rng.integers(8, size=len(looked.names)).tolist()
    for part in (looked.image_thumbnails, looked.mask_thumbnails):
        part[:] = map(turn, part, turns)
    looked.residuals[:] = [
        Residuals(turn(one.texture, way), turn(one.brightness, way), one.effective_objects)
        for one, way in zip(looked.residuals, turns, strict=False)
    ]
    return looked


def turn(picture: np.ndarray, way: int) -> np.ndarray:
    square = picture.reshape(1, round(picture.size**0.5), -1)
    return np.ascontiguousarray(turned(square, way)).ravel()


def fitting(images: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return for each image a mask of its size: of those that come after its own, the first."""
    found = []
    for i, image in enumerate(images):
        others = [*masks[i + 1 :], *masks[: i + 1]]
        found.append(next(mask for mask in others if mask.shape == image.shape[:2]))
    return found


def reach(image: np.ndarray) -> float:
    low, high = np.percentile(image, (0.1, 99.9))
    return max(float(high - low), 1.0)


def back(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Return grey values as an image of another's type and channels."""
    grey = np.clip(np.rint(values), 0, np.iinfo(like.dtype).max).astype(like.dtype)
    return grey if grey.ndim == like.ndim else np.repeat(grey[..., None], 3, axis=2)


def flat(sample: Sample, rng: np.random.Generator) -> np.ndarray:
    inside, scale = sample.labels > 0, reach(sample.image)
    return back(
        ndimage.gaussian_filter(0.5 * scale * inside, 1.0) + rng.normal(0, 0.02 * scale, inside.shape), sample.image
    )


def shaded(sample: Sample, rng: np.random.Generator) -> np.ndarray:
    scale, depth = reach(sample.image), ndimage.distance_transform_edt(sample.labels > 0)
    light = np.append(0, rng.uniform(0.3, 1, int(sample.labels.max())))[sample.labels]
    shape = ndimage.gaussian_filter(light * np.sqrt(np.minimum(depth, 10) / 10), 1.5)
    return back(scale * shape + rng.normal(0, 0.01 * scale, depth.shape), sample.image)


def levels(sample: Sample, rng: np.random.Generator) -> np.ndarray:
    """Each object, and the background, at its own mean: the most that a mask can be told without a texture."""
    grey, scale = np.atleast_3d(sample.image).mean(axis=2), reach(sample.image)
    means = np.nan_to_num(ndimage.mean(grey, sample.labels, np.arange(int(sample.labels.max()) + 1)))
    return back(
        ndimage.gaussian_filter(means[sample.labels], 1.0) + rng.normal(0, 0.02 * scale, grey.shape), sample.image
    )


def learned(samples: Sequence[Sample]) -> Callable[[Sample, np.random.Generator], np.ndarray]:
    """Return a painter: a network that has learned from these samples how images look where masks are so."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(5, 16, 5, padding=2), nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=2, dilation=2), nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=4, dilation=4), nn.ReLU(),
        nn.Conv2d(16, 1, 3, padding=1),
    )  # fmt: skip
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    rng = np.random.default_rng(2)
    pairs = [(planes(s.labels), standardised(s.image)) for s in samples]
    for _ in range(STEPS):
        inputs, aims = [], []
        for _ in range(4):
            told, grey = pairs[rng.integers(len(pairs))]
            top, left = (int(rng.integers(size - PATCH + 1)) for size in grey.shape)
            here = np.s_[top : top + PATCH, left : left + PATCH]
            inputs.append(np.concatenate([told[:, *here], rng.standard_normal((1, PATCH, PATCH)).astype(np.float32)]))
            aims.append(grey[None, *here])
        loss = (network(torch.tensor(np.stack(inputs))) - torch.tensor(np.stack(aims))).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    @torch.no_grad()
    def paint(sample: Sample, rng: np.random.Generator) -> np.ndarray:
        grain = rng.standard_normal((1, *sample.labels.shape)).astype(np.float32)
        drawn = network(torch.tensor(np.concatenate([planes(sample.labels), grain])[None]))[0, 0].numpy()
        grey = np.atleast_3d(sample.image).mean(axis=2)
        noise = rng.normal(0, 0.01 * reach(sample.image), grey.shape)
        return back(drawn * grey.std() + np.median(grey) + noise, sample.image)

    return paint


def planes(labels: np.ndarray) -> np.ndarray:
    inside, seam = labels > 0, np.zeros(labels.shape, bool)
    seam[1:] |= labels[1:] != labels[:-1]
    seam[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    depth, away = ndimage.distance_transform_edt(inside), ndimage.distance_transform_edt(~inside)
    return np.stack([inside, np.minimum(depth, 20) / 20, np.minimum(away, 40) / 40, seam]).astype(np.float32)


def standardised(image: np.ndarray) -> np.ndarray:
    grey = np.atleast_3d(image).mean(axis=2).astype(np.float32)
    return (grey - np.median(grey)) / max(float(grey.std()), 1e-3)


def noisy(share: float) -> Callable[[Sample, np.random.Generator], np.ndarray]:
    def spoil(sample: Sample, rng: np.random.Generator) -> np.ndarray:
        return back(sample.image + rng.normal(0, share * reach(sample.image), sample.image.shape), sample.image)

    return spoil


def blurred(sample: Sample, rng: np.random.Generator) -> np.ndarray:
    sigma = (3.0, 3.0, 0.0)[: sample.image.ndim]
    return back(ndimage.gaussian_filter(sample.image.astype(np.float64), sigma), sample.image)


def rooted(sample: Sample, rng: np.random.Generator) -> np.ndarray:
    top = np.iinfo(sample.image.dtype).max
    return back(np.sqrt(sample.image / top) * top, sample.image)


PAINTERS = {"painted: flat": flat, "painted: shaded": shaded, "painted: the objects' own means": levels}
SPOILT = {"noise of .1": noisy(0.1), "noise of .3": noisy(0.3), "blur of 3 pixels": blurred, "square root": rooted}

if __name__ == "__main__":
    main()
