"""``synthbench weights``: what a file holds, and the tensors of a checkpoint."""

from __future__ import annotations

import hashlib
import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from synthbench.cli import main
from synthbench.errors import PluginError
from synthbench.toolkit.training.weights_conversion import extract_state_dict

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.steps": torch.tensor(4)}


class Executed:
    """An object whose unpickling would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_show_lists_tensors_digest_and_training_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    path = tmp_path / f"net{suffix}"
    if suffix == ".pt":
        saved(path, TENSORS)
    else:
        save_file(TENSORS, path)
    Path(f"{path}.yaml").write_text("trained_on: [livecell]\nlicence: CC0\n")
    assert main(["weights", "show", str(path)]) == 0
    out = capsys.readouterr().out
    assert hashlib.sha256(path.read_bytes()).hexdigest() in out
    for text in ("a.weight", "2 × 3", "2 tensors", "trained on: livecell", "licence: CC0"):
        assert text in out
    assert main(["weights", "show", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["trained_on"] == ["livecell"]
    assert {tensor["name"]: tensor["shape"] for tensor in found["tensors"]} == {"a.weight": [2, 3], "a.steps": []}


def test_show_says_that_nobody_declared_the_training_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "show", str(saved(tmp_path / "net.pt", TENSORS))]) == 0
    assert "not declared" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "found_at"),
    [
        (TENSORS, ""),
        ({"state_dict": TENSORS, "epoch": 3}, "state_dict"),
        ({"model": {"state_dict": TENSORS}}, "model.state_dict"),
        ({"model_state_dict": {f"module.{name}": value for name, value in TENSORS.items()}}, "model_state_dict"),
        ({"state_dict": TENSORS, "args": Namespace(lr=1), "best": np.float64(0.5), "at": Path("x")}, "state_dict"),
    ],
)
def test_convert_takes_the_tensors_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: Any, found_at: str
) -> None:
    source, target = saved(tmp_path / "full.pt", content), tmp_path / "net.safetensors"
    Path(f"{source}.yaml").write_text("trained_on: []")
    assert main(["weights", "convert", str(source), str(target)]) == 0
    out = capsys.readouterr().out
    assert "2 tensors" in out
    assert found_at in out
    written = load_file(target)
    assert written.keys() == TENSORS.keys()
    assert all(torch.equal(written[name], TENSORS[name]) for name in TENSORS)
    assert Path(f"{target}.yaml").read_text() == "trained_on: []"


def test_values_beside_the_tensors_are_left_out_and_named(tmp_path: Path) -> None:
    extracted = extract_state_dict(saved(tmp_path / "x.pt", {**TENSORS, "classes": 3}))
    assert extracted.left_out == ("classes",)
    assert extracted.tensors.keys() == TENSORS.keys()


def test_nothing_in_a_file_is_executed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    witness = tmp_path / "executed"
    source = saved(tmp_path / "evil.pt", {"state_dict": TENSORS, "more": Executed(witness)})
    assert main(["weights", "show", str(source)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "evil.pt" in error
    assert "weights convert" in error
    assert "weights_only" not in error
    assert main(["weights", "convert", str(source), str(tmp_path / "net.safetensors")]) == 2
    assert "evil.pt" in capsys.readouterr().err
    assert not witness.exists()
    assert not (tmp_path / "net.safetensors").exists()


def touch(path: Path) -> None:
    path.touch()


class Called:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (touch, (self.path,))


def test_a_function_that_a_checkpoint_names_is_skipped_and_not_called(tmp_path: Path) -> None:
    source = saved(tmp_path / "x.pt", {"state_dict": TENSORS, "more": Called(tmp_path / "called")})
    assert extract_state_dict(source).tensors.keys() == TENSORS.keys()
    assert not (tmp_path / "called").exists()


def test_convert_skips_an_optimiser_object(tmp_path: Path) -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    optimiser = torch.optim.Adam([weight])
    weight.sum().backward()
    optimiser.step()
    extracted = extract_state_dict(saved(tmp_path / "x.pt", {"model": TENSORS, "epoch": 3, "opt": optimiser}))
    assert extracted.found_at == "model"
    assert all(torch.equal(extracted.tensors[name], TENSORS[name]) for name in TENSORS)


def test_a_damaged_safetensors_file_is_called_so(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "trunc.safetensors")
    content = (tmp_path / "trunc.safetensors").read_bytes()
    (tmp_path / "trunc.safetensors").write_bytes(content[: len(content) - 8])
    with pytest.raises(PluginError, match=r"trunc\.safetensors: a damaged safetensors"):
        extract_state_dict(tmp_path / "trunc.safetensors")


def test_a_whole_model_is_refused_with_its_class(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"torch\.nn\.modules\.linear\.Linear"):
        extract_state_dict(saved(tmp_path / "x.pt", torch.nn.Linear(1, 1)))


@pytest.mark.parametrize(
    ("content", "named"),
    [({"epoch": 3}, "epoch"), ([1, 2], "list"), ({"state_dict": {}}, "state_dict"), (None, "None")],
)
def test_a_file_without_tensors_is_refused(tmp_path: Path, content: Any, named: str) -> None:
    with pytest.raises(PluginError, match=named):
        extract_state_dict(saved(tmp_path / "x.pt", content))


@pytest.mark.parametrize("name", ["net.pt", "there.safetensors"])
def test_a_target_of_another_kind_or_one_that_exists_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "there.safetensors").write_bytes(b"mine")
    source = saved(tmp_path / "x.pt", TENSORS)
    assert main(["weights", "convert", str(source), str(tmp_path / name)]) == 2
    assert name in capsys.readouterr().err
    assert (tmp_path / "there.safetensors").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["x.pt", "x.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"no weights"])
def test_what_isnt_a_file_of_weights_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main(["weights", "show", str(tmp_path / name)]) == 2
    error = capsys.readouterr().err
    assert name in error
    assert error.count("\n") == 1
