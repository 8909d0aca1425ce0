"""Bad input through the command line: one clear line, a non-zero exit, nothing lost."""

from __future__ import annotations

import resource
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image


def put(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, array)
    else:
        Image.fromarray(array).save(path)


def picture(seed: int, size: int = 48) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.zeros((size, size), np.uint16)
    labels[4:14, 4:14] = 1
    labels[20:34, 20:34] = 2
    image = (30 + 150 * (labels > 0) + rng.normal(0, 9, labels.shape)).clip(0, 255).astype(np.uint8)
    return image, labels


def folder(root: Path, count: int = 6, suffix: str = ".png") -> Path:
    """Write an images + labels folder of `count` good samples."""
    for i in range(count):
        image, labels = picture(i)
        put(root / "images" / f"s{i}{suffix}", image)
        put(root / "labels" / f"s{i}{suffix}", labels)
    return root


def refused(trial, *words: object) -> str:
    """Run a command that must be refused; return its one line."""
    done = trial.call(*words, code=None)
    assert done.returncode not in (0, 1), done.stderr
    lines = done.stderr.strip().splitlines()
    assert "Traceback" not in done.stderr
    assert lines[-1].startswith("synthbench: error: ")
    assert sum(line.startswith("synthbench: error: ") for line in lines) == 1
    return lines[-1]


STUDY_MISTAKES = {
    "a name that is no file name": ({"name": "my study"}, "name: invalid value 'my study'; expected letters, digits"),
    "a dataset's key for the study": (
        {"split": "kfold"},
        "split: is a key of a dataset, as in datasets: [{name: …, split: …}]",
    ),
    "no list": ({"datasets": "discs"}, "datasets: expected a list, such as [discs]"),
    "an empty list": ({"segmenters": []}, "segmenters: expected at least one entry"),
    "no mapping": ({"budget": 500}, "budget: expected a mapping of keys to values, such as {name: …} (given: 500)"),
    "an unknown key beside a missing one": ({"datasets": None, "dataset": ["discs"]}, "dataset: no such key"),
    "a dataset twice": ({"datasets": ["discs", "discs"]}, "datasets: 'discs' occurs twice; name it once"),
    "an arm called real": (
        {"generators": [{"name": "brighter", "label": "real"}]},
        "'real' is the arm without synthetic",
    ),
    "a truth value for an amount": ({"synthetic": [True]}, "synthetic: invalid value True"),
    "too many real images": ({"fractions": [500]}, "fractions: 500 real images requested, but only 7"),
    "unknown generator": ({"generators": ["brigter"]}, "did you mean 'brighter'"),
    "unknown segmenter": ({"segmenters": ["treshold"]}, "did you mean 'threshold'"),
    "unknown dataset": ({"datasets": ["disks"]}, "disks"),
    "unknown configuration key": ({"generators": [{"name": "brighter", "config": {"gian": 2}}]}, "did you mean 'gain'"),
    "wrong configuration type": ({"generators": [{"name": "brighter", "config": {"gain": "lots"}}]}, "config: gain"),
    "a budget that doesn't fit": (
        {"budget": {"name": "smoke", "patch_size": 15}},
        "segmenter 'threshold': a patch of 15 is odd; use --patch 16",
    ),
    "a configuration for another task": (
        {"generators": [{"name": "brighter", "label": "white", "config": {"gain": 9}}]},
        "generator 'white' on dataset 'discs': gain: 9.0 leaves nothing of objects; give less",
    ),
    "a budget for what doesn't train": (
        {"generators": [{"name": "brighter", "budget": {"steps": 5}}]},
        "generator 'brighter': takes no training steps, so its budget would change nothing; leave it out",
    ),
    "unknown budget": ({"budget": "smok"}, "did you mean 'smoke'"),
    "zero synthetic samples": ({"synthetic": [0]}, "synthetic"),
    "a multiple that is no sample": ({"synthetic": ["0.01x"]}, "no sample at all"),
    "a fraction that leaves no image": ({"fractions": [0.001]}, "leaves no samples"),
    "more images than there are": ({"fractions": [5000]}, "5000"),
    "an impossible pair": ({"segmenters": ["only-semantic"]}, "can't do task 'instances'"),
    "patch larger than an image": ({"segmenters": ["hungry"]}, "smaller than a patch of 4096"),
    "one image": ({"datasets": [{"name": "discs", "config": {"count": 1}}]}, "at least 3"),
    "no image": (
        {"datasets": [{"name": "discs", "config": {"count": 0}}]},
        "dataset 'discs': the plugin yielded no samples",
    ),
    "fractions that come to the same": ({"fractions": [4, 4]}, "two of them come to 4 images"),
    "a task that the dataset hasn't": (
        {"datasets": [{"name": "discs", "task": "semantic"}]},
        "its task is 'instances'",
    ),
    "a group that leaks": (
        {"datasets": [{"name": "discs", "split": {"scheme": "official", "group": "well"}}]},
        "sample set 'discs': the split leaks well 'w2'",
    ),
}


@pytest.mark.parametrize("mistake", STUDY_MISTAKES)
def test_a_mistaken_study_is_refused_before_anything_runs(trial, mistake: str) -> None:
    change, line = STUDY_MISTAKES[mistake]
    assert line in refused(trial, "run", trial.study(**change))
    assert not trial.artifacts("fit-segmenter")


