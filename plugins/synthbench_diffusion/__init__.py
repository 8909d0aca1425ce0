"""Diffusion: image and mask are drawn at once from noise, or the image for a mask."""

from collections.abc import Iterable

from synthbench import GeneratorSpec, hookimpl


@hookimpl
def synthbench_generators() -> Iterable[GeneratorSpec]:
    yield GeneratorSpec(
        "diffusion",
        "synthbench_diffusion.generator:Diffusion",
        summary="image and mask at once from noise, or the image for a mask",
        requires=("einops",),
        install="pip install einops",
    )
