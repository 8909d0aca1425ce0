"""Downloads: checked, taken up again, refused when wrong, and clear when there is no network."""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from synthbench.datasets import download
from synthbench.datasets.download import Remote, ResumingDownloader, download_notice, fetch
from synthbench.errors import DataError
from synthbench.plugin.api import Context, Dataset, Stopped

BODY = bytes(range(256)) * 4000
CHUNK = download.CHUNK
SHA = hashlib.sha256(BODY).hexdigest()


class Server:
    """One file, at ``/data.bin``, from a server that can be told to misbehave.

    Attributes
    ----------
    cuts : list of int
        After how many bytes to cut the next answers.
    statuses : list of int
        Error codes of the next answers.
    asked : list of str
        The Range header of every request, empty where it had none.
    """

    def __init__(self) -> None:
        self.body = BODY
        self.tag: str | None = '"one"'
        self.ranges = True
        self.cuts: list[int] = []
        self.statuses: list[int] = []
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/data.bin"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range", "")
        self.asked.append(asked)
        if self.statuses:
            handler.send_error(self.statuses.pop(0))
            return
        start = 0
        if asked and self.ranges and handler.headers.get("If-Range") == self.tag:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(self.body):
                handler.send_response(416)
                handler.send_header("Content-Range", f"bytes */{len(self.body)}")
                handler.end_headers()
                return
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{len(self.body) - 1}/{len(self.body)}")
        else:
            handler.send_response(200)
        if self.tag:
            handler.send_header("ETag", self.tag)
        handler.send_header("Content-Length", str(len(self.body) - start))
        handler.end_headers()
        end = start + self.cuts.pop(0) if self.cuts else len(self.body)
        handler.wfile.write(self.body[start:end])


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    thread = threading.Thread(target=found.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield found
    found.http.shutdown()
    found.http.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)


