"""Each layer against finite differences, and against the same thing left to torch."""

import pytest

torch = pytest.importorskip("torch")

from torch.autograd import gradcheck

from stream.geometry import rotation_from_axis_angle
from training.stn import layers


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(3)


def drawn(rng, *shape):
    return torch.randn(*shape, generator=rng, dtype=torch.float64).requires_grad_()


def same_gradients(layer, twin, *inputs):
    """Compare values and derivatives of a layer with those of plain torch operations."""
    torch.manual_seed(0)
    first, second = layer(*inputs), twin(*inputs)
    torch.testing.assert_close(first, second)
    weight = torch.rand_like(first)
    leaves = [one for one in inputs if one.requires_grad]
    ours = torch.autograd.grad((first * weight).sum(), leaves)
    theirs = torch.autograd.grad((second * weight).sum(), leaves)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_the_model_layer_is_linear_with_the_basis_as_derivative(rng):
    alpha, basis, mean = drawn(rng, 2, 4), drawn(rng, 3, 6, 4).detach(), drawn(rng, 3, 6).detach()
    layer = layers.MorphableModel.apply
    assert gradcheck(lambda a: layer(a, basis, mean), (alpha,))
    same_gradients(
        lambda a: layer(a, basis, mean),
        lambda a: (basis[None] * a[:, None, None]).sum(-1) + mean,
        alpha,
    )
    torch.testing.assert_close(layer(torch.zeros(1, 4).double(), basis, mean)[0], mean)


def rodrigues(vector):
    """The exponential of the cross-product matrix, which torch differentiates by itself."""
    return torch.linalg.matrix_exp(layers.cross_matrix(vector))


@pytest.mark.parametrize("size", [0.3, 1.0, 2.9])
def test_axis_angle_is_the_exponential_and_so_is_its_derivative(rng, size):
    vector = (size * torch.nn.functional.normalize(drawn(rng, 3, 3))).detach().requires_grad_()
    assert gradcheck(layers.AxisAngle.apply, (vector,))
    same_gradients(layers.AxisAngle.apply, rodrigues, vector)


def test_axis_angle_agrees_with_the_live_path(rng):
    vector = drawn(rng, 3, 3).detach()
    wanted = torch.from_numpy(rotation_from_axis_angle(vector.numpy()))
    torch.testing.assert_close(layers.AxisAngle.apply(vector), wanted)


def test_at_no_rotation_the_derivative_is_that_of_the_limit():
    still = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(layers.AxisAngle.apply(still)[0], torch.eye(3, dtype=torch.float64))
    assert gradcheck(layers.AxisAngle.apply, (still,))
    slopes = layers.rotation_derivative(still, layers.AxisAngle.apply(still))[0]
    torch.testing.assert_close(slopes, layers.cross_matrix(torch.eye(3, dtype=torch.float64)))


@pytest.mark.parametrize("size", [1e-12, 1e-6, 1e-3])
def test_near_no_rotation_the_derivative_is_close_to_the_limit(size):
    axis = torch.nn.functional.normalize(torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64))
    vector = size * axis
    slopes = layers.rotation_derivative(vector, layers.AxisAngle.apply(vector))[0]
    limit = layers.cross_matrix(torch.eye(3, dtype=torch.float64))
    # At 1e-6 the quotient of the paper still has four digits; the limit errs by the angle.
    assert float((slopes - limit).abs().max()) < 2 * size + 1e-4


def test_rotation_projection_scale_and_shift(rng):
    rotation, points = drawn(rng, 2, 3, 3), drawn(rng, 2, 3, 5)
    flat, scale, shift = drawn(rng, 2, 2, 5), drawn(rng, 2), drawn(rng, 2, 2)
    cases = [
        (layers.Rotate.apply, lambda r, x: r @ x, (rotation, points)),
        (layers.Orthographic.apply, lambda x: x[:, :2], (points,)),
        (layers.Exponential.apply, lambda s: s.exp(), (scale,)),
        (layers.Scale.apply, lambda s, y: s[:, None, None] * y, (scale, flat)),
        (layers.Translate.apply, lambda t, y: y + t[:, :, None], (shift, flat)),
    ]
    for layer, twin, inputs in cases:
        assert gradcheck(layer, inputs)
        same_gradients(layer, twin, *inputs)


