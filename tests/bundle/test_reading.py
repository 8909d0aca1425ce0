"""Bundles made to do harm are refused before anything is decompressed at length, and nothing is written."""

from __future__ import annotations

import io
import json
import stat
import struct
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from helpers.bundles import Made, change_json, members, write
from synthbench.bundle import label_png, reading, verifying
from synthbench.bundle.label_png import decode_labels, encode_labels
from synthbench.bundle.reading import BundleFile, Refused, parse_json
from synthbench.bundle.verifying import verify_bundle
from synthbench.cli import main
from synthbench.errors import DataError

MANIFEST = json.dumps({"format": 1, "synthbench": "0.1.0", "files": {}})


def zipped(path: Path, *entries: tuple[zipfile.ZipInfo | str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write a ZIP file with a manifest and these entries."""
    with zipfile.ZipFile(path, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of duplicate names
        archive.writestr("manifest.json", MANIFEST)
        for name, content in entries:
            archive.writestr(name, content, method)
    return path


def a_link(path: Path) -> Path:
    entry = zipfile.ZipInfo("results/images.csv")
    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return zipped(path, (entry, b"/etc/passwd"))


def an_encrypted_entry(path: Path) -> Path:
    zipped(path, ("a.json", b"{}"))
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.rfind(signature) + offset] |= 1
    path.write_bytes(content)
    return path


def with_declared_size(path: Path, size: int, content: bytes) -> Path:
    """Write an entry whose headers declare another size than it has."""
    zipped(path, ("plan.json", content))
    raw = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = raw.rfind(signature) + offset
        raw[start : start + 4] = struct.pack("<I", size)
    path.write_bytes(raw)
    return path


def entries_that_share_their_bytes(path: Path) -> Path:
    zipped(path, ("a.bin", b"0" * 4000), ("b.bin", b"0" * 4000))
    raw = bytearray(path.read_bytes())
    first, second = raw.find(b"PK\x01\x02"), raw.rfind(b"PK\x01\x02")
    middle = raw.find(b"PK\x01\x02", first + 4)
    raw[second + 42 : second + 46] = raw[middle + 42 : middle + 46]
    path.write_bytes(raw)
    return path


HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "an absolute path": (lambda path: zipped(path, ("/etc/cron.d/x", b"")), "/etc/cron.d/x"),
    "a path that leads out": (lambda path: zipped(path, ("results/../../x", b"")), "results/../../x"),
    "a folder": (lambda path: zipped(path, ("results/", b"")), "results/"),
    "a backslash": (lambda path: zipped(path, ("results\\x.csv", b"")), "backslash"),
    "a drive": (lambda path: zipped(path, ("C:x.csv", b"")), "C:x.csv"),
    "a control character": (lambda path: zipped(path, ("a\x1b[2J.csv", b"")), "name"),
    "a name twice": (lambda path: zipped(path, ("a.csv", b"1"), ("a.csv", b"2")), "twice"),
    "names that differ by case": (lambda path: zipped(path, ("a.csv", b"1"), ("A.csv", b"2")), "case"),
    "a link": (a_link, "link"),
    "an encrypted entry": (an_encrypted_entry, "encrypted"),
    "a bomb": (lambda path: zipped(path, ("plan.json", bytes(20_000_000))), "bombs"),
    "another compression": (lambda path: zipped(path, ("a.csv", b"1" * 99), method=zipfile.ZIP_BZIP2), "deflate"),
    "a size that is too large": (lambda path: with_declared_size(path, 2**31, b"1" * 99), "2,147,483,648"),
    "entries that share their bytes": (entries_that_share_their_bytes, "shares its bytes"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_bundle_is_refused_in_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, named = HOSTILE[name]
    monkeypatch.chdir(tmp_path)
    bundle = make(tmp_path / "x.zip")
    tracemalloc.start()
    code = main(["verify", str(bundle)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert code == 2
    assert named in line
    assert "\x1b" not in line
    assert peak < 16 * 2**20
    assert list(tmp_path.iterdir()) == [bundle]


@pytest.mark.parametrize(("declared", "actual"), [(50, 5000), (5000, 50)])
def test_a_size_that_lies_is_refused_when_the_entry_is_read(tmp_path: Path, declared: int, actual: int) -> None:
    bundle = with_declared_size(tmp_path / "x.zip", declared, bytes(actual))
    with BundleFile(bundle) as file, pytest.raises(Refused, match=r"plan\.json"):
        file.read("plan.json")


def test_no_more_is_read_than_the_limit(tmp_path: Path) -> None:
    with BundleFile(zipped(tmp_path / "x.zip", ("a.csv", b"1" * 999))) as file:
        assert file.read("a.csv", 999) == b"1" * 999
        with pytest.raises(Refused, match="at most 998"):
            file.read("a.csv", 998)


@pytest.mark.parametrize(("limit", "named"), [("MAX_ENTRIES", "entries"), ("MAX_TOTAL", "bytes")])
def test_many_entries_and_large_sums_are_refused(
    tmp_path: Path, limit: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = zipped(tmp_path / "x.zip", *((f"{i}.csv", b"1") for i in range(9)))
    monkeypatch.setattr(reading, limit, 8)
    with pytest.raises(Refused, match=named):
        BundleFile(bundle)


def later(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", json.dumps({"format": 99, "synthbench": "7.0", "files": {}}))
    return path


def manifest_of(content: str) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("manifest.json", content)
        return path

    return make


def text(path: Path) -> Path:
    path.write_text("not a bundle")
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def cut_off(path: Path) -> Path:
    zipped(path, ("a.csv", b"1"))
    path.write_bytes(path.read_bytes()[:-30])
    return path


def other_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("image.png", b"")
    return path


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda path: path, "no such file"),
        (text, "no bundle"),
        (folder, "synthbench bundle"),
        (cut_off, "no bundle"),
        (other_zip, "manifest.json"),
        (later, "99"),
        (manifest_of("{}"), "format"),
        (manifest_of('{"format": "one", "files": {}}'), "one"),
        (manifest_of('{"format": 1, "synthbench": "1", "files": {"a": 3}}'), "manifest.json"),
        (manifest_of('{"format": 1, "files": {}}'), "version"),
        (manifest_of('{"format": NaN}'), "NaN"),
        (manifest_of('{"format": 1, "format": 2}'), "twice"),
        (manifest_of("[" * 200_000), "nested"),
    ],
)
def test_what_is_no_bundle_is_refused_in_one_line(
    make: Callable[[Path], Path], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(make(tmp_path / "x.zip"))]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert named in line


@pytest.mark.parametrize("content", [b"{", b"\xff", b"Infinity", b'{"a": 1, "a": 1}', b"[" * 200_000])
def test_json_is_strict(content: bytes) -> None:
    with pytest.raises(DataError, match=r"^a\.json: "):
        parse_json(content, "a.json")


def png(height: int, width: int, data: bytes, mode: int = 0) -> bytes:
    """Return a PNG file of any declared size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, mode, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "size", "named"),
    [
        (png(40_000, 40_000, b"\0"), (64, 64), "40000×40000"),
        (png(40_000, 40_000, b"\0"), (40_000, 40_000), "bombs"),
        (png(8000, 8000, b"\0"), (8000, 8000), "bombs"),
        (png(8, 8, b"\0"), (8, 8), "decoded"),
        (png(8, 8, bytes(8 * 25), mode=2), (8, 8), "RGB"),
        (b"", (8, 8), "PNG"),
        (encode_labels(np.ones((8, 8), np.uint8))[:45], (8, 8), "decoded"),
        (encode_labels(np.ones((8, 8), np.uint8)) + b"more", (8, 8), "bytes after its end"),
    ],
)
def test_a_hostile_picture_is_refused_before_it_is_decoded(data: bytes, size: tuple[int, int], named: str) -> None:
    tracemalloc.start()
    with pytest.raises(DataError, match=named):
        decode_labels(data, size, "a.png")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize(("before", "after"), [(b"MZ", b""), (b"", b"more"), (b"", b"PK\5\6" + bytes(18))])
