"""Networks, losses, examples and measures of pix2vertex."""

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

import onnxruntime

from stream.geometry import pinhole_camera
from training.experiments.pix2vertex import Pix2Vertex, supervised
from training.export import export
from training.learn.prepared import PreparedSet
from training.nets.unet import operations
from training.pix2vertex.examples import CropVariation, example
from training.pix2vertex.losses import masked_l1, normal_loss, normals
from training.pix2vertex.measure import depth_errors, fitted_depth
from training.pix2vertex.nets import (
    LightNet,
    Maps,
    PaperNet,
    _without_grid,
    begun_from_segmentation,
)
from training.pix2vertex.translate import Translation, TranslationConfig, geometric_loss


def plane_set(size=96):
    """One sample: a tilted plane at 600 mm whose canonical place is its own place."""
    camera = pinhole_camera(size, size)
    rows, columns = np.indices((size, size)) + 0.5
    rays = np.stack([columns, rows, np.ones_like(rows)], -1) @ np.linalg.inv(camera).T
    depth = 600 / (1 - 0.2 * rays[..., 0])
    places = rays * depth[..., None]
    pose = np.eye(4)
    pose[2, 3] = 600
    relative = places - [0, 0, 600]
    points = np.random.default_rng(0).uniform(30, 66, (478, 3))
    labels = np.zeros((size, size), np.uint8)
    labels[20:76, 20:76] = 1
    fields = {
        "pixels": np.full((size, size, 3), 128, np.uint8),
        "labels": labels,
        "depth": ((depth - 600) / 100).astype(np.float32),
        "canonical": (relative / 100).astype(np.float16),
        "points478": points.astype(np.float32),
        "camera_from_head": pose.astype(np.float32),
        "intrinsics": camera.astype(np.float32),
    }
    return PreparedSet(1, size, {}, {name: value[None] for name, value in fields.items()})


@pytest.mark.parametrize("seed", [None, 0, 1, 5])
def test_examples_show_one_surface_however_they_are_cut(seed):
    rng = None if seed is None else np.random.default_rng(seed)
    one = example(plane_set(), 0, 96, rng, CropVariation())
    rim = {"borderType": cv2.BORDER_CONSTANT, "borderValue": 0.0}  # where values are less exact
    inside = cv2.erode(one["mask"][..., 0], np.ones((9, 9), np.uint8), **rim) > 0
    points, places = one["points"][inside], one["correspondence"][inside]
    assert inside.sum() > 300
    # The sample's own canonical places are its places in space: the two differ by a rigid motion,
    # which a mirrored example has mirrored on both sides.
    system = np.column_stack([places, np.ones(len(places))])
    motion, *_ = np.linalg.lstsq(system[:, [0, 1, 3]], points, rcond=None)
    assert np.abs(system[:, [0, 1, 3]] @ motion - points).max() < 5e-3
    spans = np.linalg.norm(points - points.mean(0), axis=1)
    wanted = np.linalg.norm(places - places.mean(0), axis=1)
    np.testing.assert_allclose(spans, wanted, atol=5e-3)


def test_the_paper_network_has_the_architecture_of_supplement_a():
    network = PaperNet("depth")
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [m.out_channels for m in convolutions[:8]] == [64, 128, 256, 512, 512, 512, 512, 512]
    assert all(m.kernel_size == (4, 4) and m.stride == (2, 2) for m in convolutions[:8])
    assert [(m.out_channels, m.kernel_size) for m in convolutions[8:]] == [
        (64, (1, 1)), (32, (1, 1)), (4, (1, 1)),
    ]  # fmt: skip
    ups = [m for m in network.modules() if isinstance(m, torch.nn.ConvTranspose2d)]
    assert [m.out_channels for m in ups] == [512, 512, 512, 512, 512, 256, 128, 64]
    assert sum(isinstance(m, torch.nn.Dropout) for m in network.modules()) == 3


def test_both_networks_of_the_paper_answer_at_512():
    with torch.no_grad():
        for finds in ("depth", "correspondence"):
            network = PaperNet(finds, narrow=16).eval()
            found = network(torch.rand(1, 3, 512, 512))
            assert found.mask.shape == (1, 1, 512, 512)
            assert (found.points is None) == (finds == "correspondence")
            assert (found.correspondence is None) == (finds == "depth")


def test_the_light_network_is_light_and_free_of_the_folds_grid():
    network = LightNet().eval()
    assert operations(network, torch.zeros(1, 3, 256, 256)) < 0.8e9
    tile = torch.rand(1, 6, 4, 4)
    flat = _without_grid(tile.repeat(1, 1, 8, 8))[..., 4:-4, 4:-4]
    assert torch.allclose(flat, tile.mean(dim=(2, 3), keepdim=True).expand_as(flat), atol=1e-6)
    ramp = torch.arange(32.0).expand(1, 6, 32, 32)
    assert torch.allclose(_without_grid(ramp)[..., 2:-2], ramp[..., 2:-2], atol=1e-4)


def test_it_begins_with_what_segmentation_sees():
    from training.experiments.head_segmentation import HeadSegmentation

    weights = HeadSegmentation().build("light").state_dict()
    network = begun_from_segmentation(weights)
    stem = network.state_dict()["body.stem.0.weight"]
    assert torch.equal(stem[:, :48], weights["body.stem.0.weight"])
    assert stem[:, 48:].abs().max() == 0


