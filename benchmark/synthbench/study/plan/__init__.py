"""The plan of a study: tasks with keys, each after what it needs."""

from synthbench.study.plan._builder import make_plan
from synthbench.study.plan._models import SCORES, SCRATCH, Fidelity, LabelConsistency, Plan, Task, TrainingRun
from synthbench.study.plan._positive_control import missing_control
from synthbench.study.plan._trainings import REAL, synthetic_arms
from synthbench.study.plan._validation import on_validation_images

__all__ = [
    "REAL",
    "SCORES",
    "SCRATCH",
    "LabelConsistency",
    "TrainingRun",
    "Fidelity",
    "Plan",
    "Task",
    "make_plan",
    "missing_control",
    "on_validation_images",
    "synthetic_arms",
]
