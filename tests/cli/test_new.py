"""synthbench new: the files, and clear lines for names and folders that can't be."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from synthbench.cli import main


@pytest.mark.parametrize("kind", ["generator", "segmenter"])
def test_it_writes_a_whole_distribution(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "deep" / "plugin"
    assert main(["new", kind, "north-light", "--out", str(folder)]) == 0
    written = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    package = "src/synthbench_north_light"
    expected = [
        "README.md",
        "pyproject.toml",
        f"{package}/__init__.py",
        f"{package}/{kind}.py",
        "tests/test_contract.py",
    ]
    assert written == sorted(expected)
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["name"] == "synthbench-north-light"
    assert project["project"]["entry-points"]["synthbench"] == {"north-light": "synthbench_north_light"}
    for path in folder.rglob("*.py"):
        ast.parse(path.read_text())
    assert not [path for path in folder.rglob("*") if path.is_file() and "$" in path.read_text().replace("2^", "")]
    assert "synthbench check north-light" in capsys.readouterr().out


def test_by_default_it_writes_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "generator", "dusk"]) == 0
    assert (tmp_path / "synthbench-dusk" / "pyproject.toml").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["synthbench-dusk"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    assert main(["new", "segmenter", "dusk", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "pyproject.toml").is_file()


@pytest.mark.parametrize(
    "name", ["Dusk", "dusk_light", "-dusk", "dusk--light", "9lives", "dusk light", "../dusk", "é", ""]
)
def test_a_malformed_name_is_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "generator", "--out", str(tmp_path / "x"), "--", name]) == 2
    assert f"plugin name {name!r}: use lower-case letters, digits and single hyphens" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "name"), [("generator", "sample-set"), ("segmenter", "instances"), ("generator", "true")]
)
def test_a_name_that_the_template_uses_itself_is_no_trouble(kind: str, name: str, tmp_path: Path) -> None:
    """The class would hide what the module imports, or be no name at all."""
    assert main(["new", kind, name, "--out", str(tmp_path / "x")]) == 0
    module = tmp_path / "x" / "src" / f"synthbench_{name.replace('-', '_')}" / f"{kind}.py"
    (found,) = re.findall(r"^class (\w+)\((?:Generator|Segmenter)(?:\[\w+\])?\)", module.read_text(), re.MULTILINE)
    assert found.endswith("Method")
    compile(module.read_text(), str(module), "exec")


def test_a_name_that_means_no_generator_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "generator", "none", "--out", str(tmp_path / "x")]) == 2
    assert "--generators none means no generator" in capsys.readouterr().err


def test_a_taken_name_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "generator", "unet", "--out", str(tmp_path / "x")]) == 2
    assert "the name 'unet' is taken" in capsys.readouterr().err
    assert main(["new", "generator", "controls", "--out", str(tmp_path / "x")]) == 2
    assert "the import package synthbench_controls is already installed" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "plugin" / "work.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    assert main(["new", "generator", "dusk", "--out", str(kept.parent)]) == 2
    assert f"{kept.parent}: already exists" in capsys.readouterr().err
    assert [path.name for path in kept.parent.iterdir()] == ["work.txt"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["new", "generator", "dusk", "--out", str(tmp_path / "file" / "plugin")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path / "file") in line
