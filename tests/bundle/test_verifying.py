"""An intact bundle is verified; whatever is changed in one is named, also by someone who seals it again."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from helpers.bundles import Made, change_json, change_table, members, write
from synthbench.bundle import verifying
from synthbench.bundle.label_png import decode_labels, encode_labels
from synthbench.bundle.verifying import verify_bundle
from synthbench.cli import main
from synthbench.errors import DataError
from synthbench.samples import SampleSet
from synthbench.store import key_of

Files = dict[str, bytes]


def test_an_intact_bundle_has_no_problems(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(made.bundle)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1].endswith("no problems")
    assert any(line.startswith("not verified: scores and test labels of blobs") for line in out)
    assert not any(line.startswith("problem") for line in out)


def test_scores_are_computed_again_from_the_dataset(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(made.bundle), "--data", str(made.data), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["valid"] is True
    assert found["problems"] == []
    assert any("scores" in sentence and "blobs" in sentence for sentence in found["verified"])
    assert not any("scores and test labels" in sentence for sentence in found["not_verified"])


@pytest.fixture
def without_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the leaderboard out, which takes longer than everything else."""
    monkeypatch.setattr(verifying, "check_leaderboard", lambda *_: None)


def names_of(files: Files, folder: str) -> list[str]:
    return sorted(name for name in files if name.startswith(f"{folder}/"))


def a_contradiction_of_counts(files: Files) -> None:
    change_table(files, "results/images.csv", lambda t: t.assign(tp=["99", *t["tp"][1:]]))


def a_count(files: Files) -> None:
    """One object less at the highest threshold where there is one, in all columns that say so."""

    def change(table: Any) -> None:
        row = table.index[(table["tp"].astype(int) > 0) & (table["iou"].astype(float) == 0.5)][0]
        same = table["image"].eq(table["image"][row]) & table["arm"].eq(table["arm"][row])
        same &= table["seed"].eq(table["seed"][row]) & (table["tp"].astype(int) == int(table["tp"][row]))
        for place in table.index[same]:
            for name, step in (("tp", -1), ("fp", 1), ("fn", 1)):
                table.loc[place, name] = str(int(table[name][place]) + step)
            table.loc[place, "iou_sum"] = str(
                float(table["iou_sum"][place]) * int(table["tp"][place]) / (int(table["tp"][place]) + 1)
            )

    change_table(files, "results/images.csv", change)


def a_prediction(files: Files) -> None:
    name = names_of(files, "predictions")[0]
    labels = decode_labels(files[name], (64, 64), name)
    files[name] = encode_labels(np.where(labels == 1, 0, labels))


def a_prediction_of_another_size(files: Files) -> None:
    files[names_of(files, "predictions")[0]] = encode_labels(np.zeros((9, 9), np.uint8))


def a_prediction_that_is_no_picture(files: Files) -> None:
    files[names_of(files, "predictions")[0]] = b"GIF89a, or not"


def predictions_exchanged(files: Files) -> None:
    first, second = names_of(files, "predictions")[:2]
    files[first], files[second] = files[second], files[first]


def a_prediction_lost(files: Files) -> None:
    drop(files, names_of(files, "predictions")[0])


def drop(files: Files, name: str) -> None:
    del files[name]
    change_json(files, "ro-crate-metadata.json", lambda crate: without(crate, name))


def without(crate: Any, name: str) -> None:
    crate["@graph"] = [entity for entity in crate["@graph"] if entity["@id"] != name]
    for entity in crate["@graph"]:
        if entity["@id"] == "./":
            entity["hasPart"] = [part for part in entity["hasPart"] if part["@id"] != name]


def a_split(files: Files) -> None:
    def change(content: Any) -> None:
        (split,) = content["splits"]
        split["train"][0], split["test"][0] = split["test"][0], split["train"][0]
        content["sha256"] = key_of({"format": content["format"], "splits": content["splits"]})

    change_json(files, "splits/blobs.json", change)


def an_unsealed_split(files: Files) -> None:
    change_json(files, "splits/blobs.json", lambda content: content["splits"][0]["train"].reverse())


def an_id(files: Files) -> None:
    files["sources.json"] = files["sources.json"].replace(b'"blob-2"', b'"blob-3000"')


