"""Two views of a plane and of a ball, whose depths are known."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from stream.geometry import rigid_transform, rotation_from_angles
from stream.reconstruct.face_depth import normalised
from training.multiview.reprojection import View, occlusion_mask, reprojected, warped

SIDE, FOCAL, TIP = 64, 150.0, 400.0


def poses(yaw):
    first = rigid_transform(np.eye(3), np.array([0.0, 0, 480]))
    second = rigid_transform(rotation_from_angles(yaw, 0, 0), np.array([10.0, -4, 500]))
    return first, second


def ball(pose, radius=80.0):
    """Depth of a ball about the head's origin, mm, nan beside it; and its colours."""
    v, u = np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5, indexing="ij")
    rays = np.stack([(u - SIDE / 2) / FOCAL, (v - SIDE / 2) / FOCAL, np.ones_like(u)], -1)
    centre = pose[:3, 3]
    a, b = (rays**2).sum(-1), rays @ centre
    inside = b**2 - a * (centre @ centre - radius**2)
    depth = np.where(inside > 0, (b - np.sqrt(np.maximum(inside, 0))) / a, np.nan)
    head = (rays * depth[..., None] - centre) @ pose[:3, :3]
    colours = 0.5 + 0.4 * np.sin(head / 25.0 + [0, 1, 2])
    return depth, np.where(np.isfinite(colours), colours, 0.0)


def view(pose, colours):
    intrinsics = torch.tensor([[[FOCAL, 0, SIDE / 2], [0, FOCAL, SIDE / 2], [0, 0, 1.0]]])
    picture = torch.from_numpy(colours.transpose(2, 0, 1)[None]).float()
    matrix = torch.from_numpy(pose[None]).float()
    ray = torch.tensor([[0.0, 0.0, 1.0]])
    return View(picture, intrinsics, matrix, torch.tensor([TIP]), torch.tensor([float(SIDE)]), ray)


def scene(yaw=20.0):
    views, values = [], []
    for pose in poses(yaw):
        depth, colours = ball(pose)
        value = np.where(np.isfinite(depth), normalised(depth, TIP, FOCAL, SIDE), 0)
        views.append(view(pose, colours))
        values.append(torch.from_numpy(value[None]).float())
    return views, values


def test_normalised_depth_is_undone():
    views, values = scene()
    depth = views[0].depth_mm(values[0])
    torch.testing.assert_close(views[0].normalised(depth), values[0], atol=1e-5, rtol=1e-5)


def test_a_crop_that_is_turned_and_mirrored_keeps_its_depth():
    views, values = scene()
    angle = 0.4
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 3], [np.sin(angle), np.cos(angle), -2], [0, 0, 1]]
    )
    mapped = torch.from_numpy(turn @ np.diag([-1.0, 1, 1])).float() @ views[0].intrinsics
    other = views[0]._replace(intrinsics=mapped)
    torch.testing.assert_close(other.depth_mm(values[0]), views[0].depth_mm(values[0]))


def test_true_depth_brings_the_other_view_onto_this_one():
    (first, second), (value, model) = scene()
    grid, _ = reprojected(first, second, value)
    seen = occlusion_mask(first, second, (value, model))
    difference = (warped(second, grid) - first.picture).abs().mean(1)
    assert float(seen.float().mean()) > 0.2
    assert float(difference[seen].mean()) < 0.03  # colours between pixels
    flat = torch.where(value != 0, 0.75, 0.0)
    wrong, _ = reprojected(first, second, flat)
    off = (warped(second, wrong) - first.picture).abs().mean(1)
    assert float(off[seen].mean()) > 3 * float(difference[seen].mean())


def test_the_same_view_sees_all_of_itself():
    (first, _), (value, _) = scene()
    seen = occlusion_mask(first, first, (value, value))
    inner = torch.nn.functional.max_pool2d((value == 0).float()[:, None], 3, 1, 1)[:, 0] == 0
    assert bool(seen[inner].all())
    assert not bool(seen[value == 0].any())


def test_what_the_other_view_hides_is_masked():
    (first, second), (value, model) = scene(60.0)
    grid, arriving = reprojected(first, second, value)
    seen = occlusion_mask(first, second, (value, model))
    there = torch.nn.functional.grid_sample(model[:, None], grid, align_corners=False)[:, 0]
    behind = (value != 0) & (arriving < there - 0.08)  # smaller is farther
    assert int(behind.sum()) > 50
    assert not bool(seen[behind].any())
    assert 0 < float(seen[value != 0].float().mean()) < 0.9


def test_wrong_depth_is_drawn_back_by_the_colours():
    (first, second), (value, model) = scene()
    off = (value + 0.02 * (value != 0)).clone().requires_grad_()
    seen = occlusion_mask(first, second, (value, model))
    inside = seen & (value > 0.3)

    def cost(depth):
        grid, _ = reprojected(first, second, depth)
        return (inside * (warped(second, grid) - first.picture).square().mean(1)).sum()

    (slope,) = torch.autograd.grad(cost(off), off)
    assert float(slope[inside].sum()) > 0  # less of the offset is better
    with torch.no_grad():
        assert float(cost(value)) < float(cost(off))
