"""The closed-form affine against the paper's dense system, and its gradients."""

import numpy as np
import pytest

from stream.affine import (
    DegeneratePointsError,
    apply_affine,
    depth_row,
    lift,
    solve_affine,
)
from stream.geometry import rotation_from_angles

RNG = np.random.default_rng(5)


def pairs(batch=(), points=12):
    source = RNG.normal(size=(*batch, points, 3)) * [30, 40, 9] + [200, 120, 3]
    target = RNG.normal(size=(*batch, points, 2)) * 20 + [50, 70]
    return source, target


def dense_solution(source, target):
    """Eqs. 2 and 3 as they stand: 2K rows, 8 columns, m by the pseudoinverse."""
    rows, wanted = [], []
    for (x, y, z), (tx, ty) in zip(source, target, strict=True):
        rows += [[x, y, z, 0, 0, 0, 1, 0], [0, 0, 0, x, y, z, 0, 1]]
        wanted += [tx, ty]
    a, x_t = np.array(rows), np.array(wanted)
    m = np.linalg.pinv(a) @ x_t
    return np.array([[*m[:3], m[6]], [*m[3:6], m[7]]])


def test_it_is_the_solution_of_equation_2():
    source, target = pairs()
    assert np.allclose(solve_affine(source, target), dense_solution(source, target), atol=1e-8)


def test_batches_of_any_shape_are_solved_at_once():
    source, target = pairs((2, 3))
    many = solve_affine(source, target)
    assert many.shape == (2, 3, 2, 4)
    for place in np.ndindex(2, 3):
        assert np.allclose(many[place], dense_solution(source[place], target[place]), atol=1e-8)


def test_one_target_serves_many_sources():
    source, target = pairs((4,))
    many = solve_affine(source, target[0])
    assert np.allclose(many[2], dense_solution(source[2], target[0]), atol=1e-8)


def test_a_known_affine_is_found_and_applied():
    source, _ = pairs((3,))
    affine = RNG.normal(size=(3, 2, 4))
    assert np.allclose(solve_affine(source, apply_affine(affine, source)), affine, atol=1e-9)


def test_two_dimensional_points_give_the_plane_affine():
    source, target = pairs()
    flat = solve_affine(source[:, :2], target)
    columns = np.c_[source[:, :2], np.ones(len(source))]
    assert np.allclose(flat.T, np.linalg.lstsq(columns, target, rcond=None)[0], atol=1e-8)


def test_far_from_the_origin_single_precision_is_enough():
    source, target = pairs()
    source += [10_000, 10_000, 0]
    exact = apply_affine(solve_affine(source, target), source)
    small = solve_affine(source.astype(np.float32), target.astype(np.float32))
    assert small.dtype == np.float32
    # Worst seen: 0.006; forming AᵀA, as eq. 3 is written, loses all digits here.
    assert np.abs(apply_affine(small.astype(float), source) - exact).max() < 0.05


def test_the_unit_of_depth_does_not_matter():
    source, target = pairs()
    tiny = source * [1, 1, 1e-7]
    exact = apply_affine(solve_affine(source, target), source)
    assert np.allclose(apply_affine(solve_affine(tiny, target), tiny), exact)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda p: p * [1, 1, 0],
        lambda p: p * [1, 0, 0],
        lambda p: np.c_[p[:, :2], 2 * p[:, 0] - 3 * p[:, 1] + 1],
        lambda p: p * 0 + 7,
        lambda p: p * [1, 1, np.nan],
        lambda p: p[:3],
    ],
    ids=["plane", "line", "slanted plane", "one place", "not finite", "three points"],
)
def test_degenerate_sets_are_refused(spoil):
    source, target = pairs()
    source = spoil(source)
    with pytest.raises(DegeneratePointsError):
        solve_affine(source, target[: len(source)])


def test_one_degenerate_set_of_a_batch_is_enough():
    source, target = pairs((3,))
    source[1, :, 2] = 4
    with pytest.raises(DegeneratePointsError):
        solve_affine(source, target)


def test_with_a_ridge_points_in_a_plane_have_an_answer():
    source, target = pairs()
    source[:, 2] = 4
    flat = solve_affine(source[:, :2], target)
    soft = solve_affine(source, target, ridge=1e-9)
    assert np.allclose(
        apply_affine(soft, source), apply_affine(flat, source[:, :2]), atol=1e-4
    )  # fmt: skip


def test_the_missing_row_completes_a_scaled_rotation():
    rotation = 1.7 * rotation_from_angles(31, -12, 8)
    affine = np.c_[rotation[:2], [5, 6]]
    assert np.allclose(depth_row(affine), [*rotation[2], 0])
    assert np.allclose(depth_row(np.stack([affine] * 2))[1], [*rotation[2], 0])


def test_lift_puts_depth_last():
    assert lift(np.zeros((5, 4, 2)), np.ones((5, 4))).tolist()[0][0] == [0, 0, 1]


def test_torch_gives_what_numpy_gives():
    torch = pytest.importorskip("torch")
    source, target = pairs((2,))
    for ridge in (0.0, 0.01):
        found = solve_affine(torch.tensor(source), torch.tensor(target), ridge)
        assert np.allclose(found.numpy(), solve_affine(source, target, ridge), atol=1e-9)
    affine = RNG.normal(size=(2, 2, 4))
    assert np.allclose(depth_row(torch.tensor(affine)).numpy(), depth_row(affine))
    with pytest.raises(DegeneratePointsError):
        solve_affine(torch.tensor(source) * 0, torch.tensor(target))


@pytest.mark.parametrize("ridge", [0.0, 0.05])
def test_gradients_through_the_solution_match_finite_differences(ridge):
    torch = pytest.importorskip("torch")
    source, target = pairs((2,))
    points, wanted = torch.tensor(source[..., :2]), torch.tensor(target)
    depth = torch.tensor(source[..., 2], requires_grad=True)

    def loss(z):
        lifted = lift(points, z)
        affine = solve_affine(lifted, wanted, ridge)
        return ((wanted - apply_affine(affine, lifted)) ** 2).sum()

    loss(depth).backward()
    step = 1e-4
    for place in [(0, 0), (0, 7), (1, 3), (1, 11)]:
        ends = []
        for sign in (1, -1):
            moved = depth.detach().clone()
            moved[place] += sign * step
            ends.append(float(loss(moved)))
        slope = (ends[0] - ends[1]) / (2 * step)
        assert float(depth.grad[place]) == pytest.approx(slope, rel=1e-4, abs=1e-6)


def test_gradients_of_every_input_are_right():
    torch = pytest.importorskip("torch")
    source, target = pairs((2,), points=6)
    inputs = (torch.tensor(source, requires_grad=True), torch.tensor(target, requires_grad=True))
    assert torch.autograd.gradcheck(solve_affine, inputs, atol=1e-6)