def test_selection_picks_vertices_and_sends_slopes_back_to_them(rng):
    places, chosen = drawn(rng, 2, 2, 6), torch.tensor([4, 0, 4])
    assert gradcheck(lambda y: layers.Select.apply(y, chosen), (places,))
    same_gradients(lambda y: layers.Select.apply(y, chosen), lambda y: y[:, :, chosen], places)


def literal_sampler(picture, places):
    """The double sum of the paper, pixel by pixel."""
    height, width = picture.shape[2:]
    result = 0
    for j in range(height):
        for k in range(width):
            near = (1 - (places[:, 0] - k).abs()).clamp(min=0)
            near = near * (1 - (places[:, 1] - j).abs()).clamp(min=0)
            result = result + picture[:, :, j, k, None] * near[:, None]
    return result


def test_the_sampler_is_the_sum_of_the_paper(rng):
    picture = drawn(rng, 2, 3, 4, 5)
    # Within, on the border and outside; not at whole numbers, where the slope jumps.
    base = torch.rand(2, 2, 9, generator=rng, dtype=torch.float64)
    places = (base * torch.tensor([7.0, 6.0])[None, :, None] - 1.3).requires_grad_()
    assert gradcheck(layers.BilinearSampler.apply, (picture, places))
    same_gradients(layers.BilinearSampler.apply, literal_sampler, picture, places)


def test_at_a_pixel_the_sampler_reads_that_pixel(rng):
    picture = drawn(rng, 1, 1, 4, 5)
    place = torch.tensor([[[3.0, -2.0], [1.0, 0.0]]], dtype=torch.float64)
    found = layers.BilinearSampler.apply(picture, place)
    assert float(found[0, 0, 0]) == float(picture[0, 0, 1, 3])
    assert float(found[0, 0, 1]) == 0


def tent():
    """Two triangles that share an upright edge towards the camera, like a roof seen from above."""
    points = torch.tensor([[-1.0, 0, 1, 0], [0, -1, 0, 1.0], [1, 0, 1, 0.0]], dtype=torch.float64)
    return points[None], torch.tensor([[0, 3, 1], [1, 3, 2]])


def test_what_faces_the_camera_is_visible():
    points, triangles = tent()
    eye = torch.eye(3, dtype=torch.float64)[None]
    assert layers.Visible.apply(eye, points, triangles).tolist() == [[1, 1, 1, 1]]
    half_turn = torch.diag(torch.tensor([-1.0, 1.0, -1.0], dtype=torch.float64))[None]
    assert layers.Visible.apply(half_turn, points, triangles).tolist() == [[0, 0, 0, 0]]
    aside = layers.AxisAngle.apply(torch.tensor([[0, 1.2, 0]], dtype=torch.float64))
    seen = layers.Visible.apply(aside, points, triangles)[0]
    assert {float(seen[0]), float(seen[2])} == {0.0, 1.0}


def test_no_derivative_passes_the_occlusion_mask(rng):
    points, triangles = tent()
    points.requires_grad_()
    rotation = torch.eye(3, dtype=torch.float64)[None].clone().requires_grad_()
    values = drawn(rng, 1, 3, 4)
    mask = layers.Visible.apply(rotation, points, triangles)
    (layers.Mask.apply(values, mask) ** 2).sum().backward()
    assert points.grad is None or float(points.grad.abs().max()) == 0
    assert rotation.grad is None or float(rotation.grad.abs().max()) == 0
    assert float(values.grad.abs().max()) > 0


def test_masking_multiplies(rng):
    values, mask = drawn(rng, 2, 3, 4), drawn(rng, 2, 4)
    assert gradcheck(layers.Mask.apply, (values, mask))
    same_gradients(layers.Mask.apply, lambda v, m: v * m[:, None], values, mask)
