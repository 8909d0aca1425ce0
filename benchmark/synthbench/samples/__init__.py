"""Samples and sample sets: the one type, and the one on-disk form, of every collection of annotated images.

A sample set on disk is a folder::

    samples.json            name, task, classes, info, and one row per sample, with its digest
    images/<id>.png|tif     uint8 or uint16, (height, width) or (height, width, channels) with 2 to 4 channels
    labels/<id>.png|tif     label map: 0 is background; instance ids, or classes when the task is semantic
    ignore/<id>.png         1 where the label is unknown; only of samples that have such pixels

PNG holds what PNG can; 16-bit RGB, images of two or four channels (an ImageJ composite, one page per channel) and
labels above 65,535 go to TIFF.
"""

from synthbench.io.images import read_array, suffix_for, write_array
from synthbench.samples.entries import INDEX, Entry, check_channels
from synthbench.samples.sample import (
    IGNORED,
    MASK,
    MAX_CHANNELS,
    MAX_LABEL,
    ORIGINS,
    TASKS,
    UNLABELLED,
    Sample,
    Task,
    channel_count,
    check_id,
    check_ignore_value,
    check_labels,
    kind_of_image,
    split_ignored,
)
from synthbench.samples.sample_set import SampleSet, check_sizes

__all__ = [
    "Entry",
    "IGNORED",
    "INDEX",
    "MASK",
    "MAX_CHANNELS",
    "MAX_LABEL",
    "ORIGINS",
    "TASKS",
    "Sample",
    "SampleSet",
    "Task",
    "UNLABELLED",
    "channel_count",
    "check_channels",
    "check_id",
    "check_ignore_value",
    "check_labels",
    "check_sizes",
    "kind_of_image",
    "read_array",
    "suffix_for",
    "split_ignored",
    "write_array",
]
