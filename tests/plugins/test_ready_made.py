"""Ready-made images: every image of a folder once, in an order that its pixels determine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from synthbench import Context, Sample, SampleSet
from synthbench.errors import ConfigError, DataError
from synthbench.plugin.registry import registry
from synthbench.samples import UNLABELLED, write_array

READY_MADE = registry().load("generator", "ready-made")


def made(number: int, *, channels: int = 1, dtype: str = "uint8") -> tuple[np.ndarray, np.ndarray]:
    """An image, 24 × 20, with the objects 3 and 7."""
    shape = (24, 20) if channels == 1 else (24, 20, channels)
    image = np.random.default_rng(number).integers(0, 250, shape).astype(dtype)
    labels = np.zeros((24, 20), np.uint8)
    labels[2:8, 2:8], labels[12:18, 5 + number % 9 : 12 + number % 9] = 3, 7
    return image, labels


def put(folder: Path, name: str, image: np.ndarray, labels: np.ndarray) -> None:
    for kind, array in (("images", image), ("masks", labels)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        write_array(folder / kind / f"{name}.png", array)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(7):
        put(tmp_path / "set", f"i{number}", *made(number))
    return tmp_path / "set"


def train(channels: int = 1, task: str = "instances", classes: tuple[str, ...] = ()) -> SampleSet:
    samples = [Sample(f"t{n}", *made(100 + n, channels=channels)) for n in range(2)]
    if task == "semantic":
        samples = [Sample(s.id, s.image, (s.labels > 0).astype(np.uint8)) for s in samples]
    return SampleSet.of(samples, task=task, classes=classes)


def fitted(*path: Path, seed: int = 0, like: SampleSet | None = None, **config: object):
    generator = READY_MADE(READY_MADE.Config(path=list(map(str, path)), **config))
    generator.fit(like or train(), Context(seed=seed))
    return generator


def sources(generator, count: int = 7) -> list[str]:
    return [s.groups["source"] for s in generator.sample_batch(range(count), 0)]


def test_every_image_is_drawn_once_as_it_is_with_numbered_objects(folder: Path) -> None:
    generator = fitted(folder)
    assert sorted(sources(generator)) == [f"i{n}" for n in range(7)]
    for index in range(7):
        sample = generator.sample(index, 0)
        image, labels = made(int(sample.groups["source"][1:]))
        assert sample.id == f"{index:06d}"
        np.testing.assert_array_equal(sample.image, image)
        np.testing.assert_array_equal(sample.labels, np.select([labels == 3, labels == 7], [1, 2]))


def test_the_order_is_that_of_the_pixels_wherever_and_however_files_are_named(folder: Path, tmp_path: Path) -> None:
    before = sources(fitted(folder))
    assert before != sorted(before)
    for number in range(7):
        put(tmp_path / "elsewhere", f"z{6 - number}", *made(number))
    after = sources(fitted(tmp_path / "elsewhere"))
    assert [name.replace("z", "i") for name in after] == [f"i{6 - int(name[1])}" for name in before]


def test_there_are_no_more_samples_than_images(folder: Path) -> None:
    with pytest.raises(DataError, match="7 images"):
        fitted(folder).sample(7, 0)


def test_the_model_holds_the_images(folder: Path, tmp_path: Path) -> None:
    generator = fitted(folder)
    expected = [s.digest for s in generator.sample_batch(range(7), 0)]
    (tmp_path / "model").mkdir()
    generator.save(tmp_path / "model")
    folder.rename(tmp_path / "gone")
    loaded = READY_MADE.load(tmp_path / "model", Context())
    assert [s.digest for s in loaded.sample_batch(range(7), 0)] == expected


def test_several_folders_are_seeds(folder: Path, tmp_path: Path) -> None:
    put(tmp_path / "second", "x", *made(50))
    assert sources(fitted(folder, tmp_path / "second", seed=1), 1) == ["x"]
    with pytest.raises(DataError, match=r"2 folder.*seed 2"):
        fitted(folder, tmp_path / "second", seed=2)


def test_grey_becomes_rgb_among_rgb_and_nothing_else_changes(folder: Path) -> None:
    sample = fitted(folder, like=train(channels=3)).sample(0, 0)
    image, _ = made(int(sample.groups["source"][1:]))
    np.testing.assert_array_equal(sample.image, np.stack([image] * 3, axis=-1))


def test_classes_are_read_as_the_training_images_have_them(tmp_path: Path) -> None:
    image, labels = made(1)
    put(tmp_path / "set", "a", image, (labels > 0).astype(np.uint8) * 255)
    like = train(task="semantic", classes=("background", "cell"))
    np.testing.assert_array_equal(fitted(tmp_path / "set", like=like).sample(0, 0).labels, labels > 0)


def test_a_set_says_where_its_masks_come_from_and_its_unlabelled_images_stay_out(tmp_path: Path) -> None:
    image, labels = made(1)
    unknown = Sample("u", image, np.zeros_like(labels), {"split": UNLABELLED}, np.ones(labels.shape, bool))
    SampleSet.of([Sample("a", image, labels, {"mask": "new", "well": "A1"}), unknown]).save(tmp_path / "set")
    generator = fitted(tmp_path / "set")
    assert dict(generator.sample(0, 0).groups) == {"source": "a", "mask": "new"}
    assert len(generator.samples) == 1


@pytest.mark.parametrize(
    ("config", "named"),
    [({}, "path"), ({"path": "nowhere"}, "nowhere"), ({"path": __file__}, "test_ready_made")],
)
def test_what_is_no_folder_is_refused(config: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        READY_MADE.Config(**config).files()


@pytest.mark.parametrize("path", [3, [4], ""])
def test_a_path_is_a_text(path: object) -> None:
    with pytest.raises(ValidationError, match="folder"):
        READY_MADE.Config(path=path)


def test_binary_masks_are_refused_with_the_key_that_reads_them(tmp_path: Path) -> None:
    for number in range(2):
        image, labels = made(number)
        put(tmp_path / "set", f"i{number}", image, (labels > 0).astype(np.uint8) * 255)
    with pytest.raises(DataError, match=r"binary.*components: true") as caught:
        fitted(tmp_path / "set")
    assert "--" not in str(caught.value)
    assert fitted(tmp_path / "set", components=True).sample(0, 0).labels.max() == 2


def test_an_image_without_mask_and_one_of_another_size_are_named(folder: Path) -> None:
    (folder / "masks" / "i3.png").unlink()
    write_array(folder / "masks" / "i4.png", np.ones((5, 5), np.uint8))
    with pytest.raises(DataError, match=r"i3\.png") as caught:
        fitted(folder)
    assert "i4.png" in str(caught.value)


def test_ids_that_the_tool_has_seen_are_read_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "ids.txt"
    file.write_text("\ufeffa\n\n b \na\n", encoding="utf-8")
    assert READY_MADE.Config(trained_on=str(file)).ids_seen() == ("a", "b")
    file.write_text("")
    assert READY_MADE.Config(trained_on=str(file)).ids_seen() == ()
    assert READY_MADE.Config().ids_seen() is None
    with pytest.raises(ConfigError, match="absent"):
        READY_MADE.Config(trained_on="absent").ids_seen()


def test_existing_samples_are_the_folders_in_order(folder: Path, tmp_path: Path) -> None:
    put(tmp_path / "second", "x", *made(50))
    config = READY_MADE.Config(path=[str(folder), str(tmp_path / "second")])
    found = READY_MADE.existing(config, "instances", (), Context(folder=tmp_path / "kept"))
    assert [len(SampleSet.open(path)) for path in found.folders] == [7, 1]
    assert found.trained_on is None
    assert all(path.is_relative_to(tmp_path / "kept") for path in found.folders)


def test_a_configuration_is_the_same_after_json(folder: Path) -> None:
    config = READY_MADE.Config(path=str(folder), trained_on="ids.txt")
    assert READY_MADE.Config.model_validate(json.loads(config.model_dump_json())) == config
