from dataclasses import replace

import numpy as np
import pytest
from warp_reference import draw

from stream.errors import UserError
from stream.geometry import pinhole_camera
from stream.gl import create_context
from stream.hair_depth import HeadDepth
from stream.mesh import build_mesh
from stream.pose import HeadMotion
from stream.region import NodeGrid, Region
from stream.warp import Warp
from tests.stream.far_surfaces import far_surface

SIZE = (150, 131)
REGION = Region(20, 10, 116, 122)


@pytest.fixture
def warp():
    warp = Warp(create_context())  # of the newest context, which is the one that is drawn in
    yield warp
    warp.release()


def _smooth_picture(height, width, channels, seed):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [
        127 + 80 * np.sin(x / rng.uniform(10, 22) + y / rng.uniform(10, 22) + rng.uniform(0, 6))
        for _ in range(channels)
    ]
    return np.stack(waves, axis=-1).astype(np.uint8)


def _scene(nodes=24, soft=True):
    """A ball before a wall, with a soft matte."""
    camera = pinhole_camera(*SIZE)
    grid = NodeGrid.over(REGION, nodes)
    centre = np.array([68.0, 62.0])
    radius = np.linalg.norm(grid.positions_px - centre, axis=-1) / 38
    bulge = np.sqrt(np.clip(1 - radius**2, 0, 1)).astype(np.float32)
    turn = np.clip(1.6 - radius, 0, 1).astype(np.float32)
    far = far_surface(grid, 600 + 80 * bulge, turn, bulge, camera)
    depth = HeadDepth(grid, 600 - 80 * bulge, turn, bulge, far)
    y, x = np.mgrid[REGION.y0 : REGION.y1, REGION.x0 : REGION.x1] + 0.5
    distance = np.hypot(x - centre[0], y - centre[1]) / 38
    alpha = np.clip((1.05 - distance) * (12 if soft else 1e6), 0, 1)
    picture = _smooth_picture(REGION.height, REGION.width, 3, 1)
    matte = np.round(alpha * 255).astype(np.uint8)
    plate = _smooth_picture(REGION.height, REGION.width, 3, 2)
    node_alpha = np.clip((1.05 - radius) * 12, 0, 1).astype(np.float32)
    return camera, build_mesh(depth, node_alpha, camera[0, 0]), (picture, matte), plate


def _motion(yaw=0.35, shift=(3.0, -2.0, 5.0)):
    return HeadMotion(np.array([0.0, 40.0, 600.0]), np.array([0.1, yaw, 0.05]), np.array(shift))


def _edges(mask):
    """The mask, grown by four pixels."""
    grown = mask.copy()
    for _ in range(4):
        padded = np.pad(grown, 1, mode="edge")
        grown = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:] | grown
    return grown


def _outline(mask):
    return (mask ^ np.roll(mask, 1, axis=0)) | (mask ^ np.roll(mask, 1, axis=1))


def test_matches_the_numpy_twin_within_one_grey_level_away_from_edges(warp, monkeypatch):
    monkeypatch.setattr("stream.warp.smoothed", lambda colours, *_: colours)
    camera, mesh, picture, plate = _scene()
    got = warp.draw(*picture, plate, REGION, mesh, _motion(), camera).astype(float)
    want, covered = draw(*picture, plate, REGION, mesh, _motion(), camera)
    error = np.abs(got - want).max(axis=-1)
    calm = ~_edges((covered > 0) & (covered < 1)) & ~_edges(_outline(covered > 0))
    assert calm.mean() > 0.4
    assert np.quantile(error[calm], 0.999) <= 1.0  # worst seen: 0.72
    assert error[calm].max() <= 2.0  # worst seen: 1.27, on the fading edge of the far side
    assert (error > 2).mean() < 0.01


def test_draws_the_head_elsewhere_when_it_moves(warp):
    camera, mesh, picture, plate = _scene()
    got = warp.draw(*picture, plate, REGION, mesh, _motion(), camera)
    assert np.abs(got.astype(int) - picture[0]).mean() > 5


@pytest.mark.parametrize("samples", [0, 4])
def test_a_head_at_rest_gives_back_the_frame(samples):
    camera, mesh, picture, plate = _scene()
    visible = picture[1] == 0
    plate[visible] = picture[0][visible]  # what is seen of the wall is known exactly
    plate = np.minimum(plate, picture[0])  # a plate that F = I − (1 − α)·B can hold
    warp, at_rest = Warp(create_context(), samples), _motion(0, (0, 0, 0))
    got = warp.draw(*picture, plate, REGION, mesh, at_rest, camera, presence=0.0)
    assert np.abs(got.astype(int) - picture[0]).max() <= 1


