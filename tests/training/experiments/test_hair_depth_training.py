import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra train")

import torch

from training.experiments.hair_depth import (
    HairDepthTraining,
    layer_order,
    region_errors,
    smoothness,
    supervised,
    two_channels,
)
from training.learn.prepared import PreparedSet
from training.nets.unet import operations
from training.synthetic.scene import Label

SIDE = 64


def scene():
    """A slanted face with hair above, nothing on the left."""
    labels = np.full((SIDE, SIDE), Label.FACE, np.uint8)
    labels[: SIDE // 3] = Label.HAIR
    labels[:, : SIDE // 4] = Label.BACKGROUND
    slope = np.linspace(-0.8, 0.2, SIDE, dtype=np.float32)[None].repeat(SIDE, 0)
    depth = np.where(labels > 0, slope, np.inf)
    return labels, depth


def tensors():
    labels, depth = scene()
    return torch.from_numpy(labels)[None], torch.from_numpy(depth)[None]


def test_the_truth_costs_nothing_and_an_offset_costs_itself():
    labels, depth = tensors()
    there = torch.isfinite(depth)
    terms = supervised(torch.where(there, depth, 5.0), depth, labels)
    assert float(terms["depth"]) == 0 and float(terms["slope"]) < 1e-7
    terms = supervised(torch.where(there, depth + 0.3, 5.0), depth, labels)
    assert float(terms["depth"]) == pytest.approx(0.3, abs=1e-5)
    assert float(terms["slope"]) < 1e-6


def test_waves_cost_slope():
    labels, depth = tensors()
    waves = 0.05 * torch.sin(torch.arange(SIDE) * 2.0)[None, :, None]
    terms = supervised(torch.where(torch.isfinite(depth), depth + waves, 0.0), depth, labels)
    assert float(terms["slope"]) > 0.03


def test_hair_behind_the_face_is_out_of_order():
    labels, _ = tensors()
    face = torch.stack([torch.full((1, SIDE, SIDE), -0.5), torch.ones(1, SIDE, SIDE)], dim=1)
    before = torch.full((1, SIDE, SIDE), -0.6)
    assert float(layer_order(before, face, labels)) == 0
    behind = torch.full((1, SIDE, SIDE), -0.3)
    assert float(layer_order(behind, face, labels)) == pytest.approx(0.21, abs=1e-5)
    face[:, 1] = 0  # no face below: any order is right
    assert float(layer_order(behind, face, labels)) == 0


def test_planes_are_smooth_and_folds_are_not():
    labels, _ = tensors()
    inside = labels > 0
    plane = torch.linspace(-1, 1, SIDE)[None, None].repeat(1, SIDE, 1)
    assert float(smoothness(plane, inside)) < 1e-6
    fold = plane.abs()
    assert float(smoothness(fold, inside)) > 1e-4
    # A fold on a border of the truth is not counted.
    step = torch.where(plane > 0, 1.0, 0.0)
    assert float(smoothness(step, inside, step)) < 1e-6 < float(smoothness(step, inside))


def test_the_blind_network_sees_no_face_depth_and_the_other_does():
    torch.manual_seed(0)
    picture = torch.rand(1, 3, SIDE, SIDE)
    depths = [torch.zeros(1, 2, SIDE, SIDE), torch.ones(1, 2, SIDE, SIDE)]
    for variant, same in (("light-blind", True), ("light", False)):
        network = HairDepthTraining().build(variant).eval()
        with torch.no_grad():
            first, second = (network(picture, depth) for depth in depths)
        assert torch.equal(first, second) == same


@pytest.mark.parametrize("variant", HairDepthTraining.variants)
def test_every_variant_gives_one_depth_a_pixel(variant):
    network = HairDepthTraining().build(variant).eval()
    with torch.no_grad():
        depth = network(torch.rand(2, 3, SIDE, SIDE), torch.rand(2, 2, SIDE, SIDE))
    assert depth.shape == (2, 1, SIDE, SIDE)


def test_the_light_network_keeps_its_budget():
    network = HairDepthTraining().build("light")
    shapes = torch.zeros(1, 3, 256, 256), torch.zeros(1, 2, 256, 256)
    assert operations(network, *shapes) <= 0.85e9


def test_errors_are_millimetres_of_each_region():
    labels, depth = scene()
    fields = {"labels": labels[None], "depth": depth[None].astype(np.float16)}
    data = PreparedSet(1, SIDE, {"seed": 0}, fields)

    def off(rows):
        found = np.where(np.isfinite(depth), depth, 0).astype(np.float16).astype(np.float32)
        return (found + np.where(labels == Label.HAIR, 0.2, 0.05))[None]

    errors = region_errors(data, 1, off)
    assert errors["mm_hair"] == pytest.approx(20, abs=0.1)
    assert errors["mm_face"] == pytest.approx(5, abs=0.1)


def test_the_mask_tells_where_the_fitted_head_is():
    depth = np.array([[np.inf, 0.5]], np.float32)
    np.testing.assert_array_equal(two_channels(depth), [[[0, 0], [0.5, 1]]])
