"""When depth is found anew: how long it is carried along while a head rests, and moves."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stream.depth_over_time import DepthOverTime
from stream.far_side import FarSurface
from stream.frame import Head
from stream.geometry import pinhole_camera, rigid_transform, rotation_from_angles
from stream.hair_depth import HeadDepth
from stream.region import NodeGrid, Region
from stream.sight import OCCLUDER, Sight

GRID = NodeGrid(Region(480, 200, 800, 520), 33, 33)
EVERY, SETTLED = 2, 40  # frames until nothing settles any more


class CountedHair:
    """Gives flat depth, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def estimate(self, head: Head, matte: np.ndarray, grid: NodeGrid, sight: Sight) -> HeadDepth:
        self.asked += 1
        nodes = np.full((grid.rows, grid.columns), head.camera_from_head[2, 3], np.float32)
        none = np.zeros((1, 1), np.float32)
        places = np.zeros((1, 1, 2), np.float32)
        far = FarSurface(
            places, none, none, places, none, np.zeros((1, 1, 3), np.float32), np.zeros((0, 3), int)
        )
        return HeadDepth(grid, nodes, nodes, nodes, far)


def head(x_mm: float = 0.0, yaw: float = 0.0, z_mm: float = 600.0) -> Head:
    pose = rigid_transform(rotation_from_angles(yaw, 0, 0), np.array([x_mm, 0.0, z_mm]))
    camera = pinhole_camera(1280, 720)
    return Head(0, np.zeros(80, np.float32), np.zeros(52, np.float32), pose, camera, 1.0)


def sight(things: float = 0.0) -> Sight:
    labels = np.zeros((9, 256, 256), np.float32)
    labels[OCCLUDER, :64, :64] = things
    return Sight(np.zeros((256, 256, 3), np.uint8), np.ones((256, 256), np.float32), labels)


def asked_for(heads: list[Head], sights: list[Sight] | None = None, **options: Any) -> int:
    """Return how often depth is found for heads that follow on one that has rested for long."""
    hair = CountedHair()
    depth = DepthOverTime(hair)  # type: ignore[arg-type]
    matte, seen = np.ones((33, 33), np.float32), sight()
    while hair.asked < SETTLED:
        depth.at(head(), matte, GRID, seen, EVERY)
    before = hair.asked
    for one, what in zip(heads, sights or [seen] * len(heads), strict=True):
        depth.at(one, matte, GRID, what, EVERY, **options)
    return hair.asked - before


def test_a_head_at_rest_is_looked_at_half_as_often() -> None:
    assert asked_for([head()] * 24) == 24 // (2 * EVERY)


@pytest.mark.parametrize("step", [{"x_mm": 3.0}, {"yaw": 2.0}, {"z_mm": 15.0}])
def test_a_head_that_moves_is_looked_at_as_often_as_asked(step: dict[str, float]) -> None:
    usual = {"x_mm": 0.0, "yaw": 0.0, "z_mm": 600.0}
    heads = [head(**{k: usual[k] + i * step.get(k, 0.0) for k in usual}) for i in range(24)]
    assert asked_for(heads) >= 24 // EVERY - 1


def test_what_comes_before_the_head_is_looked_at_as_often_as_asked() -> None:
    come_and_gone = [sight(float(i // EVERY % 2)) for i in range(24)]
    assert asked_for([head()] * 24, come_and_gone) >= 24 // EVERY - 1


def test_a_new_head_is_looked_at_as_often_as_asked() -> None:
    hair = CountedHair()
    depth = DepthOverTime(hair)  # type: ignore[arg-type]
    for _ in range(2 * EVERY):
        depth.at(head(), np.ones((33, 33), np.float32), GRID, sight(), EVERY)
    assert hair.asked == 2


def test_carried_depth_goes_with_the_head() -> None:
    depth = DepthOverTime(CountedHair())  # type: ignore[arg-type]
    matte = np.ones((33, 33), np.float32)
    depth.at(head(), matte, GRID, sight(), EVERY)
    carried = depth.at(head(z_mm=612.0), matte, GRID, sight(), EVERY)
    np.testing.assert_allclose(carried.front_mm, 612.0)


def test_a_region_that_went_on_is_looked_at_again_only_where_that_is_asked() -> None:
    gone = replace(GRID, region=Region(496, 200, 816, 520))
    for strict, looks in ((False, 1), (True, 2)):
        hair = CountedHair()
        depth = DepthOverTime(hair)  # type: ignore[arg-type]
        for grid in (GRID, gone):
            depth.at(head(), np.ones((33, 33), np.float32), grid, sight(), EVERY, strict=strict)
        assert hair.asked == looks
