"""Downloads: pooch with pinned hashes, resumed where a connection was interrupted."""

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

__all__ = [
    "CHUNK",
    "MAX_ATTEMPTS",
    "Remote",
    "ResumingDownloader",
    "cache_folder",
    "download_notice",
    "fetch",
    "sha256_of",
]

log = logging.getLogger(__name__)

CHUNK = 2**16
MAX_ATTEMPTS = 4
"""Consecutive attempts without a single byte received after which a download fails."""
TIMEOUT = 30.0
"""Seconds without a response after which an attempt fails."""
_BUSY = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Remote:
    """A file to download.

    Parameters
    ----------
    url
        Its address.
    sha256
        Its published hash, 64 hexadecimal digits; None where none is published. Then the hash of the first download is
        logged, kept beside the file, and later downloads to the same folder must have it.
    name
        The name of the local file; by default the last part of the URL.
    dataset
        The dataset that can be read from this file alone, for the hint when a download fails; empty if there is none.
    """

    url: str
    sha256: str | None = None
    name: str = ""
    dataset: str = ""

    @property
    def filename(self) -> str:
        """Name of the downloaded file; by default the last part of the URL's path."""
        return self.name or PurePosixPath(self.url.split("?")[0]).name


def download_notice(dataset: Dataset[Any]) -> str:
    """Return what is shown before a download: source, licence, citation, and the files to download.

    The files are what the dataset's ``remotes()`` returns, a sequence of `Remote`, where it has such a method.
    """
    remotes: Sequence[Remote] = getattr(dataset, "remotes", tuple)()
    lines = [f"source:   {dataset.source}", f"licence:  {dataset.licence}", f"citation: {dataset.citation}"]
    lines += [f"download: {r.url} (sha256 {r.sha256 or 'not published'})" for r in remotes]
    return "\n".join(lines)


def cache_folder(name: str) -> Path:
    """Return the folder of the user's cache where a dataset's files are kept when no other is given."""
    import pooch

    return Path(pooch.os_cache("synthbench")) / name


def fetch(remote: Remote, folder: Path, context: Context, local_copy: Path | None = None) -> Path:
    """Return the path of a verified file; download it to `folder` unless it is there or a local copy is given.

    Parameters
    ----------
    remote
    folder
        Where it is kept; an interrupted download leaves ``<name>.part`` there, and the next call resumes it.
    context
        Its `progress` gets the bytes received; its `should_stop` is called between chunks.
    local_copy
        A file downloaded manually, verified and used in place.

    Raises
    ------
    DataError
        If it can't be downloaded, or its SHA-256 is wrong.
    Stopped
        If `context.should_stop` returned true.
    """
    if local_copy is not None:
        return _verified(remote, local_copy)
    folder.mkdir(parents=True, exist_ok=True)
    ledger = folder / f"{remote.filename}.sha256"
    known = remote.sha256 or (ledger.read_text(encoding="ascii").strip() if ledger.is_file() else None)
    path = _retrieve(remote, known, folder, context)
    if known is None:
        digest = sha256_of(path)
        ledger.write_text(digest + "\n", encoding="ascii")
        log.warning("%s: no hash is published; its SHA-256 is %s, saved to %s", remote.filename, digest, ledger)
    return path


def _retrieve(remote: Remote, known: str | None, folder: Path, context: Context) -> Path:
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.ERROR)
    part = folder / f"{remote.filename}.part"
    try:
        downloaded = pooch.retrieve(
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
            f"{remote.url}: SHA-256 mismatch (expected {known}); the file was deleted; "
            + (f"try again, or {_manually(remote)}" if remote.sha256 else _changed(remote, folder))
        ) from None
    except requests.RequestException as error:
        raise NotDownloaded(f"{remote.url}: download failed ({_reason(error)}); {_manually(remote)}") from None
    except OSError as error:
        raise DataError(f"{folder / remote.filename}: can't be written: {error.strerror or error}") from None
    return Path(downloaded)


def _changed(remote: Remote, folder: Path) -> str:
    return f"it has changed since the first download; to accept that, remove {folder / remote.filename}.sha256"


def _manually(remote: Remote) -> str:
    if not remote.dataset:
        return f"download {remote.filename} manually and add the dataset with 'synthbench dataset add NAME --from PATH'"
    return (
        f"download it manually as {remote.filename} and run 'synthbench dataset add {remote.dataset} --from "
        f"{remote.filename}'"
    )


