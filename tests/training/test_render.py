"""Rendered heads: depth, labels and turns are what they claim to be."""

from pathlib import Path

import numpy as np
import pytest

from stream.errors import UserError
from stream.geometry import pinhole_camera, project, rigid_transform
from training.makehuman import FACE, HAIR, HeadLibrary, follow_weight, sample_person, turned
from training.render import Part, Renderer, Rendering, vertex_normals

SIZE = (160, 120)
POSE = rigid_transform(np.eye(3), np.array([0.0, 0.0, 500.0]))


def square(depth_mm: float = 0.0, alpha: int = 255, label: int = 2) -> Part:
    corners = np.array([[-50, -50], [50, -50], [50, 50], [-50, 50]], np.float32)
    return Part(
        vertices_mm=np.column_stack([corners, np.full(4, depth_mm, np.float32)]),
        triangles=np.array([[0, 1, 2], [0, 2, 3]], np.int32),
        uv=np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32),
        texture=np.full((4, 4, 4), (200, 100, 50, alpha), np.uint8),
        labels=np.full(4, label, np.uint8),
        smooth_ids=np.arange(4, dtype=np.int32),
    )


def draw(parts: list[Part], grey: int = 77) -> Rendering:
    background = np.full((SIZE[1], SIZE[0], 3), grey, np.uint8)
    try:
        renderer = Renderer(SIZE)
    except UserError as error:
        pytest.skip(f"no OpenGL here: {error}")
    with renderer:
        return renderer.render(parts, POSE, pinhole_camera(*SIZE), background)


@pytest.fixture(scope="module")
def library(data_dir: Path) -> HeadLibrary:
    return HeadLibrary(data_dir / "makehuman")


def test_square_covers_the_pixels_it_projects_to() -> None:
    out = draw([square()])
    low, high = project(np.array([[-50.0, -50, 500], [50, 50, 500]]), pinhole_camera(*SIZE))
    y, x = np.nonzero(out.labels == 2)
    assert (x.min() + 0.5, y.min() + 0.5) == pytest.approx(tuple(low), abs=1)
    assert (x.max() + 0.5, y.max() + 0.5) == pytest.approx(tuple(high), abs=1)
    assert np.nanmin(out.depth_mm) == pytest.approx(500, abs=0.1)
    assert np.isnan(out.depth_mm[out.labels == 0]).all()
    assert (out.pixels[0, 0] == 77).all()


def test_nearer_part_hides_the_farther_in_any_order() -> None:
    for parts in ([square(-20, label=1), square(20)], [square(20), square(-20, label=1)]):
        out = draw(parts)
        middle = out.labels[SIZE[1] // 2, SIZE[0] // 2]
        assert middle == 1
        assert out.depth_mm[SIZE[1] // 2, SIZE[0] // 2] == pytest.approx(480, abs=0.1)


def test_faint_alpha_mixes_with_the_background_and_leaves_no_depth() -> None:
    solid, faint = draw([square()]), draw([square(alpha=60)])
    centre = (SIZE[1] // 2, SIZE[0] // 2)
    share = 60 / 255
    expected = share * solid.pixels[centre].astype(float) + (1 - share) * 77
    assert faint.pixels[centre] == pytest.approx(expected, abs=2)
    assert faint.labels[centre] == 0


def test_normals_of_a_plane_are_its_own() -> None:
    normals = vertex_normals(square())
    assert np.abs(normals[:, :2]).max() == 0
    assert np.abs(normals[:, 2]) == pytest.approx(1)


def test_turn_is_rigid_above_the_chin_and_nothing_below_the_collar(library: HeadLibrary) -> None:
    parts = library.parts(sample_person(3))
    angle = np.radians(20)
    after = turned(parts, np.array([0.0, angle, 0.0]))
    before_mm, after_mm = parts[0].vertices_mm, after[0].vertices_mm
    weight = follow_weight(before_mm)
    body, head = weight == 0, weight == 1
    assert np.array_equal(before_mm[body], after_mm[body])
    rotation = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0]])
    rotation = np.vstack([rotation, [-np.sin(angle), 0, np.cos(angle)]])
    moved = before_mm[head] @ rotation.T
    offset = after_mm[head] - moved
    assert np.ptp(offset, axis=0).max() < 1e-3


def test_head_is_upright_in_head_space(library: HeadLibrary) -> None:
    skin, eyes = library.parts(sample_person(3))[:2]
    face = skin.vertices_mm[skin.labels == FACE]
    assert eyes.vertices_mm[:, 2].mean() < -50, "eyes look along −z"
    assert face[:, 1].min() < eyes.vertices_mm[:, 1].mean() < face[:, 1].max()
    assert abs(skin.vertices_mm[:, 0].mean()) < 1
    assert 130 < np.ptp(face[:, 0]) < 200, "a head is about 150 mm wide"


def test_unknown_targets_are_left_out_and_seeds_repeat(library: HeadLibrary) -> None:
    first, second = (library.parts(sample_person(12)) for _ in range(2))
    assert all(
        np.array_equal(a.vertices_mm, b.vertices_mm) for a, b in zip(first, second, strict=True)
    )


def test_rendered_head_has_face_and_hair(library: HeadLibrary) -> None:
    out = draw(library.parts(sample_person(8)))
    assert {FACE, HAIR} <= set(np.unique(out.labels))
    assert 350 < np.nanmin(out.depth_mm) < np.nanmax(out.depth_mm) < 650
