"""Pixels to mesh, RANSAC affine, non-rigid registration (pix2vertex, supplement B.1)."""

from dataclasses import replace

import numpy as np
import pytest

from stream.errors import UserError
from stream.flatten import vertex_normals
from stream.reconstruct import registration
from stream.reconstruct.registration import (
    Energy,
    RegistrationSettings,
    TargetMesh,
    biharmonic,
    cotangent_laplacian,
    pixels_to_mesh,
    ransac_affine,
    register,
)


def dome(side, spacing=4.0, height=30.0):
    """A bulged sheet, seen from −z: (V, 3) and (T, 3), wound as the head model's."""
    rows, columns = np.indices((side, side))
    x, y = (columns - side / 2) * spacing, (rows - side / 2) * spacing
    reach = side * spacing / 2
    z = height * ((x / reach) ** 2 + (y / reach) ** 2) + 3 * np.sin(x / 9) * np.cos(y / 11)
    points = np.stack([x, y, z], axis=-1)
    mesh = pixels_to_mesh(points, points, np.ones((side, side), bool), 1e3)
    return mesh.vertices, mesh.triangles


def target_of(move, side=161, spacing=0.5):
    rows, columns = np.indices((side, side))
    x, y = (columns - side / 2) * spacing, (rows - side / 2) * spacing
    z = 30 * ((x / 40) ** 2 + (y / 40) ** 2) + 3 * np.sin(x / 9) * np.cos(y / 11)
    places = np.stack([x, y, z], axis=-1)
    return pixels_to_mesh(move(places), places, np.ones((side, side), bool))


@pytest.fixture
def energy():
    rng = np.random.default_rng(4)
    vertices, triangles = dome(7)
    facing = rng.normal(size=vertices.shape)
    return Energy(
        rest=vertices,
        aims=vertices + rng.normal(size=vertices.shape),
        facing=facing / np.linalg.norm(facing, axis=1, keepdims=True),
        kept=(rng.random(len(vertices)) < 0.6).astype(float),
        point=0.1,
        plane=1.0,
        membrane=7.0,
        stiffness=biharmonic(vertices, triangles),
    )


def test_four_known_pixels_make_two_triangles_that_face_the_camera():
    rows, columns = np.indices((4, 5), float)
    points = np.stack([columns, rows, 0 * rows], axis=-1)
    seen = np.ones((4, 5), bool)
    seen[0, 0] = False
    mesh = pixels_to_mesh(points, 10 * points, seen)
    assert len(mesh.triangles) == 2 * (3 * 4 - 1)
    assert len(mesh.vertices) == 19
    np.testing.assert_allclose(mesh.normals, np.tile([0, 0, -1.0], (19, 1)), atol=1e-6)
    np.testing.assert_allclose(mesh.embedding, 10 * mesh.vertices)


def test_steps_in_depth_are_not_bridged():
    rows, columns = np.indices((4, 6), float)
    points = np.stack([columns, rows, np.where(columns < 3, 0, 50.0)], axis=-1)
    mesh = pixels_to_mesh(points, points, np.ones((4, 6), bool))
    depth = mesh.vertices[mesh.triangles][..., 2]
    assert (np.ptp(depth, axis=1) == 0).all()
    assert len(mesh.triangles) == 2 * 3 * 4


def test_ransac_finds_an_affine_among_outliers():
    rng = np.random.default_rng(0)
    source = rng.normal(0, 60, (800, 3))
    affine = np.column_stack([np.eye(3) + 0.1 * rng.normal(size=(3, 3)), [5.0, -20, 600]])
    target = source @ affine[:, :3].T + affine[:, 3] + rng.normal(0, 0.3, source.shape)
    wrong = rng.random(800) < 0.4
    target[wrong] += rng.normal(0, 80, (wrong.sum(), 3))
    found, inside = ransac_affine(source, target, 1000, 3.0)
    np.testing.assert_allclose(found[:, :3], affine[:, :3], atol=2e-3)
    np.testing.assert_allclose(found[:, 3], affine[:, 3], atol=0.1)
    assert inside[~wrong].mean() > 0.99
    plain = np.linalg.lstsq(np.column_stack([source, np.ones(800)]), target, rcond=None)[0].T
    assert np.abs(plain[:, 3] - affine[:, 3]).max() > 10 * np.abs(found[:, 3] - affine[:, 3]).max()


def test_too_few_pairs_are_refused():
    with pytest.raises(UserError, match="only 5 points"):
        ransac_affine(np.zeros((5, 3)), np.zeros((5, 3)), 10, 3.0)


