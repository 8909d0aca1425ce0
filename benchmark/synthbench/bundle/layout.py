"""What a bundle consists of: the names of its files, and the version of its format."""

from __future__ import annotations

import re

from synthbench.results import TABLES
from synthbench.results.sources import SOURCES

__all__ = [
    "COSTS",
    "CRATE",
    "ENVIRONMENT",
    "FORMAT",
    "INTERMEDIATE",
    "LEADERBOARD",
    "MANIFEST",
    "METHODS",
    "PLAN",
    "REQUIRED",
    "SEAL",
    "SOURCES",
    "STUDY",
    "WEIGHTS",
    "is_known",
    "prediction_file",
    "split_file",
    "table_file",
    "weights_file",
]

INTERMEDIATE = ("encode",)
"""Kinds of tasks that a run needs no more once what is made of their results is there; a store may have lost them."""
FORMAT = 1
"""Version of the format; one that a reader doesn't know is refused."""

MANIFEST = "manifest.json"
"""Format, version of synthbench, and size and SHA-256 of every other file."""
CRATE = "ro-crate-metadata.json"
STUDY = "study.yaml"
PLAN = "plan.json"
ENVIRONMENT = "environment.json"
METHODS = "methods.json"
COSTS = "costs.json"
LEADERBOARD = "leaderboard.json"
SEAL = "results/seal.json"
WEIGHTS = "weights"
"""Folder of trained weights, where there are any."""


def table_file(name: str) -> str:
    """Return the file of one of the tables `synthbench.results.TABLES`."""
    return f"results/{name}.csv"


def split_file(dataset: str) -> str:
    """Return the file with the splits of a dataset."""
    return f"splits/{dataset}.json"


def prediction_file(evaluate: str, image: str) -> str:
    """Return the file with the predicted label map of a test image, by the key of the evaluation."""
    return f"predictions/{evaluate}/{image}.png"


def weights_file(fit: str, name: str) -> str:
    """Return a file of trained weights, by the key of the training and its name there."""
    return f"{WEIGHTS}/{fit}/{name}"


REQUIRED = (
    *(MANIFEST, CRATE, STUDY, PLAN, SOURCES, ENVIRONMENT, METHODS, COSTS, LEADERBOARD, SEAL),
    *(table_file(name) for name in TABLES),
)
"""Files that every bundle has."""
_OTHERS = re.compile(
    r"splits/[^/]+\.json|predictions/[0-9a-f]{64}/.+\.png"
    r"|samples/[0-9a-f]{64}/(samples\.json|[a-z]+/.+\.(png|tif))|weights/[0-9a-f]{64}/.+"
)


def is_known(name: str) -> bool:
    """Whether a bundle may have a file of this name."""
    return name in REQUIRED or _OTHERS.fullmatch(name) is not None
