"""The plan of a study: tasks with keys, each after what it needs."""

from synthbench.study.plan.builder import make_plan
from synthbench.study.plan.models import SCORES, Fidelity, LabelConsistency, Plan, Task, TrainingRun
from synthbench.study.plan.positive_control import missing_control

__all__ = ["SCORES", "LabelConsistency", "TrainingRun", "Fidelity", "Plan", "Task", "make_plan", "missing_control"]
