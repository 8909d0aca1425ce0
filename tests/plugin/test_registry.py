"""Discovery and specs, with plugins made on the spot."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from synthbench import DatasetSpec, GeneratorSpec, SegmenterSpec, hookimpl
from synthbench.errors import PluginError
from synthbench.plugin.registry import Registry, discover


@dataclass
class Point:
    """An entry point whose plugin offers one generator."""

    name: str
    distribution: str
    spec: Any

    @property
    def dist(self) -> SimpleNamespace:
        return SimpleNamespace(name=self.distribution, version="1.0")

    def load(self) -> Any:
        spec = self.spec

        class Plugin:
            @hookimpl
            def synthbench_generators(self):
                yield spec

        return Plugin()


def generator(name: str, target: str = "json:JSONDecoder", **how: Any) -> GeneratorSpec:
    return GeneratorSpec(name, target, **how)


def test_which_of_two_keeps_a_name_does_not_depend_on_the_order_of_discovery() -> None:
    points = [Point("z", "synthbench", generator("gan")), Point("a", "aaa", generator("gan"))]
    for order in (points, points[::-1]):
        found = discover(order)
        assert found.get("generator", "gan").distribution == "synthbench"
        (problem,) = found.problems
        assert (problem.plugin, problem.distribution) == ("a", "aaa")
        assert problem.reason == "the generator name 'gan' is taken by synthbench"


def test_one_name_may_belong_to_several_kinds() -> None:
    found = discover([Point("a", "x", generator("both"))])
    found.entries["segmenter", "both"] = found.entries["generator", "both"]
    assert found.names("generator") == found.names("segmenter") == ["both"]


def test_an_entry_point_that_cannot_be_loaded_is_a_problem() -> None:
    class Gone(Point):
        def load(self) -> Any:
            raise ModuleNotFoundError("No module named 'gone'")

    found = discover([Gone("gone", "x", None), Point("fine", "y", generator("gan"))])
    assert found.names("generator") == ["gan"]
    assert found.problems[0].reason == "ModuleNotFoundError: No module named 'gone'"
    with pytest.raises(PluginError, match="the plugin 'gone' is disabled: ModuleNotFoundError"):
        found.get("generator", "zzz")
    many = discover([Gone("gone", "x", None), Gone("lost", "x", None)])
    with pytest.raises(PluginError, match="; 2 plugins are disabled, 'synthbench list' says why"):
        many.get("generator", "zzz")


def test_an_unknown_name_gets_the_nearest_or_all_of_them() -> None:
    found = discover([Point("a", "x", generator("copy-paste"))])
    with pytest.raises(PluginError, match=r"unknown generator 'copypaste' \(did you mean 'copy-paste'\?\)"):
        found.get("generator", "copypaste")
    with pytest.raises(PluginError, match="unknown generator 'zzz'; there are: copy-paste"):
        found.get("generator", "zzz")
    with pytest.raises(PluginError, match="unknown segmenter 'unet'; there are: none"):
        Registry().get("segmenter", "unet")


def test_a_class_of_the_wrong_kind_is_refused() -> None:
    found = discover([Point("a", "x", generator("gan", "json:JSONDecoder"))])
    with pytest.raises(PluginError, match=r"json:JSONDecoder is no subclass of synthbench\.Generator"):
        found.load("generator", "gan")


def test_requirements_are_looked_up_with_their_range() -> None:
    def off(*requires: str) -> str:
        return discover([Point("a", "x", generator("gan", requires=requires))]).get("generator", "gan").disabled_reason

    assert off("numpy", "pluggy>=1.0", "scikit-image>=0.1") == ""
    assert off("numpy<1") == "needs numpy<1: pip install 'numpy<1'"
    assert off("nothing-of-this-name", "numpy") == "needs nothing-of-this-name: pip install nothing-of-this-name"


def test_a_single_task_or_requirement_may_be_a_plain_text() -> None:
    spec = SegmenterSpec("net", "a:B", tasks="semantic", requires="torch")  # type: ignore[arg-type]
    assert spec.tasks == {"semantic"}
    assert spec.requires == ("torch",)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"name": "Net"}, "plugin name 'Net'"),
        ({"name": "net-"}, "plugin name 'net-'"),
        ({"target": "module.Class"}, "is not of the form 'package.module:Class'"),
        ({"tasks": set()}, "must be some of"),
        ({"tasks": {"panoptic"}}, "must be some of"),
        ({"summary": "two\nlines"}, "must be one line"),
        ({"requires": ("", "numpy")}, "requires ''"),
    ],
)
def test_a_malformed_spec_is_refused(how: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GeneratorSpec(**{"name": "net", "target": "a:B", **how})


def test_a_dataset_has_one_task() -> None:
    with pytest.raises(ValueError, match="exactly one task"):
        DatasetSpec("cells", "a:B")
