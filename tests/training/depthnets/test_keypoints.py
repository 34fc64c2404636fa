import numpy as np
import pytest

pytest.importorskip("igl", reason="needs the extra train")

from toy_people import toy_people

from stream.errors import UserError
from stream.keypoint_mesh import mirror_order
from training.depthnets.keypoints import (
    KeypointSet,
    columns_of,
    draw_pairs,
    normalised,
)


def test_faces_fill_their_crop():
    faces = toy_people()
    assert np.abs(faces.points).max() == pytest.approx(0.5 / 1.1, abs=1e-5)
    assert np.allclose(faces.depth.mean(1), 0, atol=1e-6)
    again = normalised(faces)
    assert np.allclose(again.points, faces.points, atol=1e-6)
    assert np.allclose(again.depth, faces.depth, atol=1e-6)


def test_68_and_66_points_are_part_of_478():
    faces = toy_people(points=478, count=3)
    ibug = faces.with_points(68)
    assert ibug.size == 68
    fewer = ibug.with_points(66)
    assert fewer.size == 66
    assert np.allclose(fewer.points, faces.with_points(66).points, atol=1e-6)
    # Both corners of the eyes are where the tracked points have them.
    assert columns_of(478, 68)[[36, 45]].tolist() == [33, 263]
    with pytest.raises(UserError):
        fewer.with_points(478)


def test_pairs_are_of_one_person_or_of_two():
    faces = toy_people(count=5, views=3)
    rng = np.random.default_rng(0)
    first, second = draw_pairs(faces, 500, rng, same_person=True)
    assert (faces.person[first] == faces.person[second]).all()
    assert (first != second).all()
    assert len(set(zip(first, second, strict=True))) == 5 * 6, "every pair comes up"
    first, second = draw_pairs(faces, 500, rng, same_person=False)
    assert (faces.person[first] != faces.person[second]).all()


def test_pairs_that_do_not_exist_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(UserError, match="of one person"):
        draw_pairs(toy_people(views=1), 5, rng, same_person=True)
    with pytest.raises(UserError, match="of two people"):
        draw_pairs(toy_people(count=1), 5, rng, same_person=False)


@pytest.mark.parametrize("points", [66, 68, 478])
def test_the_mirror_swaps_sides(points):
    order = mirror_order(points)
    assert np.array_equal(order[order], np.arange(points))
    faces = toy_people(points=max(points, 68), count=8, views=8).with_points(points)
    frontal = faces.points[np.abs(faces.yaw_deg).argmin()]
    flipped = frontal[order] * [-1, 1]
    assert np.abs(flipped - frontal).mean() < 0.03


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="points"):
        KeypointSet(np.zeros((3, 5)), np.zeros(3, int), "x")
    with pytest.raises(ValueError, match="depth: 2 rows"):
        KeypointSet(np.zeros((3, 5, 2)), np.zeros(3, int), "x", depth=np.zeros((2, 5)))


def test_chosen_faces_keep_all_that_is_known():
    faces = toy_people(pictures=8)
    some = faces.chosen(np.array([3, 1]))
    assert np.array_equal(some.points, faces.points[[3, 1]])
    assert np.array_equal(some.pictures, faces.pictures[[3, 1]])
    assert some.yaw_deg.tolist() == faces.yaw_deg[[3, 1]].tolist()
