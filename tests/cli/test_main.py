"""The command line's frame: quick to answer, one clear line for what the user can mend."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import synthbench.cli
from synthbench.cli import main
from synthbench.errors import ConfigError

HEAVY = ("torch", "tensorflow", "keras", "numpy", "pydantic", "pandas", "matplotlib")
COMMANDS = [info.name for info in pkgutil.iter_modules(synthbench.cli.__path__) if not info.name.startswith("_")]


def modules_after(*argv: str) -> set[str]:
    """The modules that a command line has imported when it ends."""
    code = (
        "import sys\nfrom synthbench.cli import main\n"
        f"try:\n    main({list(argv)!r})\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print('MODULES', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.rpartition("MODULES ")[2].split())


@pytest.mark.parametrize(
    "argv", [("--help",), ("list",), ("list", "--json"), *((command, "--help") for command in COMMANDS)]
)
def test_help_and_list_import_nothing_heavy(argv: tuple[str, ...]) -> None:
    loaded = modules_after(*argv)
    assert not loaded & set(HEAVY)
    assert "synthbench.cli" in loaded


def test_a_renamed_command_is_refused_with_its_present_name(capsys) -> None:
    with pytest.raises(SystemExit) as end:
        main(["why", "abc"])
    assert end.value.code == 2
    assert "why: was renamed; use explain" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["plan", "run"])
def test_an_unknown_column_is_refused_before_anything_is_planned(command: str, capsys) -> None:
    assert main([command, "--columns", "foo"]) == 2
    assert "'foo'" in capsys.readouterr().err


def test_import_synthbench_costs_next_to_nothing() -> None:
    code = "import sys; before = set(sys.modules); import synthbench; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert not set(done.stdout.split()) & set(HEAVY)


def test_every_public_name_of_the_package_is_there() -> None:
    import synthbench

    for name in synthbench.__all__:
        assert getattr(synthbench, name) is not None, name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = synthbench.nonsense


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"synthbench {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["leaderboard", "run", "--format", "xml"], " leaderboard"),
        (["nonsense"], ""),
        (["score", "a", "b", "--workers=0"], " score"),
    ],
)
def test_an_invalid_argument_is_one_line_with_the_command_that_helps(
    argv: list[str], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(argv)
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("synthbench: error: ")
    assert error.endswith(f"; see synthbench{command} --help\n")
    assert error.count("\n") == 1


def test_help_names_every_command_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    for command in COMMANDS:
        assert any(line.split()[:1] == [command] and len(line.split()) > 2 for line in out.splitlines()), command


def test_an_error_of_the_user_is_one_line_and_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(error: BaseException) -> object:
        def run(args: object) -> int:
            raise error

        return run

    for error, code, line in (
        (ConfigError("study.yaml: seeds: give a number"), 2, "synthbench: error: study.yaml: seeds: give a number\n"),
        (
            OSError(28, "No space left on device", "/full/disk"),
            2,
            "synthbench: error: /full/disk: No space left on device; free some space\n",
        ),
        (KeyboardInterrupt(), 130, "synthbench: stopped\n"),
    ):
        monkeypatch.setattr("synthbench.cli.list.run", fails(error))
        assert main(["list"]) == code
        assert capsys.readouterr().err == line


def test_a_closed_pipe_is_no_traceback() -> None:
    code = f"{sys.executable} -m synthbench list | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr


def test_without_a_command_it_says_what_there_is() -> None:
    done = subprocess.run([sys.executable, "-m", "synthbench"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "COMMAND" in done.stderr