def test_bytes_outside_of_the_zip_are_refused(made: Made, tmp_path: Path, before: bytes, after: bytes) -> None:
    """Nothing else says that they are there, and other programs may read them."""
    path = tmp_path / "more.zip"
    path.write_bytes(before + made.bundle.read_bytes() + after)
    with pytest.raises(Refused, match=r"before or after|has no manifest"):
        BundleFile(path)


def test_a_missing_file_is_one_problem(made: Made, tmp_path: Path) -> None:
    files = members(made.bundle)
    name = next(name for name in files if name.startswith("predictions/"))
    del files[name]
    write(tmp_path / "less.zip", files, sealed=False)
    assert [str(problem) for problem in verify_bundle(tmp_path / "less.zip").problems] == [f"{name}: is missing"]


def test_a_label_map_as_large_as_the_entry_says_is_refused_with_the_others(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Someone declares a huge test image, to have its prediction decompressed."""
    monkeypatch.setattr(verifying, "check_leaderboard", lambda *_: None)
    files = members(made.bundle)

    def enlarge(content: object) -> None:
        for row in content["datasets"]["blobs"]["samples"]:
            row["height"] = row["width"] = 60_000

    change_json(files, "sources.json", enlarge)
    for name in list(files):
        if name.startswith("predictions/"):
            files[name] = png(60_000, 60_000, b"\0" * 9)
    found = verify_bundle(write(tmp_path / "x.zip", files))
    assert any(problem.file.startswith("predictions/") and "bombs" in problem.text for problem in found.problems)


def test_limits_admit_large_real_label_maps() -> None:
    assert label_png.MAX_PIXELS >= 10_000 * 10_000
    labels = np.zeros((3000, 3000), np.uint16)
    labels[::50, ::50] = 300
    data = encode_labels(labels)
    assert np.array_equal(decode_labels(data, labels.shape, "x"), labels)
    assert io.BytesIO(data).read(4) == b"\x89PNG"
