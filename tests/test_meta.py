"""The project is what its documents say: hooks, rooms and their doors, commands, entry points."""

from __future__ import annotations

import ast
import configparser
import dataclasses
import importlib
import inspect
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from functools import cache
from pathlib import Path

import pytest
import yaml

import synthbench
import synthbench.cli
from synthbench.cli import build_parser
from synthbench.plugin import hookspecs
from synthbench.plugin.registry import registry
from synthbench.study.model import DEFAULT, make_study, read_study
from synthbench.testing.packages import imported, private_imports

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "benchmark" / "synthbench"
PLUGINS = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py"))
DOCS = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
COMMANDS = [info.name for info in pkgutil.iter_modules(synthbench.cli.__path__) if not info.name.startswith("_")]
SOURCES = sorted(CORE.rglob("*.py"))


@cache
def imports(path: Path) -> list[tuple[int, str]]:
    return list(imported(path))


# -- hooks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hook", hookspecs.HOOKS)
def test_every_hook_is_documented_with_its_signature(hook: str) -> None:
    signature = str(inspect.signature(getattr(hookspecs, hook))).replace("'", "")
    assert f"`{hook}{signature}`" in DOCS["CONTRIBUTING.md"]


def test_every_hook_that_is_specified_is_in_the_list_of_hooks() -> None:
    specified = {name for name in dir(hookspecs) if name.startswith("synthbench_")}
    assert specified == set(hookspecs.HOOKS)
    assert all(inspect.getdoc(getattr(hookspecs, name)) for name in specified)


@pytest.mark.parametrize("hook", hookspecs.HOOKS)
def test_every_hook_is_exercised_by_an_installed_distribution(hook: str) -> None:
    example = ROOT / "examples" / "synthbench-example-plugin" / "src" / "synthbench_example" / "__init__.py"
    assert f"@hookimpl\ndef {hook}(" in example.read_text(encoding="utf-8")
    tests = (ROOT / "tests" / "plugin" / "test_installed_example.py").read_text(encoding="utf-8")
    assert f'"{hook}": ["example-' in tests


# -- who imports whom -----------------------------------------------------------------------------------------------


def allowed_arrows() -> dict[str, set[str]]:
    """The table of rooms in ARCHITECTURE.md: room → the rooms it may import."""
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| ([^|]*) \|$", DOCS["ARCHITECTURE.md"], re.MULTILINE)
    rooms = {room for room, _ in rows}
    words = {"–": set[str](), "everything": rooms}
    return {room: words[text] if text in words else set(text.split(", ")) for room, text in rows}


