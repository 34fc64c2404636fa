import numpy as np
import pytest

from stream.head_model import load_head_model
from stream.puppet.topology import (
    MOUTH,
    OPENINGS,
    OVAL,
    POINTS,
    face_layout,
    face_triangles,
    grid_triangles,
)


@pytest.fixture(scope="module")
def model():
    return load_head_model()


@pytest.fixture(scope="module")
def layout(model):
    return face_layout(model)


def edges_of(triangles):
    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    return np.sort(pairs, axis=1)


def test_mesh_is_a_disc_with_three_holes(model):
    triangles = face_triangles(model)
    edges, counts = np.unique(edges_of(triangles), axis=0, return_counts=True)
    assert counts.max() == 2
    assert len(np.unique(triangles)) == POINTS
    assert POINTS - len(edges) + len(triangles) == 1 - len(OPENINGS)
    border = set(edges[counts == 1].ravel().tolist())
    assert border == set(OVAL.tolist()) | {int(p) for one in OPENINGS for p in one.loop}


def test_no_triangle_joins_the_lips(model):
    triangles = face_triangles(model)
    upper, lower = set(MOUTH.upper[1:-1].tolist()), set(MOUTH.lower[1:-1].tolist())
    for corners in triangles.tolist():
        assert not (upper & set(corners) and lower & set(corners))


def test_refining_keeps_what_is_constant_and_the_corners(layout):
    assert np.allclose(layout.refine.sum(axis=1), 1)
    values = np.random.default_rng(1).normal(size=POINTS)
    finer = layout.refine @ values
    for coarse, fine in zip(OPENINGS, layout.openings, strict=True):
        assert np.allclose(finer[fine.upper[::4]], values[coarse.upper])
        assert np.allclose(finer[fine.lower[::4]], values[coarse.lower])
        assert fine.upper[0] == fine.lower[0]
        assert fine.upper[-1] == fine.lower[-1]


def test_refined_borders_of_equal_lips_are_equal(layout):
    values = np.random.default_rng(2).normal(size=(POINTS, 2))
    values[MOUTH.lower] = values[MOUTH.upper]
    finer = layout.refine @ values
    mouth = layout.openings[0]
    assert np.allclose(finer[mouth.upper], finer[mouth.lower])


def test_more_rounds_make_four_triangles_of_one(model):
    once, twice = face_layout(model, 1), face_layout(model, 2)
    assert len(twice.triangles) == 4 * len(once.triangles) == 16 * len(face_triangles(model))
    assert twice.rim.sum() == 4 * len(OVAL)


def test_grid_triangles_cover_every_cell_with_two():
    triangles = grid_triangles(3, 4)
    assert triangles.shape == (12, 3)
    x, y = triangles % 4, triangles // 4
    area = 0.5 * np.abs(
        (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    )
    assert (area == 0.5).all()
    cells = np.stack([x.min(axis=1), y.min(axis=1)], axis=1)
    assert (np.unique(cells, axis=0, return_counts=True)[1] == 2).all()
    assert (cells[:6] == cells[6:]).all()
