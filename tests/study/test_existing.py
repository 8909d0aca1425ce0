"""Ready-made images in a study: as many as there are, hashed by content, and none that shows what is tested."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from helpers.notes import notes_on_data
from synthbench.engine.base import Options
from synthbench.engine.run_task import run_task
from synthbench.errors import ConfigError, DataError, SynthbenchError
from synthbench.samples import Sample, SampleSet, write_array
from synthbench.store import Store
from synthbench.study.model import make_study
from synthbench.study.plan import Plan, make_plan
from synthbench.study.resolve import resolve

pytestmark = pytest.mark.usefixtures("trial_registry")

SIDE = 32
PARTS = ["train"] * 6 + ["validation"] * 2 + ["test"] * 3


def picture(number: int, dtype: str = "uint8") -> np.ndarray:
    return np.random.default_rng(number).integers(0, 200, (SIDE, SIDE)).astype(dtype)


def labels() -> np.ndarray:
    made = np.zeros((SIDE, SIDE), np.uint8)
    made[8:20, 8:20] = 1
    return made


def real(count: int = len(PARTS)) -> SampleSet:
    return SampleSet.of(
        [Sample(f"{part}-{i}", picture(i), labels(), {"split": part}) for i, part in enumerate(PARTS[:count])]
    )


def put(folder: Path, numbers, dtype: str = "uint8") -> Path:
    """Write ready-made images; a number below 11 is that of a real image."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for number in numbers:
        write_array(folder / "images" / f"i{number}.png", picture(number, dtype))
        write_array(folder / "masks" / f"i{number}.png", labels())
    return folder


@pytest.fixture
def planned(tmp_path: Path, trial_study: dict):
    """Plan a study of the real images with ready-made ones; `config` is that of the generator."""
    real().save(tmp_path / "cells")
    store = Store(tmp_path / "store")

    def make(path: object, seeds: int | None = None, *, config: dict | None = None, **changes: object) -> Plan:
        paths = [str(each) for each in path] if isinstance(path, list) else str(path)
        own = {"name": "ready-made", "label": "mine", "config": {"path": paths, **(config or {})}, "seeds": seeds}
        study = trial_study | {"datasets": [str(tmp_path / "cells")], "generators": [own], **changes}
        return make_plan(resolve(make_study(study, "test"), store))

    return make


def task(plan: Plan, kind: str = "fit-generator"):
    return next(task for task in plan.tasks.values() if task.kind == kind)


def ids(tmp_path: Path, *names: str) -> dict[str, str]:
    (tmp_path / "ids.txt").write_text("\n".join(names))
    return {"trained_on": str(tmp_path / "ids.txt")}


# -- keys -----------------------------------------------------------------------------------------------------------


def test_the_key_is_of_the_content_and_not_of_the_place(planned, tmp_path: Path) -> None:
    folder = put(tmp_path / "set", range(20, 26))
    first = task(planned(folder)).key
    folder.rename(tmp_path / "moved")
    assert task(planned(tmp_path / "moved", config=ids(tmp_path, "train-0"))).key == first
    changed = picture(22)
    changed[3, 4] ^= 1
    write_array(tmp_path / "moved" / "images" / "i22.png", changed)
    assert task(planned(tmp_path / "moved")).key != first


def test_a_pixel_that_changes_between_planning_and_running_fails_the_task(planned, tmp_path: Path) -> None:
    folder = put(tmp_path / "set", range(20, 26))
    fit = task(planned(folder))
    write_array(folder / "images" / "i22.png", picture(99))
    ended = run_task(fit, Options(str(tmp_path / "store"), device="cpu"), lambda _: None)
    assert ended.status == "failed"
    assert "a file that it reads" in ended.error


def test_the_images_are_drawn_from_the_store(planned, tmp_path: Path) -> None:
    folder = put(tmp_path / "set", range(20, 26))
    plan, store = planned(folder), Store(tmp_path / "store")
    options = Options(str(store.root), device="cpu")
    assert run_task(task(plan), options, lambda _: None).status == "done"
    shutil.rmtree(folder)
    draw = task(plan, "draw")
    assert run_task(draw, options, lambda _: None).status == "done"
    drawn = SampleSet.open(store.get("draw", draw.key).folder / "samples")
    assert len(drawn) == 4
    expected = {picture(number).tobytes() for number in range(20, 26)}
    assert {sample.image.tobytes() for sample in drawn} < expected


# -- amounts and seeds ------------------------------------------------------------------------------------------------


