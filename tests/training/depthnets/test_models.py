"""The eight models, their networks, and what is measured."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from toy_people import toy_people

from stream.affine import apply_affine, lift, solve_affine
from stream.geometry import rotation_from_angles
from training.depthnets.measure import depth_corr, mse, mse_norm
from training.depthnets.models import (
    MODELS,
    answers,
    load_depthnet,
    mean_face,
    pictures_of,
    registered_plane,
    registered_template,
    save,
    take_over,
)
from training.depthnets.nets import Aign, DepthJudge, DepthNet, rotation_of


def pairs(faces, count=20):
    rng = np.random.default_rng(1)
    return rng.integers(len(faces), size=count), rng.integers(len(faces), size=count)


def test_the_paper_has_eight_models():
    assert list(MODELS) == list(range(1, 9))
    assert [m.learned_by for m in MODELS.values()] == [0, 0, 3, 4, 3, 4, 7, 8]
    assert [n for n, m in MODELS.items() if m.pictures] == [4, 6, 8]
    assert [n for n, m in MODELS.items() if not m.solves] == [3, 4]
    papers = [m.paper[0] for m in MODELS.values()]
    assert papers == sorted(papers, reverse=True)


def test_baselines_are_in_the_papers_order():
    faces = toy_people(count=20)
    first, second = pairs(faces, 200)
    source, target = faces.points[first], faces.points[second]
    plane = registered_plane(source, target)
    template = registered_template(mean_face(faces), source, target)
    assert mse(template.placed, target) < 0.3 * mse(plane.placed, target)
    assert plane.affine.shape == (200, 2, 3)
    assert plane.depth is None
    # The template turned onto the source has the source's depth, but for the person.
    agree = [
        abs(np.corrcoef(a, b)[0, 1])
        for a, b in zip(template.depth, faces.depth[first], strict=True)
    ]
    assert np.mean(agree) > 0.9


def test_the_template_is_the_face_when_all_have_the_same():
    head = np.random.default_rng(0).normal(size=(20, 3))
    turned = np.stack([head @ rotation_from_angles(y, 5, 3).T for y in (-30, 0, 25)])
    from training.depthnets.keypoints import KeypointSet

    faces = KeypointSet(
        turned[..., :2], np.zeros(3, int), "x", depth=turned[..., 2], yaw_deg=np.array([-30, 0, 25])
    )
    told = registered_template(mean_face(faces), turned[:, :, :2], turned[::-1, :, :2])
    assert np.allclose(told.placed, turned[::-1, :, :2], atol=1e-8)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("pictures", [0, 40])
@pytest.mark.parametrize("points", [66, 478])
def test_networks_have_the_shapes_of_the_paper(points, pictures, paired):
    network = DepthNet(points, affine=True, pictures=pictures, paired=paired, width=32).eval()
    points_ = torch.rand(3, points, 2) - 0.5
    crops = [torch.rand(3, 3, pictures, pictures)] * 2 if pictures else []
    depth, affine = network(points_, points_.flip(0), *crops)
    assert depth.shape == (3, points)
    assert affine.shape == (3, 2, 4)
    assert depth.mean(1).abs().max() < 1e-5
    other, _ = network(points_, points_, *crops)
    assert torch.allclose(depth[0], other[0]) == (not paired)
    assert DepthNet(points, affine=False, width=32).eval()(points_, points_)[1] is None


def test_model_5_is_the_depth_of_3_with_the_best_affine():
    faces = toy_people()
    network = DepthNet(68, affine=True, width=32)
    first, second = pairs(faces)
    three, five = (answers(MODELS[n], network, faces, first, second) for n in (3, 5))
    target = faces.points[second]
    assert np.allclose(three.depth, five.depth)
    solved = solve_affine(lift(faces.points[first], five.depth), target)
    assert np.allclose(five.affine, solved, atol=1e-3)
    lifted = lift(faces.points[first], five.depth)
    assert np.allclose(five.placed, apply_affine(five.affine, lifted), atol=1e-5)
    assert mse(five.placed, target) < mse(three.placed, target)


def test_pictures_reach_the_models_that_see_them():
    faces = toy_people(pictures=40)
    network = DepthNet(68, affine=False, pictures=40, width=32)
    first, second = pairs(faces)
    told = answers(MODELS[8], network, faces, first, second)
    dark = answers(MODELS[8], network, faces.chosen(np.arange(len(faces))), first, second)
    assert np.array_equal(told.depth, dark.depth)
    faces.pictures[:] = 0
    assert not np.allclose(told.depth, answers(MODELS[8], network, faces, first, second).depth)
    with pytest.raises(ValueError, match="pictures of 40"):
        pictures_of(network, toy_people(), first)


def test_a_checkpoint_brings_the_network_back(tmp_path):
    network = DepthNet(66, affine=True, width=32).eval()
    network.standardise(torch.rand(9, 66, 2))
    facts = {"points": 66, "affine": True, "pictures": 0, "paired": True, "width": 32}
    save(tmp_path / "a" / "x.pt", network, facts)
    again, told = load_depthnet(tmp_path / "a" / "x.pt")
    assert told == facts
    points = torch.rand(2, 66, 2)
    assert torch.equal(network(points, points)[0], again(points, points)[0])


def test_the_judge_scores_depth_given_the_keypoints():
    judge = DepthJudge(68, width=32)
    points, depth = torch.rand(4, 68, 2), torch.rand(4, 68)
    assert judge(points, depth).shape == (4, 1)
    assert not torch.allclose(judge(points, depth), judge(points, -depth))
    assert not torch.allclose(judge(points, depth), judge(points.flip(0), depth))


def test_heat_maps_of_aign_peak_at_the_keypoints():
    network = Aign(5, side=32)
    points = torch.tensor([[[-0.25, 0.25], [0.0, 0.0], [0.4, -0.4], [0.1, 0.2], [-0.4, -0.4]]])
    heat = network.heat(points)
    assert heat.shape == (1, 5, 32, 32)
    for number, (x, y) in enumerate(points[0].tolist()):
        row, column = divmod(int(heat[0, number].argmax()), 32)
        assert abs(column + 0.5 - (x + 0.5) * 32) <= 0.51
        assert abs(row + 0.5 - (y + 0.5) * 32) <= 0.51


def test_aign_gives_a_face_and_its_reprojection():
    network = Aign(66).eval()
    face, placed = network(torch.rand(2, 66, 2) - 0.5)
    assert face.shape == (2, 66, 3)
    assert torch.equal(face[..., :2], placed)
    turn = rotation_of(torch.randn(7, 6))
    eye = torch.eye(3).expand(7, 3, 3)
    assert torch.allclose(turn @ turn.transpose(1, 2), eye, atol=1e-5)
    assert torch.allclose(torch.linalg.det(turn), torch.ones(7), atol=1e-5)


def test_mse_is_in_pixels_of_the_papers_crop():
    target = np.zeros((2, 68, 2))
    target[:, 45, 0] = 0.4  # the eyes are 0.4 of the crop apart
    placed = target + np.array([0.02, 0])
    assert mse(placed, target) == pytest.approx(0.5 * (0.02 * 80) ** 2)
    assert mse_norm(placed, target) == pytest.approx(5.0)


def test_depth_corr_is_the_sum_over_keypoints_whatever_the_sign():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(400, 6))
    assert depth_corr(-3 * true + 7, true) == pytest.approx(6)
    assert depth_corr(rng.normal(size=(400, 6)), true) < 1
    still = np.zeros((400, 6))
    assert depth_corr(still, true) == 0
    mixed = np.c_[true[:, :3], still[:, 3:]]
    assert depth_corr(mixed, true) == pytest.approx(3)
    slow = sum(abs(np.corrcoef(mixed[:, k], true[:, k])[0, 1]) for k in range(3))
    assert depth_corr(mixed, true) == pytest.approx(slow)


def test_a_network_that_sees_more_begins_where_the_other_ended():
    few = DepthNet(68, affine=True, width=32).eval()
    many = DepthNet(68, affine=True, pictures=40, width=32).eval()
    take_over(many, few)
    points, crops = torch.rand(3, 68, 2), torch.rand(3, 3, 40, 40)
    wanted, found = few(points, points), many(points, points, crops, crops)
    assert torch.allclose(wanted[0], found[0], atol=1e-6)
    assert torch.allclose(wanted[1], found[1], atol=1e-6)
    again = DepthNet(68, affine=True, width=32).eval()
    take_over(again, few)
    assert torch.equal(again(points, points)[0], wanted[0])
    solving = DepthNet(68, affine=False, width=32).eval()
    take_over(solving, few)
    assert torch.allclose(solving(points, points)[0], wanted[0], atol=1e-6)
    with pytest.raises((ValueError, RuntimeError)):
        take_over(few, DepthNet(68, affine=False, width=32))