def test_a_file_arrives_whole_with_progress_and_is_fetched_once(server: Server, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    context = Context(progress=lambda done, total, note: told.append((done, total)))
    for _ in range(2):
        path = fetch(Remote(server.url, SHA), tmp_path, context)
        assert path == tmp_path / "data.bin"
        assert path.read_bytes() == BODY
    assert len(server.asked) == 1
    assert told[-1] == (len(BODY), len(BODY))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data.bin"]


def test_a_cut_connection_is_taken_up_where_it_was_cut(server: Server, tmp_path: Path) -> None:
    server.cuts = [4 * CHUNK + 100, 3 * CHUNK]
    path = fetch(Remote(server.url, SHA), tmp_path, Context())
    assert path.read_bytes() == BODY
    assert server.asked == ["", f"bytes={4 * CHUNK}-", f"bytes={7 * CHUNK}-"]


def test_the_next_call_goes_on_from_the_part_that_a_broken_one_left(server: Server, tmp_path: Path) -> None:
    server.cuts = [4 * CHUNK] + [0] * (download.MAX_ATTEMPTS - 1)
    with pytest.raises(DataError, match=rf"{re.escape(server.url)}: download failed"):
        fetch(Remote(server.url, SHA), tmp_path, Context())
    assert (tmp_path / "data.bin.part").stat().st_size == 4 * CHUNK
    assert not (tmp_path / "data.bin").exists()
    server.asked.clear()
    assert fetch(Remote(server.url, SHA), tmp_path, Context()).read_bytes() == BODY
    assert server.asked == [f"bytes={4 * CHUNK}-"]


def test_a_part_of_a_file_that_has_changed_meanwhile_is_not_glued_to_the_new_one(
    server: Server, tmp_path: Path
) -> None:
    server.cuts = [4 * CHUNK] + [0] * (download.MAX_ATTEMPTS - 1)
    with pytest.raises(DataError):
        fetch(Remote(server.url), tmp_path, Context())
    server.body, server.tag = BODY[::-1], '"two"'
    assert fetch(Remote(server.url), tmp_path, Context()).read_bytes() == BODY[::-1]


@pytest.mark.parametrize("flaw", ["no ranges", "no tag"])
def test_a_server_that_cannot_resume_is_asked_for_the_whole(server: Server, tmp_path: Path, flaw: str) -> None:
    server.cuts = [4 * CHUNK]
    server.ranges, server.tag = flaw != "no ranges", None if flaw == "no tag" else '"one"'
    assert fetch(Remote(server.url, SHA), tmp_path, Context()).read_bytes() == BODY


def test_a_part_that_is_whole_already_is_kept(server: Server, tmp_path: Path) -> None:
    part, out = tmp_path / "data.bin.part", tmp_path / "out"
    part.write_bytes(BODY)
    Path(f"{part}.json").write_text(f'{{"url": "{server.url}", "tag": "\\"one\\""}}', encoding="utf-8")
    ResumingDownloader(part, Context())(server.url, str(out), None)
    assert out.read_bytes() == BODY
    assert server.asked == [f"bytes={len(BODY)}-"]


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(server: Server, tmp_path: Path) -> None:
    server.statuses = [503, 502]
    assert fetch(Remote(server.url, SHA), tmp_path, Context()).read_bytes() == BODY
    server.statuses = [404, 404]
    with pytest.raises(DataError, match=r"the server responded 404 Not Found.*other\.bin.*'synthbench dataset add"):
        fetch(Remote(server.url, SHA, "other.bin"), tmp_path, Context())
    assert server.statuses == [404]


def test_a_wrong_hash_is_refused_and_nothing_is_kept(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"SHA-256 mismatch.*0000") as error:
        fetch(Remote(server.url, "0" * 64), tmp_path, Context())
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_without_a_published_hash_the_first_one_is_told_and_held_against_later_downloads(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        path = fetch(Remote(server.url), tmp_path, Context())
    assert SHA in caplog.text
    path.unlink()
    server.body = BODY[::-1]
    with pytest.raises(DataError, match=r"SHA-256 mismatch.*changed since the first download.*data\.bin\.sha256"):
        fetch(Remote(server.url), tmp_path, Context())


def test_without_a_network_one_line_says_what_to_fetch_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*args: object, **kwargs: object) -> None:
        raise requests.ConnectionError("Name or service not known")

    monkeypatch.setattr(requests, "get", unreachable)
    for dataset, command in (("", "add NAME --from PATH"), ("cells", "add cells --from set.zip")):
        with pytest.raises(DataError) as error:
            fetch(Remote("https://example.org/set.zip", SHA, dataset=dataset), tmp_path, Context())
        message = str(error.value)
        assert message.startswith("https://example.org/set.zip: download failed (no connection); ")
        assert message.endswith(f"'synthbench dataset {command}'")


def test_a_file_given_by_hand_is_checked_and_used_in_place(tmp_path: Path) -> None:
    given = tmp_path / "mine.zip"
    given.write_bytes(BODY)
    remote = Remote("https://example.org/set.zip", SHA)
    assert fetch(remote, tmp_path / "cache", Context(), given) == given
    assert not (tmp_path / "cache").exists()
    given.write_bytes(BODY[:-1])
    with pytest.raises(DataError, match=r"mine\.zip: SHA-256 mismatch"):
        fetch(remote, tmp_path / "cache", Context(), given)
    with pytest.raises(DataError, match=r"missing\.zip: no such file"):
        fetch(remote, tmp_path / "cache", Context(), tmp_path / "missing.zip")


def test_stopping_keeps_the_part(server: Server, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        fetch(Remote(server.url, SHA), tmp_path, Context(should_stop=lambda: True))
    assert 0 < (tmp_path / "data.bin.part").stat().st_size < len(BODY)
    assert fetch(Remote(server.url, SHA), tmp_path, Context()).read_bytes() == BODY
    assert server.asked[1] == f"bytes={CHUNK}-"


def test_a_folder_that_cannot_be_written_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").mkdir()
    with pytest.raises(DataError, match=r"data\.bin: can't be written"):
        fetch(Remote(server.url, SHA), tmp_path, Context())


def test_the_notice_names_source_licence_citation_and_file() -> None:
    class Cells(Dataset):
        source, licence, citation = "https://example.org", "CC0-1.0", "Doe 2020"

        def remotes(self) -> tuple[Remote, ...]:
            return Remote("https://example.org/set.zip", SHA), Remote("https://example.org/b.json")

        def samples(self, context: Context) -> Iterator:
            return iter(())

    text = download_notice(Cells())
    for word in (
        "https://example.org",
        "CC0-1.0",
        "Doe 2020",
        f"set.zip (sha256 {SHA})",
        "b.json (sha256 not published)",
    ):
        assert word in text
