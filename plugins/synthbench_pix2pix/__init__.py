"""pix2pix: a conditional adversarial network that draws an image for a mask."""

from collections.abc import Iterable

from synthbench import GeneratorSpec, hookimpl


@hookimpl
def synthbench_generators() -> Iterable[GeneratorSpec]:
    yield GeneratorSpec(
        "pix2pix",
        "synthbench_pix2pix.generator:Pix2Pix",
        summary="U-Net from mask to image, trained against a patch discriminator",
    )
