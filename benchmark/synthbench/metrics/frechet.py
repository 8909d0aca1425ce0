"""The Fréchet distance of two sets of features (Heusel 2017): FID, when the features are Inception's."""

from __future__ import annotations

import numpy as np

from synthbench.metrics.features import check_features
from synthbench.types import AnyArray

__all__ = ["LARGE", "TOLERANCE", "frechet_distance"]

LARGE = 512
"""Images or features from which the matrix is squared first."""

TOLERANCE = 1e-7
"""Doubt, as a share of the distance, up to which that is good enough: it overstates the error ten times and more."""


def frechet_distance(x: AnyArray, y: AnyArray) -> float:
    r"""Compute ``|μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½)`` of the Gaussians with these means and covariances.

    No matrix root is taken. With centred features X (n, d) and Y (m, d), the eigenvalues of Σ₁ Σ₂ are the squared
    singular values of X Yᵀ / √((n − 1)(m − 1)), so the last trace is the nuclear norm of that n × m matrix. Where
    there are more images than features, X and Y give way to the d × d triangles of their QR decompositions, which
    have the same singular values. Exact also when the covariances are singular.

    Large matrices are squared first, for eigenvalues cost a third of what singular values do; where rounding could
    then change the eighth digit of the distance, the singular values are taken after all.

    Biased upward for few images: compare only at equal n, beside the distance of real from real.

    Parameters
    ----------
    x, y
        ``(n, d)`` and ``(m, d)``, n, m ≥ 2. Covariances are unbiased (n − 1), as usual.

    Returns
    -------
    float
        0 or above.

    Raises
    ------
    ValueError
        If an argument can't be used; the message names it.
    """
    x, y = check_features(x, y)
    shift = x.mean(axis=0) - y.mean(axis=0)
    first, second = _root(x), _root(y)
    trace = float((first**2).sum() + (second**2).sum())
    without = float(shift @ shift) + trace
    cross = first @ second.T
    if min(cross.shape) >= LARGE:
        norm, doubt = _norm_from_squares(cross)
        if doubt <= TOLERANCE * (without - 2 * norm):
            return without - 2 * norm
    return max(without - 2 * float(np.linalg.svd(cross, compute_uv=False).sum()), 0.0)


def _norm_from_squares(matrix: AnyArray) -> tuple[float, float]:
    """Return the nuclear norm by the eigenvalues of the squared matrix, and by how much twice that may be wrong.

    Rounding shifts an eigenvalue by about ε times the largest, and so a singular value s by that over s, at most by
    its root. That all are shifted to one side is assumed, and doesn't happen.
    """
    square = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    values = np.maximum(np.linalg.eigvalsh(square), 0.0)
    shift = np.finfo(np.float64).eps * values[-1]
    roots = np.sqrt(values)
    wrong = shift / np.maximum(roots + np.sqrt(shift), np.finfo(np.float64).tiny)
    return float(roots.sum()), 2 * float(wrong.sum())


def _root(features: AnyArray) -> AnyArray:
    """Return a matrix R of at most d rows with Rᵀ R the covariance of the features."""
    centred: AnyArray = (features - features.mean(axis=0)) / np.sqrt(len(features) - 1)
    if len(centred) > centred.shape[1]:
        centred = np.asarray(np.linalg.qr(centred, mode="r"))
    return centred
