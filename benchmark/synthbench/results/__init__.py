"""What a study found, as tidy tables, and the folder that keeps them."""

from synthbench.results._amount_names import real_amount_names, synthetic_amount_names
from synthbench.results._collecting import FAILURES, WHOLE_IMAGE, collect, fidelity_row, image_rows, run_head
from synthbench.results._resampling_units import GROUP, split_groups, unmodelled_groups, with_units
from synthbench.results._tables import (
    COUNT,
    ENTRY,
    MOST_SEEDS,
    PLAN,
    TABLES,
    Results,
    load_results,
    save_results,
)
from synthbench.results._test_sets import trained_and_tested, with_tested_on
from synthbench.statistics.image_counts import UNIT
from synthbench.study.model import FLAT, is_flat
from synthbench.study.plan import SCRATCH
from synthbench.study.resolve import AS_PUBLISHED, NOT_DECLARED, NOT_SEEN, ORIGIN_NOT_DECLARED, copies_note

__all__ = [
    "AS_PUBLISHED",
    "FAILURES",
    "FLAT",
    "COUNT",
    "GROUP",
    "ENTRY",
    "MOST_SEEDS",
    "NOT_DECLARED",
    "NOT_SEEN",
    "ORIGIN_NOT_DECLARED",
    "PLAN",
    "SCRATCH",
    "TABLES",
    "UNIT",
    "WHOLE_IMAGE",
    "Results",
    "collect",
    "copies_note",
    "fidelity_row",
    "image_rows",
    "is_flat",
    "load_results",
    "real_amount_names",
    "run_head",
    "unmodelled_groups",
    "save_results",
    "split_groups",
    "synthetic_amount_names",
    "trained_and_tested",
    "with_tested_on",
    "with_units",
]
