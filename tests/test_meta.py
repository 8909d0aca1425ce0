"""The core is what its documents say: its hooks, its rooms, and who imports whom."""

from __future__ import annotations

import inspect
import re
from functools import cache
from pathlib import Path

import pytest

from helpers.repository import CORE, DOCS, PLUGINS, ROOT, SOURCES, imports
from synthbench.plugin import hookspecs
from synthbench.testing.packages import private_imports

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
