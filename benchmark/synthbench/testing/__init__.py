"""Contract tests for plugins: what every generator, segmenter, encoder, dataset, engine and logger must do.

A plugin's own test is two lines::

    def test_keeps_the_contract():
        assert_contract("generator", "my-generator")

and ``synthbench check NAME`` prints the result of each check.
"""

from synthbench.testing._contract import assert_contract, iter_contract, run_contract
from synthbench.testing._data import discs
from synthbench.testing._datasets import check_dataset
from synthbench.testing._encoders import check_encoder
from synthbench.testing._engines import check_engine
from synthbench.testing._generators import check_generator
from synthbench.testing._loggers import check_logger
from synthbench.testing._segmenters import check_segmenter
from synthbench.testing.check_results import CheckResult

__all__ = [
    "CheckResult",
    "assert_contract",
    "check_dataset",
    "check_encoder",
    "check_engine",
    "check_generator",
    "check_logger",
    "check_segmenter",
    "discs",
    "iter_contract",
    "run_contract",
]
