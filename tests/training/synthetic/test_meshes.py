"""Meshes that are split along the cuts of their texture map."""

import numpy as np

from stream.head_model import load_head_model
from training.synthetic.meshes import counterparts, nothing, split
from training.synthetic.scene import Label, Material

TRIANGLES = np.array([[0, 1, 2], [0, 2, 3]])
CORNERS_UV = np.array([[0, 1, 2], [0, 4, 3]])  # vertex 2 lies on a cut: texels 2 and 4
UV = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.25]], float)
POINTS = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)


def _square():
    labels = np.array([Label.FACE, Label.FACE, Label.NECK, Label.EAR], np.uint8)
    return split(TRIANGLES, CORNERS_UV, UV, labels, nothing(4))


def test_a_vertex_on_a_cut_is_split():
    mesh = _square()
    assert len(mesh.rows) == 5
    np.testing.assert_array_equal(np.bincount(mesh.rows), [1, 1, 2, 1])
    np.testing.assert_array_equal(mesh.rows[mesh.triangles], TRIANGLES)
    assert mesh.labels[mesh.rows == 2].tolist() == [Label.NECK] * 2


def test_texture_places_count_from_the_top():
    mesh = _square()
    expected = UV[CORNERS_UV] * [1, -1] + [0, 1]
    np.testing.assert_allclose(mesh.uv[mesh.triangles], expected, atol=1e-6)


def test_a_surface_lies_where_its_points_do():
    surface = _square().surface("thing", POINTS, np.zeros((1, 1, 4), np.uint8), Material())
    np.testing.assert_array_equal(surface.vertices_mm[surface.triangles], POINTS[TRIANGLES])
    assert np.isnan(surface.canonical_mm).all() and np.isnan(surface.head_uv).all()
    assert surface.vertices_mm.flags["C_CONTIGUOUS"]


def test_counterparts_are_near_and_of_the_kind():
    model = load_head_model()
    ears = np.flatnonzero(model.labels == 3)
    near = model.vertices[ears[:5]] + np.float32(0.01)
    far = near + np.array([0, 0, 400.0])
    places, uv = counterparts(model, np.concatenate([near, far]), (3,))
    np.testing.assert_array_equal(places[:5], model.vertices[ears[:5]])
    np.testing.assert_array_equal(uv[:5], model.uv[ears[:5]])
    assert np.isnan(places[5:]).all() and np.isnan(uv[5:]).all()
    eyes, _ = counterparts(model, near, (6,))
    assert np.isnan(eyes).all()
