"""Encoders: Inception-v3 for FID and KID, networks of torchvision and timm, and an untrained one without a file."""

from collections.abc import Iterable

from synthbench import EncoderSpec, hookimpl


@hookimpl
def synthbench_encoders() -> Iterable[EncoderSpec]:
    yield EncoderSpec(
        "inception",
        "synthbench_encoders.inception:Inception",
        summary="Inception-v3 pool features with clean-fid's resizing: what FID and KID are made of; needs its weights",
    )
    yield EncoderSpec(
        "torchvision",
        "synthbench_encoders.classifier:Classifier",
        summary="last features of a torchvision classifier with weights from a local file",
    )
    yield EncoderSpec(
        "timm",
        "synthbench_encoders.timm_model:TimmModel",
        summary="features of DINOv2 or any other network of timm, with weights from a local file",
        requires=("timm>=1.0",),
        install="pip install 'synthbench[timm]'",
    )
    yield EncoderSpec(
        "untrained",
        "synthbench_encoders.untrained:Untrained",
        summary="fixed random convolutions, the same on every machine; needs no file",
    )
