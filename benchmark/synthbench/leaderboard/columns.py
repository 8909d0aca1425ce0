"""What each column of a leaderboard means: one line each, here and nowhere else."""

from __future__ import annotations

import re

DEFINITIONS = {
    "dataset": "Name of the dataset.",
    "task": "What is segmented: instances (objects) or semantic (classes of pixels).",
    "fraction": "Real training images.",
    "folds": "Splits of the dataset into training, validation and test images.",
    "segmenter": "The network that is trained, and scored on real test images.",
    "arm": "What it is trained on: real images alone, or with so many synthetic samples of a generator "
    "(“only”: these alone). Every arm gets the same number of optimiser steps.",
    "generator": "Where the synthetic samples come from; empty for real images alone.",
    "synthetic": "Synthetic samples in the training set.",
    "metric": "The score that Δ and rank are of.",
    "aggregation": "pooled: counts are summed over the test images, then divided. "
    "per_image: scores of single images are averaged; one without true and predicted objects is left out.",
    "f1@mean": "F-score, mean over the IoU thresholds .50, .55 … .95; mean over trainings.",
    "jaccard_ap@mean": "TP / (TP + FP + FN), mean over the IoU thresholds .50, .55 … .95; mean over trainings.",
    "coco_ap": "Area under the precision–recall curve, mean over IoU .50 … .95 (COCO); mean over trainings. "
    "An asterisk: the segmenter gives no score per object, so the value depends on an arbitrary order.",
    "coco_ap50": "COCO's average precision at IoU .50 alone; mean over trainings.",
    "coco_ap75": "COCO's average precision at IoU .75 alone; mean over trainings.",
    "pq": "Panoptic quality (Kirillov 2019), objects matched at IoU above .50: sum of the IoUs of the matched pairs / "
    "(TP + FP/2 + FN/2); mean over trainings.",
    "sq": "Segmentation quality, a factor of panoptic quality: mean IoU of the matched pairs; mean over trainings.",
    "rq": "Recognition quality, the other factor: F-score at IoU above .50; mean over trainings.",
    "aji": "Aggregated Jaccard index (Kumar 2017): pixels that matched objects share / pixels that they cover, with "
    "those of unmatched ones; a predicted object may be matched more than once. Mean over trainings.",
    "aji_plus": "AJI+ (Graham 2019): as AJI, matched one to one. Mean over trainings.",
    "unscored": "True where coco_ap rests on objects without a score.",
    "dice": "Dice coefficient: of the foreground, mean over test images (instances); "
    "of pixels summed over the test set, mean over the classes but the first (semantic). Mean over trainings.",
    "miou": "IoU of pixels summed over the test set, mean over the classes that occur in truth or prediction.",
    "miou_star": "mIoU*: IoU of pixels summed over the test set, mean over the classes that occur in the truth.",
    "cldice": "Centre-line Dice of the foreground, mean over test images: whether thin lines stay whole.",
    "spread": "Standard deviation of the score over trainings; needs at least two.",
    "delta": "Score of the arm minus score of real images alone, paired by seed and test image, with its 95 % interval "
    "over test images and seeds. With one seed, the noise of training in it is assumed. With several generator seeds "
    "it is the mean over all pairs of a generator seed and a segmenter seed; with one, it is of that one trained "
    "generator.",
    "delta_low": "Lower end of the 95 % interval of delta.",
    "delta_high": "Upper end of the 95 % interval of delta.",
    "delta_seeds": "Segmenter seeds behind delta; with 1 and without folds, nothing is known of training again.",
    "delta_pairs": "Pairs of trainings (arm, real) behind delta.",
    "delta_images": "Test images behind delta.",
    "delta_units": "What of them was resampled: groups of test images that the split keeps together, else images.",
    "delta_own_variance": "Whether the trainings of this arm vary more than those of the other arms, so that its "
    "interval is computed from their variance alone.",
    "loose": "Groups that test images share, with the number of their values, although the split doesn't keep them "
    "together: images of one group were treated as independent.",
    "p": "Two-sided p-value of no difference from real, corrected for the number of arms (Holm).",
    "delta_copies": "Score of the arm minus score of real images with as many copies of real images (“duplicate”), "
    "paired, with its 95 % interval: what synthetic images bring beyond seeing real ones more often.",
    "delta_copies_low": "Lower end of the 95 % interval of delta_copies.",
    "delta_copies_high": "Upper end of the 95 % interval of delta_copies.",
    "p_copies": "Two-sided p-value of no difference from copies, corrected for the number of arms (Holm).",
    "worth": "Additional real images that would have brought the same Δ, read off the learning curve of real images, "
    "with its 95 % interval. > or <: beyond the curve's end, which is all that can be said.",
    "worth_low": "Lower end of the 95 % interval of worth.",
    "worth_high": "Upper end of the 95 % interval of worth.",
    "worth_least": "The curve's smallest amount of real images, minus the arm's own.",
    "worth_most": "The curve's largest amount of real images, minus the arm's own.",
    "unchanged": "Trainings that predict just what the same segmenter, fold and seed on real images alone does, on "
    "every test image. Where all do, the arm changed nothing.",
    "headroom": "What more real images bring: score of real images alone at the largest amount minus that at this one, "
    "paired by fold, seed and test image, with its 95 % interval. The positive control of the study.",
    "headroom_low": "Lower end of the 95 % interval of headroom.",
    "headroom_high": "Upper end of the 95 % interval of headroom.",
    "headroom_images": "The largest amount of real images.",
    "headroom_seeds": "Segmenter seeds behind headroom.",
    "recovered": "Share of the headroom that the arm recovers, with its 95 % interval (Fieller's, from the same "
    "resamples); above 100 %: more than the largest amount of real images. Not given where the headroom can't be told "
    "from zero.",
    "recovered_low": "Lower end of the 95 % interval of recovered.",
    "recovered_high": "Upper end of the 95 % interval of recovered.",
    "verdict": "better or worse than real: p below .05 after correction for the number of arms; else undecided. "
    "“one seed”: without training again nothing is decided.",
    "rank": "Place by Δ, that of real images alone being 0, and the range of places that the data allow; arms whose "
    "ranges overlap can't be told apart. Every two arms are compared at 95 % by themselves, not all at once.",
    "rank_low": "Best place that the data allow at 95 %.",
    "rank_high": "Worst place that the data allow at 95 %.",
    "fidelity_n": "Images on each side of the Fréchet distance, of precision … coverage and of masks; the same for "
    "every generator. Folds may differ by an image; this is the fewest.",
    "kd_n": "Synthetic images behind the kernel distance, which takes all there are; of several folds, the fewest.",
    "kd_test_n": "Real test images behind the kernel distance.",
    "kd_train_n": "Real training images behind the kernel distance's floor, and with the test images behind its p.",
    "image_area": "Pixels of a synthetic image, in the median.",
    "test_image_area": "Pixels of a real test image, in the median.",
    "fidelity_sets": "Synthetic sets (folds and generator seeds) behind the figures of fidelity, which are means over "
    "them.",
    "fidelity_sets_planned": "Synthetic sets that were planned.",
    "sets_searched": "Synthetic sets in which copies could be sought: there are held-out real images to judge by.",
    "agreement": "The score that arms are compared by, of this segmenter trained on real images alone, on synthetic "
    "images against their masks: mean over its seeds, with its 95 % interval over synthetic images and seeds. Far "
    "below its score on test images: masks are wrong, or images strange.",
    "agreement_low": "Lower end of the 95 % interval of agreement.",
    "agreement_high": "Upper end of the 95 % interval of agreement.",
    "agreement_seeds": "Segmenter seeds behind agreement.",
    "agreement_images": "Synthetic images behind agreement.",
    "generator_seeds": "Trainings of the generator, or drawings where it isn't trained; with one, all that is said is "
    "about that one.",
    "generator_steps": "Optimiser steps that the generator trains; 0 where it isn't trained.",
    "image_precision": "Share of the synthetic images that lie among real test images, by features: is what is drawn "
    "believable? In brackets the floor, real training images in their place.",
    "image_recall": "Share of the real test images that lie among synthetic ones: is everything drawn? In brackets the "
    "floor.",
    "image_density": "How many real test images surround a synthetic one, as part of the expected: precision that "
    "outliers don't raise. In brackets the floor.",
    "image_coverage": "Share of the real test images with a synthetic one near: recall that outliers don't raise. In "
    "brackets the floor.",
    "copies": "Memorisation: synthetic images that are copies of a training image, flipped, turned and noisy ones too, "
    "of all that were looked at. Nearer than half the distance that 95 % of real test images keep. Where the masks are "
    "alike, what these don't explain of the images is compared.",
    "copies_new": "Of the copies, those whose mask is new or recombined from objects of training masks, of all such "
    "images.",
    "copies_training": "Of the copies, those whose mask is a training mask, turned, warped or as it is, of all such "
    "images.",
    "masks_new": "Synthetic images whose mask is new or recombined from objects of training masks.",
    "masks_training": "Synthetic images whose mask is a training mask, turned, warped or as it is.",
    "leaked": "Synthetic images that are copies of a test image: these should not exist.",
    "synthetic_images": "Synthetic images that were looked at for copies.",
    "authenticity": "Share of the synthetic images that don't crowd a training image, by features (Alaa 2022). In "
    "brackets that of real test images.",
    "authenticity_held_out": "The same share of real test images: innocent images reach this.",
    "c_t": "C_T (Meehan 2020): z of the distances to training images, against those of real test images. Below −3: "
    "nearer than by chance.",
    "mask_area": "Wasserstein distance between the areas of synthetic and of real test objects, in pixels. In brackets "
    "the floor, real training masks in their place.",
    "mask_eccentricity": "The same of eccentricity, 0 (round) … 1.",
    "mask_solidity": "The same of solidity: area as part of the convex hull's.",
    "mask_spacing": "The same of the distance from an object to the next, in pixels.",
    "mask_count": "The same of the number of objects in an image.",
    "mask_covered": "The same of the share of an image's pixels that belong to objects.",
    "mask_touching": "The same of the share of an image's objects that touch another.",
    "lost": "Objects of the training masks that the generator couldn't learn; in all synthetic sets.",
    "removed": "Pieces of drawn masks that were removed: smaller than training objects are, or far larger.",
    "unplaced": "Objects of new masks that found no room.",
    "empty": "Synthetic images without any object.",
    "runs_ok": "Trainings that were done and scored.",
    "runs_planned": "Trainings that were planned.",
    "coverage": "Trainings done / planned. What failed is missing, not zero; means are over what is there.",
    "status": "ok: all trainings are there; partial: some; missing: none.",
    "error": "The first error of what failed.",
    "generator_seconds": "Seconds to train the generator; mean over trainings.",
    "draw_seconds": "Seconds to draw the synthetic samples; mean over drawings.",
    "fit_seconds": "Seconds to train the segmenter; mean over trainings.",
    "predict_seconds": "Seconds to segment and score the test images; mean over trainings.",
    "peak_memory_mb": "Highest resident memory of any task of this arm, in MiB.",
    "gpu_memory_mb": "Highest GPU memory while the segmenter trained, in MiB.",
    "device": "Where the segmenter was trained.",
    "versions": "Of what was installed when it was made: two of a name where its parts were made with both.",
    "code": "Distributions that made it, with version and commit; + where changes weren't committed.",
    "group": "Which grouping of the test images.",
    "value": "The group.",
    "images": "Test images in the group.",
    "score": "The score that arms are compared by, mean over trainings.",
}

