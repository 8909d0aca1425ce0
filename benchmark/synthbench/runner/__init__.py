"""A study from end to end."""

from synthbench.runner.api import plan, run
from synthbench.runner.machine import Machine
from synthbench.runner.plan_study import StudyPlan, plan_study
from synthbench.runner.previews import previews
from synthbench.runner.run_folder import check_folder
from synthbench.runner.run_study import StudyRun, run_study

__all__ = [
    "Machine",
    "StudyPlan",
    "StudyRun",
    "check_folder",
    "plan",
    "plan_study",
    "previews",
    "run",
    "run_study",
]
