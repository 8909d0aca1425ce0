"""Diffusion and flow matching: image and mask are drawn at once from noise, or the image for a mask."""

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
    yield GeneratorSpec(
        "flow-matching",
        "synthbench_diffusion.generator:FlowMatching",
        summary="rectified flow: as diffusion, along straight lines from noise, in few sampling steps",
        requires=("einops",),
        install="pip install einops",
    )