_THRESHOLD = re.compile(r"(f1|precision|recall|jaccard_ap)@(0\.\d\d)")
_DISTANCE = re.compile(r"((?:FID|FD|KID|KD)(?:\(.+\))?)( floor low| floor high| floor p| floor| low| high| p)?")
_FORMULAS = {
    "f1": "F-score, 2·TP / (2·TP + FP + FN)",
    "precision": "Precision, TP / (TP + FP)",
    "recall": "Recall, TP / (TP + FN)",
    "jaccard_ap": "TP / (TP + FP + FN), which Cellpose and StarDist call average precision",
}
_TITLES = {"f1": "F1", "precision": "precision", "recall": "recall", "jaccard_ap": "Jaccard AP"}
_PLAIN = {
    "coco_ap": "COCO AP",
    "coco_ap50": "COCO AP@.50",
    "coco_ap75": "COCO AP@.75",
    "pq": "PQ",
    "sq": "SQ",
    "rq": "RQ",
    "aji": "AJI",
    "aji_plus": "AJI+",
    "recovered": "of headroom",
    "worth": "worth, real images",
    "dice": "Dice",
    "miou": "mIoU",
    "miou_star": "mIoU*",
    "cldice": "clDice",
    "fraction": "real images",
    "copies_new": "copies, new masks",
    "copies_training": "copies, training masks",
    "fidelity_n": "n",
    "kd_n": "n of KD",
    "c_t": "C_T",
    "generator_seconds": "fit generator",
    "draw_seconds": "draw",
    "fit_seconds": "fit segmenter",
    "predict_seconds": "predict",
    "peak_memory_mb": "memory",
}


