"""Four two-dimensional datasets of the Cell Tracking Challenge."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import Field

from synthbench import Context, Sample
from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.readers import tracking
from synthbench_catalogue.base import ArchiveConfig, DownloadableDataset, find_root

__all__ = ["HelaDic", "Psc", "SimPlus", "TrackingConfig", "U373"]

_SITE = "https://data.celltrackingchallenge.net/training-datasets"


class TrackingConfig(ArchiveConfig):
    """Configuration of the Cell Tracking Challenge datasets."""

    truth: tracking.TruthChoice = Field(
        "gold",
        description="gold: annotated by hand, few frames; silver: merged from computed segmentations, every frame; "
        "each: gold in the sequences that have it, silver in the others",
    )


class _Challenge(DownloadableDataset[TrackingConfig]):
    """Two sequences, ``01`` and ``02``, without official splits; split by the group ``sequence``."""

    Config = TrackingConfig
    licence = (
        "conditions of celltrackingchallenge.net/datasets: cite and acknowledge the challenge; "
        "use outside the challenge requires permission of the data providers"
    )
    citation = "Ulman et al., Nature Methods 14, 1141 (2017); Maška et al., Nature Methods 20, 1010 (2023)"
    groups = ("sequence", "time", "truth")

    def samples(self, context: Context) -> Iterator[Sample]:
        """Yield the annotated frames, sequence by sequence; groups ``sequence`` and ``time`` (frame number)."""
        root = find_root(self.unpacked(context), "01")
        log = ImportLog()
        frames = tracking.read(root, ImportOptions(trusted=True), log, truth=self.config.truth)
        yield from self.with_import_notes(frames, log, context)

    @staticmethod
    def wanted(name: str) -> bool:
        return re.search(r"/\d\d/t\d+\.tif$|/\d\d_(GT|ST)/SEG/[^/]+\.tif$", f"/{name}") is not None


class U373(_Challenge):
    """Glioblastoma-astrocytoma U373 cells on polyacrylamide, by Dr S. Kumar, University of California, Berkeley."""

    name = "ctc-u373"
    url = f"{_SITE}/PhC-C2DH-U373.zip"
    sha256 = "b18185c18fce54e8eeb93e4bbb9b201d757add9409bbf2283b8114185a11bc9e"
    source = "https://celltrackingchallenge.net/2d-datasets (PhC-C2DH-U373)"


class Psc(_Challenge):
    """Pancreatic stem cells on polystyrene, by Dr T. Becker, Fraunhofer Institution for Marine Biotechnology."""

    name = "ctc-psc"
    url = f"{_SITE}/PhC-C2DL-PSC.zip"
    sha256 = "9d54bb8febc8798934a21bf92e05d92f5e8557c87e28834b2832591cdda78422"
    source = "https://celltrackingchallenge.net/2d-datasets (PhC-C2DL-PSC)"


class SimPlus(_Challenge):
    """Simulated nuclei in fluorescence, whose truth is that of the simulation."""

    name = "ctc-sim"
    url = f"{_SITE}/Fluo-N2DH-SIM+.zip"
    sha256 = "3e809148c87ace80c72f563b56c35e0d9448dcdeb461a09c83f61e93f5e40ec8"
    source = "https://celltrackingchallenge.net/2d-datasets (Fluo-N2DH-SIM+)"


class HelaDic(_Challenge):
    """HeLa cells in differential interference contrast."""

    name = "ctc-hela-dic"
    url = f"{_SITE}/DIC-C2DH-HeLa.zip"
    sha256 = "832fed2d05bb7488cf9c51a2994b75f8f3f53b3c3098856211f2d39023c34e1a"
    source = "https://celltrackingchallenge.net/2d-datasets (DIC-C2DH-HeLa)"
