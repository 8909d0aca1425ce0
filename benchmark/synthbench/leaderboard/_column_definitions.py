"""What each column of a leaderboard means."""

__all__ = ["DEFINITIONS"]

DEFINITIONS = {
    "dataset": "Name of the dataset that segmenters and generators are trained on.",
    "tested_on": "Name of the dataset of the test images: the same, or another one (out of domain).",
    "task": "What is segmented: instances (objects) or semantic (classes of pixels).",
    "fraction": "Number of real training images.",
    "folds": "Splits of the dataset into training, validation and test images.",
    "segmenter": "The network that is trained on each arm and scored on real test images.",
    "init": "What the segmenter starts from: scratch (weights drawn from the seed), a file of weights, or a training "
    "on another dataset.",
    "weights_seen": "Datasets of the test images that the segmenter's initial weights were trained on: such a row is "
    "no fair test. “no”: none of them. “not declared”: nobody says what the weights were trained on. “origin not "
    "declared”: nobody says which datasets the test images come from.",
    "arm": "What the segmenter is trained on: real images alone, or together with this number of synthetic samples of "
    "a generator (“only”: synthetic samples alone). CSV and JSON write “real + G × n” where tables write “G × n”. "
    "Every arm is trained for the same number of optimiser steps.",
    "generator": "The source of the synthetic samples; empty for real images alone.",
    "synthetic": "Number of synthetic samples in the training set.",
    "synthetic_ratio": "Fraction of the training patches that are synthetic.",
    "schedule": "mix: synthetic patches in each batch. synthetic-first: training on synthetic patches first, then on "
    "real ones, with as many of each and as many steps.",
    "metric": "The score that Δ and rank refer to.",
    "aggregation": "pooled: counts are summed over the test images, then divided. per_image: scores of single images "
    "are averaged; images without true and predicted objects are left out.",
    "f1@mean": "F-score, mean over the IoU thresholds .50, .55 … .95; mean over trainings.",
    "jaccard_ap@mean": "TP / (TP + FP + FN), mean over the IoU thresholds .50, .55 … .95; mean over trainings.",
    "coco_ap": "Area under the precision–recall curve, mean over IoU .50 … .95 (COCO); mean over trainings. An "
    "asterisk: the segmenter gives no confidence per object, so the value depends on an arbitrary order.",
    "coco_ap50": "COCO average precision at IoU .50; mean over trainings.",
    "coco_ap75": "COCO average precision at IoU .75; mean over trainings.",
    "pq": "Panoptic quality (Kirillov 2019), objects matched at IoU above .50: sum of the IoUs of the matched pairs / "
    "(TP + FP/2 + FN/2); mean over trainings.",
    "sq": "Segmentation quality, a factor of panoptic quality: mean IoU of the matched pairs; mean over trainings.",
    "rq": "Recognition quality, the other factor: F-score at IoU above .50; mean over trainings.",
    "aji": "Aggregated Jaccard index (Kumar 2017): pixels shared by matched objects / pixels covered by them and by "
    "unmatched objects; a predicted object may be matched more than once. Mean over trainings.",
    "aji_plus": "AJI+ (Graham 2019): as AJI, with one-to-one matching. Mean over trainings.",
    "unscored": "True where coco_ap includes objects without a confidence.",
    "dice": "Dice coefficient. Instances: of the foreground, mean over test images. Semantic: of pixels summed over "
    "the test set, mean over the classes except the first. Mean over trainings.",
    "miou": "IoU of pixels summed over the test set, mean over the classes in truth or prediction.",
    "miou_star": "mIoU*: IoU of pixels summed over the test set, mean over the classes in the truth.",
    "cldice": "Centre-line Dice of the foreground, mean over test images: whether thin lines stay connected.",
    "score_sd": "Standard deviation of the score over trainings; needs at least two.",
    "delta": "Score of the arm minus score of real images alone, paired by seed and test image, with its 95 % "
    "interval over test images and seeds. With one seed, the variance of training in it is assumed. With several "
    "generator seeds, the mean over all pairs of a generator seed and a segmenter seed; with one, it describes that "
    "one trained generator.",
    "delta_low": "Lower end of the 95 % interval of delta, at least −1.",
    "delta_high": "Upper end of the 95 % interval of delta, at most 1.",
    "delta_seeds": "Segmenter seeds behind delta; with 1 and without folds, the variance of training is unknown.",
    "delta_pairs": "Pairs of trainings (arm, real) behind delta.",
    "delta_images": "Test images behind delta.",
    "delta_units": "Units that were resampled: groups of test images that the split keeps together, else images.",
    "delta_own_variance": "Whether the trainings of this arm vary more than those of the other arms, so that its "
    "interval uses only their own variance.",
    "unmodelled_groups": "Groups that test images share but the split doesn't keep together, with the number of their "
    "values: images of one group were treated as independent.",
    "p": "Two-sided p-value of no difference from real, corrected for the number of arms (Holm).",
    "delta_vs_duplicate": "Score of the arm minus score of the control “duplicate” (real images with as many copies "
    "of real images), paired, with its 95 % interval: what synthetic images add beyond seeing real ones more often.",
    "delta_vs_duplicate_low": "Lower end of the 95 % interval of delta_vs_duplicate.",
    "delta_vs_duplicate_high": "Upper end of the 95 % interval of delta_vs_duplicate.",
    "p_vs_duplicate": "Two-sided p-value of no difference from “duplicate”, corrected for the number of arms (Holm).",
    "equivalent_real_images": "Number of additional real images that would give the same Δ, read off the learning "
    "curve of real images, with its 95 % interval. > or <: beyond the end of the curve. n/a at the largest amount for "
    "what is not worse than real images alone, since no larger amount tells how many images a gain is worth; CSV and "
    "JSON have 0 there.",
    "equivalent_real_images_low": "Lower end of the 95 % interval of equivalent_real_images.",
    "equivalent_real_images_high": "Upper end of the 95 % interval of equivalent_real_images.",
    "equivalent_real_images_least": "The smallest amount of real images on the curve, minus the arm's own.",
    "equivalent_real_images_most": "The largest amount of real images on the curve, minus the arm's own.",
    "unchanged": "Trainings whose predictions equal, on every test image, those of the same segmenter, fold and seed "
    "on real images alone. Where all do, the arm changed nothing.",
    "headroom": "Gain from more real images, the positive control of the study: score of real images alone at the "
    "largest amount minus that at this amount, paired by fold, seed and test image, with its 95 % interval.",
    "headroom_low": "Lower end of the 95 % interval of headroom.",
    "headroom_high": "Upper end of the 95 % interval of headroom.",
    "headroom_images": "The largest amount of real images.",
    "headroom_seeds": "Segmenter seeds behind headroom.",
    "recovered": "Share of the headroom that the arm recovers, with its 95 % interval (Fieller's, from the same "
    "resamples); above 100 %: more than the largest amount of real images. Not given where the headroom isn't "
    "significantly above zero.",
    "recovered_low": "Lower end of the 95 % interval of recovered.",
    "recovered_high": "Upper end of the 95 % interval of recovered.",
    "verdict": "better or worse than real: p below .05 after correction for the number of arms; otherwise undecided. "
    "“one seed”: without repeated training nothing can be decided.",
    "decision": "Of a study with the key decide: after how many seeds the arm was decided, or why it isn't. Δ has a "
    "repeated confidence interval, and p is sequential: both hold whenever an arm was stopped, so an interval is wider "
    "than that of a study with as many seeds fixed. Verdicts: better, worse, or within the margin.",
    "p_margin": "Of a study with the key decide: sequential p-value of a difference of at least the margin, corrected "
    "for the number of arms (Holm); below .05 the verdict is “within”.",
    "delta_limit": "Of a study with the key decide: what the test images leave open however many seeds there are. If "
    "it isn't below the margin, the arm can't be shown to be within it.",
    "rank": "Rank by Δ (0 for real images alone), with the range of ranks compatible with the data; arms with "
    "overlapping ranges can't be distinguished. Each pair of arms is compared at 95 % separately.",
    "rank_low": "Best rank compatible with the data at 95 %.",
    "rank_high": "Worst rank compatible with the data at 95 %.",
    "fidelity_n": "Images of each set behind the Fréchet distance, precision … coverage and mask shapes; the same for "
    "every generator. Folds may differ by an image; this is the smallest number.",
    "kd_n": "Synthetic images behind the kernel distance, which uses all of them; of several folds, the smallest "
    "number.",
    "kd_test_n": "Real test images behind the kernel distance.",
    "kd_train_n": "Real training images behind the real-vs-real kernel distance and, with the test images, behind p.",
    "image_area": "Median number of pixels of a synthetic image.",
    "test_image_area": "Median number of pixels of a real test image.",
    "fidelity_sets": "Synthetic sets (folds and generator seeds) that the fidelity figures are means over.",
    "fidelity_sets_planned": "Synthetic sets that were planned.",
    "sets_searched": "Synthetic sets that could be searched for duplicates, because enough real images were held out.",
    "label_consistency": "How far segmenters trained on real images agree with the synthetic masks: the score of this "
    "segmenter, trained on real images alone, on the synthetic images; mean over its seeds, with its 95 % interval "
    "over synthetic images and seeds. Far below its score on test images: masks are wrong, or images unrealistic.",
    "label_consistency_low": "Lower end of the 95 % interval of label_consistency.",
    "label_consistency_high": "Upper end of the 95 % interval of label_consistency.",
    "label_consistency_seeds": "Segmenter seeds behind label_consistency.",
    "label_consistency_images": "Synthetic images behind label_consistency.",
    "generator_seeds": "Trainings of the generator, or drawings where it isn't trained; with one, all results "
    "describe that one.",
    "convergence": "Whether the segmenter is trained far enough: “converged” where twice the steps bring less than .01 "
    "on validation images, real images alone (F-score, mean over IoU; semantic: mIoU*); empty where not measured.",
    "scale": "Factor by which all images were scaled before generators and segmenters saw them, mean over folds; "
    "scores are at the original size.",
    "object_diameter": "Median diameter of the objects of training images in pixels at the original size, mean over "
    "folds; empty where not measured.",
    "generator_steps": "Optimiser steps of the generator; 0 where it isn't trained.",
    "image_precision": "Share of the synthetic images that lie among real test images, by features: do they look "
    "real? In brackets real vs real: the same with real training images in place of the synthetic ones.",
    "image_recall": "Share of the real test images that lie among synthetic ones: is their variety covered? In "
    "brackets real vs real.",
    "image_density": "Number of real test images around each synthetic one, relative to the expected number: "
    "precision, robust to outliers. In brackets real vs real.",
    "image_coverage": "Share of the real test images with a synthetic one nearby: recall, robust to outliers. In "
    "brackets real vs real.",
    "train_duplicates": "Memorisation: number of synthetic images that duplicate a training image, also flipped, "
    "rotated or noisy, of all searched. A duplicate is nearer than half the distance that 95 % of real test images "
    "keep. Where the masks are similar, what they don't explain of the images is compared.",
    "train_duplicates_new": "Train duplicates among the images whose mask is new or recombined from objects of "
    "training masks.",
    "train_duplicates_training": "Train duplicates among the images whose mask is a training mask, transformed or "
    "unchanged.",
    "masks_new": "Synthetic images whose mask is new or recombined from objects of training masks.",
    "masks_training": "Synthetic images whose mask is a training mask, transformed or unchanged.",
    "test_duplicates": "Number of synthetic images that duplicate a test image; there should be none.",
    "synthetic_images": "Synthetic images that were searched for duplicates.",
    "authenticity": "Share of the synthetic images that are farther from their nearest training image, by features, "
    "than this one is from the other training images (Alaa 2022). In brackets the share of real test images.",
    "authenticity_held_out": "The same share of real test images: the level of independent images.",
    "c_t": "C_T (Meehan 2020): z of the distances to training images, compared with those of real test images. Below "
    "−3: nearer than by chance.",
    "mask_area": "Wasserstein distance between the areas of synthetic and of real test objects, in pixels. In "
    "brackets real vs real: the same with real training masks in place of the synthetic ones.",
    "mask_eccentricity": "The same distance for eccentricity, 0 (round) … 1.",
    "mask_solidity": "The same distance for solidity: area / area of the convex hull.",
    "mask_spacing": "The same distance for the distance from an object to the next one, in pixels.",
    "mask_count": "The same distance for the number of objects per image.",
    "mask_covered": "The same distance for the share of an image's pixels that belong to objects.",
    "mask_touching": "The same distance for the share of an image's objects that touch another.",
    "lost": "Objects of the training masks that the generator couldn't learn; sum over all synthetic sets.",
    "removed": "Pieces of drawn masks that were removed because they are smaller or far larger than training objects.",
    "unplaced": "Objects of new masks for which there was no room.",
    "empty": "Synthetic images without any object.",
    "border_objects": "exclude: true and predicted objects at the image border are left out of all scores.",
    "runs_ok": "Trainings that were finished and scored.",
    "runs_planned": "Trainings that were planned.",
    "completed": "Trainings finished / planned. Failed trainings are missing, not zero; means are over the others.",
    "status": "ok: all trainings are there; partial: some; missing: none.",
    "error": "The first error of the failed trainings.",
    "generator_seen": "Of ready-made images: how many real images their maker has seen that the arm real doesn't have. "
    "“no”: none. “not declared”: nobody says so, and test images may be among them.",
    "test_copies": "Of ready-made images: how many are copies of test images in any fold, or nearly.",
    "validation_copies": "Of ready-made images: how many are copies of validation images in any fold, or nearly.",
    "generator_seconds": "Seconds to train the generator; mean over trainings.",
    "draw_seconds": "Seconds to draw the synthetic samples; mean over drawings.",
    "pretraining_seconds": "Seconds to train the segmenter on another dataset first; mean over trainings.",
    "fit_seconds": "Seconds to train the segmenter; mean over trainings.",
    "predict_seconds": "Seconds to segment and score the test images; mean over trainings.",
    "peak_memory_mb": "Highest resident memory of any task of this arm, in MiB.",
    "gpu_memory_mb": "Highest GPU memory while the segmenter was trained, in MiB.",
    "device": "The device that the segmenter was trained on, and the precision where it isn't the usual one there.",
    "versions": "Versions of installed packages; two of one name where different parts used different versions.",
    "code": "Distributions that computed the row, with version and commit; + where there were uncommitted changes.",
    "group": "The grouping of the test images; several that are crossed are joined by “×”.",
    "value": "The group, or the combination of groups.",
    "real": "The amount of real training images as the study names it.",
    "amount": "The amount of synthetic images as the study names it.",
    "baseline": "Score of real images alone, mean over trainings.",
    "baseline_completed": "Trainings on real images alone, finished / planned.",
    "images": "Test images in the group.",
    "score": "The score that arms are compared by, mean over trainings.",
    "verification": "How far the scores of a board's row were verified, the weakest of its trainings. re-run: trained "
    "again by another entry, with the same scores. verified: computed again from the predictions. self-reported: as "
    "the entry states them.",
    "entry": "Entries of the board that the trainings of the row come from.",
}
