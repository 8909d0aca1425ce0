"""Latent diffusion: an autoencoder compresses images, and diffusion draws compressed images for masks."""

from collections.abc import Iterable

from synthbench import GeneratorSpec, hookimpl


@hookimpl
def synthbench_generators() -> Iterable[GeneratorSpec]:
    yield GeneratorSpec(
        "latent-diffusion",
        "synthbench_latent_diffusion.generator:LatentDiffusion",
        summary="diffusion in the latent space of an autoencoder: the image for a mask (SPADE or ControlNet)",
        requires=("einops",),
        install="pip install einops",
    )
