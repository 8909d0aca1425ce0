"""What a shell is offered, asked as a shell asks."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import argcomplete
import pytest

from synthbench.cli import build_parser, main
from synthbench.cli._completers import add_completers


def offered(line: str, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    for name, value in {"COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("_ARGCOMPLETE_IFS", "\n")
    monkeypatch.setattr(os, "fdopen", lambda *_: sys.stderr)  # argcomplete takes file 9 for its own: pytest's, maybe
    parser = build_parser()
    add_completers(parser)
    out = io.StringIO()

    class Done(Exception):
        pass

    def done(_code: int) -> None:
        raise Done

    with pytest.raises(Done):
        argcomplete.autocomplete(parser, exit_method=done, output_stream=out, always_complete_options="long")
    return {word.strip() for word in out.getvalue().split("\n")}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("synthbench sta", {"status"}),
        ("synthbench run --gener", {"--generators", "--generator-seeds"}),
        ("synthbench run --generators pix2", {"pix2pix", "pix2pixhd"}),
        ("synthbench run --generators pix2pix,pix2", {"pix2pix,pix2pixhd"}),
        ("synthbench run --generators no", {"none"}),
        ("synthbench run --budget q", {"quick"}),
        ("synthbench show --kind encoder pix2", {""}),
        ("synthbench show --kind generator pix2", {"pix2pix", "pix2pixhd"}),
        ("synthbench run --dataset phantom-n", {"phantom-nuclei"}),
    ],
)
def test_commands_options_and_names_are_completed(
    line: str, expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert offered(line, monkeypatch) == expected


def test_datasets_of_the_library_and_files_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTHBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("synthbench.datasets.library.Library.names", lambda self: ["wells", "walls"])
    assert offered("synthbench dataset show w", monkeypatch) == {"wells", "walls"}
    assert offered("synthbench run --dataset wells,w", monkeypatch) == {"wells,walls"}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "rubbish.txt").touch()
    assert offered("synthbench status ru", monkeypatch) == {"runs/"}


def test_the_shell_is_answered_without_heavy_imports() -> None:
    line = "synthbench run --segmenters unet,cell"
    shell = {"COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n"}
    code = (
        "import os, sys, synthbench.cli as cli\n"
        "os._exit = sys.exit\n"
        "try: cli.main([])\n"
        "finally: print(sorted({'torch', 'numpy', 'pandas', 'tensorflow'} & set(sys.modules)), file=sys.stderr)"
    )
    shell["_ARGCOMPLETE_STDOUT_FILENAME"] = os.devnull
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **shell},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_code_for_a_shell_names_the_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    code = capsys.readouterr().out
    assert "synthbench" in code
    assert "_ARGCOMPLETE" in code
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=code, text=True, check=True)
