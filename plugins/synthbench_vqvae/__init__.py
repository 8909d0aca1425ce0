"""VQ-VAE + PixelCNN: image and mask are drawn at once, from a map of discrete codes."""

from collections.abc import Iterable

from synthbench import GeneratorSpec, hookimpl


@hookimpl
def synthbench_generators() -> Iterable[GeneratorSpec]:
    yield GeneratorSpec(
        "vqvae-pixelcnn",
        "synthbench_vqvae.generator:VqVaePixelCnn",
        summary="image and mask at once, from discrete codes drawn one after another",
    )
