"""Fetching files: pooch with pinned hashes, taken up again where a cut connection left off."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from synthbench.errors import DataError, NotDownloaded, SynthbenchError
from synthbench.plugin.api import Context, Dataset, Stopped

log = logging.getLogger(__name__)

CHUNK = 2**16
TRIES = 4
"""How often a connection may fail without having brought a single byte."""
TIMEOUT = 30.0
"""Seconds without an answer after which a connection has failed."""
_BUSY = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Remote:
    """A file to fetch.

    Parameters
    ----------
    url
        Where it is.
    sha256
        Its published hash, 64 hexadecimal digits; None where none is published. Then the hash found first is logged,
        kept beside the file, and held against later downloads to the same folder.
    name
        What it is called here; by default the last part of the URL.
    """

    url: str
    sha256: str | None = None
    name: str = ""

    @property
    def filename(self) -> str:
        return self.name or PurePosixPath(self.url.split("?")[0]).name


def download_notice(dataset: Dataset) -> str:
    """Return what is shown before a download: source, licence, whom to cite, and what would be fetched.

    The files are what the dataset's ``remotes()`` returns, a sequence of `Remote`, where it has such a method.
    """
    remotes: Sequence[Remote] = getattr(dataset, "remotes", tuple)()
    lines = [f"source:   {dataset.source}", f"licence:  {dataset.licence}", f"citation: {dataset.citation}"]
    lines += [f"fetches:  {r.url} (sha256 {r.sha256 or 'not published'})" for r in remotes]
    return "\n".join(lines)


def cache_folder(name: str) -> Path:
    """Return the folder of the user's cache where a dataset's files are kept when no other is given."""
    import pooch

    return Path(pooch.os_cache("synthbench")) / name


def fetch(remote: Remote, folder: Path, context: Context, given: Path | None = None) -> Path:
    """Return the path of a file, checked; download it to `folder` unless it is there or was given by hand.

    Parameters
    ----------
    remote
    folder
        Where it is kept; a broken download leaves ``<name>.part`` there, and the next call goes on from it.
    context
        Its `progress` is told bytes; its `should_stop` is asked between chunks.
    given
        A file fetched by hand, checked and used in place.

    Raises
    ------
    DataError
        If it can't be reached, is refused, or hasn't the hash it should have.
    Stopped
        If `context.should_stop` said so.
    """
    if given is not None:
        return _given(remote, given)
    folder.mkdir(parents=True, exist_ok=True)
    ledger = folder / f"{remote.filename}.sha256"
    known = remote.sha256 or (ledger.read_text(encoding="ascii").strip() if ledger.is_file() else None)
    path = _retrieve(remote, known, folder, context)
    if known is None:
        found = sha256_of(path)
        ledger.write_text(found + "\n", encoding="ascii")
        log.warning("%s: no hash is published; found sha256 %s, kept in %s", remote.filename, found, ledger)
    return path


def _retrieve(remote: Remote, known: str | None, folder: Path, context: Context) -> Path:
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.ERROR)
    part = folder / f"{remote.filename}.part"
    try:
        got = pooch.retrieve(
            remote.url,
            known_hash=f"sha256:{known.lower()}" if known else None,
            fname=remote.filename,
            path=folder,
            downloader=ResumingDownloader(part, context),
        )
    except SynthbenchError:
        raise
    except ValueError as error:
        if "hash" not in str(error):
            raise
        raise DataError(
            f"{remote.url}: what came has not the sha256 {known}; it was thrown away. "
            + (
                "Try again, or fetch it by hand and give it by 'synthbench dataset add … --from PATH'"
                if remote.sha256
                else _changed(remote, folder)
            )
        ) from None
    except requests.RequestException as error:
        raise NotDownloaded(f"{remote.url}: can't be fetched ({_reason(error)}); {_by_hand(remote)}") from None
    except OSError as error:
        raise DataError(f"{folder / remote.filename}: can't be written: {error.strerror or error}") from None
    return Path(got)


def _changed(remote: Remote, folder: Path) -> str:
    return f"It has changed since it was first fetched; to accept that, remove {folder / remote.filename}.sha256"


def _by_hand(remote: Remote) -> str:
    return f"download it by hand, on any machine, and give {remote.filename} by 'synthbench dataset add … --from PATH'"


def _reason(error: Exception) -> str:
    import requests

    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answers {response.status_code} {response.reason}".rstrip()
    if isinstance(error, requests.Timeout):
        return f"no answer within {TIMEOUT:.0f} s"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return str(error).splitlines()[0]


def _given(remote: Remote, given: Path) -> Path:
    if not given.is_file():
        raise DataError(f"{given}: no such file; give the file that is at {remote.url}")
    if remote.sha256 and (found := sha256_of(given)) != remote.sha256.lower():
        raise DataError(
            f"{given}: its sha256 is {found}, and that of {remote.url} is {remote.sha256}; "
            "the file is damaged or another one: fetch it again"
        )
    return given


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    import pooch

    try:
        return str(pooch.file_hash(str(path)))
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror or error}") from None


class ResumingDownloader:
    """A downloader in pooch's form that goes on from ``.part`` files.

    Parameters
    ----------
    part
        Where bytes collect until the file is whole. ``<part>.json`` beside it holds the URL and the server's tag of
        the file: if either changes, the download begins anew.
    context
        Told of progress, asked whether to stop.
    pause
        Seconds before the second try; doubled before each further one.
    """

    def __init__(self, part: Path, context: Context, pause: float = 0.5) -> None:
        self.part = part
        self.context = context
        self.pause = pause
        self._tag = part.with_name(part.name + ".json")

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Fetch `url` to the file `output_file`.

        Raises
        ------
        requests.RequestException
            If it can't be had.
        Stopped
            If the user asked to stop; the part stays.
        """
        import requests

        failures = 0
        while True:
            before = self._size()
            try:
                if self._go_on(url):
                    break
                raise requests.ConnectionError("the connection was cut")
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                failures = 1 if self._size() > before else failures + 1
                if failures >= TRIES:
                    raise
                log.info("%s: %s; trying again from byte %d", url, _reason(error), self._size())
                time.sleep(self.pause * 2 ** (failures - 1))
            except requests.HTTPError as error:
                failures += 1
                if failures >= TRIES or error.response is None or error.response.status_code not in _BUSY:
                    raise
                time.sleep(self.pause * 2 ** (failures - 1))
        os.replace(self.part, output_file)
        self._tag.unlink(missing_ok=True)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _go_on(self, url: str) -> bool:
        """Ask for what is missing, append it, and return whether the file is whole."""
        import requests

        have, headers = self._size(), {"Accept-Encoding": "identity"}
        tag = self._remembered(url)
        if have and tag is None:
            self.part.unlink()
            have = 0
        elif have:
            headers |= {"Range": f"bytes={have}-", "If-Range": tag or ""}
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
            if answer.status_code == 416:
                self._tag.unlink(missing_ok=True)
                return _length_of(answer) == have
            answer.raise_for_status()
            if answer.status_code != 206:
                have = 0
            elif not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                self._tag.unlink(missing_ok=True)
                return False
            self._remember(url, answer)
            total = have + int(answer.headers.get("Content-Length", 0))
            written = self._append(answer, have, total)
            return "Content-Length" not in answer.headers or written == total

    def _append(self, answer: Any, have: int, total: int) -> int:
        shown = 0.0
        with self.part.open("ab" if have else "wb") as file:
            for chunk in answer.iter_content(CHUNK):
                file.write(chunk)
                have += len(chunk)
                if time.monotonic() - shown > 0.2:
                    shown = time.monotonic()
                    self.context.progress(have, max(total, have), f"{self.part.stem} {have / 1e6:.1f} MB")
                if self.context.should_stop():
                    raise Stopped(f"{self.part} is kept")
        self.context.progress(have, max(total, have), f"{self.part.stem} {have / 1e6:.1f} MB")
        return have

    def _remember(self, url: str, answer: Any) -> None:
        tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        if tag and not tag.startswith("W/"):
            self._tag.write_text(json.dumps({"url": url, "tag": tag}), encoding="utf-8")
        else:
            self._tag.unlink(missing_ok=True)

    def _remembered(self, url: str) -> str | None:
        """The server's tag of the file that the part belongs to; None if it can't be gone on with."""
        try:
            kept = json.loads(self._tag.read_text(encoding="utf-8"))
            return str(kept["tag"]) if kept["url"] == url else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _length_of(answer: Any) -> int:
    """The whole length in ``Content-Range: bytes */1234``; −1 if it isn't told."""
    length = answer.headers.get("Content-Range", "").rpartition("/")[2]
    return int(length) if length.isdigit() else -1
