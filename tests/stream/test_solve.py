import numpy as np
import pytest
from scipy.optimize import lsq_linear

from stream.solve import bounded_step, eliminated, solve_definite


def problem(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows, target = rng.normal(size=(3 * count, count)), rng.normal(size=3 * count)
    return rows, target, rows.T @ rows, -rows.T @ target


def test_definite_systems() -> None:
    _, _, hessian, gradient = problem(6, 0)
    np.testing.assert_allclose(hessian @ solve_definite(hessian, gradient), gradient)
    several = np.column_stack([gradient, 2 * gradient])
    np.testing.assert_allclose(hessian @ solve_definite(hessian, several), several)
    with pytest.raises(np.linalg.LinAlgError, match="definite"):
        solve_definite(-hessian, gradient)


def test_step_without_bounds_is_newtons() -> None:
    _, _, hessian, gradient = problem(8, 1)
    infinite = np.full(8, np.inf)
    step, free = bounded_step(hessian, gradient, np.zeros(8), -infinite, infinite)
    np.testing.assert_allclose(hessian @ step, -gradient, atol=1e-10)
    assert free.all()


@pytest.mark.parametrize("seed", range(5))
def test_bounded_step_is_near_the_best_within_bounds(seed: int) -> None:
    rows, target, hessian, gradient = problem(10, seed)
    value, lower, upper = np.full(10, 0.05), np.zeros(10), np.full(10, 0.2)
    shifted = gradient + hessian @ value  # the gradient at the start
    step, free = bounded_step(hessian, shifted, value, lower, upper, rounds=10)
    got = value + step
    assert (got >= 0).all()
    assert (got <= 0.2 + 1e-12).all()
    assert not free[(got < 1e-9) | (got > 0.2 - 1e-9)].any()
    best = lsq_linear(rows, target, (0, 0.2))
    cost = 0.5 * np.sum((rows @ got - target) ** 2)
    start = 0.5 * np.sum((rows @ value - target) ** 2)
    assert cost - best.cost < 0.2 * (start - best.cost)  # worst seen: 0.16


def test_elimination_leaves_the_same_solution() -> None:
    _, _, hessian, gradient = problem(9, 3)
    out, kept = np.array([0, 3, 4, 8]), np.array([1, 2, 5, 6, 7])
    inner, slope = eliminated(hessian, gradient, out, kept)
    whole = np.linalg.solve(hessian, -gradient)
    np.testing.assert_allclose(np.linalg.solve(inner, -slope), whole[kept])