def test_normals_of_a_plane():
    rows, columns = torch.meshgrid(torch.arange(5.0), torch.arange(6.0), indexing="ij")
    plane = torch.stack([columns, rows, 0.5 * columns])[None]
    found = normals(plane)
    wanted = torch.tensor([0.5, 0.0, -1.0]) / np.sqrt(1.25)
    assert found.shape == (1, 3, 4, 5)
    assert torch.allclose(found, wanted.view(1, 3, 1, 1).expand_as(found), atol=1e-6)


def test_the_normal_loss_is_the_l1_of_equation_1_and_ignores_x_and_y():
    rows, columns = torch.meshgrid(torch.arange(6.0), torch.arange(6.0), indexing="ij")
    true = torch.stack([columns, rows, 0 * rows])[None]
    tilted = torch.stack([columns + 9, 2 * rows, columns])[None]
    mask = torch.ones(1, 1, 6, 6)
    mask[..., 0] = 0
    wanted = 1 / np.sqrt(2) + 1 - 1 / np.sqrt(2)
    assert float(normal_loss(tilted, true, mask)) == pytest.approx(wanted, rel=1e-4)
    assert float(normal_loss(true + 3, true, mask)) == pytest.approx(0, abs=1e-5)


def test_losses_look_at_the_face_alone():
    found, true = torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., :2] = 1
    true[..., 2:] = 100
    assert float(masked_l1(found, true, mask)) == pytest.approx(1.0)
    assert float(masked_l1(found, true, 0 * mask)) == 0


def test_the_terms_are_weighed_as_in_supplement_a():
    true = torch.rand(1, 3, 8, 8)
    batch = {
        "picture": torch.rand(1, 3, 8, 8),
        "points": true,
        "correspondence": true,
        "mask": torch.ones(1, 1, 8, 8),
        "matched": torch.ones(1, 1, 8, 8),
    }
    maps = Maps(true + 0.01, torch.full((1, 1, 8, 8), 0.999), true - 0.02)
    terms = supervised(maps, batch)
    assert float(terms["points"]) == pytest.approx(1.0, rel=1e-3)
    assert float(terms["correspondence"]) == pytest.approx(2.0, rel=1e-3)
    relief = float(normal_loss(maps.points, true, batch["mask"]))
    assert float(terms["normals"]) == pytest.approx(10 * relief)
    assert "points" not in supervised(Maps(None, maps.mask, true), batch)


def test_training_lowers_the_loss():
    torch.manual_seed(0)
    task, data = Pix2Vertex(), plane_set()
    network = task.build("light")
    from training.learn.loop import collated

    batch = collated([task.example(data, 0, None)] * 2)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    totals = []
    for _ in range(12):
        total = sum(task.loss(network, batch).values())
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(float(total.detach()))
    assert totals[-1] < 0.9 * totals[0]


def test_depth_is_judged_after_scale_and_shift():
    rng = np.random.default_rng(0)
    true = rng.uniform(500, 600, 3000)
    found = 0.3 * true - 20
    wrong = rng.random(3000) < 0.2
    found[wrong] += rng.normal(0, 50, wrong.sum())
    scale, shift = fitted_depth(found, true, np.random.default_rng(1))
    assert (scale, shift) == (pytest.approx(1 / 0.3, rel=1e-2), pytest.approx(20 / 0.3, rel=0.05))
    assert np.median(depth_errors(found, true)) < 0.1
    assert depth_errors(true, true).max() < 1e-6


def test_onnx_equals_torch(tmp_path):
    torch.manual_seed(0)
    task = Pix2Vertex()
    kept = {"network": task.build("light").state_dict(), "variant": "light", "step": 1}
    torch.save(kept | {"seconds": 0.0}, tmp_path / "checkpoint.pt")
    facts = export(task, tmp_path / "checkpoint.pt", tmp_path / "pix2vertex.onnx")
    assert facts["difference"] < 2e-3
    assert facts["megabytes"] < 8
    session = onnxruntime.InferenceSession(str(tmp_path / "pix2vertex.onnx"))
    assert [value.name for value in session.get_outputs()] == list(task.outputs)


def test_the_constraint_is_zero_for_what_did_not_change_and_spares_the_network():
    torch.manual_seed(0)
    network = LightNet()
    training = Translation(network, TranslationConfig())
    before = torch.rand(2, 3, 64, 64)
    assert float(geometric_loss(training.network, before, before)) == 0
    after = before.clone().requires_grad_()
    (geometric_loss(training.network, before, after * 0.5) + 0.0).backward()
    assert after.grad.abs().max() >= 0
    assert all(weight.grad is None for weight in network.parameters())


def test_the_constraint_holds_the_translation_back():
    torch.manual_seed(0)
    network = LightNet()
    with torch.no_grad():
        network.last[-1].bias[6] = 3.0  # a face everywhere
        network.last[-1].weight.mul_(50)  # so that its geometry depends on the picture
    synthetic, real = torch.rand(2, 3, 64, 64) * 0.3, torch.rand(2, 3, 64, 64) * 0.3 + 0.6
    changes = []
    for weight in (0.0, 3000.0):
        config = TranslationConfig(geometry=weight, rate=2e-3)
        training = Translation(network, config)
        for _ in range(12):
            terms = training.learn(synthetic, real)
        changes.append(terms["geometry_mm"])
    assert changes[0] > 0
    assert changes[1] < 0.7 * changes[0]
