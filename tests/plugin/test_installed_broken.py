"""A broken plugin disables itself alone, and the list says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

HOOK = "from synthbench import GeneratorSpec, hookimpl\n\n\n@hookimpl\ndef synthbench_generators():\n"
PLUGIN_OFF = {
    "import-error": ("import no_such_library_\n", "No module named 'no_such_library_'"),
    "leaves-the-process": ("raise SystemExit('not on this machine')\n", "SystemExit: not on this machine"),
    "hook-misspelt": (
        HOOK.replace("synthbench_generators", "synthbench_generator") + "    return []\n",
        "no hook is called 'synthbench_generator' (did you mean 'synthbench_generators'?)",
    ),
    "hook-foreign": (
        HOOK.replace("synthbench_generators", "make_generators") + "    return []\n",
        "no hook is called 'make_generators'",
    ),
    "hook-unmarked": (
        HOOK.replace("@hookimpl\n", "") + "    return []\n",
        "synthbench_generators is not marked with @synthbench.hookimpl",
    ),
    "no-hook": ("x = 1\n", "implements no hook; the hooks are synthbench_generators, synthbench_segmenters"),
    "hook-takes-arguments": (
        HOOK.replace("synthbench_generators()", "synthbench_generators(config)") + "    return []\n",
        "config",
    ),
    "hook-raises": (HOOK + "    return 1 / 0\n", "ZeroDivisionError: division by zero"),
    "hook-gives-a-number": (HOOK + "    return 3\n", "synthbench_generators gave int; yield GeneratorSpec from it"),
    "yields-a-text": (HOOK + "    yield 'gan'\n", "synthbench_generators yielded str; yield GeneratorSpec"),
    "yields-another-kind": (
        HOOK.replace("GeneratorSpec", "SegmenterSpec") + "    yield SegmenterSpec('other', 'a:B')\n",
        "synthbench_generators yielded SegmenterSpec; yield GeneratorSpec",
    ),
    "name-malformed": (HOOK + "    yield GeneratorSpec('My GAN', 'a:B')\n", "plugin name 'My GAN'"),
    "name-taken": (
        HOOK + "    yield GeneratorSpec('duplicate', 'a:B')\n",
        "the generator name 'duplicate' is taken by synthbench",
    ),
    "name-twice": (
        HOOK + "    yield GeneratorSpec('twin', 'a:B')\n    yield GeneratorSpec('twin', 'a:C')\n",
        "offers the generator 'twin' twice",
    ),
    "range-malformed": (
        HOOK + "    yield GeneratorSpec('odd', 'a:B', requires=('numpy>=newest',))\n",
        "requires 'numpy>=newest', which is not a requirement",
    ),
    "task-unknown": (HOOK + "    yield GeneratorSpec('odd', 'a:B', tasks={'panoptic'})\n", "tasks ['panoptic']"),
}
SPEC_OFF = {
    "class-missing": ("'json.decoder:Nowhere'", "json.decoder has no Nowhere; fix the spec's target"),
    "module-missing": ("'no_such_module:Here'", "there is no module no_such_module; fix the spec's target"),
    "parent-missing": ("'no_such_package.inner:Here'", "no_such_package.inner can't be found"),
    "library-missing": (
        "'json:Here', requires=('no-such-library>=2',)",
        "needs no-such-library>=2: pip install 'no-such-library>=2'",
    ),
    "library-too-old": ("'json:Here', requires=('numpy>=999',)", "needs numpy>=999: pip install 'numpy>=999'"),
    "says-how": (
        "'json:Here', requires=('no-such-library',), install='ask the author'",
        "needs no-such-library: ask the author",
    ),
}
"""Plugins that are listed, and off: the rest of their specs, and the reason."""

LOAD_FAILS = {
    "no-subclass": (
        "'json:JSONDecoder'",
        "generator 'no-subclass': json:JSONDecoder is no subclass of synthbench.Generator",
    ),
    "module-raises": ("'module_raises_inner:Here'", "module_raises_inner can't be imported: RuntimeError: no device"),
}
"""Plugins that look well until they are used."""


def _write(folder: Path, name: str, plugins: dict[str, str]) -> Path:
    """Write a distribution with one plugin per module."""
    root = folder / name
    root.mkdir()
    modules = {plugin: plugin.replace("-", "_") for plugin in plugins}
    for plugin, source in plugins.items():
        (root / f"{modules[plugin]}.py").write_text(source, encoding="utf-8")
    points = "\n".join(f'{plugin} = "{module}"' for plugin, module in modules.items())
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        f'[project]\nname = "{name}"\nversion = "1.0"\n'
        f"[project.entry-points.synthbench]\n{points}\n"
        f"[tool.setuptools]\npy-modules = {list(modules.values())}\n",
        encoding="utf-8",
    )
    return root


@pytest.fixture(scope="module")
def site(install: Any, example: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Distributions with every broken plugin, and the example, installed together."""
    folder = tmp_path_factory.mktemp("broken")
    broken = {name: source for name, (source, _) in PLUGIN_OFF.items()}
    alone = {"import-error": broken.pop("import-error")}
    specs = {
        name: HOOK + f"    yield GeneratorSpec({name!r}, {rest})\n"
        for name, (rest, _) in {**SPEC_OFF, **LOAD_FAILS}.items()
    }
    found = install(
        example,
        _write(folder, "broken-alone", alone),
        _write(folder, "broken-plugins", broken),
        _write(folder, "broken-specs", specs),
    )
    (found.folder / "module_raises_inner.py").write_text("raise RuntimeError('no device')  # Here\n", encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def listed(site: Any) -> dict[str, Any]:
    done = site.synthbench("list", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", PLUGIN_OFF)
def test_a_broken_plugin_is_off_with_its_reason(name: str, listed: dict[str, Any]) -> None:
    (problem,) = [p for p in listed["problems"] if p["plugin"] == name]
    assert problem["from"] == ("broken-alone" if name == "import-error" else "broken-plugins")
    assert PLUGIN_OFF[name][1] in problem["reason"]
    assert "\n" not in problem["reason"]


@pytest.mark.parametrize("name", SPEC_OFF)
def test_a_plugin_that_lacks_something_is_listed_as_off(name: str, listed: dict[str, Any]) -> None:
    (row,) = [row for row in listed["plugins"] if row["name"] == name]
    assert row["disabled_reason"].startswith(SPEC_OFF[name][1])


def test_the_rest_goes_on(listed: dict[str, Any]) -> None:
    names = {(row["kind"], row["name"]): row["disabled_reason"] for row in listed["plugins"]}
    assert names["generator", "duplicate"] == ""
    assert names["generator", "example-elastic"] == ""
    assert [row["from"].split()[0] for row in listed["plugins"] if row["name"] == "duplicate"] == ["synthbench"]
    assert not {"other", "twin", "odd"} & {name for _, name in names}


def test_the_list_names_each_with_its_reason(site: Any) -> None:
    done = site.synthbench("list")
    assert done.returncode == 0
    text = " ".join(done.stdout.split())
    for name, (_, reason) in PLUGIN_OFF.items():
        assert f"plugin {name!r} of broken-{'alone' if name == 'import-error' else 'plugins'} is disabled:" in text
        assert reason in text
    for _, reason in SPEC_OFF.values():
        assert f"DISABLED: {reason}" in text
    assert max(map(len, done.stdout.splitlines())) <= 120


@pytest.mark.parametrize("name", [*SPEC_OFF, *LOAD_FAILS])
def test_using_it_is_one_clear_line(name: str, site: Any) -> None:
    done = site.synthbench("check", name)
    reason = {**SPEC_OFF, **LOAD_FAILS}[name][1]
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("synthbench: error: ")
    assert reason in line


def test_a_plugin_beside_the_broken_ones_works(site: Any) -> None:
    done = site.synthbench("check", "example-elastic")
    assert done.returncode == 0, done.stdout + done.stderr


def test_asking_for_a_broken_plugin_says_where_the_reasons_are(site: Any, listed: dict[str, Any]) -> None:
    done = site.synthbench("check", "gan", "--kind", "generator")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.endswith(f"{len(listed['problems'])} plugins are disabled, 'synthbench list' says why")
