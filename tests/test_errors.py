"""Messages that several rooms share."""

from __future__ import annotations

import errno

import pytest

from synthbench.errors import join_problems, write_error_reason


def test_a_hint_that_all_problems_share_is_written_once() -> None:
    same = [f"cells/{name}.png: binary mask; use --components" for name in "ab"]
    assert join_problems(same, "cells") == (
        "cells: 2 problems: (1) a.png: binary mask; (2) b.png: binary mask; for all of them: use --components"
    )
    other = [same[0], "cells/c.png: can't be read; save it again"]
    assert join_problems(other, "cells") == f"cells: 2 problems: (1) {same[0][6:]}; (2) {other[1][6:]}"
    assert join_problems(same[:1], "cells") == same[0]


def test_problems_that_differ_in_a_detail_only_are_written_once() -> None:
    same = [f"cells/{name}.png: binary mask ({number} pieces); use --components" for name, number in ("a2", "b3")]
    assert join_problems(same, "cells") == "cells: 2 files: binary mask: a.png (2 pieces), b.png (3 pieces); " + (
        "use --components"
    )
    many = [f"cells/{n}.png: binary mask ({n} pieces); use --components" for n in range(12)]
    assert "9.png (9 pieces); and 2 more; use" in join_problems(many, "cells")
    other = [*same, "cells/c.png: photograph (3 colours); use --components"]
    assert "3 problems: (1) a.png: binary mask (2 pieces); (2)" in join_problems(other, "cells")


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
