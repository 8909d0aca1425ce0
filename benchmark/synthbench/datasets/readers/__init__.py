"""Readers: one module per layout of annotated images.

Each has ``sniff(path) -> str | None``, which describes what was detected, and
``read(path, options, log) -> Iterator[Sample]``, which counts in `log` how it changed the data.
"""
