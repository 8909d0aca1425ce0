"""What sets an encoder apart from the published one of its name: the part of the contract that honest names need."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

__all__ = ["Varied", "variant_of"]


@runtime_checkable
class Varied(Protocol):
    """An encoder that can be had with other weights, or in several architectures.

    An encoder without this method is one thing only.
    """

    def variant(self) -> str:
        """Say in a word or two what it is, e.g. ``"own weights"``; an empty string when it is the published one.

        Stands in the name of every distance: ``FD(inception, own weights)``. Asked where `fingerprint` may be asked.
        """


def variant_of(encoder: Any) -> str:
    """Return an encoder's variant; an empty string where it has none.

    Raises
    ------
    ValueError
        If what it says isn't one line of text.
    """
    said = encoder.variant() if isinstance(encoder, Varied) else ""
    if not isinstance(said, str) or "\n" in said:
        raise ValueError(f"variant: the encoder said {said!r}; it must be one line of text")
    return said
