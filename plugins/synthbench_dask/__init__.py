"""Tasks on the workers of a Dask cluster: on this machine, of one that runs already, or in the jobs of a scheduler."""

from collections.abc import Iterable

from synthbench import EngineSpec, hookimpl


@hookimpl
def synthbench_engines() -> Iterable[EngineSpec]:
    yield EngineSpec(
        "dask",
        "synthbench_dask.engine:DaskEngine",
        summary="Workers of Dask: on this machine, on others (--scheduler), or in a cluster's jobs (--cluster).",
        requires=("distributed>=2024.8", "dask-jobqueue>=0.9"),
        install="pip install 'synthbench[dask]'",
    )