def _reason(error: Exception) -> str:
    import requests

    response = getattr(error, "response", None)
    if response is not None:
        return f"the server responded {response.status_code} {response.reason}".rstrip()
    if isinstance(error, requests.Timeout):
        return f"no response within {TIMEOUT:.0f} s"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return str(error).splitlines()[0]


def _verified(remote: Remote, path: Path) -> Path:
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected the file from {remote.url}")
    if remote.sha256 and (digest := sha256_of(path)) != remote.sha256.lower():
        raise DataError(
            f"{path}: SHA-256 mismatch: {digest}, but {remote.url} has {remote.sha256}; download the file again"
        )
    return path


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    import pooch

    try:
        return str(pooch.file_hash(str(path)))
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror or error}") from None


class ResumingDownloader:
    """A downloader for pooch that resumes from ``.part`` files.

    Parameters
    ----------
    part
        The incomplete file. ``<part>.json`` beside it holds the URL and the server's entity tag: if either changes, the
        download starts again.
    context
        Receives progress, and says whether to stop.
    pause
        Seconds before the second attempt; doubled before each further one.
    """

    def __init__(self, part: Path, context: Context, pause: float = 0.5) -> None:
        self.part = part
        self.context = context
        self.pause = pause
        self._tag = part.with_name(part.name + ".json")

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Download `url` to the file `output_file`.

        Raises
        ------
        requests.RequestException
            If the download fails.
        Stopped
            If the user asked to stop; the incomplete file is kept.
        """
        import requests

        failures = 0
        while True:
            before = self._size()
            try:
                if self._resume(url):
                    break
                raise requests.ConnectionError("the connection was interrupted")
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                failures = 1 if self._size() > before else failures + 1
                if failures >= MAX_ATTEMPTS:
                    raise
                log.info("%s: %s; resuming at byte %d", url, _reason(error), self._size())
                time.sleep(self.pause * 2 ** (failures - 1))
            except requests.HTTPError as error:
                failures += 1
                if failures >= MAX_ATTEMPTS or error.response is None or error.response.status_code not in _BUSY:
                    raise
                time.sleep(self.pause * 2 ** (failures - 1))
        os.replace(self.part, output_file)
        self._tag.unlink(missing_ok=True)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _resume(self, url: str) -> bool:
        """Request the missing bytes, append them, and return whether the file is complete."""
        import requests

        received, headers = self._size(), {"Accept-Encoding": "identity"}
        tag = self._remembered(url)
        if received and tag is None:
            self.part.unlink()
            received = 0
        elif received:
            headers |= {"Range": f"bytes={received}-", "If-Range": tag or ""}
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == 416:
                self._tag.unlink(missing_ok=True)
                return _length_of(response) == received
            response.raise_for_status()
            if response.status_code != 206:
                received = 0
            elif not response.headers.get("Content-Range", "").startswith(f"bytes {received}-"):
                self._tag.unlink(missing_ok=True)
                return False
            self._remember(url, response)
            total = received + int(response.headers.get("Content-Length", 0))
            written = self._append(response, received, total)
            return "Content-Length" not in response.headers or written == total

    def _append(self, response: Any, received: int, total: int) -> int:
        shown = 0.0
        with self.part.open("ab" if received else "wb") as file:
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                received += len(chunk)
                if time.monotonic() - shown > 0.2:
                    shown = time.monotonic()
                    self.context.progress(received, max(total, received), f"{self.part.stem} {received / 1e6:.1f} MB")
                if self.context.should_stop():
                    raise Stopped(f"{self.part} is kept")
        self.context.progress(received, max(total, received), f"{self.part.stem} {received / 1e6:.1f} MB")
        return received

    def _remember(self, url: str, response: Any) -> None:
        tag = response.headers.get("ETag") or response.headers.get("Last-Modified")
        if tag and not tag.startswith("W/"):
            self._tag.write_text(json.dumps({"url": url, "tag": tag}), encoding="utf-8")
        else:
            self._tag.unlink(missing_ok=True)

    def _remembered(self, url: str) -> str | None:
        """Return the entity tag of the file that the part belongs to; None if it can't be resumed."""
        try:
            kept = json.loads(self._tag.read_text(encoding="utf-8"))
            return str(kept["tag"]) if kept["url"] == url else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _length_of(response: Any) -> int:
    """Return the total length from ``Content-Range: bytes */1234``; −1 if it isn't given."""
    length = response.headers.get("Content-Range", "").rpartition("/")[2]
    return int(length) if length.isdigit() else -1
