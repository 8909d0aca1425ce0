"""A sample set is itself a form that can be imported."""

from __future__ import annotations

import pytest

from synthbench.datasets.importing import prepare_import
from synthbench.errors import ConfigError, DataError


def test_a_sample_set_is_taken_as_it_is(semantic_set, tmp_path, bring):
    written = semantic_set.save(tmp_path / "discs")
    found = prepare_import(tmp_path / "discs")
    assert (found.format.name, found.name, found.options.task) == ("sample set", "discs", "semantic")
    copy = found.write(tmp_path / "copy")
    assert copy.fingerprint == written.fingerprint
    by_index, _ = bring(tmp_path / "discs" / "samples.json")
    assert [s.digest for s in by_index] == [s.digest for s in written]


def test_what_a_sample_set_is_not_can_not_be_asked_of_it(blob_set, tmp_path, bring):
    blob_set.save(tmp_path / "blobs")
    with pytest.raises(ConfigError, match=r"blobs: the sample set is instances, not semantic"):
        bring(tmp_path / "blobs", task="semantic")
    with pytest.raises(ConfigError, match=r"blobs: --components doesn't apply"):
        bring(tmp_path / "blobs", components=True)


def test_all_damaged_samples_are_told_at_once(blob_set, tmp_path, bring):
    blob_set.save(tmp_path / "blobs")
    for path in sorted((tmp_path / "blobs" / "images").iterdir())[:2]:
        path.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"blobs: 2 files: .*blobs-0\.png \(.*\), .*blobs-1\.png"):
        bring(tmp_path / "blobs")
