"""Control arms: real samples again, augmented, recombined, or with the wrong masks. Every generator must beat them."""

from collections.abc import Iterable

from synthbench import GeneratorSpec, hookimpl


@hookimpl
def synthbench_generators() -> Iterable[GeneratorSpec]:
    yield GeneratorSpec(
        "duplicate",
        "synthbench_controls.duplicate:Duplicate",
        summary="training samples again, as many as there are synthetic ones",
    )
    yield GeneratorSpec(
        "classic",
        "synthbench_controls.classic:Classic",
        summary="strong conventional augmentation of training samples",
    )
    yield GeneratorSpec(
        "copy-paste",
        "synthbench_controls.copy_paste:CopyPaste",
        summary="objects of training images pasted into other training images",
        tasks=frozenset({"instances"}),
    )
    yield GeneratorSpec(
        "shuffled",
        "synthbench_controls.shuffled:Shuffled",
        summary="training images with the masks of others, which must make segmenters worse",
    )
