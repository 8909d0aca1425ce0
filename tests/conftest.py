"""Fixtures that all tests share."""

from __future__ import annotations

import copy
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from helpers.blobs import blobs
from helpers.browser import Browser, find_chromium
from helpers.real_data import PLACE, find_real_data
from helpers.trial import TRIAL_STUDY, Trial, trial_plugins
from synthbench.samples import Sample, SampleSet

settings.register_profile("busy machines", deadline=None)
settings.load_profile("busy machines")

# A shell's background job begins with signals ignored, and so does all that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real annotated micrographs, or a skip that says where it was looked for."""
    folder = find_real_data()
    if folder is None:
        pytest.skip(f"no real micrographs at {PLACE}; set SYNTHBENCH_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def shared_fixtures(real_data: Path) -> Path:
    """The folder of raw files and recorded predictions beside the real micrographs."""
    folder = real_data.parent / "fixtures"
    if not folder.is_dir():
        pytest.skip(f"no fixtures at {folder}")
    return folder


@pytest.fixture(scope="session")
def blob_set() -> SampleSet:
    """Twelve small pictures of discs."""
    return SampleSet.of([blobs(seed) for seed in range(12)], name="blobs")


@pytest.fixture(scope="session")
def semantic_set() -> SampleSet:
    """Eight small pictures whose label map gives the class of each pixel: background, disc."""
    samples = [blobs(seed) for seed in range(8)]
    flat = [Sample(s.id, s.image, (s.labels > 0).astype(np.uint8)) for s in samples]
    return SampleSet.of(flat, name="discs", task="semantic", classes=("background", "disc"))


@pytest.fixture(scope="session")
def trial_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that, on PYTHONPATH, makes the trial plugins an installed distribution."""
    site = tmp_path_factory.mktemp("site")
    shutil.copy(CHECKOUT / "tests" / "trial" / "trial_plugins.py", site)
    info = site / "synthbench_trial-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: synthbench-trial\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[synthbench]\ntrial = trial_plugins\n")
    return site


@pytest.fixture
def trial(tmp_path: Path, trial_site: Path) -> Trial:
    """A command line with the trial plugins, in a folder of its own."""
    return Trial(tmp_path, trial_site)


@pytest.fixture
def trial_registry(trial_site: Path) -> Iterator[None]:
    """The trial plugins, installed in this process for one test."""
    with trial_plugins(trial_site):
        yield


@pytest.fixture
def trial_study() -> dict[str, object]:
    """A small study of trial plugins, as a mapping."""
    return copy.deepcopy(TRIAL_STUDY)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = find_chromium()
    if not found:
        pytest.skip("no headless Chromium on this machine")
    with Browser(found, tmp_path_factory.mktemp("browser") / "profile") as opened:
        yield opened