@pytest.mark.parametrize("samples", [0, 4])
def test_the_outline_of_a_jaw_before_its_neck_is_smooth(samples):
    camera, mesh, (picture, matte), plate = _scene()
    picture = np.zeros_like(picture)
    picture[:, picture.shape[1] // 2 :] = 255
    near, columns = mesh.sheet("near"), mesh.depth.grid.columns
    left, right = near.places_px[2, 2], near.places_px[2, -3]
    last = (len(near.depth_mm) - 1) * columns
    neck = replace(
        near, kind="solid", colours_px=np.full_like(near.places_px, left), share=0 * near.share,
        triangles=np.array([[0, last, columns - 1], [last, last + columns - 1, columns - 1]]),
    )  # fmt: skip
    jaw = replace(
        neck, colours_px=np.full_like(near.places_px, right), yield_mm=neck.yield_mm - 200,
        triangles=np.array([[0, last + 3, columns - 1]]),
    )  # fmt: skip
    mesh = replace(mesh, sheets=(neck, jaw), resting=np.zeros_like(mesh.resting))
    warp = Warp(create_context(), samples)
    full = np.full_like(matte, 255)
    shown = warp.draw(picture, full, plate, REGION, mesh, _motion(), camera)[4:-4, 4:-4, 0]
    assert (shown == 0).mean() > 0.2
    assert (shown == 255).mean() > 0.2
    greys = ((shown > 20) & (shown < 235)).sum()
    assert greys > 0.5 * REGION.height


def test_a_lamp_behind_the_soft_edge_does_not_fly_along(warp):
    camera, mesh, (picture, matte), plate = _scene()
    dark = np.full_like(picture, 40)
    dark[(matte > 10) & (matte < 128)] = 255  # seen through the edge, and missing in the plate
    far = _motion(0, (25.0, 0.0, 0.0))
    got = warp.draw(dark, matte, np.zeros_like(plate), REGION, mesh, far, camera)
    assert got.max() < 0.7 * 255
    rest = warp.draw(dark, matte, np.zeros_like(plate), REGION, mesh, _motion(0, (0, 0, 0)), camera)
    assert rest.max() > 250


@pytest.mark.parametrize("outside", [True, False])
def test_of_a_mirrored_surface_only_the_outside_is_drawn(warp, outside):
    camera, mesh, (picture, matte), plate = _scene()
    near = mesh.sheet("near")
    triangles = mesh.sheet("solid").triangles
    if outside:  # a mirror turns the winding of what faces the camera
        triangles = triangles[:, ::-1]
    shape = (*near.depth_mm.shape, 3)
    mirror = replace(near, kind="mirror", triangles=triangles, gain=np.ones(shape, np.float32))
    got, nothing = (
        warp.draw(picture, matte, plate, REGION, replace(mesh, sheets=(sheet,)), _motion(), camera)
        for sheet in (mirror, replace(mirror, triangles=triangles[:0]))
    )
    assert (got != nothing).any(axis=-1).mean() > 0.2 if outside else (got == nothing).all()


def test_presence_scales_the_motion(warp):
    camera, mesh, picture, plate = _scene()
    none = warp.draw(*picture, plate, REGION, mesh, _motion(), camera, presence=0.0)
    half = warp.draw(*picture, plate, REGION, mesh, _motion(), camera, presence=0.5)
    full = warp.draw(*picture, plate, REGION, mesh, _motion(), camera, presence=1.0)
    step = np.abs(half.astype(int) - none).mean()
    assert 0 < step < np.abs(full.astype(int) - none).mean()


def test_size_of_the_region_may_change_between_frames(warp):
    camera, mesh, picture, plate = _scene()
    before = warp.draw(*picture, plate, REGION, mesh, _motion(), camera)
    small = Region(REGION.x0, REGION.y0, REGION.x0 + 40, REGION.y0 + 33)
    part = warp.draw(
        picture[0][:33, :40], picture[1][:33, :40], plate[:33, :40], small, mesh, _motion(), camera
    )
    assert part.shape == (33, 40, 3)
    again = warp.draw(*picture, plate, REGION, mesh, _motion(), camera)
    np.testing.assert_array_equal(before, again)


def test_names_the_package_when_no_context_can_be_made(monkeypatch):
    def refuse(**_):
        raise RuntimeError("libEGL.so.1: cannot open shared object file")

    monkeypatch.setattr("stream.gl.moderngl.create_context", refuse)
    monkeypatch.setattr("stream.gl.sys.platform", "linux")
    with pytest.raises(UserError, match=r"libEGL\.so\.1.*apt-get install libegl1"):
        create_context()
