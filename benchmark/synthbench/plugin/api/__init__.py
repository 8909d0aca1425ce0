"""What a plugin author writes against: the base classes, and what the core hands them.

Nothing here imports torch or tensorflow; a plugin imports what it needs in its own module.
"""

from synthbench.plugin.api._budget import BUDGET_NAMES, Budget
from synthbench.plugin.api._config import Config
from synthbench.plugin.api._configured import CONFIG_FILE, ConfigT
from synthbench.plugin.api._context import LOG, Context, Init, Progress, Stopped, ignore_message, silent
from synthbench.plugin.api._dataset import Dataset
from synthbench.plugin.api._encoder import Encoder
from synthbench.plugin.api._generator import ExistingSamples, Generator, has_existing
from synthbench.plugin.api._partner import TrainingPartner
from synthbench.plugin.api._segmenter import Instances, Schedule, Segmenter, TrainingMix

__all__ = [
    "BUDGET_NAMES",
    "Budget",
    "CONFIG_FILE",
    "Config",
    "ConfigT",
    "Context",
    "Dataset",
    "Encoder",
    "ExistingSamples",
    "Generator",
    "Init",
    "Instances",
    "LOG",
    "Progress",
    "Schedule",
    "Segmenter",
    "Stopped",
    "TrainingMix",
    "TrainingPartner",
    "has_existing",
    "ignore_message",
    "silent",
]
