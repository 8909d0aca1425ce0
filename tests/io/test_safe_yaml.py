"""YAML that people write: merge keys work, and what could be misused ends in one line, at once."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthbench.errors import ConfigError
from synthbench.io.safe_yaml import MAX_BYTES, MAX_DEPTH, read_yaml
from synthbench.study.model import read_study


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "study.yaml"


def test_merge_keys_fill_in_what_is_not_given(file):
    file.write_text(
        "segmenters:\n- &small {name: unet, config: {features: [8]}, seeds: 1}\n"
        "- {<<: *small, label: again, seeds: 2}\n- {<<: [{seeds: 5}, *small], label: both}\n"
    )
    first, again, both = read_study(file)["segmenters"]
    assert again == {**first, "label": "again", "seeds": 2}
    assert both == {**first, "label": "both", "seeds": 5}


def test_of_several_merged_mappings_the_first_counts(file):
    file.write_text("a: &a {x: 1, y: 1}\nb: &b {<<: *a, y: 2, z: 2}\nc: {<<: [*b, *a, {w: 4}], v: 5}\n")
    assert read_yaml(file)["c"] == {"v": 5, "x": 1, "y": 2, "z": 2, "w": 4}
    file.write_text("a: &a {x: 1, y: 1}\nc: {<<: *a, x: 5, =: 3}\nd: =\n")
    assert read_yaml(file) == {"a": {"x": 1, "y": 1}, "c": {"x": 5, "y": 1, "=": 3}, "d": "="}


def test_aliases_are_the_value_that_they_name(file):
    file.write_text("a: &x [1, {b: 2}]\nc: *x\nd: [*x, *x]\n")
    assert read_yaml(file) == {"a": [1, {"b": 2}], "c": [1, {"b": 2}], "d": [[1, {"b": 2}]] * 2}


def bomb(levels: int, width: int = 9) -> str:
    rows = ["a0: &a0 [x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width)}]" for i in range(1, levels)]
    return "\n".join(rows)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (bomb(9), r"line \d+: its aliases.*more than 100,000.*values"),
        (f"config:\n  {bomb(30).replace(chr(10), chr(10) + '  ')}", r"its aliases.*more than"),
        (bomb(60, 1), f"nested more than {MAX_DEPTH} levels deep"),
        ("config: &c {a: *c}", "line 1: refers to itself; .*its own anchor"),
        ("a: &d [1, *d]", "refers to itself"),
        ("a: &d\n  <<: *d\n", "refers to itself"),
        ("a: " + "[" * 100 + "]" * 100, f"nested more than {MAX_DEPTH} levels deep"),
        ("a: " + "[" * 5000 + "]" * 5000, f"nested more than {MAX_DEPTH} levels deep"),
        ("a: " + "{a: " * 3000, f"nested more than {MAX_DEPTH} levels deep"),
        ("a: 1\nb: {c: 1, c: 2}", r"line 2:.*YAML: 'c' is given twice"),
        ("a: &x {b: 1}\nc: {<<: *x, <<: *x}", "line 2:.*YAML: '<<' is given twice"),
        ("c: {<<: 3}", r"line 1:.*YAML: <<.*mapping"),
        ("a: !!binary /////w==", r"line 1: .*binary' is not supported"),
        ("a: !!set {x, y}", "set' is not supported"),
        ("a: !!python/object/apply:os.system [ls]", r"os.system' is not supported"),
        ("a: !!int x", "YAML: invalid literal"),
        ("a: !!float ''", "invalid YAML: "),
        ("a: !!int [1]", "YAML: expected a scalar node"),
        ("a: " + "9" * 5000, "YAML: Exceeds the limit"),
        ("? [1, 2]\n: 3", "YAML: found unhashable key"),
        ("a: \0", "YAML: special characters are not allowed"),
        ("- 1", "a study is a mapping .*, not list"),
        ("", "a study is a mapping .*, not nothing"),
        ("a: " + "x" * MAX_BYTES, r"than 1,024 KiB; is this the right file\?"),
    ],
)
def test_what_can_not_be_meant_is_one_line(file, text, says):
    file.write_text(text)
    with pytest.raises(ConfigError, match=says) as raised:
        read_study(file)
    assert str(raised.value).startswith(str(file))
    assert len(str(raised.value)) < len(str(file)) + 320
    assert "\n" not in str(raised.value)


def test_a_date_stays_the_text_that_it_was(file):
    file.write_text("label: 2024-02-30\nother: 2001-01-01 10:00:00\n")
    assert read_yaml(file) == {"label": "2024-02-30", "other": "2001-01-01 10:00:00"}


def test_a_bomb_costs_neither_time_nor_memory(file):
    """In a process whose address space has no room for what the aliases stand for."""
    file.write_text(f"config:\n  {bomb(200).replace(chr(10), chr(10) + '  ')}")
    code = (
        "import contextlib, resource, sys; from synthbench.study.model import read_study\n"
        "for what, most in ((resource.RLIMIT_AS, 2**29), (resource.RLIMIT_CPU, 20)):\n"
        "    with contextlib.suppress(ValueError, OSError): resource.setrlimit(what, (most, most))\n"
        "try: read_study(sys.argv[1])\nexcept ValueError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, file], capture_output=True, text=True, timeout=60, check=True)
    assert "its aliases expand to" in done.stdout or "nested more than" in done.stdout


PIECES = [
    "a",
    "&x",
    "*x",
    "<<",
    ":",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "\n",
    "\n  ",
    "!!int ",
    "!!map ",
    "? ",
    "1e999",
]
PIECES += ["'", '"', "|", ">", "#", "%", "@", "0x", ".nan", "~", "\t", "\ufeff", "2001-01-01", "---\n", "!!float "]


@settings(max_examples=400, deadline=None)
@given(parts=st.lists(st.sampled_from(PIECES), max_size=25))
def test_any_text_is_plain_values_or_refused(tmp_path_factory, parts):
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text("".join(parts), encoding="utf-8")
    with contextlib.suppress(ConfigError):
        json.dumps(read_yaml(file))
