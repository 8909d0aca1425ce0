"""pix2pixHD: a residual network from mask to image, trained against discriminators at several resolutions."""

from collections.abc import Iterable

from synthbench import GeneratorSpec, hookimpl


@hookimpl
def synthbench_generators() -> Iterable[GeneratorSpec]:
    yield GeneratorSpec(
        "pix2pixhd",
        "synthbench_pix2pixhd.generator:Pix2PixHD",
        summary="residual network from mask and instance boundaries to image, with feature matching at three scales",
    )
