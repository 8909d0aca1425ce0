"""Encoders: Inception-v3 for FID and KID, any torchvision classifier, and an untrained network that needs no file."""

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
        "untrained",
        "synthbench_encoders.untrained:Untrained",
        summary="fixed random convolutions, the same on every machine; needs no file",
    )
