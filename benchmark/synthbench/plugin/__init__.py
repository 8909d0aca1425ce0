"""The plugin contract: specs and hooks (light), the base classes (`synthbench.plugin.api`), and discovery."""
