"""The maker of the texture map."""

import numpy as np
import pytest

from stream.head_model import load_head_model
from stream.swap.texture_map import texture_uv
from training.swap_texture_map import FlatProblem, least_distorted, longest_step, texture_map


def cap():
    """Return a piece of a sphere: vertices (49, 3), triangles, and a start without folds."""
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(-1, 1, 7), np.linspace(-1, 1, 7)))
    rng = np.random.default_rng(0)
    vertices = np.stack([x, y, -np.sqrt(4 - x * x - y * y)], axis=1)
    triangles = []
    for row in range(6):
        for column in range(6):
            a = 7 * row + column
            triangles += [(a, a + 7, a + 1), (a + 1, a + 7, a + 8)]  # turned over, as the head's
    uv = np.stack([x, y], axis=1) * 0.3 + 0.5 + rng.uniform(-0.01, 0.01, (49, 2))
    return vertices, np.array(triangles), uv


def test_the_gradient_is_that_of_the_energy():
    vertices, triangles, uv = cap()
    problem = FlatProblem.of(vertices, triangles, np.ones(49))
    _, gradient = problem.energy(uv)
    for vertex, axis in ((0, 0), (24, 1), (33, 0)):
        step = np.zeros_like(uv)
        step[vertex, axis] = 1e-6
        slope = (problem.energy(uv + step)[0] - problem.energy(uv - step)[0]) / 2e-6
        assert gradient[vertex, axis] == pytest.approx(slope, rel=1e-4, abs=1e-6)


def test_the_hessian_is_positive_and_right_where_nothing_was_mended():
    vertices, triangles, uv = cap()
    problem = FlatProblem.of(vertices, triangles, np.ones(49))
    uv = least_distorted(problem, uv)
    hessian = problem.hessian(uv).toarray()
    assert np.allclose(hessian, hessian.T)
    assert np.linalg.eigvalsh(hessian).min() > -1e-9
    direction = np.random.default_rng(1).normal(size=uv.shape)
    ahead, behind = (problem.energy(uv + s * 1e-5 * direction)[1] for s in (1, -1))
    change = ((ahead - behind) / 2e-5).ravel()
    wanted = hessian @ direction.ravel()
    assert np.abs(change - wanted).max() < 0.35 * np.abs(wanted).max()  # mending only adds


def test_a_fold_is_never_taken():
    vertices, triangles, uv = cap()
    problem = FlatProblem.of(vertices, triangles, np.ones(49))
    direction = np.zeros_like(uv)
    direction[24] = [0.2, 0.05]
    step = longest_step(triangles, uv, direction)
    assert np.isfinite(problem.energy(uv + 0.99 * step * direction)[0])
    assert problem.energy(uv + 1.01 * step * direction)[0] == np.inf


def test_the_energy_falls_to_nearly_that_of_a_map_without_distortion():
    vertices, triangles, uv = cap()
    problem = FlatProblem.of(vertices, triangles, np.ones(49))
    flat = least_distorted(problem, uv)
    assert problem.energy(uv)[0] > problem.energy(flat)[0] >= 4.0
    assert problem.energy(flat)[0] < 4.1  # 4 is the least there is


def test_more_room_is_given_where_it_is_wanted():
    vertices, triangles, uv = cap()
    room = np.where(np.arange(49) % 7 < 3, 2.0, 1.0)
    flat = least_distorted(FlatProblem.of(vertices, triangles, room), uv)
    left, right = (flat[a] - flat[b] for a, b in ((22, 21), (27, 26)))
    assert np.linalg.norm(left) > 1.5 * np.linalg.norm(right)


def test_what_ships_is_what_the_recipe_makes():
    model = load_head_model()
    assert np.abs(texture_map(model) - texture_uv(model)).max() < 1e-3
