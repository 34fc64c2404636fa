"""Two drawn views of one textured ball: true depths agree, wrong ones do not."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training.experiments.hair_depth import siamese
from training.learn.constancy import Views, constancy, looked_up
from training.learn.prepared import DEPTH_UNIT_MM

SIDE, FOCAL, DISTANCE, RADIUS = 64, 80.0, 600.0, 150.0
PROJECTION = np.array([[FOCAL, 0, SIDE / 2], [0, FOCAL, SIDE / 2], [0, 0, 1]])


def ball(yaw_deg):
    """Trace a ball whose colour depends on where on it a point lies."""
    u, v = np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5)
    rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(PROJECTION).T
    length = (rays**2).sum(-1)
    middle = DISTANCE * rays[..., 2] / length
    root = middle**2 - (DISTANCE**2 - RADIUS**2) / length
    inside = root > 0
    z = middle - np.sqrt(np.maximum(root, 0))
    points = rays * z[..., None] - [0, 0, DISTANCE]
    yaw = np.radians(yaw_deg)
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    own = points @ turn / RADIUS
    colours = np.stack([0.5 + 0.4 * np.sin(f * own.sum(-1) + f) for f in (3, 4, 5)])
    pose = np.eye(4)
    pose[:3, :3], pose[2, 3] = turn, DISTANCE
    arrays = colours * inside, np.where(inside, z, 9999.0), inside, PROJECTION, pose
    tensors = [torch.from_numpy(np.asarray(value))[None] for value in arrays]
    return Views(*(t if t.dtype == torch.bool else t.float() for t in tensors))


def with_depth(view, change_mm):
    return view._replace(depth_mm=view.depth_mm + change_mm)


def test_true_depths_agree_and_wrong_ones_do_not():
    first, second = ball(0), ball(20)
    right = constancy(first, second)
    tilt = torch.linspace(-40, 40, SIDE).expand(1, SIDE, SIDE)
    wrong = constancy(with_depth(first, tilt), with_depth(second, tilt))
    assert right["colour"] < 0.02
    assert wrong["colour"] > 2 * right["colour"]
    assert wrong["gradient"] > 1.2 * right["gradient"]


def test_the_way_from_one_view_to_the_other_does_not_matter():
    one, other = constancy(ball(0), ball(15)), constancy(ball(15), ball(0))
    assert float(one["colour"]) == pytest.approx(float(other["colour"]), rel=1e-5)


def test_what_the_other_view_hides_does_not_count():
    _, visible = looked_up(ball(0), ball(60))
    assert not visible[0, SIDE // 2, :22].any() or not visible[0, SIDE // 2, 42:].any()
    assert visible.float().mean() > 0.05


def test_descending_the_loss_finds_the_depth():
    first, second = ball(0), ball(12)
    offset = torch.tensor(25.0, requires_grad=True)
    optimiser = torch.optim.Adam([offset], lr=2.0)
    for _ in range(60):
        optimiser.zero_grad()
        loss = constancy(with_depth(first, offset), second)["colour"]
        loss.backward()
        optimiser.step()
    assert abs(float(offset.detach())) < 5


def test_points_behind_the_camera_are_no_trouble():
    first = with_depth(ball(0), -2000.0)
    terms = constancy(first, ball(10))
    assert all(bool(torch.isfinite(value)) for value in terms.values())


def test_siamese_one_network_finds_the_depth_of_both_views():
    views = ball(0), ball(15)
    depths = torch.stack([view.depth_mm[0] for view in views])
    relative = torch.where(depths < 5000, depths - DISTANCE, 0.0) / DEPTH_UNIT_MM
    pixels = torch.stack([view.picture[0].permute(1, 2, 0) for view in views])
    batch = {
        "pair_pixels": (pixels * 255).round().to(torch.uint8)[None],
        # The stand-in networks below read the true depth from where the face's depth comes in.
        "pair_face_depth": torch.stack([relative, torch.ones_like(relative)], -1)[None],
        "pair_inside": torch.stack([view.inside[0] for view in views])[None, ..., None],
        "pair_projection": torch.stack([view.projection[0].flatten() for view in views])[None],
        "pair_pose": torch.stack([view.camera_from_head[0].flatten() for view in views])[None],
    }
    tilt = torch.linspace(-0.4, 0.4, SIDE)
    right = siamese(lambda _, face: face[:, :1], batch)
    wrong = siamese(lambda _, face: face[:, :1] + tilt, batch)
    assert right["colour"] < 0.02
    assert wrong["colour"] > 2 * right["colour"]
    assert wrong["gradient"] > 1.2 * right["gradient"]