def room_of(module: str) -> str:
    """``synthbench.metrics.matching`` → ``metrics``; the front and its ``__main__`` are ``synthbench``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] != "__main__" else "synthbench"


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(CORE.parent).with_suffix("").parts).removesuffix(".__init__")


def test_the_table_of_rooms_names_every_room_and_no_other() -> None:
    table = allowed_arrows()
    assert set(table) == {room_of(module_name(path)) for path in SOURCES} - {"synthbench"}
    assert set().union(*table.values()) <= set(table)


def test_the_arrows_of_the_table_go_one_way() -> None:
    table = allowed_arrows()
    done: set[str] = set()
    while len(done) < len(table):
        ready = {room for room, doors in table.items() if room not in done and doors - {room} <= done}
        assert ready, f"these rooms import one another: {sorted(set(table) - done)}"
        done |= ready


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_a_module_imports_only_what_the_table_permits(path: Path) -> None:
    room = room_of(module_name(path))
    if room == "synthbench":
        return
    permitted = allowed_arrows()[room] | {room, "synthbench", "types", "version"}
    wrong = [
        f"{path.name}:{line} imports {module}"
        for line, module in imports(path)
        if module.split(".")[0] == "synthbench" and room_of(module) not in permitted
    ]
    assert wrong == []


def test_every_arrow_of_the_table_is_used() -> None:
    used: dict[str, set[str]] = {}
    for path in SOURCES:
        names = (module for _, module in imports(path) if module.startswith("synthbench."))
        used.setdefault(room_of(module_name(path)), set()).update(map(room_of, names))
    idle = {
        room: sorted(doors - used[room])
        for room, doors in allowed_arrows().items()
        if room != "cli" and doors - used[room]
    }
    assert idle == {}


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_no_core_module_imports_a_plugin_package(path: Path) -> None:
    packages = {*PLUGINS, "synthbench_example"}
    assert [f"{path.name}:{line}" for line, module in imports(path) if module.split(".")[0] in packages] == []
    names = "|".join(packages)
    assert re.findall(rf"[\"'](?:{names})[.:]\w+", path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("package", PLUGINS)
def test_no_plugin_imports_a_private_module_of_the_core(package: str) -> None:
    assert list(private_imports(package)) == []


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_a_private_module_is_imported_by_its_own_package_only(path: Path) -> None:
    private = [(line, module, owner_of(module)) for line, module in imports(path) if owner_of(module)]
    assert [f"{line}: {module}" for line, module, owner in private if not in_package(module_name(path), owner)] == []


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_a_module_that_only_its_own_package_imports_is_private(path: Path) -> None:
    """In the rooms whose face is small; the modules of the others are what users may read and plugins may import."""
    name, package = module_name(path), path.parent.relative_to(CORE.parent).as_posix().replace("/", ".")
    if room_of(name) not in ROOMS_WITH_A_FACE or path.name == "__init__.py" or path.name.startswith("_"):
        return
    outside = [user for user, modules in every_import() if name in modules and not in_package(user, package)]
    assert outside, f"{name} is used by {package} alone: call it _{path.stem}.py"


ROOMS_WITH_A_FACE = {"folders", "leaderboard", "results", "study", "testing"}


def owner_of(module: str) -> str:
    """The package that a private module or package belongs to; "" for a public one."""
    parts = module.split(".")
    private = [i for i, part in enumerate(parts) if part.startswith("_") and not part.startswith("__")]
    return ".".join(parts[: private[-1]]) if private and parts[0] == "synthbench" else ""


def in_package(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@cache
def every_import() -> list[tuple[str, set[str]]]:
    """Module → what it imports: of the core, plugins, and tests, which count for the package that they mirror."""
    users = [(module_name(path), path) for path in SOURCES]
    users += [(path.stem, path) for path in (ROOT / "plugins").rglob("*.py")]
    for path in (ROOT / "tests").rglob("*.py"):
        mirrored = ".".join(["synthbench", *path.relative_to(ROOT / "tests").parts])
        users.append((mirrored, path))
    return [(user, {module for _, module in imports(path)}) for user, path in users]


@pytest.mark.parametrize("package", PLUGINS)
def test_plugin_packages_do_not_import_one_another(package: str) -> None:
    others = set(PLUGINS) - {package}
    for path in sorted((ROOT / "plugins" / package).rglob("*.py")):
        assert [f"{path.name}:{line}" for line, module in imports(path) if module.split(".")[0] in others] == []


# -- tests ----------------------------------------------------------------------------------------------------------

PRIVATE_NAMES_OF_OTHERS = {
    "_exit": "os: ends a forked process without the clean-up of its parent",
    "_instances_from_prediction": "StarDist: the method that the tuning of thresholds replaces",
    "_loss_fn_seg": "Cellpose: the oracle of the loss",
    "_replace": "namedtuple: it is public there",
}
"""Private names of other libraries that tests use, and why; none of this project's."""


def private_names(path: Path) -> list[str]:
    """Return ``line: name`` of the private names that a test takes from elsewhere."""
    mirrored = f"synthbench.{path.relative_to(ROOT / 'tests').parts[0]}."
    private = re.compile(r"_(?!_)\w")
    uses: list[tuple[int, str]] = []

    def use(line: int, dotted: str) -> None:
        """Note the names of a dotted path; a test may open the modules of the package that it mirrors."""
        module = dotted if is_module(dotted) else dotted.rpartition(".")[0]
        opened = dotted.removeprefix(module) if module.startswith(mirrored) and is_module(module) else dotted
        uses.extend((line, name) for name in opened.split("."))

    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id == "self"):
            uses.append((node.lineno, node.attr))
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                use(node.lineno, f"{node.module}.{alias.name}")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                use(node.lineno, alias.name)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in {"setattr", "getattr"}:
            for arg in node.args:
                if isinstance(arg, ast.Constant) and isinstance(arg.value, str):
                    use(node.lineno, arg.value)
    return [f"{line}: {name}" for line, name in uses if private.match(name) and name not in PRIVATE_NAMES_OF_OTHERS]


