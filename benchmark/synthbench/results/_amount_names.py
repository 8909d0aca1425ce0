"""How a study names its amounts of real and of synthetic images, from the numbers of images that they came to."""

from __future__ import annotations

from collections.abc import Iterable

from synthbench.study.model import Study
from synthbench.study.resolve import amount_of

__all__ = ["real_amount_names", "synthetic_amount_names"]


def real_amount_names(study: Study, counts: Iterable[int]) -> dict[int, str]:
    """Return the names of a dataset's amounts of real training images, by their numbers.

    Parameters
    ----------
    study
    counts
        The numbers of real training images, in the order of `Study.real_amounts`; those of the first fold.

    Returns
    -------
    dict
        ``"25 %"`` for what the study gives as a fraction, otherwise ``"45 images"``.

    Examples
    --------
    >>> from synthbench.study.model import make_study
    >>> study = make_study({"datasets": ["a"], "segmenters": ["unet"], "fractions": [0.25, 40]}, "study")
    >>> real_amount_names(study, [25, 40])
    {25: '25 %', 40: '40 images'}
    """
    numbers = list(dict.fromkeys(counts))
    amounts = study.real_amounts
    if not _fits(amounts, numbers):
        return {number: _images(number) for number in numbers}
    return {
        number: f"{100 * amount:g} %" if isinstance(amount, float) else _images(number)
        for amount, number in zip(amounts, numbers, strict=True)
    }


def synthetic_amount_names(study: Study, count: int, real: int) -> list[str]:
    """Return the study's names of a number of synthetic images beside a number of real ones: ``["2x"]``.

    Several where amounts come to the same number; the number itself where none does.
    """
    return [str(amount) for amount in study.synthetic if amount_of(amount, real) == count] or [str(count)]


def _fits(amounts: list[int | float], numbers: list[int]) -> bool:
    """Whether these numbers of images can be those of a study's amounts, in this order."""
    if len(amounts) != len(numbers):
        return False
    pairs = list(zip(amounts, numbers, strict=True))
    shares = sorted((amount, number) for amount, number in pairs if isinstance(amount, float))
    in_order = [number for _, number in shares] == sorted(number for _, number in shares)
    return in_order and all(amount == number for amount, number in pairs if isinstance(amount, int))


def _images(number: int) -> str:
    return f"{number} image{'' if number == 1 else 's'}"