def test_the_largest_possible_amount_is_named_where_a_study_asks_for_more(planned, tmp_path: Path) -> None:
    folder = put(tmp_path / "set", range(20, 28))
    assert planned(folder, synthetic=[8])
    for amount in (9, "2x"):
        with pytest.raises(ConfigError, match=f"{amount}.*at most 8"):
            planned(folder, synthetic=[amount])


def test_folders_are_the_default_number_of_generator_seeds_and_the_most(planned, tmp_path: Path) -> None:
    folders = [put(tmp_path / name, range(start, start + 5)) for name, start in (("a", 20), ("b", 30))]
    plan = planned(folders)
    assert {cell.generator_seed for cell in plan.training_runs if cell.generator} == {0, 1}
    assert plan.resolved.study.generators[0].seeds == 2
    again = make_plan(resolve(plan.resolved.study, Store(tmp_path / "store")))
    assert again.tasks.keys() == plan.tasks.keys(), "the study in the run folder is the same study"
    assert {cell.generator_seed for cell in planned(folders, 1).training_runs if cell.generator} == {0}
    with pytest.raises(ConfigError, match=r"3.*'mine' has 2"):
        planned(folders, generator_seeds=3)


def test_a_folder_given_twice_is_refused_and_so_is_one_with_the_same_content(planned, tmp_path: Path) -> None:
    folder = put(tmp_path / "set", range(20, 26))
    with pytest.raises(ConfigError, match=rf"{folder} and {folder}"):
        planned([folder, folder])
    other = shutil.copytree(folder, tmp_path / "other")
    for kind in ("images", "masks"):
        (other / kind / "i20.png").rename(other / kind / "z.png")
    with pytest.raises(ConfigError, match=rf"{folder} and {other}"):
        planned([folder, other])
    write_array(other / "images" / "i21.png", picture(30))
    assert planned([folder, other])


def test_arms_of_the_same_content_are_told(planned, tmp_path: Path) -> None:
    folder = put(tmp_path / "set", range(20, 26))
    other = shutil.copytree(folder, tmp_path / "other")

    def notes() -> list[str]:
        own = [{"name": str(path), "label": path.name} for path in (folder, other)]
        return [note for note in notes_on_data(planned(folder, generators=own).resolved) if "set and other" in note]

    assert len(notes()) == 1
    write_array(other / "masks" / "i21.png", labels().T[::-1].copy())
    assert not notes()


def test_repeated_images_and_masks_without_objects_are_told(planned, tmp_path: Path) -> None:
    folder = put(tmp_path / "set", range(20, 26))
    assert len(notes_on_data(planned(folder, config=ids(tmp_path)).resolved)) == 0
    write_array(folder / "images" / "i21.png", picture(20))
    (note,) = notes_on_data(planned(folder, config=ids(tmp_path)).resolved)
    assert "i20 = i21" in note
    for file in (folder / "masks").iterdir():
        write_array(file, np.zeros((SIDE, SIDE), np.uint8))
    notes = notes_on_data(planned(folder, config=ids(tmp_path)).resolved)
    assert len(notes) == 2
    assert "object" in notes[0]


# -- what is tested stays unseen --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "part"), [(9, "test"), (6, "validation")])
def test_a_test_image_among_them_is_refused_before_anything_runs(planned, tmp_path, number: int, part: str) -> None:
    folder = put(tmp_path / "set", [*range(20, 26), number])
    with pytest.raises(ConfigError, match=f"i{number} = {part}-{number}"):
        planned(folder)


def test_near_copies_and_copies_of_training_images_are_told(planned, tmp_path: Path) -> None:
    folder = put(tmp_path / "set", [*range(20, 26), 2])
    write_array(folder / "images" / "i20.png", np.flipud(picture(9)) + np.uint8(1))
    notes = "\n".join(notes_on_data(planned(folder).resolved))
    assert "1 of its images are copies of test images" in notes
    assert "1 of its images are copies of training images, or nearly (1 pixel by pixel)" in notes


@pytest.mark.parametrize(("seen", "why"), [("test-9", "tested on"), ("validation-6", "thresholds.*val/")])
def test_a_tool_that_has_seen_what_is_tested_is_refused(planned, tmp_path: Path, seen: str, why: str) -> None:
    folder = put(tmp_path / "set", range(20, 26))
    with pytest.raises(ConfigError, match=f"{seen}.*{why}"):
        planned(folder, config=ids(tmp_path, "train-0", seen))


