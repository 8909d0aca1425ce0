"""StyleGAN2 with masks: image and label map are drawn at once by one network, trained against a discriminator."""

from collections.abc import Iterable

from synthbench import GeneratorSpec, hookimpl


@hookimpl
def synthbench_generators() -> Iterable[GeneratorSpec]:
    yield GeneratorSpec(
        "stylegan2-mask",
        "synthbench_stylegan2.generator:StyleGan2Mask",
        summary="StyleGAN2 that draws image and mask at once, by class where there are classes",
    )
