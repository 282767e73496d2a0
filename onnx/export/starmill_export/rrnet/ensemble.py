"""A deep ensemble: its mean, its variance (equation 3), and the covariance that its members show.

Equation 3 splits: the variance of a label is the mean of the members' variances plus the scatter of
their means. The second part has a covariance between labels as well, of rank M - 1: with an
orthonormal basis of what sums to zero over the members, M - 1 factors [labels] give it exactly,

    covariance = diag(mean of variances) + factors^T factors,

and since its diagonal is the variance of equation 3, variance and factors say it all.
"""

import numpy as np


def contrasts(members: int) -> np.ndarray:
    """Rows [members - 1, members] that are orthonormal and each sum to zero (Helmert)."""
    rows = np.zeros((members - 1, members))
    for index in range(1, members):
        rows[index - 1, :index] = 1
        rows[index - 1, index] = -index
        rows[index - 1] /= np.sqrt(index * (index + 1))
    return rows


def combine(
    means: np.ndarray, variances: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Combine members [members, n, labels].

    Returns mean and variance by equation 3 [n, labels], the diagonal part of the covariance
    [n, labels] and its factors [n, members - 1, labels].
    """
    diagonal = variances.mean(axis=0)
    factors = np.einsum("km,mnl->nkl", contrasts(len(means)), means) / np.sqrt(len(means))
    # Squares of deviations, not the difference of squares: the latter loses its digits.
    return means.mean(axis=0), diagonal + (factors**2).sum(axis=1), diagonal, factors


def fuse(means: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """SPEMR, equations 2 and 3: for every label the region of smallest variance.

    Takes [regions, n, labels]; returns mean, variance and the index of the region, [n, labels].
    """
    chosen = variances.argmin(axis=0)
    take = chosen[None]
    return (
        np.take_along_axis(means, take, 0)[0],
        np.take_along_axis(variances, take, 0)[0],
        chosen,
    )
