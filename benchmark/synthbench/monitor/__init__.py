"""How far a run is: what it writes for others while it runs, and what anybody can read of it from files alone."""

from synthbench.monitor._page import status_page
from synthbench.monitor.reading import RunStatus, read_status
from synthbench.monitor.writing import RunMonitor

__all__ = ["RunMonitor", "RunStatus", "read_status", "status_page"]
