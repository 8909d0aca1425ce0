"""What environments offer: found by their own interpreters, remembered, and switched off with the reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.environments import distribution, second_environment
from synthbench.cli import main
from synthbench.environments import memos, offers
from synthbench.environments.making import add_environment
from synthbench.environments.offers import offer_of
from synthbench.environments.plugins import find_plugin, has_plugin, plugin_kinds, split_name
from synthbench.environments.registered import register
from synthbench.errors import ConfigError, PluginError
from synthbench.plugin.registry import registry


def script(path: Path, body: str) -> str:
    path.write_text(f"#!{sys.executable}\nimport json, sys, time\n{body}\n")
    path.chmod(0o755)
    return str(path)


def rows(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    assert main(["list", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("home")
def test_the_plugins_of_an_environment_are_found_by_its_interpreter(second: str) -> None:
    offer = offer_of(add_environment("other", second))
    assert offer.problem == ""
    entry = offer.entries["generator", "brighter"]
    assert (entry.distribution, entry.environment, entry.disabled_reason) == ("synthbench-trial", "other", "")
    here = ("engine", "logger")  # they work in the process that runs a study
    assert not [name for kind, name in offer.entries if kind in here]
    assert set(offer.entries) >= {key for key in registry().entries if key[0] not in here}


def test_it_is_asked_again_only_when_something_has_changed_there(
    home: Path, tmp_path: Path, counted: Callable[..., tuple[str, Callable[[], int]]]
) -> None:
    site = distribution(tmp_path / "site", "small", "1", {"small_plugin.py": SMALL}, "small = small_plugin")
    python, starts = counted(second_environment(tmp_path / "environment", site))
    environment = register("other", python)
    for _ in range(3):
        assert ("generator", "small") in offer_of(environment).entries
    assert starts() == 1
    (site / "small_plugin.py").write_text(SMALL.replace('"small"', '"renamed"'))
    assert ("generator", "renamed") in offer_of(environment).entries
    assert starts() == 2
    distribution(site, "large", "1", {"large_plugin.py": SMALL.replace("small", "large")}, "large = large_plugin")
    assert {("generator", "renamed"), ("generator", "large")} <= offer_of(environment).entries.keys()
    assert starts() == 3
    (home / "envs" / "other" / "plugins.json").write_text("{}")
    offer_of(environment)
    offer_of(environment, afresh=True)
    assert starts() == 5


SMALL = """
import synthbench
from synthbench import GeneratorSpec, hookimpl

@hookimpl
def synthbench_generators():
    yield GeneratorSpec("small", "small_plugin:Small", environment="no-such-library>=2")

class Small(synthbench.Generator):
    pass
