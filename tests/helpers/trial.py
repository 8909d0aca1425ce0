"""The trial plugins, installed in this process for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from synthbench.plugin.registry import registry


@contextmanager
def trial_plugins(site: Path) -> Iterator[None]:
    """Install what `site` holds: a fixture that outlives its test must leave this before it yields.

    Other tests of the same process, and the workers that they start, would find a distribution too many.
    """
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(site))
            registry.cache_clear()
            yield
    finally:
        registry.cache_clear()
