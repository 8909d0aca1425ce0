"""Datasets on their way in: readers of the usual forms, the library of imported sets, checks."""
