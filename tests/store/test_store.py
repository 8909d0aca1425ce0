"""The store: atomic, sealed, verified, locked."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthbench.errors import StoreError
from synthbench.store import Store, canonical, key_of

CONTENT = {"kind": "trial", "seed": 1}
KEY = key_of(CONTENT)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def put(store: Store, content=CONTENT, text: str = "hello") -> None:
    key = key_of(content)
    with store.locked("trial", key):
        folder = store.begin("trial", key)
        (folder / "deep").mkdir()
        (folder / "deep" / "file.txt").write_text(text)
        store.commit("trial", key, content, {"seconds": 2.5})


def test_what_was_put_is_found_with_its_cost(store: Store) -> None:
    assert store.find("trial", KEY) is None
    put(store)
    found = store.find("trial", KEY)
    assert found is not None
    assert (found.folder / "deep" / "file.txt").read_text() == "hello"
    assert found.seconds == 2.5
    assert found.record["content"] == CONTENT


def test_an_artifact_is_invisible_until_it_is_sealed(store: Store) -> None:
    with store.locked("trial", KEY):
        folder = store.begin("trial", KEY)
        (folder / "file.txt").write_text("half")
        assert store.find("trial", KEY) is None
        assert not store.folder("trial", KEY).exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: (f / "deep" / "file.txt").write_text("hell"),
        lambda f: (f / "deep" / "file.txt").write_text("jello"),
        lambda f: (f / "deep" / "file.txt").unlink(),
        lambda f: (f / "record.json").write_text((f / "record.json").read_text()[:-20]),
        lambda f: (f / "record.json").write_text((f / "record.json").read_text().replace("2.5", "9.5")),
        lambda f: (f / "record.json").unlink(),
    ],
    ids=["truncated", "altered", "removed", "record truncated", "record altered", "record removed"],
)
def test_a_damaged_artifact_is_not_found_and_can_be_made_again(store: Store, damage) -> None:
    put(store)
    time.sleep(0.01)
    damage(store.folder("trial", KEY))
    assert store.find("trial", KEY) is None
    with pytest.raises(StoreError, match="damaged"):
        store.get("trial", KEY)
    put(store)
    assert store.get("trial", KEY).record["seconds"] == 2.5


def test_a_thorough_look_sees_what_the_time_of_change_hides(store: Store) -> None:
    put(store)
    path = store.folder("trial", KEY) / "deep" / "file.txt"
    state = path.stat()
    path.write_text("jello")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert store.find("trial", KEY) is not None
    assert store.find("trial", KEY, thorough=True) is None
    with pytest.raises(StoreError, match="was damaged, and is removed"):
        store.get("trial", KEY)
    assert store.find("trial", KEY) is None


def test_what_goes_wrong_under_a_lock_keeps_its_name(store: Store) -> None:
    with pytest.raises(ConnectionError, match="the licence server is away"), store.locked("trial", KEY):
        raise ConnectionError("the licence server is away")


def test_what_a_killed_writer_left_is_swept_away(store: Store) -> None:
    folder = store.begin("trial", KEY)
    (folder / "rest").write_text("of a killed process")
    put(store)
    assert [p.name for p in store.folder("trial", KEY).parent.iterdir()] == [KEY]
    assert not (store.folder("trial", KEY) / "rest").exists()


def test_checkpoints_outlive_the_process_and_go_with_success(store: Store) -> None:
    (store.work_folder("trial", KEY) / "step-10").write_text("weights")
    assert (Store(store.root).work_folder("trial", KEY) / "step-10").exists()
    put(store)
    assert not (store.root / ".work" / f"trial-{KEY}").exists()


HOLDER = """
import sys, time
from synthbench.store import Store
with Store(sys.argv[1]).locked("trial", sys.argv[2]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_waits_for_the_lock_and_gets_it_when_the_first_is_killed(store: Store) -> None:
    command = [sys.executable, "-c", HOLDER, str(store.root), KEY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match="another process"), store.locked("trial", KEY, lambda: True):
            pass
        process.kill()
    with store.locked("trial", KEY):
        pass


def test_a_store_that_cannot_be_made_says_so_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="--store"):
        Store(tmp_path / "file" / "store")


def test_a_full_disk_says_so_in_a_line_and_leaves_nothing_visible(store: Store, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with store.locked("trial", KEY):
        store.begin("trial", KEY)
        monkeypatch.setattr(Path, "write_text", full)
        with pytest.raises(StoreError, match=r"No space left on device; free some space"):
            store.commit("trial", KEY, CONTENT, {})
    monkeypatch.undo()
    assert store.find("trial", KEY) is None


@pytest.mark.parametrize(("kind", "key"), [("../up", KEY), ("trial", "abc"), ("trial", "../../" + KEY)])
def test_a_key_can_not_lead_out_of_the_store(store: Store, kind: str, key: str) -> None:
    with pytest.raises(StoreError):
        store.folder(kind, key)


@given(json_values)
def test_a_key_depends_on_the_content_and_not_on_its_spelling(value) -> None:
    shuffled = json.loads(json.dumps(value), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert key_of(value) == key_of(shuffled)
    assert json.loads(canonical(value)) == json.loads(json.dumps(value))


def test_nan_has_no_key() -> None:
    with pytest.raises(ValueError, match="JSON"):
        key_of({"x": float("nan")})


def test_what_readers_verify_themselves_is_not_hashed_twice(store: Store) -> None:
    put(store)
    path = store.folder("trial", KEY) / "deep" / "file.txt"
    state = path.stat()
    path.write_text("jello")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert store.find("trial", KEY, thorough=True, unverified=("other/",)) is None
    assert store.get("trial", KEY, unverified=("deep/",)).record["content"] == CONTENT
    path.write_text("longer")
    assert store.find("trial", KEY, thorough=True, unverified=("deep/",)) is None


def test_a_spoilt_artifact_is_lacking_and_its_files_stay_readable(store: Store) -> None:
    put(store)
    store.invalidate("trial", KEY)
    store.invalidate("trial", KEY)
    assert store.find("trial", KEY) is None
    assert (store.folder("trial", KEY) / "deep" / "file.txt").read_text() == "hello"
    put(store)
    assert store.find("trial", KEY) is not None


def test_a_path_tells_whose_it_is(store: Store, tmp_path: Path) -> None:
    put(store)
    assert store.owner(store.folder("trial", KEY) / "deep") == ("trial", KEY)
    for other in (store.root, store.root / "trial", store.root / "imported" / "cells-1", tmp_path):
        assert store.owner(other) is None


def test_a_store_that_is_only_read_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"typo: there is no store; name one with --store"):
        Store(tmp_path / "typo", create=False)
    (tmp_path / "there").mkdir()
    assert Store(tmp_path / "there", create=False).kinds() == []
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]
