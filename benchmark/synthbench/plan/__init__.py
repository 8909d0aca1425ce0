"""The plan of a study: tasks with keys, each after what it needs."""

from synthbench.plan.control import missing_control
from synthbench.plan.layout import make_plan
from synthbench.plan.shape import SCORES, Agreement, Cell, Fidelity, Plan, Task

__all__ = ["SCORES", "Agreement", "Cell", "Fidelity", "Plan", "Task", "make_plan", "missing_control"]