def a_digest(files: Files) -> None:
    def change(content: Any) -> None:
        content["datasets"]["blobs"]["samples"][2]["digest"] = "0" * 64

    change_json(files, "sources.json", change)


def a_digest_and_its_fingerprint(files: Files) -> None:
    """The plan still has the fingerprint of the test images."""
    import hashlib

    def change(content: Any) -> None:
        about = content["datasets"]["blobs"]
        about["samples"][2]["digest"] = "0" * 64
        digests = [row["digest"] for row in about["samples"]]
        text = json.dumps([about["task"], about["classes"], digests])
        about["fingerprint"] = hashlib.sha256(text.encode()).hexdigest()

    change_json(files, "sources.json", change)


def a_seed_of_the_plan(files: Files) -> None:
    def change(plan: Any) -> None:
        task = next(task for task in plan.values() if task["kind"] == "fit-segmenter")
        task["content"]["seed"] = 77

    change_json(files, "plan.json", change)


def a_training_lost(files: Files) -> None:
    def change(content: Any) -> None:
        content["trainings"].pop()

    change_json(files, "sources.json", change)


def a_training_lost_everywhere(files: Files) -> None:
    lost: list[Any] = []
    change_json(files, "sources.json", lambda content: lost.append(content["trainings"].pop()))
    for table in ("runs", "images"):
        change_table(
            files,
            f"results/{table}.csv",
            lambda t: t[~(t["arm"].eq(lost[0]["arm"]) & t["seed"].eq(str(lost[0]["seed"])))],
        )
    for name in names_of(files, f"predictions/{lost[0]['evaluate']}"):
        drop(files, name)


def a_difference(files: Files) -> None:
    def change(board: Any) -> None:
        board["rows"][1]["f1@0.50"] = 0.987

    change_json(files, "leaderboard.json", change)


def a_version(files: Files) -> None:
    change_json(files, "environment.json", lambda content: content["distributions"].update(numpy=["1.0.1"]))


def a_commit(files: Files) -> None:
    change_json(files, "environment.json", lambda content: content.update(plugins=[]))


def a_cost(files: Files) -> None:
    change_json(files, "costs.json", lambda content: content.update(seconds=0.5))


def a_method(files: Files) -> None:
    change_json(files, "methods.json", lambda content: content[0].update(name="gan"))


def panoptic_quality(files: Files) -> None:
    change_table(files, "results/runs.csv", lambda t: t.assign(pq=["0.123", *t["pq"][1:]]))


def the_number_of_seeds(files: Files) -> None:
    files["study.yaml"] = files["study.yaml"].replace(b"\nseeds: 2", b"\nseeds: 3")


def a_configuration(files: Files) -> None:
    files["study.yaml"] = files["study.yaml"].replace(b"gain: 1.3", b"gain: 1.7")


def a_task(files: Files) -> None:
    change_table(files, "results/tasks.csv", lambda t: t.assign(label=["another task", *t["label"][1:]]))


def the_time_of_a_training(files: Files) -> None:
    change_table(files, "results/runs.csv", lambda t: t.assign(fit_seconds=["9999", *t["fit_seconds"][1:]]))


def a_synthetic_set(files: Files) -> None:
    change_table(
        files, "results/label_consistency.csv", lambda t: t.replace({"generator": {t["generator"][0]: "a gan"}})
    )


def a_version_when_it_was_planned(files: Files) -> None:
    change_json(files, "environment.json", lambda content: content["versions"].update(python="2.7.18"))


def software_of_the_crate(files: Files) -> None:
    def change(crate: Any) -> None:
        entity = next(each for each in crate["@graph"] if each["@id"] == "#software-numpy")
        entity["softwareVersion"] = "0.0.1"

    change_json(files, "ro-crate-metadata.json", change)


def a_true_count(files: Files) -> None:
    def change(content: Any) -> None:
        content["datasets"]["blobs"]["samples"][2]["objects"] += 1

    change_json(files, "sources.json", change)


def a_file_that_the_crate_forgets(files: Files) -> None:
    change_json(files, "ro-crate-metadata.json", lambda crate: without(crate, "costs.json"))


def a_file_more(files: Files) -> None:
    files["notes.html"] = b"<script>alert(1)</script>"


def trainings_that_are_no_list(files: Files) -> None:
    change_json(files, "sources.json", lambda content: content.update(trainings=5))


