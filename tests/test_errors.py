"""Messages that several rooms share."""

from __future__ import annotations

import errno

import pytest

from synthbench.errors import write_error_reason


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("SafetensorError: Error while serializing: IoError(Os { code: 28, No space left on device })"),
    ],
)
def test_a_full_disk_is_called_that_whoever_met_it(error: Exception) -> None:
    assert write_error_reason(error) == "the disk is full; free some space and run again"


def test_anything_else_keeps_its_words() -> None:
    assert write_error_reason(PermissionError(errno.EACCES, "Permission denied", "/x")) == "Permission denied"
    assert write_error_reason(RuntimeError("file\n write failed")) == "file write failed"
    assert write_error_reason(RuntimeError()) == "RuntimeError"