def test_an_unreadable_study_file_is_refused(trial) -> None:
    path = trial.folder / "study.yaml"
    path.write_text("segmenters: [")
    assert "invalid YAML" in refused(trial, "run", path)
    path.write_text("datasets: [discs]\nsegmenters: [threshold]\ndatasets: [cells]\n")
    assert "line 3: invalid YAML: 'datasets' is given twice" in refused(trial, "run", path)
    assert "no such study file" in refused(trial, "run", trial.folder / "none.yaml")
    path.write_bytes(b"\xff\xfe\x00bad")
    assert "study.yaml" in refused(trial, "run", path)


def test_a_wrong_device_engine_or_number_is_refused(trial) -> None:
    study = trial.study()
    assert "--device tpu" in refused(trial, "run", study, "--device", "tpu")
    assert "unknown engine 'cloud'" in refused(trial, "run", study, "--engine", "cloud")
    assert "--workers 0" in refused(trial, "run", study, "--workers", "0")
    assert "--time-limit nan" in refused(trial, "run", study, "--time-limit", "nan")
    assert "use --engine local" in refused(trial, "run", study, "--engine", "serial", "--time-limit", "3")
    assert "--generators ','" in refused(trial, "run", study, "--generators", ",")
    assert "seeds: " in refused(trial, "run", study, "--seeds", "1e3")
    both = refused(trial, "run", study, "--encoder", "moments", "--inception", "weights.pt")
    assert "--inception contradicts --encoder moments" in both


@pytest.mark.parametrize("counts", [(6, 6), (6, 12)])
def test_two_datasets_of_one_name_are_refused(trial, counts: tuple[int, int]) -> None:
    paths = [folder(trial.folder / parent / "cells", n) for parent, n in zip("ab", counts, strict=True)]
    assert "two are called 'cells'" in refused(trial, "run", trial.study(datasets=[str(p) for p in paths]))


def test_a_dataset_may_have_any_folder_name(trial) -> None:
    folder(trial.folder / "my cells", 12)
    trial.run("plan", "--dataset", "my cells", "--generators", "none", "--segmenters", "threshold", "--budget", "smoke")


def test_configuration_of_what_is_no_plugin_is_refused(trial) -> None:
    root = folder(trial.folder / "data")
    study = trial.study(datasets=[{"name": str(root), "config": {"count": 3}}])
    assert "config is for plugins" in refused(trial, "run", study)


def _lose_mask(root: Path) -> None:
    (root / "labels" / "s3.png").unlink()


def _other_shape(root: Path) -> None:
    put(root / "labels" / "s3.png", picture(3, 40)[1])


def _float_labels(root: Path) -> None:
    (root / "labels" / "s3.png").unlink()
    put(root / "labels" / "s3.tif", picture(3)[1] / 3)


def _negative_labels(root: Path) -> None:
    (root / "labels" / "s3.png").unlink()
    put(root / "labels" / "s3.tif", picture(3)[1].astype(np.int16) - 1)


def _photograph(root: Path) -> None:
    put(root / "labels" / "s3.png", np.stack([picture(3)[0]] * 2 + [255 - picture(3)[0]], axis=-1))


def _corrupt_png(root: Path) -> None:
    path = root / "images" / "s3.png"
    path.write_bytes(path.read_bytes()[:200])


def _tif_without_pages(root: Path) -> None:
    (root / "images" / "s3.png").unlink()
    (root / "images" / "s3.tif").write_bytes(b"II*\x00\xff\xff\xff\x00")


def _corrupt_tif(root: Path) -> None:
    (root / "images" / "s3.png").unlink()
    (root / "images" / "s3.tif").write_bytes(b"II*\x00 no image at all")


@pytest.mark.parametrize(
    "harm",
    [
        _lose_mask,
        _other_shape,
        _float_labels,
        _negative_labels,
        _photograph,
        _corrupt_png,
        _corrupt_tif,
        _tif_without_pages,
    ],
    ids=lambda harm: harm.__name__.strip("_"),
)
def test_a_folder_that_is_no_dataset_is_refused_by_file(trial, harm) -> None:
    root = folder(trial.folder / "data")
    harm(root)
    line = refused(trial, "run", trial.study(datasets=[str(root)]))
    assert "s3" in line
    assert "s3" in refused(trial, "dataset", "add", root, "--name", "mine")
    assert not (trial.folder / "home" / "datasets" / "mine").exists()


def test_an_empty_folder_is_refused(trial) -> None:
    (trial.folder / "nothing").mkdir()
    assert "nothing" in refused(trial, "run", trial.study(datasets=[str(trial.folder / "nothing")]))


def test_a_training_set_of_background_alone_is_refused(trial) -> None:
    root = folder(trial.folder / "data")
    for path in (root / "labels").iterdir():
        put(path, np.zeros((48, 48), np.uint16))
    assert "all background" in refused(trial, "run", trial.study(datasets=[str(root)]))


def test_a_good_folder_runs(trial) -> None:
    trial.run("run", trial.study(datasets=[str(folder(trial.folder / "data", 8))], seeds=1))


def test_a_store_that_cannot_be_written_is_refused(trial) -> None:
    (trial.folder / "file").write_text("")
    assert "--store" in refused(trial, "run", trial.study(), "--store", trial.folder / "file" / "store")


def test_a_disk_that_takes_no_more_gives_one_line_and_loses_nothing(trial) -> None:
    """A limit on the size of files stands in for a full disk: the same write fails, with another number."""
    study = trial.study(seeds=1)
    trial.run("run", study)
    before = {kind: trial.artifacts(kind) for kind in ("draw", "fit-segmenter", "evaluate")}
    done = subprocess.run(
        trial.command("run", trial.study(seeds=2), "--engine", "serial"),
        cwd=trial.folder,
        env=trial.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500)),
    )
    assert done.returncode != 0
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert before == {kind: trial.artifacts(kind) for kind in before}
    trial.run("run", study)
