import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("igl")

from stream.errors import UserError
from training.stn.faces import STORED, Faces, joined, shown
from training.stn.figures import figure_6, figure_7, figure_8, mean_texture
from training.stn.geometry_image import geometry_image
from training.stn.model import POSE, Localiser, Parameters, ThreeDmmStn
from training.stn.train import StnConfig, load, step_terms, train

GRID = 24


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return ThreeDmmStn(geometry_image(GRID)).eval()


def posed(network, rows=1, **changes):
    """Parameters of a frontal face in the middle, changed."""
    whole = {
        "rotation": torch.zeros(rows, 3),
        "shift": torch.full((rows, 2), 63.5),
        "log_scale": torch.full((rows,), float(np.log(38.0))),
        "alpha": torch.zeros(rows, 10),
    }
    return Parameters(**(whole | changes))


def drawn_faces(network, count=6):
    """Pictures in two colours, with the landmarks of a known head in them."""
    rng = np.random.default_rng(0)
    angles = torch.from_numpy(rng.uniform(-0.3, 0.3, (count, 3))).float()
    theta = posed(network, count, rotation=angles)
    with torch.no_grad():
        points = network.points(network.grid(theta)[2]).numpy().transpose(0, 2, 1)
    points = (points + 0.5) * STORED / 128
    pixels = np.full((count, STORED, STORED, 3), 60, np.uint8)
    for picture, places in zip(pixels, points, strict=True):
        low, high = places.min(axis=0).astype(int), places.max(axis=0).astype(int)
        picture[low[1] : high[1], low[0] : high[0]] = 200
    person = np.arange(count) // 3
    return Faces(pixels, points.astype(np.float32), np.ones((count, 478), np.float32), person)


@pytest.mark.parametrize("variant", ["light", "paper"])
def test_localisers_give_pose_and_shape(variant):
    localiser = Localiser(10, variant).eval()
    with torch.no_grad():
        theta = localiser(torch.rand(1, 3, localiser.side, localiser.side))
    assert theta.rotation.shape == (1, 3)
    assert theta.alpha.shape == (1, 10)
    assert localiser.last.out_features == POSE + 10
    assert float(theta.rotation.abs().max()) < 0.5  # the start is about frontal
    assert float((theta.shift - localiser.side / 2).abs().max()) < localiser.side / 8


def test_the_grid_follows_scale_shift_and_turn(network):
    with torch.no_grad():
        _, _, plain = network.grid(posed(network))
        _, _, moved = network.grid(posed(network, shift=torch.tensor([[73.5, 60.5]])))
        _, _, larger = network.grid(posed(network, log_scale=torch.tensor([float(np.log(76.0))])))
        half_turn = torch.tensor([[0.0, 0.0, np.pi]])
        _, _, turned = network.grid(posed(network, rotation=half_turn))
    step = torch.tensor([10.0, -3.0])
    torch.testing.assert_close(
        moved - plain, step[None, :, None].expand_as(plain), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(larger - 63.5, 2 * (plain - 63.5), atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(turned - 63.5, 63.5 - plain, atol=1e-3, rtol=1e-3)


def test_a_frontal_face_is_seen_whole_and_a_turned_one_in_part(network):
    from training.stn import layers

    shares = []
    for yaw in (0.0, 1.0):
        theta = posed(network, rotation=torch.tensor([[0.0, yaw, 0.0]]))
        with torch.no_grad():
            shape, rotation, _ = network.grid(theta)
            mask = layers.Visible.apply(rotation, shape, network.triangles)
        halves = (
            mask.view(GRID, GRID)[:, : GRID // 2].mean(),
            mask.view(GRID, GRID)[:, GRID // 2 :].mean(),
        )
        shares.append([float(half) for half in halves])
    assert min(shares[0]) > 0.85
    assert abs(shares[0][0] - shares[0][1]) < 0.05
    assert max(shares[1]) > min(shares[1]) + 0.2


def test_landmarks_are_shown_where_the_picture_shows_them():
    points = np.full((1, 478, 2), 40.5, np.float32)
    pixels = np.zeros((1, STORED, STORED, 3), np.uint8)
    pixels[0, 40, 40] = 255
    faces = Faces(pixels, points, np.ones((1, 478), np.float32), np.zeros(1, np.int64))
    for rng in (None, np.random.default_rng(1)):
        picture, places, _ = shown(faces, 0, 128, rng)
        row, column = np.unravel_index(picture.sum(axis=2).argmax(), picture.shape[:2])
        np.testing.assert_allclose(places[:, 0], [column, row], atol=1.0)


def test_people_stay_apart_when_sets_are_joined(network):
    faces = drawn_faces(network)
    both = joined([faces, faces])
    assert both.count == 12
    assert np.unique(both.person).tolist() == [0, 1, 2, 3]


def test_training_lowers_the_landmark_error_and_is_kept(network, tmp_path):
    faces = drawn_faces(network)
    config = StnConfig(grid=GRID, steps=60, batch=6, every=30, rate=3e-4)
    first = ThreeDmmStn(geometry_image(GRID))
    torch.manual_seed(config.seed)
    path = train(faces, config, tmp_path)
    kept = load(path)

    def cost(one):
        rng = np.random.default_rng(5)
        from training.stn.train import batch_of

        with torch.no_grad():
            return float(step_terms(one.train(), batch_of(faces, 128, 6, rng), config)["landmark"])

    assert cost(kept) < 0.85 * cost(first)  # 0.72 seen


def test_figures_have_a_tile_for_each_picture(network):
    faces = drawn_faces(network)
    assert figure_6(network, faces, [0, 1]).shape == (320, 800, 3)
    assert figure_7(network, faces, 1, count=3).shape == (320, 480, 3)
    assert figure_8(network, faces, [0, 1]).shape == (320, 320, 3)
    with pytest.raises(UserError, match="no person 77"):
        figure_7(network, faces, 77)


def test_the_mean_of_equal_pictures_is_the_picture(network):
    one = drawn_faces(network, count=3)
    same = Faces(
        one.pixels[[0, 0, 0]], one.points[[0, 0, 0]], one.confidence, np.zeros(3, np.int64)
    )
    mean, spread = mean_texture(network, same, 0)
    assert mean.shape == (GRID, GRID, 3)
    assert spread == pytest.approx(0, abs=0.05)
    _, unlike = mean_texture(
        network, Faces(one.pixels * np.array([[[[1]]], [[[0]]], [[[1]]]], np.uint8), one.points,
                       one.confidence, np.zeros(3, np.int64)), 0,
    )  # fmt: skip
    assert unlike > 10