def a_study_that_is_none(files: Files) -> None:
    files["study.yaml"] = b"datasets: []\nsegmenters: [unet]\n"


def a_fold_that_there_is_not(files: Files) -> None:
    change_json(files, "sources.json", lambda content: content["trainings"][0].update(fold=7))


def a_row_of_another_type(files: Files) -> None:
    change_json(files, "sources.json", lambda content: content["trainings"][0].update(seed=[1]))


def a_threshold_of_one_arm(files: Files) -> None:
    """A mean over the others is higher, and nothing else says that one is gone."""
    change_table(files, "results/images.csv", lambda t: t[t["arm"].ne("real") | t["iou"].astype(float).ne(0.95)])


def a_threshold_of_all_arms(files: Files) -> None:
    change_table(files, "results/images.csv", lambda t: t[t["iou"].astype(float).ne(0.95)])


def the_difficulty_of_an_image(files: Files) -> None:
    def change(table: Any) -> None:
        first = table.iloc[0]
        same = table["image"].eq(first["image"]) & table["arm"].eq(first["arm"]) & table["seed"].eq(first["seed"])
        table.loc[same, "difficulty"] = "easy" if first["difficulty"] == "hard" else "hard"

    change_table(files, "results/images.csv", change)


def a_column_of_runs(name: str, value: str) -> Callable[[Files], None]:
    """Give all trainings another value."""
    return lambda files: change_table(files, "results/runs.csv", lambda t: t.assign(**{name: value}))


def the_version_of_synthbench(files: Files) -> None:
    change_json(files, "manifest.json", lambda manifest: manifest.update(synthbench="<b>9.9</b>"))


def in_the_study(change: Callable[[Any], None]) -> Callable[[Files], None]:
    """Change the study, and nothing else."""

    def tamper(files: Files) -> None:
        content = yaml.safe_load(files["study.yaml"])
        change(content)
        files["study.yaml"] = yaml.safe_dump(content, sort_keys=False).encode()

    return tamper


def in_the_last_training(change: Callable[[Any], None]) -> Callable[[Files], None]:
    """Change what the plan says of the last training, an arm with synthetic images."""

    def tamper(files: Files) -> None:
        last = json.loads(files["sources.json"])["trainings"][-1]
        assert last["generator"]
        change_json(files, "plan.json", lambda plan: change(plan[last["fit"]]["content"]))

    return tamper


def the_name_of_an_arm(files: Files) -> None:
    change_json(files, "sources.json", lambda content: content["trainings"][-1].update(arm="real + best × 4"))


def a_word_of_the_leaderboard(files: Files) -> None:
    change_json(files, "leaderboard.json", lambda board: board.update(award="best"))


def a_group_of_no_dataset(files: Files) -> None:
    change_table(files, "results/images.csv", lambda t: t.assign(**{"group:award": "best"}))


