"""Croissant metadata: the structure that readers of the format ask for, and files that are as they say."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from synthbench import Sample, SampleSet
from synthbench.cli import main
from synthbench.datasets.croissant import describe_plugin, describe_samples
from synthbench.plugin.registry import registry


@pytest.fixture
def cells(tmp_path: Path) -> tuple[SampleSet, Path]:
    labels = np.zeros((20, 30), np.uint16)
    labels[2:5, 2:6] = 1
    groups = [{"split": "train", "well": "A1"}, {"split": "test", "well": "B2"}]
    samples = [Sample(f"s{i}", np.full((20, 30), i, np.uint8), labels, groups[i]) for i in range(2)]
    info = {"licence": "CC0-1.0", "citation": "Doe et al. (2021)", "source": "https://example.org/cells (part 1)"}
    return SampleSet.write(tmp_path / "cells", samples, name="cells", info=info), tmp_path / "cells"


def check(content: dict) -> None:
    """Assert what mlcroissant requires of metadata of version 1.0."""
    assert content["@type"] == "sc:Dataset"
    assert content["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    context = content["@context"]
    assert (context["@vocab"], context["cr"]) == ("https://schema.org/", "http://mlcommons.org/croissant/")
    terms = {
        "citeAs",
        "conformsTo",
        "dataType",
        "extract",
        "field",
        "includes",
        "jsonPath",
        "key",
        "recordSet",
        "source",
    }
    assert terms <= context.keys()
    assert content["name"]
    assert content["description"]
    nodes = {}
    for file in content["distribution"]:
        nodes[file["@id"]] = file
        assert file["name"]
        assert file["encodingFormat"]
        if file["@type"] == "cr:FileSet":
            assert file["includes"]
            continue
        assert file["@type"] == "cr:FileObject"
        assert file["contentUrl"]
        assert re.fullmatch("[0-9a-f]{64}", file["sha256"]) if "sha256" in file else content["isLiveDataset"]
    sets = {record_set["@id"]: record_set for record_set in content["recordSet"]}
    assert list(sets) == ["samples", "images", "masks"]
    identities = list(nodes) + list(sets)
    for record_set in sets.values():
        fields = {field["@id"]: field for field in record_set["field"]}
        assert record_set["key"]["@id"] in fields
        identities += fields
        sources = set()
        for identity, field in fields.items():
            assert identity == f"{record_set['@id']}/{field['name']}"
            assert field["dataType"] in ("sc:Text", "sc:ImageObject")
            (kind,) = {"fileObject", "fileSet"} & field["source"].keys()
            place = field["source"][kind]["@id"]
            assert nodes[place]["@type"] == f"cr:{kind[0].upper()}{kind[1:]}"
            assert len(field["source"]["extract"]) == 1
            sources.add(place)
        assert len(sources) == 1  # several would need a join
    assert len(set(identities)) == len(identities)


def fields(content: dict) -> list[str]:
    return [field["@id"] for record_set in content["recordSet"] for field in record_set["field"]]


@pytest.mark.parametrize("name", registry().names("dataset"))
def test_a_plugin_is_described_without_a_download(name: str) -> None:
    content = describe_plugin(name)
    check(content)
    cls = registry().load("dataset", name)
    assert (content.get("license", ""), content.get("citeAs", "")) == (cls.licence, cls.citation)
    remotes = getattr(cls(cls.Config()), "remotes", tuple)()
    listed = {file["contentUrl"]: file.get("sha256") for file in content["distribution"] if "contentUrl" in file}
    assert {remote.url: remote.sha256 for remote in remotes}.items() <= listed.items()


def test_splits_and_groups_are_fields() -> None:
    content = describe_plugin("bbbc039")
    assert fields(content)[:4] == ["samples/id", "samples/split", "samples/well", "samples/site"]
    assert {"images/image", "masks/mask"} <= set(fields(content))
    assert "samples/split" not in fields(describe_plugin("bbbc006"))


def test_a_sample_set_is_described_as_it_lies_on_disk(cells: tuple[SampleSet, Path]) -> None:
    samples, folder = cells
    content = describe_samples(samples, folder)
    check(content)
    assert "isLiveDataset" not in content
    assert (content["url"], content["datePublished"], content["creator"]["name"]) == (
        "https://example.org/cells",
        "2021",
        "Doe et al.",
    )
    index, *file_sets = content["distribution"]
    assert index["sha256"] == hashlib.sha256((folder / index["contentUrl"]).read_bytes()).hexdigest()
    for file_set in file_sets:
        assert sum(len(list(folder.glob(pattern))) for pattern in file_set["includes"]) == len(samples)
    rows = json.loads((folder / index["contentUrl"]).read_text())["samples"]
    for field in content["recordSet"][0]["field"]:
        path = field["source"]["extract"]["jsonPath"].removeprefix("$.samples[*].")
        keys = re.findall(r"\w+", path)
        found = [row[keys[0]] if len(keys) == 1 else row[keys[0]][keys[1]] for row in rows]
        assert len(found) == len(samples)
    stem = re.compile(content["recordSet"][1]["field"][0]["source"]["transform"]["regex"])
    assert [stem.sub(r"\1", path.name) for path in sorted((folder / "images").iterdir())] == list(samples.ids)


def test_a_group_that_not_every_sample_has_is_no_field(tmp_path: Path, cells: tuple[SampleSet, Path]) -> None:
    first = cells[0]["s0"]
    other = Sample("x", first.image, first.labels, {"split": "train", "site": "1"})
    samples = SampleSet.write(tmp_path / "mixed", [first, other])
    content = describe_samples(samples, tmp_path / "mixed")
    check(content)
    assert [name for name in fields(content) if name.startswith("samples/")] == ["samples/id", "samples/split"]


def test_show_prints_it_for_a_plugin_and_for_a_path(
    tmp_path: Path, cells: tuple[SampleSet, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNTHBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert main(["dataset", "show", "dsb2018", "--croissant"]) == 0
    assert json.loads(capsys.readouterr().out) == describe_plugin("dsb2018")
    assert main(["dataset", "show", str(cells[1]), "--croissant"]) == 0
    assert json.loads(capsys.readouterr().out) == describe_samples(*cells)
    assert not list(tmp_path.glob("*.png"))
    assert main(["dataset", "show", "dsb2018", "--croissant", "--out", "a.png"]) == 2
    assert "--out a.png" in capsys.readouterr().err
