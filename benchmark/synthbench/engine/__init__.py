"""Running a plan: the scheduler, and the engines that carry out single tasks."""