TAMPERED: dict[str, tuple[Callable[[Files], None], str, str]] = {
    "a contradiction of counts": (a_contradiction_of_counts, "results/images.csv", "99"),
    "an amount of the study": (in_the_study(lambda s: s.update(synthetic=[5])), "sources.json", "lacks the arm"),
    "another amount of the plan": (in_the_study(lambda s: s.update(synthetic=[5])), "sources.json", "doesn't ask for"),
    "a generator that has no training": (
        in_the_study(lambda s: s["generators"].append({"name": "classic"})),
        "sources.json",
        "lacks the arm 'real + classic × 4'",
    ),
    "a schedule of the study": (
        in_the_study(lambda s: s.update(schedule=["synthetic-first"])),
        "sources.json",
        "schedule 'mix'), which the study doesn't ask for",
    ),
    "a start of segmenters": (in_the_study(lambda s: s.update(init=["scratch", "x.pt"])), "sources.json", "expected 2"),
    "the name of an arm": (the_name_of_an_arm, "sources.json", "has the arm 'real + best × 4'"),
    "a setting that the plan hasn't": (
        in_the_study(lambda s: s["generators"][2]["config"].update(strength=5)),
        "plan.json",
        "strength is None, expected 5",
    ),
    "the steps of one arm": (
        in_the_last_training(lambda fit: fit["plugin"]["budget"].update(steps=160_000)),
        "plan.json",
        "plugin.budget.steps of the segmenter differs from that of threshold on real, seed 0",
    ),
    "the code of one arm": (in_the_last_training(lambda fit: fit.update(core="0" * 64)), "plan.json", "core of the"),
    "the schedule of one arm": (
        in_the_last_training(lambda fit: fit.update(schedule="synthetic-first")),
        "plan.json",
        "schedule is 'synthetic-first', expected 'mix'",
    ),
    "the start of one arm": (
        in_the_last_training(lambda fit: fit.update(init={"file": "0" * 64})),
        "plan.json",
        "start from other weights is True, expected False",
    ),
    "a joint training": (
        in_the_last_training(lambda fit: fit.update(joint={"name": "gan"})),
        "plan.json",
        "generator trained together with it is True",
    ),
    "a negative time": (a_column_of_runs("fit_seconds", "-5"), "results/runs.csv", "fit_seconds is -5 somewhere"),
    "a group of no dataset": (a_group_of_no_dataset, "results/images.csv", "'group:award', which is no group"),
    "a word of the leaderboard": (a_word_of_the_leaderboard, "leaderboard.json", "has 'award'"),
    "a threshold of one arm": (a_threshold_of_one_arm, "results/images.csv", "lacks some of 10 IoU thresholds"),
    "a threshold of all arms": (a_threshold_of_all_arms, "results/images.csv", "expected one for each iou"),
    "the difficulty of an image": (the_difficulty_of_an_image, "results/images.csv", "another difficulty"),
    "a device": (a_column_of_runs("device", "quantum"), "results/runs.csv", "device is 'quantum', expected cpu"),
    "a scale": (a_column_of_runs("scale", "0.5"), "results/runs.csv", "scale is 0.5, expected 1.0"),
    "weights seen": (a_column_of_runs("weights_seen", "no"), "results/runs.csv", "weights_seen is 'no'"),
    "the version of synthbench": (the_version_of_synthbench, "manifest.json", "<b>9.9</b>"),
    "a count": (a_count, "leaderboard.json", "expected"),
    "a prediction": (a_prediction, "predictions/", "expected"),
    "a prediction of another size": (a_prediction_of_another_size, "predictions/", "9×9"),
    "a prediction that is no picture": (a_prediction_that_is_no_picture, "predictions/", "PNG"),
    "predictions exchanged": (predictions_exchanged, "predictions/", "hash"),
    "a prediction lost": (a_prediction_lost, "predictions/", "missing"),
    "a split": (a_split, "splits/blobs.json", "blob-2"),
    "a split without its seal": (an_unsealed_split, "splits/blobs.json", "sha256"),
    "an id": (an_id, "splits/blobs.json", "blob-2"),
    "a digest": (a_digest, "sources.json", "fingerprint"),
    "a digest and its fingerprint": (a_digest_and_its_fingerprint, "plan.json", "fingerprint of the test images"),
    "a seed of the plan": (a_seed_of_the_plan, "plan.json", "77"),
    "a training lost": (a_training_lost, "sources.json", "seed 1"),
    "a training lost everywhere": (a_training_lost_everywhere, "sources.json", "lacks the planned training"),
    "a score of the leaderboard": (a_difference, "leaderboard.json", "0.987"),
    "a version": (a_version, "environment.json", "1.0.1"),
    "a plugin": (a_commit, "environment.json", "synthbench-trial 0.1"),
    "a cost": (a_cost, "costs.json", "0.5"),
    "a method": (a_method, "methods.json", "gan"),
    "panoptic quality": (panoptic_quality, "results/runs.csv", "0.123"),
    "the number of seeds": (the_number_of_seeds, "sources.json", "expected 3"),
    "a configuration": (a_configuration, "plan.json", "1.7"),
    "a task": (a_task, "results/tasks.csv", "another task"),
    "the time of a training": (the_time_of_a_training, "results/runs.csv", "9999"),
    "a synthetic set": (a_synthetic_set, "results/label_consistency.csv", "a gan"),
    "a version when it was planned": (a_version_when_it_was_planned, "environment.json", "2.7.18"),
    "software of the crate": (software_of_the_crate, "ro-crate-metadata.json", "0.0.1"),
    "a true count": (a_true_count, "results/images.csv", "true of image 'blob-2'"),
    "a file that the crate forgets": (a_file_that_the_crate_forgets, "ro-crate-metadata.json", "costs.json"),
    "a file more": (a_file_more, "ro-crate-metadata.json", "notes.html"),
    "a file of another kind": (a_file_more, "notes.html", "of no kind that a bundle has"),
    "trainings that are no list": (trainings_that_are_no_list, "sources.json", "no run writes"),
    "a study that is none": (a_study_that_is_none, "study.yaml", "datasets"),
    "a fold that there is not": (a_fold_that_there_is_not, "sources.json", "7"),
    "a row of another type": (a_row_of_another_type, "sources.json", "[1]"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_what_was_changed_and_sealed_again_is_named(
    made: Made, tmp_path: Path, name: str, request: pytest.FixtureRequest
) -> None:
    change, file, value = TAMPERED[name]
    if file != "leaderboard.json":
        request.getfixturevalue("without_statistics")
    files = members(made.bundle)
    change(files)
    found = verify_bundle(write(tmp_path / "changed.zip", files))
    assert any(problem.file.startswith(file) and value in problem.text for problem in found.problems), found.problems


@pytest.mark.usefixtures("without_statistics")
@pytest.mark.parametrize("file", ["results/images.csv", "splits/blobs.json", "plan.json", "study.yaml", "costs.json"])
def test_a_file_that_was_changed_is_named_with_its_checksum(
    made: Made, tmp_path: Path, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = members(made.bundle)
    files[file] += b" "
    assert main(["verify", str(write(tmp_path / "changed.zip", files, sealed=False))]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith(f"problem: {file}: SHA-256 is ") and "expected" in line for line in lines)
    assert "problem" in lines[-1]


@pytest.mark.usefixtures("without_statistics")
@pytest.mark.parametrize(
    "file", ["study.yaml", "plan.json", "results/runs.csv", "leaderboard.json", "results/seal.json"]
)
def test_a_missing_file_is_a_problem(made: Made, tmp_path: Path, file: str) -> None:
    files = members(made.bundle)
    del files[file]
    found = verify_bundle(write(tmp_path / "changed.zip", files, sealed=False))
    assert f"{file}: is missing" in map(str, found.problems)


@pytest.mark.usefixtures("without_statistics")
def test_a_count_that_only_the_labels_contradict_is_found_with_the_data(made: Made, tmp_path: Path) -> None:
    """Predictions, their hashes and the tables agree, and nothing but the dataset says that a score is wrong."""
    files = members(made.bundle)

    def change(table: Any) -> None:
        row = table.index[table["aji_shared"].astype(int) > 5][0]
        same = table["image"].eq(table["image"][row]) & table["arm"].eq(table["arm"][row])
        same &= table["seed"].eq(table["seed"][row])
        table.loc[same, "aji_shared"] = str(int(table["aji_shared"][row]) - 1)

    change_table(files, "results/images.csv", change)
    bundle = write(tmp_path / "changed.zip", files)
    found = verify_bundle(bundle, [str(made.data)])
    assert any("aji_shared of image" in problem.text for problem in found.problems)


@pytest.mark.usefixtures("without_statistics")
def test_text_of_a_bundle_is_escaped_for_the_terminal(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = members(made.bundle)
    change_json(files, "methods.json", lambda content: content[0].update(name="\x1b[31m<b>"))
    assert main(["verify", str(write(tmp_path / "changed.zip", files))]) == 1
    assert "\x1b" not in capsys.readouterr().out


def other_labels(made: Made, folder: Path) -> None:
    samples = list(SampleSet.open(made.data))
    changed = type(samples[2])(
        samples[2].id, samples[2].image, np.where(samples[2].labels == 1, 0, samples[2].labels), samples[2].groups
    )
    SampleSet.of([*samples[:2], changed, *samples[3:]]).save(folder)


def fewer_images(made: Made, folder: Path) -> None:
    SampleSet.of(list(SampleSet.open(made.data))[:6]).save(folder)


def no_dataset(made: Made, folder: Path) -> None:
    folder.mkdir()


@pytest.mark.usefixtures("without_statistics")
@pytest.mark.parametrize(
    ("change", "named"), [(other_labels, "'blob-2'"), (fewer_images, "'blob-8'"), (no_dataset, "blobs")]
)
def test_other_data_is_refused_in_one_line(
    made: Made, tmp_path: Path, change: object, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change(made, tmp_path / "blobs")
    assert main(["verify", str(made.bundle), "--data", str(tmp_path / "blobs")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert named in line


@pytest.mark.usefixtures("without_statistics")
def test_a_dataset_that_the_bundle_has_not_is_refused(made: Made, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        verify_bundle(made.bundle, [str(tmp_path / "nowhere")])


@pytest.mark.usefixtures("without_statistics")
def test_nothing_is_written_beside_a_bundle(made: Made, tmp_path: Path) -> None:
    bundle = Path(shutil.copy(made.bundle, tmp_path))
    verify_bundle(bundle)
    assert list(tmp_path.iterdir()) == [bundle]


def png_of(image: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("changed", [lambda image: image, lambda image: image[::-1] // 2], ids=["same", "reflected"])
def test_an_image_of_the_dataset_among_drawn_samples_is_named(
    made: Made, tmp_path: Path, changed: Callable[[Any], Any]
) -> None:
    files = members(made.bundle)
    name = next(each for each in names_of(files, "samples") if "/images/" in each)
    files[name] = png_of(np.ascontiguousarray(changed(SampleSet.open(made.data)[5].image)))
    path = write(tmp_path / "changed.zip", files)
    (problem,) = verify_bundle(path, [str(made.data)]).problems
    assert str(problem) == f"{name}: is image 'blob-5' of blobs; a bundle holds no image of a dataset"
    assert verify_bundle(path).problems == []


def test_drawn_samples_belong_to_a_drawing_and_are_said_not_to_be_verified(made: Made, tmp_path: Path) -> None:
    found = verify_bundle(made.bundle, [str(made.data)])
    assert "no drawn sample is an image of the dataset" in found.verified
    assert "that drawn samples come from the generators: only drawing again shows that" in found.not_verified
    files = members(made.bundle)
    name = next(each for each in names_of(files, "samples") if "/images/" in each)
    files[name.replace(name.split("/")[1], "0" * 64)] = files[name]
    found = verify_bundle(write(tmp_path / "other.zip", files), [str(made.data)])
    assert f"samples/{'0' * 64}: is of no drawing of the plan" in [str(problem) for problem in found.problems]
    index = f"{name.split('/images/')[0]}/samples.json"
    for content in (b"[]", b"{}", files[index].replace(b"000000.png", b"000009.png", 1)):
        files = {**members(made.bundle), index: content}
        assert index in [problem.file for problem in verify_bundle(write(tmp_path / "index.zip", files)).problems]
    files = {**members(made.bundle), name: b"no picture"}
    found = verify_bundle(write(tmp_path / "damaged.zip", files), [str(made.data)])
    assert found.problems == []
    assert [line for line in found.not_verified if name in line]
    assert "no drawn sample is an image of the dataset" not in found.verified


def test_missing_trainings_on_real_images_alone_are_told(made: Made, tmp_path: Path) -> None:
    files = members(made.bundle)
    real = [row for row in json.loads(files["sources.json"])["trainings"] if not row["generator"]]
    keys = {row[name] for row in real for name in ("fit", "evaluate")}
    assert len(keys) == 4
    count = real[0]["fraction"]

    def of_others(content: Any) -> None:
        content["trainings"] = [row for row in content["trainings"] if row["generator"]]

    change_json(files, "sources.json", of_others)
    for name in ("images", "runs"):
        change_table(files, f"results/{name}.csv", lambda t: t[t["arm"].ne("real")])
    for name in [each for each in names_of(files, "predictions") if each.split("/")[1] in keys]:
        drop(files, name)
    found = verify_bundle(write(tmp_path / "without.zip", files))
    assert [line for line in found.not_verified if line.startswith(f"what real images alone reach, with {count} of")]


def test_images_that_arent_test_images_are_compared_too(made: Made, tmp_path: Path) -> None:
    samples = [
        dataclasses.replace(each, image=255 - each.image) if each.id == "blob-0" else each
        for each in SampleSet.open(made.data)
    ]
    SampleSet.of(samples).save(tmp_path / "blobs")
    with pytest.raises(DataError, match=r"image 'blob-0' isn't that of 'blobs'"):
        verify_bundle(made.bundle, [str(tmp_path / "blobs")])
