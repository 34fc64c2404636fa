import pytest

torch = pytest.importorskip("torch")

from training.stn import losses


def test_a_symmetric_texture_costs_nothing():
    half = torch.rand(1, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    texture = torch.cat([half, half.flip(3)], dim=3)
    ones = torch.ones(1, 4, 10)
    assert float(losses.symmetry(texture, ones)) == 0
    texture[0, :, 2, 1] += 0.5
    # Two texels differ by 0.5 in three channels, of forty: eq. 2 over how many count.
    assert float(losses.symmetry(texture, ones)) == pytest.approx(2 * 3 * 0.25 / 40, rel=1e-5)


def test_what_is_hidden_on_either_side_has_no_symmetry():
    texture = torch.rand(1, 3, 4, 10, generator=torch.Generator().manual_seed(1))
    mask = torch.ones(1, 4, 10)
    mask[..., :5] = 0
    assert float(losses.symmetry(texture, mask)) == 0


def test_two_views_are_compared_where_both_are_seen():
    first = torch.zeros(1, 3, 2, 2)
    second = torch.tensor([[0.0, 1.0], [2.0, 3.0]]).expand(1, 3, 2, 2)
    masks = torch.tensor([[[1.0, 1.0], [1.0, 0.0]]]), torch.tensor([[[1.0, 1.0], [0.0, 1.0]]])
    assert float(losses.multiview(first, second, masks)) == pytest.approx(3 * (0 + 1) / 2)


def test_landmarks_count_by_their_confidence():
    found = torch.tensor([[[0.0, 3.0, 9.0], [0.0, 4.0, 9.0]]])
    seen = torch.zeros(1, 2, 3)
    confidence = torch.tensor([[1.0, 0.5, 0.0]])
    assert float(losses.landmark(found, seen, confidence)) == pytest.approx(0.5 * 25 / 1.5)
    assert float(losses.landmark(found, seen, torch.zeros(1, 3))) == 0


def test_the_prior_is_the_squared_length():
    assert float(losses.prior(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))) == pytest.approx(12.5)


def test_each_loss_has_a_derivative():
    rng = torch.Generator().manual_seed(2)
    texture = torch.rand(1, 3, 4, 4, generator=rng, dtype=torch.float64).requires_grad_()
    other = torch.rand(1, 3, 4, 4, generator=rng, dtype=torch.float64)
    mask = (torch.rand(1, 4, 4, generator=rng) > 0.3).double()
    places = torch.rand(1, 2, 5, generator=rng, dtype=torch.float64).requires_grad_()
    aims = places.detach() + 1
    check = torch.autograd.gradcheck
    assert check(lambda v: losses.symmetry(v, mask), (texture,))
    assert check(lambda v: losses.multiview(v, other, (mask, mask)), (texture,))
    assert check(lambda v: losses.landmark(v, aims, mask[0, 0:1, :1]), (places,))
    assert check(losses.prior, (places[0],))
