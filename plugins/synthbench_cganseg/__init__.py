"""cGAN-Seg: a cycle of a mask-to-image generator with styles and an image-to-mask segmenter."""

from collections.abc import Iterable

from synthbench import GeneratorSpec, hookimpl


@hookimpl
def synthbench_generators() -> Iterable[GeneratorSpec]:
    yield GeneratorSpec(
        "cgan-seg",
        "synthbench_cganseg.generator:CGanSeg",
        summary="StyleUNet from mask to image, trained in a cycle with a segmenter against two patch discriminators",
    )
