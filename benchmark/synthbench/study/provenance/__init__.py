"""What an artifact's numbers depend on beside its inputs: code, versions of libraries, plugins, device, precision."""

from synthbench.study.provenance._code import PROTOCOL, clear_caches, core_source, plugin_source
from synthbench.study.provenance._task_key import SCALE, task_code, task_content
from synthbench.study.provenance._versions import core_versions, plugin_versions
from synthbench.study.provenance.compute_settings import compute_settings, planned_precision

__all__ = [
    "PROTOCOL",
    "SCALE",
    "clear_caches",
    "compute_settings",
    "planned_precision",
    "core_source",
    "core_versions",
    "plugin_source",
    "plugin_versions",
    "task_code",
    "task_content",
]
