"""The textured keypoint mesh: places, occlusion, borders, and the paper's own results."""

import numpy as np
import pytest

from stream.errors import UserError
from stream.gl import create_context
from stream.keypoint_mesh import face_triangles, triangulate
from stream.keypoint_warp import KeypointWarp

SQUARE = np.array([[4, 4], [28, 4], [28, 28], [4, 28]], float)
TWO = np.array([[0, 1, 2], [0, 2, 3]])
STILL = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0]])
BY_A_QUARTER = np.array([[1.0, 0, 0, 0.25], [0, 1, 0, 0.25]])


@pytest.fixture(scope="module")
def warp():
    try:
        context = create_context()
    except UserError as error:
        pytest.skip(str(error))
    made = KeypointWarp(context)
    yield made
    made.release()
    context.release()


def picture(size=32):
    return np.random.default_rng(3).integers(0, 256, (size, size, 3)).astype(np.uint8)


def test_what_does_not_move_is_the_source_inside_and_nothing_outside(warp):
    source = picture()
    drawn = warp.draw(source, SQUARE, np.zeros(4), STILL, TWO)
    assert np.array_equal(drawn[4:28, 4:28, :3], source[4:28, 4:28])
    assert drawn[4:28, 4:28, 3].min() == 255
    outside = np.ones((32, 32), bool)
    outside[4:28, 4:28] = False
    assert not drawn[outside].any()


def test_depth_moves_points_along_the_third_column(warp):
    source = picture()
    affine = np.array([[1.0, 0, 2, 0], [0, 1, 0, 0]])
    moved = warp.draw(source, SQUARE, np.full(4, 3.0), affine, TWO, size=(40, 32))
    assert moved.shape == (32, 40, 4)
    assert np.array_equal(moved[4:28, 10:34, :3], source[4:28, 4:28])


def test_half_pixels_are_the_mean_of_neighbours(warp):
    source = picture()
    shift = np.array([[1.0, 0, 0, 0.5], [0, 1, 0, 0]])
    drawn = warp.draw(source, SQUARE, np.zeros(4), shift, TWO)[10, 10:20, :3]
    mean = (source[10, 9:19].astype(float) + source[10, 10:20]) / 2
    assert np.abs(drawn - mean).max() <= 0.51


def two_layers():
    """Two squares at one place, the first red and near, the second blue and far."""
    source = np.zeros((32, 64, 3), np.uint8)
    source[:, :32, 0], source[:, 32:, 2] = 200, 200
    points = np.concatenate([SQUARE, SQUARE + np.array([32, 0])])
    depth = np.repeat([-5.0, 5.0], 4)
    # Both squares go to the first one's place: x − 3.2·z is 16 more for the near one.
    affine = np.array([[1.0, 0, -3.2, -16], [0, 1, 0, 0]])
    return source, points, depth, affine, np.concatenate([TWO, TWO + 4])


def test_the_nearest_hides_what_is_behind_whatever_the_order(warp):
    source, points, depth, affine, triangles = two_layers()
    for order in (triangles, triangles[::-1]):
        drawn = warp.draw(source, points, depth, affine, order, size=(32, 32))
        assert drawn[16, 16].tolist() == [200, 0, 0, 255]
    turned = warp.draw(source, points, depth, affine, triangles, size=(32, 32), nearest=False)
    assert turned[16, 16].tolist() == [0, 0, 200, 255], "the later one of the list"


def test_beyond_the_border_it_goes_on_or_begins_anew(warp):
    source = np.zeros((8, 8, 3), np.uint8)
    source[:, 0], source[:, 7] = 40, 200
    points = np.array([[0, 0], [8, 0], [8, 8], [0, 8]], float)
    held = warp.draw(source, points, np.zeros(4), BY_A_QUARTER, TWO)
    anew = warp.draw(source, points, np.zeros(4), BY_A_QUARTER, TWO, wrap=True)
    assert held[4, 0, 0] == 40
    assert anew[4, 0, 0] == 80  # a quarter of the other side


def test_sizes_may_change_from_call_to_call(warp):
    for size in (16, 48, 16):
        points = SQUARE * size / 32
        drawn = warp.draw(picture(size), points, np.zeros(4), STILL, TWO)
        assert np.array_equal(drawn[..., 3] > 0, _inside(size))


def _inside(size):
    inside = np.zeros((size, size), bool)
    inside[size // 8 : size - size // 8, size // 8 : size - size // 8] = True
    return inside


@pytest.mark.parametrize("case", ["000001_crop", "000002_crop", "000005_crop"])
def test_the_papers_own_results_come_out(warp, data_dir, case):
    cv2 = pytest.importorskip("cv2")
    root = data_dir / "depthnets_ref"
    folder = root / "FaceWarper" / "dataset_example"
    keypoints, depth, affine = (
        np.loadtxt(folder / kind / f"{case}.txt") for kind in ("keypoints", "depth", "affine")
    )
    source, wanted = (
        np.ascontiguousarray(cv2.imread(str(folder / kind / f"{case}.png"))[..., ::-1])
        for kind in ("source", "expected_result")
    )
    triangles = np.loadtxt(root / "triangles68.txt", dtype=int)
    drawn = warp.draw(source, keypoints, depth, affine, triangles, nearest=False, wrap=True)
    face = wanted.any(axis=2) | (drawn[..., 3] > 0)
    error = (drawn[..., :3].astype(float) - wanted)[face]
    # Worst of the three: 63.7 dB; no pixel is off by more than one grey level.
    assert 10 * np.log10(255**2 / (error**2).mean()) > 60
    assert np.abs(error).max() <= 1


@pytest.mark.parametrize(("count", "triangles"), [(66, 100), (68, 100), (478, 880)])
def test_known_meshes_use_every_point_and_fold_nowhere_in_front(count, triangles):
    from stream.head_model import load_head_model

    model, mesh = load_head_model(), face_triangles(count)
    places = model.points478() if count == 478 else model.points68()
    if count == 66:
        places = np.delete(places, [60, 64], axis=0)
    assert len(mesh) >= triangles
    used = 468 if count == 478 else count
    assert np.array_equal(np.unique(mesh), np.arange(used))
    a, b, c = (places[mesh[:, corner], :2] for corner in range(3))
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    turned = np.minimum((area > 0.01).sum(), (area < -0.01).sum())
    assert turned <= 0.03 * len(mesh), "but for lids and lips, which roll inwards"


def test_other_sets_are_triangulated_by_their_places():
    assert len(triangulate(SQUARE)) == 2
    with pytest.raises(UserError, match="68"):
        face_triangles(29)
    with pytest.raises(UserError, match="line"):
        triangulate(np.array([[0, 0], [1, 1], [2, 2]]))
