"""Weight files are read as named tensors and nothing else, and a bad one is refused in one line."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

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