def title(name: str, metric: str = "") -> str:
    """Return the heading of a column.

    Examples
    --------
    >>> title("f1@0.50"), title("delta", "f1@0.50"), title("KD(untrained) floor")
    ('F1@.50', 'Δ F1@.50', 'KD(untrained) floor')
    """
    if name == "delta" and metric:
        return f"Δ {title(metric)}"
    if name == "delta_copies":
        return "Δ from copies"
    if name.startswith(("image_", "mask_")):
        return name.replace("_", " ")
    stem, _, level = name.partition("@")
    if stem in _TITLES and level:
        return f"{_TITLES[stem]} mean" if level == "mean" else f"{_TITLES[stem]}@{level.lstrip('0')}"
    return _PLAIN.get(name, name)


def definition(name: str) -> str:
    """Return one line that says what a column holds.

    Raises
    ------
    KeyError
        If there is no such column.
    """
    if name in DEFINITIONS:
        return DEFINITIONS[name]
    if name.startswith(("image_", "mask_")) and name.endswith(" floor"):
        return f"{name.removesuffix(' floor')} of real training samples: as near as a perfect generator would come."
    if name in ("precision@mean", "recall@mean"):
        formula = _FORMULAS[name.removesuffix("@mean")]
        return f"{formula}, mean over the IoU thresholds .50, .55 … .95; mean over trainings."
    if match := _THRESHOLD.fullmatch(name):
        return f"{_FORMULAS[match[1]]}, objects matched one to one at IoU ≥ {match[2]}; mean over trainings."
    if match := _DISTANCE.fullmatch(name):
        return _distance(match[1], (match[2] or "").strip())
    raise KeyError(name)


