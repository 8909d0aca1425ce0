"""Environments by name: kept, refused, found and removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthbench.environments import registered
from synthbench.environments.making import add_environment
from synthbench.environments.registered import (
    environment_named,
    find_interpreter,
    interpreters,
    register,
    registered_environments,
    remove_environment,
)
from synthbench.environments.variables import INSIDE, interpreter_variables
from synthbench.errors import ConfigError


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", ".hidden", "-x", "a\n", "é", "x" * 65])
def test_odd_names_are_refused_in_one_line(home: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="environment name") as caught:
        add_environment(name, "python3")
    assert "\n" not in str(caught.value)
    assert not home.exists()


def test_an_environment_is_known_once_its_record_is_written(home: Path) -> None:
    (home / "envs" / "half-made" / "bin").mkdir(parents=True)
    assert registered_environments() == {}
    register("b", "/b/python")
    register("a", "/a/python")
    assert list(registered_environments()) == ["a", "b"]
    assert interpreters() == {"a": "/a/python", "b": "/b/python"}
    with pytest.raises(ConfigError, match=r"'aa'.*did you mean 'a'|'aa'.*there are: a, b"):
        environment_named("aa")


def test_a_record_that_cannot_be_read_names_no_interpreter(home: Path) -> None:
    for name, text in {"empty": "", "list": "[]", "number": '{"python": 3}'}.items():
        (home / "envs" / name).mkdir(parents=True)
        (home / "envs" / name / registered.RECORD).write_text(text)
    assert {environment.python for environment in registered_environments().values()} == {""}
    assert interpreters() == {}


def test_within_an_environment_there_are_no_others(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register("a", "/a/python")
    monkeypatch.setenv(INSIDE, "a")
    assert registered_environments() == {}


def test_an_interpreter_is_a_file_a_folder_or_a_command_and_a_link_is_kept(home: Path, second: str) -> None:
    assert find_interpreter(second) == second
    assert find_interpreter(str(Path(second).parents[1])) == second
    assert Path(find_interpreter("python3")).is_absolute()
    for wrong in ("/no/such/python", "no-such-command", str(home.parent), __file__):
        with pytest.raises(ConfigError, match="no such interpreter"):
            find_interpreter(wrong)


def test_removing_an_added_environment_deletes_nothing_but_its_record(home: Path, second: str) -> None:
    add_environment("other", second)
    with pytest.raises(ConfigError, match="'other' exists"):
        add_environment("other", second)
    assert remove_environment("other").python == second
    assert Path(second).exists()
    assert not (home / "envs" / "other").exists()
    with pytest.raises(ConfigError, match="'other'"):
        remove_environment("other")


def test_another_environment_does_not_see_the_modules_of_this_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/mine")
    monkeypatch.setenv("KEPT", "1")
    assert interpreter_variables("")["PYTHONPATH"] == "/mine"
    there = interpreter_variables("other")
    assert "PYTHONPATH" not in there
    assert (there["KEPT"], there[INSIDE]) == ("1", "other")
