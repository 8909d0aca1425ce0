"""Readers: one module per form in which annotated images are found.

Each has ``sniff(path) -> str | None``, a sentence saying what was found, and
``read(path, options, log) -> Iterator[Sample]``, which counts in `log` what it did to the data.
"""
