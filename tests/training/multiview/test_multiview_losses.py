"""Every loss of eqs. 3 to 16 in cases whose value is known."""

import pytest

torch = pytest.importorskip("torch")

from training.multiview import losses


def test_expression_counts_only_where_it_is_known():
    zero, one = torch.zeros(2, 4), torch.ones(2, 4)
    known = torch.tensor([1.0, 0.0])  # a synthetic picture and a real one
    assert float(losses.parameters(one, zero, one, zero, known)) == pytest.approx(1.5)
    assert float(losses.parameters(one, zero, one, zero, torch.ones(2))) == pytest.approx(2)
    assert float(losses.parameters(zero, zero, zero, zero, known)) == 0


def test_views_of_one_head_shall_have_one_shape():
    zero, half = torch.zeros(1, 4), torch.full((1, 4), 0.5)
    assert float(losses.pair((half, half), (half, half))) == 0
    assert float(losses.pair((half, zero), (zero, half))) == pytest.approx(1.0)


def test_landmarks_cost_their_distance():
    found = torch.zeros(1, 2, 2)
    seen = torch.tensor([[[3.0, 4.0], [0.0, 0.0]]])
    assert float(losses.landmarks(found, seen)) == pytest.approx(2.5)


def test_depth_is_compared_where_it_is_known():
    true = torch.full((1, 4, 4), 0.5)
    true[0, 0] = float("inf")
    known = torch.isfinite(true).float()
    found = torch.full((1, 4, 4), 0.7)
    assert float(losses.depth(found, true, known)) == pytest.approx(0.2, abs=1e-6)
    found.requires_grad_()
    losses.depth(found, true, known).backward()
    assert torch.isfinite(found.grad).all()
    assert float(found.grad[0, 0].abs().max()) == 0


def test_relief_sees_neither_scale_nor_shift_of_a_picture():
    torch.manual_seed(1)
    true, known = torch.rand(3, 8, 8), torch.ones(3, 8, 8)
    known[:, :, 6:] = 0
    scales, shifts = torch.tensor([0.5, 2.0, 1.0]), torch.tensor([0.1, -0.4, 3.0])
    same = scales[:, None, None] * true + shifts[:, None, None]
    assert float(losses.relief(same, true, known)) == pytest.approx(0, abs=1e-5)
    true[:, :, 6:] = float("inf")
    found = torch.zeros(3, 8, 8, requires_grad=True)
    lost = losses.relief(found + same.detach() + 0.1 * torch.rand(3, 8, 8), true, known)
    lost.backward()
    assert 0.005 < float(lost.detach()) < 0.2
    assert torch.isfinite(found.grad).all()
    assert float(found.grad[:, :, 6:].abs().max()) == 0


def test_normals_of_a_plane_lean_by_its_slope():
    slope, across = 0.02, 0.01
    plane = slope * torch.arange(6.0)[None, None].expand(1, 6, 6)
    normal = losses.normals_of(plane, across)
    assert normal.shape == (1, 3, 5, 5)
    wanted = torch.tensor([-slope, 0.0, across])
    torch.testing.assert_close(normal[0, :, 2, 2], wanted / wanted.norm())


def test_normals_do_not_see_a_shift_but_a_tilt():
    plane = 0.02 * torch.arange(6.0)[None, None].expand(1, 6, 6)
    ones = torch.ones(1, 6, 6)
    assert float(losses.normals(plane + 0.3, plane, ones, 0.01)) == pytest.approx(0, abs=1e-5)
    assert float(losses.normals(2 * plane, plane, ones, 0.01)) > 0.1
    hole = ones.clone()
    hole[0, :, 1::2] = 0  # no two neighbours are known
    assert float(losses.normals(2 * plane, plane, hole, 0.01)) == 0


def test_the_model_draws_depth_to_itself_and_learns_nothing():
    found = torch.full((1, 2, 2), 0.5, requires_grad=True)
    model = torch.tensor([[[0.5, 0.0], [0.5, 0.5]]], requires_grad=True)
    value = losses.model(found, model)
    assert float(value) == pytest.approx(0.02 * 0.25 / 4)
    value.backward()
    assert model.grad is None
    assert float(found.grad[0, 0, 1]) > 0  # off the model depth is drawn to 0


def test_photo_consistency_is_the_mean_difference_of_colours():
    first, second = torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.25)
    assert float(losses.photo(first, second)) == pytest.approx(0.25)


def test_hidden_pixels_do_not_count():
    first, second = torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    second[..., 0, 0] = 0.8
    seen = torch.ones(1, 2, 2)
    assert float(losses.seen_photo(first, second, seen)) == pytest.approx(0.2)
    seen[0, 0, 0] = 0
    assert float(losses.seen_photo(first, second, seen)) == 0
    assert float(losses.seen_photo(first, second, torch.zeros(1, 2, 2))) == 0


def test_unsuitable_pixels_count_less_and_all_unsuitable_is_punished():
    first, second = torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.4)
    seen = torch.ones(1, 2, 2)
    whole, half = torch.ones(1, 2, 2), torch.full((1, 2, 2), 0.5)
    assert float(losses.suitable_photo(first, second, seen, whole)) == pytest.approx(0.4)
    assert float(losses.suitable_photo(first, second, seen, half)) == pytest.approx(0.2)
    assert float(losses.suitability(whole)) == 0
    assert float(losses.suitability(torch.zeros(1, 2, 2))) == 1


def test_each_loss_has_the_derivative_of_its_value():
    rng = torch.Generator().manual_seed(0)

    def drawn(*shape):
        return torch.rand(*shape, generator=rng, dtype=torch.float64).requires_grad_()

    check = torch.autograd.gradcheck
    depth, true, known = drawn(1, 4, 4), drawn(1, 4, 4).detach(), drawn(1, 4, 4).detach()
    picture, other = drawn(1, 3, 4, 4), drawn(1, 3, 4, 4).detach()
    assert check(lambda d: losses.depth(d, true, known), (depth,))
    assert check(lambda d: losses.normals(d, true, known, 0.1), (depth,))
    assert check(lambda d: losses.model(d, true), (depth,))
    assert check(lambda p: losses.seen_photo(p, other, known), (picture,))
    assert check(lambda p, h: losses.suitable_photo(p, other, known, h), (picture, depth))
    assert check(losses.suitability, (depth,))
    points, aims = drawn(1, 5, 2), drawn(1, 5, 2).detach()
    assert check(lambda p: losses.landmarks(p, aims), (points,))