def is_module(dotted: str) -> bool:
    """Whether this is a module file of the core."""
    return CORE.parent.joinpath(*dotted.split(".")).with_suffix(".py").is_file()


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: path.stem)
def test_tests_use_public_names(path: Path) -> None:
    """A private module, such as ``synthbench/cli/_tables.py``, is tested in the folder that mirrors its package."""
    assert private_names(path) == []


def test_the_contract_of_built_ins_is_checked_in_one_place() -> None:
    """Each takes seconds, or minutes."""
    files = sorted((ROOT / "tests" / "plugins").rglob("*.py"))
    runs = re.compile(r"\b(?:assert|run|iter)_contract\(|\bcheck_(?:dataset|encoder|generator|segmenter)\(")
    assert [path.stem for path in files if runs.search(path.read_text(encoding="utf-8"))] == ["test_every_builtin"]


# -- entry points and names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "target"), PYPROJECT["project"]["entry-points"]["synthbench"].items())
def test_entry_points_resolve_to_modules_with_hooks(name: str, target: str) -> None:
    module = importlib.import_module(target)
    assert any(hasattr(module, hook) for hook in hookspecs.HOOKS)


def test_every_plugin_package_has_an_entry_point() -> None:
    targets = set(PYPROJECT["project"]["entry-points"]["synthbench"].values())
    assert sorted(targets - {"synthbench.plugin.builtin_engines"}) == PLUGINS


def test_the_version_is_said_once() -> None:
    assert PYPROJECT["project"]["version"] == synthbench.__version__
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(synthbench.__version__)}\b", changes, re.MULTILINE)


