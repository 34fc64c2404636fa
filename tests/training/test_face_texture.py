import numpy as np
import pytest

pytest.importorskip("igl", reason="needs the extra train")

from stream.head_model import load_head_model
from training.face_texture import COMPONENTS, PaintedSkins, principal, projected, weights_of

HALF = 30
MIRROR = np.concatenate([np.arange(HALF, 2 * HALF), np.arange(HALF)])


def skins(count, seed=0):
    """Skins of two kinds of variation: tone of both sides, and one side darker."""
    rng = np.random.default_rng(seed)
    tone, side = rng.normal(0, 0.1, (2, count, 1, 1))
    lean = np.where(np.arange(2 * HALF) < HALF, 1.0, -1.0)[:, None]
    noise = rng.normal(0, 1e-4, (count, 2 * HALF, 3))
    return (0.5 + tone * np.array([1.0, 0.8, 0.6]) + 0.3 * side * lean + noise).astype(np.float32)


def test_the_basis_finds_what_varies_and_explains_skins_it_has_not_seen():
    weight = np.ones(2 * HALF)
    skin = principal(skins(200), MIRROR, weight)
    assert skin.basis.shape == (COMPONENTS, 2 * HALF, 3)
    tone, side = skin.basis[:2]
    np.testing.assert_allclose(tone, tone[MIRROR], atol=1e-3)
    np.testing.assert_allclose(side, -side[MIRROR], atol=1e-3)
    np.testing.assert_allclose(np.abs(tone[:, 0]), 0.1, atol=0.015)  # one standard deviation
    new = skins(1, seed=5)[0]
    found = skin.albedo(projected(skin, new, weight))
    assert np.abs(found - new).mean() < 0.1 * np.abs(skin.mean - new).mean()


def test_coefficients_of_known_skins_are_standard_deviations():
    weight, known = np.ones(2 * HALF), skins(300)
    skin = principal(known, MIRROR, weight)
    found = np.stack([projected(skin, one, weight) for one in known])[:, :2]
    np.testing.assert_allclose(found.std(axis=0), 1.0, atol=0.1)


def test_the_face_counts_most():
    weights = weights_of(np.array([1, 2, 3, 4, 5, 6]))
    assert weights[0] == weights.max() and weights[4] < weights[1] < weights[0]


def test_painted_skins_are_skin_on_every_vertex(data_dir):
    painted, model = PaintedSkins(data_dir), load_head_model()
    people = [painted.person(31, number, False) for number in range(2)]
    albedo = [painted.albedo(one) for one in people]
    assert albedo[0].shape == model.vertices.shape
    face = albedo[0][model.labels == 1]
    assert (face > 0.005).all() and face[:, 0].mean() > face[:, 2].mean()
    assert np.abs(albedo[0] - albedo[1]).mean() > 0.01
    np.testing.assert_array_equal(painted.albedo(painted.person(31, 0, False)), albedo[0])