"""


@pytest.mark.usefixtures("home")
def test_a_plugin_that_wants_an_environment_says_the_command_that_makes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = distribution(tmp_path / "site", "small", "1", {"small_plugin.py": SMALL}, "small = small_plugin")
    register("other", second_environment(tmp_path / "environment", site))
    (row,) = [row for row in rows(capsys, "generators")["plugins"] if row["name"] == "small"]
    assert "synthbench env create no-such-library-2 'no-such-library>=2' small==1" in row["disabled_reason"]
    assert row["needs"] == "no-such-library>=2"


BROKEN = {
    "version": ('print(json.dumps({"type": "hello", "protocol": 1, "synthbench": "9.9"}), flush=True)', "9.9"),
    "protocol": ('print(json.dumps({"type": "hello", "protocol": 99, "synthbench": "9"}), flush=True)', "protocol 99"),
    "old": (
        'sys.exit("Unknown option: -P\\nusage:\\nTry `python -h\' for more.")',
        "older than Python 3.11",
    ),
    "silent": ("sys.exit(7)", "exit code 7"),
    "raising": ('sys.exit("the licence server is away")', "the licence server is away"),
    "lists-nonsense": (
        "import synthbench\nfrom synthbench.processes.handshake import hello\n"
        "print(json.dumps(hello()), flush=True)\nsys.stdin.readline()\n"
        'print(json.dumps({"type": "answer", "number": 1, "value": {"plugins": [{"kind": 3}]}}), flush=True)',
        "can't be read",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.usefixtures("home")
def test_a_broken_environment_switches_off_its_plugins_alone(
    tmp_path: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    body, reason = BROKEN[case]
    paths = f"sys.path[:0] = {sys.path!r}\n"
    register("bad", script(tmp_path / "python", paths + body))
    found = rows(capsys)
    assert reason in found["environments"]["bad"]
    assert {(row["kind"], row["name"]) for row in found["plugins"]} == set(registry().entries)
    assert main(["env", "check", "bad"]) == 1
    assert reason in capsys.readouterr().out
    assert main(["list"]) == 0
    assert "environment 'bad' is disabled" in capsys.readouterr().out
    with pytest.raises(PluginError, match="environment 'bad'"):
        find_plugin("segmenter", "unet", "bad")
    with pytest.raises(PluginError, match=r"'nowhere'.*environment 'bad'"):
        find_plugin("segmenter", "nowhere")


def test_a_problem_is_remembered_for_a_while_until_something_changes_or_it_is_checked(
    home: Path, tmp_path: Path, counted: Callable[..., tuple[str, Callable[[], int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = script(tmp_path / "python", "sys.exit('the licence server is away')")
    python, starts = counted(bad)
    environment = register("bad", python)
    problems = {offer_of(environment).problem for _ in range(3)}
    assert problems == {"the licence server is away"}
    assert starts() == 1
    offer_of(environment, afresh=True)
    assert starts() == 2
    monkeypatch.setattr(memos, "PROBLEM_LASTS", 0.0)
    offer_of(environment)
    assert starts() == 3


def test_an_environment_without_synthbench_says_how_to_install_it(home: Path, tmp_path: Path) -> None:
    environment = register("bare", second_environment(tmp_path / "environment", packages=[]))
    reason = offer_of(environment).problem
    assert "No module named" in reason
    assert f"{environment.python} -m pip install " in reason
    Path(environment.python).unlink()
    assert "no such interpreter" in offer_of(environment).problem


@pytest.mark.usefixtures("home")
def test_here_comes_first_then_environments_by_name(second: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("b", "a"):
        register(name, second)
    assert find_plugin("segmenter", "unet").environment == ""
    assert find_plugin("segmenter", "unet", "b").environment == "b"
    assert find_plugin("segmenter", "threshold").environment == "a"
    assert has_plugin("dataset", "discs")
    assert plugin_kinds("brighter") == ["generator"]
    listed = [(row["name"], row["environment"]) for row in rows(capsys, "generators")["plugins"]]
    assert ("duplicate", "") in listed
    assert ("duplicate", "a") not in listed
    assert [environment for name, environment in listed if name == "brighter"] == ["a", "b"]
    with pytest.raises(PluginError, match=r"no segmenter 'treshold'.*threshold"):
        find_plugin("segmenter", "treshold", "a")
    with pytest.raises(PluginError, match=r"'treshold'.*threshold"):
        find_plugin("segmenter", "treshold")
    with pytest.raises(ConfigError, match="unknown environment 'c'"):
        find_plugin("segmenter", "threshold", "c")


@pytest.mark.usefixtures("home")
def test_a_plugin_that_is_disabled_here_is_served_by_an_environment_that_has_it(
    second: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    register("other", second)
    key = ("segmenter", "unet")
    off = registry().entries[key].__class__(registry().entries[key].spec, "synthbench", "0", "", "needs more")
    monkeypatch.setitem(registry().entries, key, off)
    assert find_plugin(*key).environment == "other"
    (row,) = [row for row in rows(capsys, "segmenters")["plugins"] if row["name"] == "unet"]
    assert (row["environment"], row["disabled_reason"]) == ("other", "")


def test_a_name_may_say_its_environment() -> None:
    assert split_name("unet@cellpose-4") == ("unet", "cellpose-4")
    for text in ("unet", "unet@", "@x", "/data/a@b", "Cells@home", "a@b@c", "a@b/c"):
        assert split_name(text) == (text, "")


def test_listing_imports_nothing_heavy_and_starts_nothing(
    home: Path, second: str, counted: Callable[..., tuple[str, Callable[[], int]]]
) -> None:
    python, starts = counted(second)
    offer_of(register("other", python))
    code = (
        "import sys; from synthbench.cli import main; main(['list']); "
        "sys.exit(sorted({'numpy', 'pydantic', 'torch', 'psutil', 'filelock'} & sys.modules.keys()) or 0)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "SYNTHBENCH_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "brighter" in done.stdout
    assert starts() == 1
    offers.clear_caches()
