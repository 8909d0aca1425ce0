"""What an artifact's numbers hang on beside its inputs: code, versions of what it imports, device and precision."""

from synthbench.study.provenance.code import PROTOCOL, core_source, plugin_source
from synthbench.study.provenance.compute_settings import compute_settings
from synthbench.study.provenance.versions import core_versions, plugin_versions

__all__ = ["PROTOCOL", "compute_settings", "core_source", "core_versions", "plugin_source", "plugin_versions"]
