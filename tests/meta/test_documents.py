"""Documents name what there is: commands, modules, files, environments."""

from __future__ import annotations

import ast
import configparser
import dataclasses
import pkgutil
import re
import shlex

import pytest
import yaml

import synthbench
import synthbench.cli
from helpers.repository import CORE, DOCS, ROOT
from synthbench.cli import build_parser
from synthbench.plugin.registry import registry
from synthbench.study.model import DEFAULT, make_study, read_study

COMMANDS = [info.name for info in pkgutil.iter_modules(synthbench.cli.__path__) if not info.name.startswith("_")]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented_in_the_readme(command: str) -> None:
    assert re.search(rf"^\| `synthbench {command}\b", DOCS["README.md"], re.MULTILINE)


def documented_commands() -> list[str]:
    """Every command line that the documents show: within fences and backticks, without what a shell adds."""
    found = []
    for text in DOCS.values():
        fences = re.findall(r"^```(?:\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        lines = [line for fence in fences for line in fence.splitlines()]
        lines += re.findall(
            r"`((?:synthbench) [^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
        )
        for line in lines:
            found += re.findall(r"(?:^|&& )(?:\S*/)?(synthbench [a-z][^#&]*)", line.strip())
    return sorted({command.strip() for command in found})


@pytest.mark.parametrize("command", documented_commands())
def test_documented_command_lines_are_understood(command: str) -> None:
    words = shlex.split(command)[1:]
    parser = build_parser()
    if len(words) == 1 or "--help" in words:
        with pytest.raises(SystemExit, match=r"^0$"):
            parser.parse_args([words[0], "--help"])
    else:
        parser.parse_args(words)


def test_the_documents_name_every_public_module_of_the_toolkit() -> None:
    section = DOCS["CONTRIBUTING.md"].split("### The toolkit")[1].split("\n## ")[0]
    toolkit = CORE / "toolkit"
    folders = "|".join(path.parent.name for path in toolkit.glob("*/__init__.py"))
    named = set(re.findall(rf"`((?:{folders})\.\w+)`", section))
    public = {f"{path.parent.name}.{path.stem}" for path in toolkit.glob("*/*.py") if not path.name.startswith("_")}
    assert named == public


def test_the_reference_has_every_public_room() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "api").glob("*.md"))
    toolkit = {f"toolkit.{path.parent.name}" for path in (CORE / "toolkit").glob("*/__init__.py")}
    open_to_plugins = {"plugin", "samples", "datasets", "metrics", "testing", "errors", "types"}
    shown = set(re.findall(r"^::: synthbench\.(\S+)$", pages, re.MULTILINE))
    assert shown >= toolkit | open_to_plugins


@pytest.mark.parametrize("page", ["README.md", "docs/study.md"])
def test_yaml_in_the_documentation_is_a_study(page: str) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        study = make_study(yaml.safe_load(block), page)
        for kind, plugins in (("generator", study.generators), ("segmenter", study.segmenters)):
            for plugin in plugins:
                registry().load(kind, plugin.name).Config(**plugin.config)


def test_python_in_the_readme_uses_names_that_exist() -> None:
    tables = {field.name for field in dataclasses.fields(synthbench.Results)}
    owners = {"synthbench": set(synthbench.__all__), "results": tables}
    blocks = re.findall(r"^```python\n(.*?)^```", DOCS["README.md"], re.MULTILINE | re.DOTALL)
    assert blocks
    for node in ast.walk(ast.parse("".join(blocks))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in owners:
            assert node.attr in owners[node.value.id]


def test_the_default_study_is_valid_and_is_part_of_the_package() -> None:
    make_study(read_study(DEFAULT), str(DEFAULT))
    assert DEFAULT.is_relative_to(CORE)


@pytest.mark.parametrize("name", DOCS)
def test_documents_point_at_files_that_exist(name: str) -> None:
    text = re.sub(r"^```.*?^```", "", DOCS[name], flags=re.MULTILINE | re.DOTALL)
    paths = re.findall(r"\]\(([^)#:]+)\)", text)
    paths += [
        path
        for path in re.findall(r"`((?:\w[\w.-]*/)*[\w.-]+\.(?:md|ini|toml|py))`", text)
        if "/" in path or path[0].isupper()
    ]
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_ci_runs_the_readmes_test_command() -> None:
    (command,) = re.findall(r"^(\S+ -m venv .*tox run)$", DOCS["README.md"], re.MULTILINE)
    quiet = (ROOT / ".ci" / "run").read_text(encoding="utf-8").replace(" -q ", " ")
    assert command in quiet.splitlines()


def test_tox_has_the_environments_that_the_documents_name() -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    named = set(re.findall(r"tox run -e (\w+)", "".join(DOCS.values())))
    assert named == {section.removeprefix("testenv:") for section in tox.sections() if section.startswith("testenv:")}
