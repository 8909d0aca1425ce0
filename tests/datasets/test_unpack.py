"""Unpacking: whole or not at all, and nothing outside the folder."""

from __future__ import annotations

import io
import re
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from synthbench.datasets import unpack as module
from synthbench.datasets.unpack import unpack
from synthbench.errors import DataError
from synthbench.plugin.api import Context, Stopped

FILES = {"set/a.txt": b"a" * 1000, "set/deep/b.txt": b"b", "readme": b""}


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("set/empty")
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, files: dict[str, bytes], *entries: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for entry in entries:
            archive.addfile(entry)
    return path


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_zip_and_tar_come_out_as_they_went_in(tmp_path: Path, pack) -> None:
    archive = pack(tmp_path / "set.bin", FILES)
    assert content(unpack(archive, tmp_path / "out", Context())) == FILES
    archive.unlink()
    assert content(unpack(archive, tmp_path / "out", Context())) == FILES


def test_only_what_is_wanted_is_unpacked(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "set.zip", FILES)
    out = unpack(archive, tmp_path / "out", Context(), lambda name: name.startswith("set/deep/"))
    assert content(out) == {"set/deep/b.txt": b"b"}


@pytest.mark.parametrize("name", ["../evil", "set/../../evil", "/etc/evil", "C:/evil", "set\\..\\..\\evil"])
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_path_that_leads_outside_is_refused_and_nothing_is_written(tmp_path: Path, pack, name: str) -> None:
    (tmp_path / "in").mkdir()
    archive = pack(tmp_path / "in" / "set.bin", FILES | {name: b"evil"})
    with pytest.raises(DataError, match=rf"set\.bin: contains {re.escape(repr(name))}, a path outside"):
        unpack(archive, tmp_path / "in" / "deep" / "out", Context())
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["set.bin"]


def test_links_and_devices_are_refused(tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("set/link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(DataError, match=r"a\.zip: contains a link or a device, 'set/link'"):
        unpack(tmp_path / "a.zip", tmp_path / "out", Context())
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
        link = tarfile.TarInfo("set/link")
        link.type, link.linkname = kind, "/etc/passwd"
        with pytest.raises(DataError, match=r"a\.tgz: contains a link or a device, 'set/link'"):
            unpack(tarred(tmp_path / "a.tgz", FILES, link), tmp_path / "out", Context())
    assert not (tmp_path / "out").exists()


def test_a_damaged_archive_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "set.zip", {"set/a.bin": bytes(range(256)) * 400}).read_bytes()
    broken = bytearray(whole)
    broken[200:260] = bytes(60)
    (tmp_path / "set.zip").write_bytes(broken)
    with pytest.raises(DataError, match=r"set\.zip: damaged"):
        unpack(tmp_path / "set.zip", tmp_path / "out", Context())
    packed = tarred(tmp_path / "set.tgz", {"a": bytes(range(256)) * 4000}).read_bytes()
    (tmp_path / "set.tgz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DataError, match=r"set\.tgz: damaged"):
        unpack(tmp_path / "set.tgz", tmp_path / "out", Context())
    (tmp_path / "text").write_text("not an archive")
    with pytest.raises(DataError, match=r"text: not a zip or tar archive"):
        unpack(tmp_path / "text", tmp_path / "out", Context())
    with pytest.raises(DataError, match=r"missing\.zip: no such file"):
        unpack(tmp_path / "missing.zip", tmp_path / "out", Context())
    assert not [p for p in tmp_path.iterdir() if p.is_dir()]


def test_too_little_room_is_said_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = zipped(tmp_path / "set.zip", FILES)
    usage = module.shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(DataError, match=r"needs .* GB"):
        unpack(archive, tmp_path / "out", Context())
    assert not (tmp_path / "out").exists()


def test_stopping_leaves_nothing_half_unpacked(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "set.zip", FILES)
    with pytest.raises(Stopped):
        unpack(archive, tmp_path / "out", Context(should_stop=lambda: True))
    assert [p.name for p in tmp_path.iterdir()] == ["set.zip"]
