"""Trivial arms that every generator must beat: real images again, augmented, recomposed, or wrongly paired."""

from collections.abc import Iterable

from synthbench import GeneratorSpec, hookimpl


@hookimpl
def synthbench_generators() -> Iterable[GeneratorSpec]:
    yield GeneratorSpec(
        "duplicate",
        "synthbench_controls.duplicate:Duplicate",
        summary="training images again, count-matched",
    )
    yield GeneratorSpec(
        "classic",
        "synthbench_controls.classic:Classic",
        summary="strong conventional augmentation of training images",
    )
    yield GeneratorSpec(
        "copy-paste",
        "synthbench_controls.copy_paste:CopyPaste",
        summary="training objects pasted onto training images, edges blended",
        tasks=frozenset({"instances"}),
    )
    yield GeneratorSpec(
        "shuffled",
        "synthbench_controls.shuffled:Shuffled",
        summary="training images with the masks of others: must hurt",
    )
