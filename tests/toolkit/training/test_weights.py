"""Weight files are read as named tensors and nothing else, and a bad one is refused in one line."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from synthbench.errors import PluginError
from synthbench.toolkit.training import weights
from synthbench.toolkit.training.weights_conversion import extract_state_dict, tensor_infos


class Harmful:
    def __reduce__(self) -> tuple:
        return (pytest.fail, ("unpickled",))


@pytest.mark.parametrize("content", [{"a": Harmful()}, {"a": "text"}, [torch.zeros(1)]])
def test_nothing_but_named_tensors_is_read(content: object, tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save(content, path)
    with pytest.raises(PluginError, match=r"x\.pth: not a (file of weights|state dict)"):
        weights.read_state_dict(path)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("content", [{"a": 1}, {"a": Harmful()}])
@pytest.mark.filterwarnings("error")
def test_a_raw_pickle_is_refused_in_one_line_without_unsafe_advice(
    content: object, protocol: int, tmp_path: Path
) -> None:
    path = tmp_path / "raw.pth"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    for read in (weights.read_state_dict, tensor_infos, extract_state_dict):
        with pytest.raises(PluginError, match=r"raw\.pth") as raised:
            read(path)
        assert "\n" not in str(raised.value)
        assert "weights_only" not in str(raised.value)


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
def test_a_damaged_file_is_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x00garbage")
    with pytest.raises(PluginError, match="not a file of weights") as caught:
        weights.read_state_dict(tmp_path / name)
    assert "\n" not in str(caught.value)
    with pytest.raises(PluginError, match="can't be read"):
        weights.read_state_dict(tmp_path / "absent.pth")
    with pytest.raises(PluginError, match="SHA-256"):
        weights.read_state_dict(tmp_path / name, "abc")


def test_the_entry_of_a_training_checkpoint_is_read(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pth"
    content = {"epoch": 3, "model_state_dict": {"weight": torch.ones(2)}, "optimizer_state_dict": {"state": {}}}
    torch.save(content, path)
    assert weights.read_state_dict(path, entry="model_state_dict").keys() == {"weight"}
    with pytest.raises(PluginError, match="more than named tensors"):
        weights.read_state_dict(path)
    torch.save({"weight": torch.ones(2)}, path)
    assert weights.read_state_dict(path, entry="model_state_dict").keys() == {"weight"}


def test_an_archive_that_unpacks_to_more_than_it_has_is_refused(tmp_path: Path) -> None:
    """Torch stores what is in its archives as it is; compressed, a small file can fill the memory."""
    torch.save({"a": torch.zeros(100_000)}, tmp_path / "plain.pth")
    with zipfile.ZipFile(tmp_path / "plain.pth") as plain, zipfile.ZipFile(tmp_path / "bomb.pth", "w") as bomb:
        for entry in plain.infolist():
            bomb.writestr(entry.filename, plain.read(entry), zipfile.ZIP_DEFLATED)
    assert weights.read_state_dict(tmp_path / "plain.pth").keys() == {"a"}
    for read in (weights.read_state_dict, tensor_infos, extract_state_dict):
        with pytest.raises(PluginError, match=r"bomb\.pth.* bytes unpack to "):
            read(tmp_path / "bomb.pth")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({1: torch.zeros(2)}, "1 isn't the name"),
        ({"a": torch.zeros(2).to_sparse()}, "a is stored as a sparse"),
        ({"a": torch.zeros(2, device="meta")}, "a is stored as"),
    ],
)
def test_tensors_without_a_name_or_values_of_their_own_are_refused(content: object, named: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(PluginError, match=rf"x\.pth: .*{named}"):
        weights.read_state_dict(tmp_path / "x.pth")


def test_what_a_file_is_instead_is_said(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "other.pth")
    (tmp_path / "empty.pth").touch()
    (tmp_path / "text.pth").write_text("hello")
    for name, words in {"other": "name that ends in .safetensors", "empty": "is empty", "text": "damaged, or"}.items():
        with pytest.raises(PluginError, match=words):
            weights.read_state_dict(tmp_path / f"{name}.pth")