def test_ids_of_no_image_are_refused_and_some_are_told(planned, tmp_path: Path) -> None:
    folder = put(tmp_path / "set", range(20, 26))
    with pytest.raises(ConfigError, match=r"train-77\.png"):
        planned(folder, config=ids(tmp_path, "train-77.png"))
    (note,) = notes_on_data(planned(folder, config=ids(tmp_path, "train-0", "e1", "e2.png", "e3", "e4")).resolved)
    assert "4 ids" in note
    assert "e1, e2.png, e3 and 1 more" in note


@pytest.mark.parametrize("name", ["test-9.png", "raw/test-9.ome.tif", "C:\\raw\\test-9.TIF", "raw/test-9"])
def test_ids_may_be_files(planned, tmp_path: Path, name: str) -> None:
    folder = put(tmp_path / "set", range(20, 26))
    with pytest.raises(ConfigError, match="test-9;"):
        planned(folder, config=ids(tmp_path, "train-0", name))


def test_what_the_tool_has_seen_beside_the_arm_is_in_plan_and_rows(planned, tmp_path: Path) -> None:
    folder = put(tmp_path / "set", range(20, 26))

    def seen(config: dict | None) -> tuple[set[str], list[str]]:
        plan = planned(folder, config=config, fractions=[3, 1.0])
        rows = {(len(plan.resolved.conditions[c.condition].train), c.generator_seen) for c in plan.training_runs}
        return rows - {(3, ""), (6, "")}, notes_on_data(plan.resolved)

    every = ids(tmp_path, *(f"train-{n}" for n in range(6)))
    assert seen(every)[0] == {(3, "3"), (6, "no")}
    assert "up to 3 real images more" in "\n".join(seen(every)[1])
    assert seen(ids(tmp_path))[0] == {(3, "no"), (6, "no")}
    assert seen(None)[0] == {(3, "not declared"), (6, "not declared")}
    assert "not declared" in "\n".join(seen(None)[1])


# -- what doesn't suit the dataset ------------------------------------------------------------------------------------


def test_images_of_another_type_are_refused_when_planned(planned, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'i20' is read as uint16"):
        planned(put(tmp_path / "set", range(20, 26), "uint16"))


def test_images_smaller_than_a_training_patch_are_refused_when_planned(planned, tmp_path: Path) -> None:
    SampleSet.of([Sample(f"i{n}", picture(n)[:12], labels()[:12]) for n in range(20, 26)]).save(tmp_path / "set")
    with pytest.raises(DataError, match="'i20' is 12×32"):
        planned(tmp_path / "set")


def test_a_set_of_another_task_is_refused(planned, tmp_path: Path) -> None:
    samples = [Sample(f"i{n}", picture(n), labels()) for n in range(20, 26)]
    SampleSet.of(samples, task="semantic", classes=("background", "cell")).save(tmp_path / "set")
    with pytest.raises(DataError, match=r"semantic.*instances"):
        planned(tmp_path / "set")


def test_a_folder_without_images_is_refused_with_the_generator_named(planned, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    with pytest.raises(SynthbenchError, match=r"'mine'.*is empty"):
        planned(tmp_path / "set")


# -- a path in place of a name ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["./set", "set", "{tmp_path}/set", {"name": "./set", "label": "mine"}])
def test_a_path_stands_for_ready_made_images(name, trial_study, tmp_path: Path, monkeypatch) -> None:
    put(tmp_path / "set", [20])
    monkeypatch.chdir(tmp_path)
    given = name.format(tmp_path=tmp_path) if isinstance(name, str) else name
    (choice,) = make_study(trial_study | {"generators": [given]}, "test").generators
    assert choice.name == "ready-made"
    assert choice.title == ("set" if isinstance(name, str) else "mine")
    assert (Path(str(choice.config["path"])) / "images").is_dir()


def test_a_plugin_s_name_is_the_plugin_whatever_is_in_the_folder(trial_study, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "brighter").mkdir()
    monkeypatch.chdir(tmp_path)
    (choice,) = make_study(trial_study | {"generators": ["brighter"]}, "test").generators
    assert choice.name == "brighter"


def test_two_folders_of_one_name_need_labels(trial_study) -> None:
    with pytest.raises(ConfigError, match="'set' occurs twice"):
        make_study(trial_study | {"generators": ["./a/set", "./b/set"]}, "test")


def test_two_labels_that_differ_by_case_only_are_refused(trial_study) -> None:
    paths = [{"name": f"./{title}", "label": title} for title in ("Pix", "pix")]
    with pytest.raises(ConfigError, match=r"'Pix' and 'pix'"):
        make_study(trial_study | {"generators": paths}, "test")
