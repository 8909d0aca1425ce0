"""The loggers that are always offered, as a plugin offers its own."""

from __future__ import annotations

from collections.abc import Iterable

from synthbench.plugin.hookspecs import hookimpl
from synthbench.plugin.specs import LoggerSpec

__all__ = ["synthbench_loggers"]


@hookimpl
def synthbench_loggers() -> Iterable[LoggerSpec]:
    """Yield the built-in loggers."""
    yield LoggerSpec(
        name="tensorboard",
        target="synthbench.loggers.tensorboard:TensorBoard",
        summary="Event files of TensorBoard in the run folder: losses, pictures, scores.",
        requires=("tensorboardX>=2.6",),
        install="pip install 'synthbench[tensorboard]'",
    )
    yield LoggerSpec(
        name="mlflow",
        target="synthbench.loggers.mlflow:MLflow",
        summary="Runs of an MLflow tracking server: losses, pictures, scores.",
        requires=("mlflow-skinny>=3",),
        install="pip install 'synthbench[mlflow]'",
    )
