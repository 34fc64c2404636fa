import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")


from training.learn import face_losses as losses


def test_coefficients_count_by_their_importance():
    found, true = torch.tensor([[1.0, 5.0]]), torch.tensor([[0.0, 5.5]])
    assert float(losses.coefficients(found, true, torch.tensor([0.9, 0.1]))) == pytest.approx(0.95)


def test_a_unit_that_is_sometimes_strong_is_best_guessed_at_its_mean():
    true = torch.tensor([[0.0], [0.0], [0.0], [0.8]])
    costs = [
        float(losses.strengths(torch.full((4, 1), value), true, torch.ones(1)))
        for value in (0.0, 0.2, 0.4)
    ]
    assert costs[1] < min(costs[0], costs[2])
    assert float(losses.strengths(true, true, torch.ones(1))) == 0


def test_shape_is_the_mean_distance():
    true = torch.zeros(2, 5, 3)
    found = true + torch.tensor([0.3, 0.0, 0.4])
    assert float(losses.shape(found, true)) == pytest.approx(0.5, abs=1e-3)


def test_hidden_landmarks_count_a_third():
    true = torch.zeros(1, 2, 2)
    found = torch.tensor([[[0.0, 0.0], [0.4, 0.0]]])
    seen, hidden = torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    assert float(losses.landmarks(found, true, seen)) == pytest.approx(0.2, abs=1e-3)
    assert float(losses.landmarks(found, true, hidden)) == pytest.approx(0.1, abs=1e-3)


def test_only_skin_that_shows_has_a_colour_to_explain():
    picture, drawn = torch.zeros(1, 4, 3), torch.zeros(1, 4, 3)
    drawn[0, 0] = torch.tensor([0.0, 0.6, 0.8])
    drawn[0, 3] = 1
    seen = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    assert float(losses.photometric(picture, drawn, seen)) == pytest.approx(0.5, abs=1e-3)
    assert float(losses.photometric(picture, drawn, torch.zeros(1, 4))) == 0


def test_perceptual_is_one_less_the_cosine():
    def features(colours, seen):
        return (colours * seen[..., None]).sum(1)

    one, other = torch.zeros(1, 2, 3), torch.zeros(1, 2, 3)
    one[0, 0, 0] = other[0, 0, 0] = 2.0
    other[0, 1, 1] = 9.0
    seen = torch.tensor([[1.0, 0.0]])
    assert float(losses.perceptual(features, one, other, seen)) == pytest.approx(0, abs=1e-6)
    seen = torch.ones(1, 2)
    assert float(losses.perceptual(features, one, other, seen)) > 0.7


def test_two_views_want_one_identity():
    first, second = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 4.0]])
    importance = torch.tensor([0.5, 0.5])
    assert float(losses.consistency(first, second, importance)) == 1
    assert float(losses.consistency(first, first, importance)) == 0


def test_the_average_person_costs_nothing():
    zero = torch.zeros(3, 4)
    assert float(losses.regularisation(zero, zero)) == 0
    assert float(losses.regularisation(zero + 2, zero)) == 4