def test_the_laplacian_of_a_linear_function_is_zero_inside_of_a_plane():
    rows, columns = np.indices((6, 6), float)
    points = np.stack([columns + 0.3 * rows, rows, 0 * rows], axis=-1)
    mesh = pixels_to_mesh(points, points, np.ones((6, 6), bool))
    laplacian, areas = cotangent_laplacian(mesh.vertices, mesh.triangles)
    change = (laplacian @ (2 * mesh.vertices[:, 0] - mesh.vertices[:, 1])).reshape(6, 6)
    assert np.abs(change[1:-1, 1:-1]).max() < 1e-9
    assert areas.sum() == pytest.approx(25.0)


def test_the_membrane_is_the_sum_over_neighbours_of_equation_8(energy):
    moved = energy.rest + np.random.default_rng(1).normal(size=energy.rest.shape)
    weights = energy.stiffness.tocoo()
    bent = moved - energy.rest
    pairs = ((bent[weights.row] - bent[weights.col]) ** 2).sum(axis=1)
    wanted = energy.membrane * (-weights.data * pairs).sum() / 2
    assert energy.terms(moved)[2] == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("term", [0, 1, 2])
def test_each_terms_slope_matches_finite_differences(energy, term):
    rng = np.random.default_rng(2)
    names = ("point", "plane", "membrane")
    alone = replace(energy, **{name: 0.0 for i, name in enumerate(names) if i != term})
    moved = energy.rest + rng.normal(size=energy.rest.shape)
    way, step = rng.normal(size=moved.shape), 1e-4
    ahead, behind = sum(alone.terms(moved + step * way)), sum(alone.terms(moved - step * way))
    assert (ahead - behind) / (2 * step) == pytest.approx(
        2 * (alone.gradient(moved) * way).sum(), rel=1e-6
    )
    assert abs(ahead - behind) > 0


def test_the_solution_is_the_minimum(energy):
    found = energy.minimised(energy.rest, energy.factor(), 1e-6)
    lowest, rng = sum(energy.terms(found)), np.random.default_rng(3)
    assert np.abs(energy.gradient(found)).max() < 1e-4
    for size in (1e-2, 1.0):
        assert sum(energy.terms(found + size * rng.normal(size=found.shape))) > lowest


def test_a_known_deformation_is_recovered():
    def move(places):
        bulge = 4 * np.exp(-(places[..., 0] ** 2 + (places[..., 1] - 5) ** 2) / 200)
        turned = places @ np.array([[0.95, 0.1, 0], [-0.1, 1.02, 0], [0, 0.05, 1.0]]).T
        return turned + np.array([3, -4, 500]) - bulge[..., None] * [0, 0, 1]

    vertices, triangles = dome(19)
    inner = (np.abs(vertices[:, :2]) < 32).all(axis=1)
    template = vertices.copy()
    template[:, 2] = 30 * ((vertices[:, :2] / 40) ** 2).sum(axis=1)
    template[:, 2] += 3 * np.sin(vertices[:, 0] / 9) * np.cos(vertices[:, 1] / 11)
    wanted = move(template)
    facing = vertex_normals(wanted, triangles)
    loose = RegistrationSettings(reject_mm=6.0, reject_deg=40.0)

    def off(vertices):
        return np.abs(((vertices - wanted) * facing).sum(axis=1))[inner].mean()

    found = register(template, triangles, target_of(move), loose)
    rest = template @ found.affine[:, :3].T + found.affine[:, 3]
    assert off(rest) > 0.3
    assert off(found.vertices) < 0.03
    assert found.matched[inner].mean() > 0.9
    # Neighbours in space let vertices slide along the surface; those in the embedding do not.
    held = register(template, triangles, target_of(move), replace(loose, switch_share=0.0))
    apart = [np.linalg.norm(v - wanted, axis=1)[inner].mean() for v in (held.vertices, rest)]
    assert apart[0] < 0.6 * apart[1]


def test_pairs_beyond_the_papers_bounds_are_ignored():
    vertices, triangles = dome(9)
    normals = vertex_normals(vertices, triangles).astype(float)
    aims = vertices.copy()
    aims[:20, 2] += 1.5
    facing = normals.copy()
    facing[20:30] = [1.0, 0, 0]
    target = TargetMesh(aims, triangles, facing, vertices)
    pairing = registration._Pairing(vertices, target, RegistrationSettings())
    _, kept = pairing.find(vertices, triangles)
    assert not kept[:30].any()
    assert kept[30:].all()
    pairing.in_space = True
    partner, _ = pairing.find(vertices, triangles)
    assert len(partner) == len(vertices)


def test_the_defaults_are_those_of_the_paper():
    settings = RegistrationSettings()
    assert (settings.tries, settings.inlier_mm) == (1000, 3.0)
    assert (settings.reject_mm, settings.reject_deg) == (1.0, 5.0)
    assert (settings.point, settings.plane) == (0.1, 1.0)
    assert (settings.stiffest, settings.softest) == (1e8, 1e6)
    assert (settings.settled_mm, settings.still_mm) == (0.01, 0.1)
