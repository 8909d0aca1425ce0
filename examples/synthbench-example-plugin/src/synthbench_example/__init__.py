"""One plugin of each kind, and a generator that trains.

Listing plugins imports this file, so it imports nothing heavy.
"""

from collections.abc import Iterator

from synthbench import DatasetSpec, EncoderSpec, EngineSpec, GeneratorSpec, LoggerSpec, SegmenterSpec, hookimpl


@hookimpl
def synthbench_generators() -> Iterator[GeneratorSpec]:
    yield GeneratorSpec(
        "example-elastic",
        "synthbench_example.generator:Elastic",
        summary="training images and masks bent alike",
        tasks={"instances", "semantic"},
    )
    yield GeneratorSpec(
        "example-painter",
        "synthbench_example.painter:Painter",
        summary="a small network from masks to images",
        tasks={"instances", "semantic"},
    )


@hookimpl
def synthbench_segmenters() -> Iterator[SegmenterSpec]:
    yield SegmenterSpec(
        "example-watershed",
        "synthbench_example.segmenter:Watershed",
        summary="watershed from smoothed minima, the smoothing tuned on validation",
        tasks={"instances"},
    )


@hookimpl
def synthbench_encoders() -> Iterator[EncoderSpec]:
    yield EncoderSpec(
        "example-texture",
        "synthbench_example.encoder:Texture",
        summary="27 statistics of brightness, contrast and gradients",
    )


@hookimpl
def synthbench_datasets() -> Iterator[DatasetSpec]:
    yield DatasetSpec(
        "example-epithelium",
        "synthbench_example.dataset:Epithelium",
        summary="drawn: a sheet of cells with stained borders",
        tasks={"instances"},
    )


@hookimpl
def synthbench_engines() -> Iterator[EngineSpec]:
    yield EngineSpec(
        "example-fresh",
        "synthbench_example.engine:FreshProcesses",
        summary="a new process for each task, so that no task finds anything of another",
    )


@hookimpl
def synthbench_loggers() -> Iterator[LoggerSpec]:
    yield LoggerSpec(
        "example-lines",
        "synthbench_example.logger:Lines",
        summary="a CSV file of losses in the run folder",
    )