def _distance(metric: str, part: str) -> str:
    if part == "floor":
        return f"{metric} of real training images against real test images: as low as a perfect generator would come."
    if part in ("p", "floor p"):
        several = "Of several synthetic sets, twice the mean."
        if part == "p":
            return (
                f"Permutation p-value of {metric}: how often images dealt out at random come as far apart as synthetic "
                f"images and all real ones. {several} In brackets the same of training and test images: if that is "
                "small, p says less of the generator."
            )
        return f"Permutation p-value of {metric} between training and test images. {several}"
    if part.startswith("floor "):
        end = "Lower" if part == "floor low" else "Upper"
        return f"{end} end of the 95 % bootstrap interval of the floor of {metric} over images."
    if part:
        end = "Lower" if part == "low" else "Upper"
        return f"{end} end of the 95 % bootstrap interval of {metric} over images; mean over the synthetic sets."
    features = (
        "clean-fid's Inception-v3" if metric in ("FID", "KID") else f"the encoder “{metric.partition('(')[2][:-1]}”"
    )
    if metric.startswith("F"):
        return (
            f"Fréchet distance of synthetic from test images on features of {features}; lower is nearer, biased upward."
        )
    return (
        f"Kernel distance of synthetic from test images on features of {features}, unbiased, of all images; "
        "lower is nearer."
    )
