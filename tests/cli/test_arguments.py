"""The study that a command line comes to, and where options may stand."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import yaml

from synthbench.cli import build_parser
from synthbench.cli._arguments import add_study, study_from, within_from
from synthbench.errors import ConfigError
from synthbench.study.model import DEFAULT, Study, make_study, read_study


def study(*words: str) -> Study:
    parser = argparse.ArgumentParser()
    add_study(parser)
    return study_from(parser.parse_args(words))


@pytest.mark.parametrize("words", [(), ("--seeds", "2"), ("--name", "phantom-nuclei")])
def test_the_demonstration_is_its_own_file(words: tuple[str, ...]) -> None:
    assert study(*words) == make_study(read_study(DEFAULT), "test")


def test_a_study_of_ones_own_is_not_cut_as_the_demonstration_is() -> None:
    words = ["--dataset", "cells", "--generators", "duplicate,pix2pix", "--segmenters", "unet,stardist"]
    given = {"name": "cells", "datasets": ["cells"], "generators": ["duplicate", "pix2pix"]}
    assert study(*words) == make_study({**given, "segmenters": ["unet", "stardist"]}, "test")


@pytest.mark.parametrize("option", [("--budget", "paper"), ("--steps", "900"), ("--patch", "64")])
def test_a_budget_replaces_those_of_the_demonstration_and_nothing_else(option: tuple[str, str]) -> None:
    demonstration = make_study(read_study(DEFAULT), "test")
    changed = study(*option)
    assert all(plugin.budget is None for plugin in (*changed.generators, *changed.segmenters))
    assert changed.budget != demonstration.budget
    for kind in ("generators", "segmenters"):
        pairs = zip(getattr(changed, kind), getattr(demonstration, kind), strict=True)
        assert all(one == other.model_copy(update={"budget": None}) for one, other in pairs)
    assert (changed.seeds, changed.synthetic) == (demonstration.seeds, demonstration.synthetic)


def test_entries_of_a_file_are_chosen_by_name_or_label(tmp_path: Path) -> None:
    arms = [
        {"name": "pix2pix", "label": "plain", "config": {"structural_loss": "none"}},
        {"name": "pix2pix", "label": "lines", "config": {"structural_loss": "cldice"}},
        "duplicate",
    ]
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({"datasets": ["cells"], "segmenters": ["unet"], "generators": arms}))
    chosen = {
        words: [c.title for c in study(str(path), "--generators", words).generators]
        for words in ("pix2pix", "lines", "duplicate,plain", "classic")
    }
    assert chosen == {
        "pix2pix": ["plain", "lines"],
        "lines": ["lines"],
        "duplicate,plain": ["duplicate", "plain"],
        "classic": ["classic"],
    }


def test_a_plugin_of_an_environment_has_the_configuration_of_the_file(tmp_path: Path) -> None:
    known = [
        {"name": "unet", "label": "mine", "config": {"depth": 2}},
        {"name": "cellpose", "environment": "old", "seeds": 5},
    ]
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({"datasets": ["cells"], "segmenters": known}))
    first, second, third = study(str(path), "--segmenters", "unet@new,cellpose@old,stardist@new").segmenters
    assert (first.title, first.environment, first.config) == ("unet@new", "new", {"depth": 2})
    assert (second.title, second.environment, second.seeds) == ("cellpose@old", "old", 5)
    assert (third.title, third.environment) == ("stardist@new", "new")
    (dataset,) = study(str(path), "--dataset", "discs@new").datasets
    assert (dataset.name, dataset.environment) == ("discs", "new")
    (folder,) = study(str(path), "--dataset", "./discs@new").datasets
    assert (folder.name, folder.environment) == ("./discs@new", "")


@pytest.mark.parametrize(
    "words", [("e1", "--share", "einops<0.8"), ("--share", "e1", "einops<0.8"), ("e1", "einops<0.8", "--share")]
)
def test_options_of_env_create_stand_anywhere(words: tuple[str, ...]) -> None:
    args = build_parser().parse_args(["env", "create", *words])
    assert (args.name, args.packages, args.share) == ("e1", ["einops<0.8"], True)


def test_border_objects_replace_what_the_study_says() -> None:
    assert study().border_objects == "include"
    assert study("--border-objects", "exclude").border_objects == "exclude"
    with pytest.raises(ConfigError, match="border_objects: invalid value 'yes'"):
        study("--border-objects", "yes")


@pytest.mark.parametrize(("word", "scale"), [("none", "none"), ("auto", "auto"), ("40", 40)])
def test_the_scale_replaces_that_of_the_file(tmp_path: Path, word: str, scale: object) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({"datasets": ["cells"], "segmenters": ["unet"], "scale": 25}))
    assert study(str(path)).scale == 25
    assert study(str(path), "--scale", word).scale == scale


@pytest.mark.parametrize(
    ("given", "seconds"), [("90", 90), ("45m", 2700), ("1.5h", 5400), ("2d", 172800), (None, None)]
)
def test_times_have_units(given: str, seconds: float) -> None:
    assert within_from(argparse.Namespace(within=given)) == seconds


@pytest.mark.parametrize("given", ["soon", "0", "-3h", "6 weeks"])
def test_a_time_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(ConfigError, match=given):
        within_from(argparse.Namespace(within=given))


def test_a_margin_is_an_option_and_the_seeds_are_the_most() -> None:
    found = study("--decide", "0.02")
    assert (found.decide, found.seeds) == (0.02, 12)
    assert study("--decide", "0.02", "--seeds", "5").seeds == 5
    with pytest.raises(ConfigError, match="much"):
        study("--decide", "much")
