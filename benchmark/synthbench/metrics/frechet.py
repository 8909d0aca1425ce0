"""The Fréchet distance of two sets of features (Heusel 2017): FID, when the features are Inception's."""

from __future__ import annotations

import numpy as np

from synthbench.metrics.features import check_features


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    r"""Compute ``|μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½)`` of the Gaussians with these means and covariances.

    No matrix root is taken. With centred features X (n, d) and Y (m, d), the eigenvalues of Σ₁ Σ₂ are the squared
    singular values of X Yᵀ / √((n − 1)(m − 1)), so the last trace is the nuclear norm of that n × m matrix. Where
    there are more images than features, X and Y give way to the d × d triangles of their QR decompositions, which
    have the same singular values. Exact also when the covariances are singular.

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
    distance = float(shift @ shift) + trace - 2 * float(np.linalg.svd(first @ second.T, compute_uv=False).sum())
    return max(distance, 0.0)


def _root(features: np.ndarray) -> np.ndarray:
    """Return a matrix R of at most d rows with Rᵀ R the covariance of the features."""
    centred = (features - features.mean(axis=0)) / np.sqrt(len(features) - 1)
    if len(centred) > centred.shape[1]:
        centred = np.linalg.qr(centred, mode="r")
    return centred
