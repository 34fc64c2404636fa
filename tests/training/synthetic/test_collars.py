"""Collars: they lie about the neck, outside it, and are clothes."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from training.synthetic.collars import CollarSpec, NeckMap, collar, sample_collar
from training.synthetic.scene import Label

RGB, TIE_RGB = (250, 248, 246), (20, 30, 90)
SHIRT = CollarSpec("shirt", 38.0, 45.0, 20.0, 3.0, 0.5, 0.01, RGB, "long", TIE_RGB, 5)
AXIS_MM = np.array([0.0, 0.0, 40.0])


@pytest.fixture(scope="module")
def neck(people):
    return NeckMap(people._rest).of(people._rest)


def about_the_axis(points_mm):
    level = (points_mm - AXIS_MM)[:, [0, 2]]
    return np.arctan2(level[:, 0], -level[:, 1]), np.linalg.norm(level, axis=1)


def test_the_map_lies_on_the_skin(people, neck):
    distance, _ = cKDTree(people._rest).query(neck[3:12].reshape(-1, 3))
    assert np.median(distance) < 10 and distance.max() < 32  # vertices are so far apart
    np.testing.assert_allclose(neck[:, 0], neck[:, -1], atol=2.0)  # once about the neck


@pytest.mark.parametrize("kind", ["shirt", "roll", "scarf"])
def test_a_collar_is_cloth_around_the_neck(neck, kind):
    spec = replace(SHIRT, kind=kind, tie="none", open=0.01 if kind == "shirt" else 0.0)
    (surface,) = collar(spec, neck)
    assert surface.name == "collar" and (surface.labels == Label.BODY).all()
    angle, _ = about_the_axis(surface.vertices_mm)
    held, _ = np.histogram(angle, bins=12, range=(-np.pi, np.pi))
    assert (held > 0).all()
    rim = surface.vertices_mm.reshape(-1, 45, 3)[4]  # the upper end of what stands
    skin = neck[7:9].reshape(-1, 3)  # as high on the neck
    assert about_the_axis(rim)[1].mean() > about_the_axis(skin)[1].mean()


def test_what_is_folded_over_lies_outside_and_has_points(neck):
    (plain,) = collar(replace(SHIRT, tie="none", point_mm=0.0), neck)
    (pointed,) = collar(replace(SHIRT, tie="none", point_mm=30.0), neck)
    net = plain.vertices_mm.reshape(-1, 45, 3)
    inner, outer = about_the_axis(net[4])[1], about_the_axis(net[-1])[1]
    assert (outer > inner + 5).all()
    longer = pointed.vertices_mm.reshape(-1, 45, 3)[-1, :, 1] - net[-1, :, 1]
    assert longer[0] > 15 and longer[22] < 1


@pytest.mark.parametrize("tie", ["long", "bow"])
def test_a_tie_lies_before_the_neck(neck, tie):
    collar_of, tie_of = collar(replace(SHIRT, tie=tie), neck)
    assert tie_of.name == "tie" and (tie_of.labels == Label.BODY).all()
    points = tie_of.vertices_mm
    assert abs(points[:, 0].mean()) < 3 and points[:, 2].max() < 20
    assert np.ptp(points[:, 0]) > (80 if tie == "bow" else 40)
    assert np.ptp(points[:, 1]) > (30 if tie == "bow" else 120)
    assert (tie_of.texture[..., 2].mean() > tie_of.texture[..., 0].mean()) and len(collar_of.uv)


def test_most_shirts_are_white():
    rng = np.random.default_rng(2)
    drawn = [sample_collar(rng, (20, 90, 20), (200, 10, 10)) for _ in range(200)]
    shirts = [spec for spec in drawn if spec.kind == "shirt"]
    white = [spec for spec in shirts if min(spec.rgb) > 170]
    assert 0.5 < len(white) / len(shirts) < 0.8
    assert {spec.tie for spec in shirts} == {"none", "long", "bow"}
    assert all(spec.tie == "none" and spec.open == 0 for spec in drawn if spec.kind != "shirt")
    assert drawn[0] == sample_collar(np.random.default_rng(2), (20, 90, 20), (200, 10, 10))