@pytest.mark.slow
def test_the_wheel_holds_the_whole_of_the_core_and_the_plugins(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("benchmark", "plugins"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", "dist", "."]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = {
        str(path.relative_to(tmp_path / root))
        for root in ("benchmark", "plugins")
        for path in (tmp_path / root).rglob("*")
        if path.is_file() and ".egg-info" not in str(path)
    }
    assert inside == files


@pytest.mark.parametrize("path", [*SOURCES, *sorted((ROOT / "plugins").rglob("*.py"))], ids=lambda path: path.stem)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


# -- words ----------------------------------------------------------------------------------------------------------

RETIRED_NAMES = {
    "agreement": "label_consistency",
    "appearance": "intensity_conditioning",
    "arena": "condition",
    "bench": "harness",
    "bury": "reap",
    "crispness": "edge_sharpness",
    "dissimilar": "ssim_loss",
    "doubled": "upsample2x",
    "drawer": "generator",
    "evening": "cycle_spinning",
    "hire": "spawn",
    "journal": "training_log",
    "judge": "discriminator, evaluate",
    "judges": "opt_d, discriminators",
    "leaked": "test_duplicates",
    "likeness": "similarity",
    "lit": "conditioning",
    "mending": "residual_refinement",
    "nearness": "nearest-neighbour distance",
    "optimise": "schedules, ema",
    "outlook": "detectable_effects",
    "portion": "subsample",
    "presets": "budget_defaults",
    "promise": "check",
    "resident": "device_cache",
    "settled": "resolved",
    "sized": "resolve",
    "speck": "small_object",
    "specks": "small objects",
    "tally": "image_counts",
    "tidy": "relabel",
    "told": "notes, listing, conditioning",
    "topped": "match_noise, match_texture",
    "unfit": "unsupported_reason",
    "worn": "mask_origins",
    "worth": "equivalent_real_images",
    "yardstick": "duplicate_threshold",
}
"""Words that were part of names in this code, and the field's term for each, which replaced it."""

RETIRED_PHRASES = {
    "are told": "are reported",
    "crispness": "edge sharpness",
    "evened": "averaged, cycle spinning",
    "is told": "is reported",
    "journal": "training log",
    "left off": "stopped",
    "likeness": "similarity",
    "mend": "fix",
    "must hurt": "must make segmenters worse",
    "nearness": "nearest-neighbour distance",
    "nobody knows": "is unknown",
    "outlook": "detectable effects",
    "promise by promise": "check by check",
    "settled": "resolved",
    "settles? nothing": "draw no conclusions",
    "sized": "resolve",
    "speck": "small object",
    "taken up again": "resumed",
    "tally": "image counts",
    "thrown away": "deleted",
    "way out": "hint",
    "what came": "the downloaded file",
    "won't do": "invalid value",
    "yardstick": "duplicate threshold",
}
"""The same of what users read: messages, docstrings and documents."""


def parts_of(name: str) -> set[str]:
    """``_ImageCounts`` → ``image``, ``counts``; ``image_counts`` → the same."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


@cache
def words_in_names() -> dict[str, set[str]]:
    """The words that names in the code are made of → the files: modules, classes, functions, arguments, variables."""
    places: dict[str, set[str]] = {}
    for path in [path for folder in ("benchmark", "plugins", "examples") for path in (ROOT / folder).rglob("*.py")]:
        names = {path.stem}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names |= {getattr(node, field, None) or "" for field in ("name", "arg", "attr", "id")}
        for word in {word for name in names for word in parts_of(name)}:
            places.setdefault(word, set()).add(str(path.relative_to(ROOT)))
    return places


@cache
def pages() -> dict[str, str]:
    """What people read: every text in the code, templates, and documents; the change log may name what was."""
    paths = [path for folder in ("benchmark", "plugins", "examples") for path in (ROOT / folder).rglob("*.py")]
    paths += [*CORE.rglob("*.tmpl"), *CORE.rglob("*.html"), *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    return {
        str(path.relative_to(ROOT)): re.sub(r"\s+", " ", path.read_text(encoding="utf-8"))
        for path in paths
        if path.name != "CHANGELOG.md"
    }


@pytest.mark.parametrize("word", RETIRED_NAMES)
def test_a_retired_word_is_no_part_of_a_name(word: str) -> None:
    assert sorted(words_in_names().get(word, ())) == [], f"the term is {RETIRED_NAMES[word]}"


@pytest.mark.parametrize("phrase", RETIRED_PHRASES)
def test_a_retired_phrase_is_not_read_anywhere(phrase: str) -> None:
    wrong = [name for name, text in pages().items() if re.search(rf"\b{phrase}\b", text, re.IGNORECASE)]
    assert wrong == [], f"say: {RETIRED_PHRASES[phrase]}"


# -- documents ------------------------------------------------------------------------------------------------------


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


def built_in_classes(kind: str) -> dict[str, type]:
    """The classes of built-in plugins, also of those that need another environment; their modules import here."""
    targets = {name: registry().get(kind, name).spec.target.split(":") for name in registry().names(kind)}
    return {
        name: getattr(importlib.import_module(module), cls)
        for name, (module, cls) in targets.items()
        if module.split(".")[0] in PLUGINS
    }


@pytest.mark.parametrize("kind", ["generator", "segmenter"])
def test_the_pages_of_methods_have_their_budgets(kind: str) -> None:
    pages = [ROOT / "docs" / "generators.md", *sorted((ROOT / "docs" / "methods").glob("*.md"))]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    rows = {
        name: cells.split(" | ") for name, cells in re.findall(r"^\| `([\w-]+)` \| (.* × .*) \|$", text, re.MULTILINE)
    }
    trained = {name: cls for name, cls in built_in_classes(kind).items() if cls.budgets}
    assert trained.keys() <= rows.keys()
    for name, cls in trained.items():
        written = [f"{b.steps:,} × {b.batch_size} × {b.patch_size}²" for b in cls.budgets.values()]
        assert rows[name] == written


@pytest.mark.parametrize("kind", ["generator", "segmenter"])
def test_every_method_is_in_the_table_of_methods(kind: str) -> None:
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    table = page.split(f"## {kind.capitalize()}s")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| \[`([\w-]+)`\]\((methods/[\w-]+\.md)\) \|(?:[^|\n]+\|){5}$", table, re.MULTILINE))
    assert all((ROOT / "docs" / link).is_file() for link in rows.values())
    assert built_in_classes(kind).keys() == rows.keys()


STUDY_FILES = [*sorted((ROOT / "leaderboards").rglob("*.yaml")), *sorted((ROOT / "examples").glob("*.yaml"))]


@pytest.mark.parametrize("path", STUDY_FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_study_in_the_repository_is_one_that_could_run(path: Path) -> None:
    study = make_study(read_study(path), str(path))
    for kind in ("generator", "segmenter"):
        for choice in getattr(study, f"{kind}s"):
            cls = registry().load(kind, choice.name)
            cls.Config.model_validate(choice.config)
            budget = choice.budget or study.budget
            assert not cls.budgets or budget.name in cls.budgets
