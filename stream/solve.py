"""Small dense least-squares problems with bounds and with variables to be eliminated."""

import numpy as np
from scipy.linalg import lapack


def solve_definite(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve a symmetric positive definite system (Cholesky).

    Args:
        matrix: (P, P) float64.
        right: (P,) or (P, R) float64.

    Raises:
        np.linalg.LinAlgError: if the matrix is not positive definite.
    """
    _, solution, fault = lapack.dposv(matrix, right, lower=1)
    if fault:
        raise np.linalg.LinAlgError("the matrix is not positive definite")
    return solution.reshape(right.shape)


def bounded_step(
    hessian: np.ndarray,
    gradient: np.ndarray,
    value: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    rounds: int = 3,
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise ½ sᵀHs + gᵀs so that value + s stays within bounds (active set).

    Variables that would leave their bounds are put onto them and the rest is solved again.

    Args:
        hessian: (P, P) float64, positive definite.
        gradient: (P,) float64.
        value: (P,) where the step starts, within the bounds.
        lower: (P,) least values; −inf where there is none.
        upper: (P,) greatest values.
        rounds: how often at most variables are put onto bounds.

    Returns:
        The (P,) step, and a (P,) mask of the variables that are not on a bound.
    """
    step = np.zeros(len(value))
    free = np.ones(len(value), bool)
    for _ in range(rounds):
        slope = gradient + hessian @ step
        if free.all():
            step -= solve_definite(hessian, slope)
        else:
            inner = np.flatnonzero(free)
            step[inner] -= solve_definite(hessian[np.ix_(inner, inner)], slope[inner])
        wanted = value + step
        leaving = free & ((wanted < lower) | (wanted > upper))
        if not leaving.any():
            break
        free &= ~leaving
        step[leaving] = np.clip(wanted, lower, upper)[leaving] - value[leaving]
    return np.clip(value + step, lower, upper) - value, free


def eliminated(
    hessian: np.ndarray, gradient: np.ndarray, out: np.ndarray, kept: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Take variables out of a quadratic by minimising over them (Schur complement).

    Args:
        hessian: (P, P) float64.
        gradient: (P,) float64.
        out: indices of the variables to eliminate.
        kept: indices of the variables that stay.

    Returns:
        Hessian and gradient of what remains of ½ sᵀHs + gᵀs in the kept variables.
    """
    mixed = hessian[np.ix_(out, kept)]
    both = np.column_stack([mixed, gradient[out]])
    solved = solve_definite(hessian[np.ix_(out, out)], both)
    rest = mixed.T @ solved
    return hessian[np.ix_(kept, kept)] - rest[:, :-1], gradient[kept] - rest[:, -1]
