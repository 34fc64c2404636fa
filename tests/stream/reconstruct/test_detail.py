"""Fine relief from the picture (pix2vertex, supplement B.2)."""

import numpy as np
import pytest

from stream.geometry import vertex_normals
from stream.reconstruct.detail import (
    DetailSettings,
    Rings,
    add_detail,
    displaced,
    high_pass,
    seen_share,
    with_relief,
)
from stream.reconstruct.registration import pixels_to_mesh

CAMERA = np.array([[600.0, 0, 100], [0, 600, 100], [0, 0, 1]])


def sheet(count=33, width=90.0, depth=500.0, bulge=0.0):
    """A sheet before the camera, that bulges towards it."""
    line = np.linspace(-width / 2, width / 2, count)
    x, y = np.meshgrid(line, line)
    z = depth + bulge * (x**2 + y**2) / (width / 2) ** 2
    points = np.stack([x, y, z], axis=-1)
    mesh = pixels_to_mesh(points, points, np.ones((count, count), bool), 1e3)
    return mesh.vertices, mesh.triangles


def picture_with(change, place=(100, 100), spread=4.0):
    rows, columns = np.indices((200, 200)) + 0.5
    away = ((columns - place[0]) ** 2 + (rows - place[1]) ** 2) / (2 * spread**2)
    grey = 120 + change * np.exp(-away)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def test_a_uniform_picture_adds_nothing_to_a_plane():
    vertices, triangles = sheet()
    fine, _ = add_detail(vertices, triangles, np.full((200, 200, 3), 90, np.uint8), CAMERA)
    assert len(fine) > len(vertices)
    assert np.abs(fine[:, 2] - 500).max() < 1e-3


@pytest.mark.parametrize(("change", "deeper"), [(-60, True), (60, False)])
def test_what_is_darker_lies_deeper(change, deeper):
    vertices, triangles = sheet()
    fine, _ = add_detail(vertices, triangles, picture_with(change), CAMERA)
    middle = np.linalg.norm(fine[:, :2], axis=1) < 1.0
    moved = fine[middle, 2].mean() - 500
    assert (moved > 0.1) == deeper
    assert abs(moved) > 0.1
    assert abs(moved) < 2.0


def test_the_picture_of_a_hidden_or_unwanted_place_tells_nothing():
    vertices, triangles = sheet(count=61)
    picture = picture_with(-60)
    still = with_relief(vertices, triangles, picture, CAMERA, np.zeros(len(vertices)))
    np.testing.assert_array_equal(still, vertices)
    behind = vertices + np.array([0, 0, 30.0])
    both = np.vstack([vertices, behind])
    normals = np.tile([0.0, 0, -1], (len(both), 1))
    share = seen_share(both, normals, CAMERA, (200, 200))
    assert share[: len(vertices)].mean() > 0.9
    inner = (np.abs(behind[:, :2]) < 40).all(axis=1)
    assert share[len(vertices) :][inner].max() == 0
    assert seen_share(vertices, -normals[: len(vertices)], CAMERA, (200, 200)).max() == 0


def test_the_cameras_noise_is_no_relief():
    vertices, triangles = sheet(count=65)
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 8, (200, 200, 1))
    noisy = np.clip(picture_with(-60) + noise, 0, 255).astype(np.uint8)
    free = DetailSettings(grain=1e9)
    rough, calm = (with_relief(vertices, triangles, noisy, CAMERA, settings=each)[:, 2] - 500
                   for each in (free, DetailSettings()))  # fmt: skip
    away = np.linalg.norm(vertices[:, :2], axis=1)
    plain, middle = (away > 20) & (away < 40), away < 1.5
    assert calm[plain].std() < 0.8 * rough[plain].std()
    assert calm[middle].mean() > 4 * calm[plain].std()


def test_heat_keeps_low_frequencies_and_their_mean():
    vertices, triangles = sheet(count=65, width=64.0)
    slow, fast = np.cos(vertices[:, 0] * 2 * np.pi / 64), np.cos(vertices[:, 0] * 2 * np.pi / 4)
    inner = (np.abs(vertices[:, :2]) < 20).all(axis=1)
    # On a plane the wave cos(kx) is kept by the share 1 / (1 + dt·k²).
    for wave, length in ((slow, 64), (fast, 4)):
        passed = high_pass(wave, vertices, triangles, 4.0)
        wanted = 1 - 1 / (1 + 4.0 * (2 * np.pi / length) ** 2)
        ratio = (passed[inner] @ wave[inner]) / (wave[inner] @ wave[inner])
        assert ratio == pytest.approx(wanted, abs=0.06)
    np.testing.assert_allclose(high_pass(np.full(len(vertices), 3.0), vertices, triangles, 20), 0,
                               atol=1e-5)  # fmt: skip


def test_steps_are_those_of_equations_12_and_13():
    vertices, triangles = sheet(count=9, width=8.0, bulge=1.5)
    normals = vertex_normals(vertices, triangles).astype(float)
    rng = np.random.default_rng(0)
    contrast = rng.normal(size=len(vertices))
    rings, gain = Rings(vertices, normals, triangles), 2.5
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    for v in (0, 17, 40):
        near = np.setdiff1d(np.unique(edges[(edges == v).any(axis=1)]), [v])
        plain = attenuated = total = 0.0
        for i in near:
            step = vertices[v] - vertices[i]
            length, rise = np.linalg.norm(step), step @ normals[v]
            alpha = np.exp(-length)
            total += alpha
            plain += alpha * (gain * (contrast[v] - contrast[i]) - rise)
            attenuated += alpha * (contrast[v] - contrast[i]) * (1 - abs(rise) / length)
        assert rings.plain_step(contrast, gain)[v] == pytest.approx(plain / total)
        assert rings.attenuated_step(contrast)[v] == pytest.approx(attenuated / total)
    np.testing.assert_allclose(rings.relief(contrast, 1), rings.attenuated_step(contrast))


def test_more_passes_show_wider_relief():
    vertices, triangles = sheet(count=41, width=40.0)
    normals = vertex_normals(vertices, triangles).astype(float)
    rings = Rings(vertices, normals, triangles)
    wave = np.cos(vertices[:, 0] * 2 * np.pi / 8)
    inner = (np.abs(vertices[:, :2]) < 12).all(axis=1)
    shown = [(rings.relief(wave, n)[inner] @ wave[inner]) / (wave[inner] @ wave[inner])
             for n in (1, 4, 16)]  # fmt: skip
    assert 0.1 < shown[0] < shown[1] < shown[2] < 1.0


def test_the_displacement_is_that_of_equation_14():
    vertices, triangles = sheet(count=5)
    normals = vertex_normals(vertices, triangles).astype(float)
    data, fair = np.full(25, 2.0), np.full(25, -1.0)
    moved = displaced(vertices, normals, data, fair, 0.2, np.full(25, 0.5))
    step = 0.5 * (0.2 * 2.0 + 0.8 * -1.0)
    np.testing.assert_allclose(moved - vertices, step * normals, atol=1e-12)
    assert DetailSettings().share == 0.2


def test_fairing_pulls_a_bump_back():
    vertices, triangles = sheet(count=9, width=8.0)
    bumped = vertices.copy()
    bumped[40, 2] -= 0.5
    rings = Rings(bumped, vertex_normals(bumped, triangles).astype(float), triangles)
    assert rings.fairing()[40] < -0.2
