"""Resting brows of the swap: measured on heads of the head model."""

from dataclasses import replace

import numpy as np
import pytest
from swap_faces import MODEL, face_of, head, source

from stream.swap.brows import RestingBrows, brow_heights, brow_lift
from stream.swap.holes import BROWS
from stream.swap.shape import ShapeBlender

RAISED = {"browInnerUp": 1.0, "browOuterUpLeft": 1.0, "browOuterUpRight": 1.0}
POINTS = np.concatenate(BROWS)


def heights(one):
    return brow_heights(MODEL, one, face_of(one).points_px[:, :2])


def test_raised_brows_are_higher_from_any_side():
    calm, raised = heights(head()), heights(head(expression=RAISED))
    assert (raised - calm).mean() > 0.05
    assert heights(head(yaw=25)) == pytest.approx(calm, abs=0.01)


def test_the_mean_over_time_is_the_rest():
    rest = RestingBrows()
    for height in (0.2, 0.2, 0.2, 0.4):
        found = rest(np.full(20, height, np.float32))
    assert found == pytest.approx(np.full(20, 0.25))


def test_brows_are_lifted_and_lids_and_mouth_are_not():
    lift = brow_lift(MODEL).sum(axis=1)
    corners = MODEL.triangles[MODEL.points478_triangle]
    at_points = (lift[corners] * MODEL.points478_bary).sum(axis=1)
    assert at_points[POINTS] == pytest.approx(np.ones(20), abs=0.1)
    for lid in (33, 159, 145, 133, 263, 386, 13, 14, 152):
        assert abs(at_points[lid]) < 0.1


def test_brows_rest_where_the_sources_do_and_rise_as_the_targets():
    low = replace(source(), brows=heights(head()) - 0.05)
    blender, calm, raised = ShapeBlender(MODEL), head(), head(expression=RAISED)
    for number in range(30):
        shape = blender(face_of(calm), calm, low, 1.0, number / 30)
    unit = shape.eyes_px
    lowered = (shape.points_px - shape.tracked_px)[POINTS, 1].mean() / unit
    assert lowered == pytest.approx(0.05, abs=0.01)
    risen = blender(face_of(raised), raised, low, 1.0, 1.0)
    rise = (shape.points_px - risen.points_px)[POINTS, 1].mean() / unit
    wanted = (shape.tracked_px - risen.tracked_px)[POINTS, 1].mean() / unit
    assert rise == pytest.approx(wanted, rel=0.2)


def test_the_targets_own_shape_keeps_its_brows():
    low = replace(source(), brows=heights(head()) - 0.05)
    calm = head()
    shape = ShapeBlender(MODEL)(face_of(calm), calm, low, 0.0, 0.0)
    assert np.abs(shape.points_px - shape.tracked_px)[POINTS].max() < 0.02 * shape.eyes_px
