import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engines.spec import SPECS
from stream.reconstruct.face_depth import OFFSET, SIZE
from training.experiments.face_depth import (
    FaceDepthTraining,
    known,
    pair_terms,
    picture_errors,
    sample_crop,
    varied,
)
from training.learn.loop import collated
from training.learn.prepared import PreparedSet
from training.multiview.face_set import STORED, astray
from training.nets.unet import operations
from training.synthetic.scene import Label


def stored(count=3):
    """Slanted faces with a fit that is off by 0.02; the rim is background."""
    rng = np.random.default_rng(0)
    labels = np.zeros((count, STORED, STORED), np.uint8)
    labels[:, 60:200, 60:200] = Label.FACE
    slope = np.linspace(0.4, 0.8, STORED)[None, None].repeat(count, 0).repeat(STORED, 1)
    depth = np.where(labels > 0, slope, np.inf)
    return {
        "pixels": rng.integers(0, 255, (count, STORED, STORED, 3)).astype(np.uint8),
        "labels": labels,
        "depth": depth.astype(np.float16),
        "model_depth": (depth + 0.02).astype(np.float16),
    }


def face_set(pairs=False):
    fields = stored()
    whole = PreparedSet(3, STORED, {"seed": 0}, fields)
    if not pairs:
        return whole
    intrinsics = np.array([[500.0, 0, 128], [0, 500, 128], [0, 0, 1]])
    pose = np.eye(4)
    pose[2, 3] = 600
    double = {
        "pixels": fields["pixels"][[[0, 0], [1, 1]]],
        "model_depth": fields["model_depth"][[[0, 0], [1, 1]]],
        "intrinsics": np.tile(intrinsics, (2, 2, 1, 1)),
        "camera_from_head": np.tile(pose, (2, 2, 1, 1)),
        "tip_mm": np.full((2, 2), 500.0),
        "ray": np.tile([0.0, 0, 1], (2, 2, 1)),
        "real": np.array([False, True]),
    }
    return PreparedSet(3, STORED, {"seed": 0}, fields, double)


class Echo(torch.nn.Module):
    """Answers with the fit; everything is half suitable."""

    def forward(self, picture, face_depth, *, suitable=False):
        depth = face_depth[:, :1]
        return (depth, 0.5 + 0 * picture[:, 0]) if suitable else depth


def test_a_nearer_crop_has_more_relief():
    arrays = {name: value[0] for name, value in stored().items() if name != "model_depth"}
    rng = np.random.default_rng(3)
    _, zoom = sample_crop(STORED, np.random.default_rng(3))
    seen = varied(arrays, rng)
    finite = np.isfinite(seen["depth"])
    low, high = np.float32(arrays["depth"][np.isfinite(arrays["depth"])][[0, -1]])
    values = seen["depth"][finite]
    assert values.min() == pytest.approx(OFFSET + zoom * (low - OFFSET), abs=2e-3)
    assert values.max() <= OFFSET + zoom * (high - OFFSET) + 2e-3


def test_without_a_generator_the_middle_is_seen_as_it_is():
    data = face_set()
    one = FaceDepthTraining().example(data, 1, None)
    edge = (STORED - SIZE) // 2
    np.testing.assert_array_equal(one["picture"], data["pixels"][1][edge:-edge, edge:-edge])
    assert one["face_depth"].shape == (SIZE, SIZE, 2)


def test_only_what_is_known_counts_and_the_face_most():
    labels = np.array([[Label.FACE, Label.NECK, Label.BACKGROUND, Label.FACE]], np.uint8)
    depth = np.array([[0.5, 0.5, 0.5, np.inf]])
    weight = known(depth, labels)[0]
    assert weight[0] == 1
    assert 0 < weight[1] < 1
    assert weight[2] == weight[3] == 0


def test_the_terms_of_the_echo_are_those_of_the_fit():
    experiment, data = FaceDepthTraining("none"), face_set()
    rng = np.random.default_rng(1)
    batch = collated([experiment.example(data, i, rng) for i in range(3)])
    terms = experiment.loss(Echo(), batch)
    assert set(terms) == {"depth", "relief", "normals", "model"}
    assert float(terms["depth"]) == pytest.approx(2 * 0.02, rel=0.2)  # zoomed by up to 12 %
    assert float(terms["model"]) == 0


@pytest.mark.parametrize(("kinds", "reals"), [("all", {0, 1}), ("synthetic", {0}), ("none", set())])
def test_pairs_are_of_the_kind_that_was_asked_for(kinds, reals):
    assert set(FaceDepthTraining(kinds)._pairs_of(face_set(pairs=True)).tolist()) == reals


def test_two_equal_views_agree_in_every_crop():
    experiment, data = FaceDepthTraining(), face_set(pairs=True)
    rng = np.random.default_rng(2)
    batch = collated([experiment.example(data, 0, rng) for _ in range(4)])
    terms = pair_terms(Echo(), batch)
    assert float(terms["photo"]) < 0.01  # noise, sampled at its own pixels
    assert float(terms["suitability"]) == pytest.approx(0.5)


def test_views_that_disagree_cost_colour():
    experiment, data = FaceDepthTraining("synthetic"), face_set(pairs=True)
    data.pairs["pixels"][0, 1] = 255 - data.pairs["pixels"][0, 0]
    batch = collated([experiment.example(data, 0, np.random.default_rng(2)) for _ in range(2)])
    assert float(pair_terms(Echo(), batch)["photo"]) > 0.05


def test_errors_are_percent_of_the_range_after_scale_and_shift():
    data = face_set()
    rows = np.arange(3)
    examples = [FaceDepthTraining().example(data, int(row), None) for row in rows]
    true = np.stack([np.where(np.isfinite(one["depth"]), one["depth"], 0) for one in examples])
    scaled = picture_errors(0.3 * true + 0.1, data, rows)
    np.testing.assert_allclose(scaled, 0, atol=0.2)
    waves = true + 0.02 * np.sign(np.sin(np.arange(SIZE)))[:, None]
    assert all(3 < found < 12 for found, _ in picture_errors(waves, data, rows))


def test_a_fit_that_is_far_off_is_left_out():
    one = {name: value[0] for name, value in stored().items()}
    assert not astray(one)
    assert astray(one | {"model_depth": (one["depth"] + 0.3).astype(np.float16)})
    assert astray(one | {"labels": np.zeros_like(one["labels"])})


def test_the_light_network_keeps_its_budget_and_its_spec():
    network = FaceDepthTraining().build("light").eval()
    sample = SPECS["face_depth"].sample()
    given = [torch.from_numpy(sample[name]) for name in FaceDepthTraining.inputs]
    assert operations(network, *given) <= 0.8e9
    with torch.no_grad():
        assert network(*given).shape == SPECS["face_depth"].outputs[0].sized(1)


def test_the_paper_network_takes_its_size_and_ignores_the_fit():
    network = FaceDepthTraining().build("paper").eval()
    picture = torch.rand(1, 3, 90, 90)
    with torch.no_grad():
        found = [network(picture, torch.full((1, 2, 90, 90), value)) for value in (0.0, 1.0)]
    assert found[0].shape == (1, 1, 90, 90)
    assert torch.equal(*found)
    assert 0 <= float(found[0].min()) <= float(found[0].max()) <= 1


def test_every_part_of_both_networks_learns():
    torch.manual_seed(0)
    network, data = FaceDepthTraining().build("light").train(), face_set(pairs=True)
    data.pairs["pixels"][0, 1] = np.roll(data.pairs["pixels"][0, 0], 5, axis=1)
    experiment = FaceDepthTraining("synthetic")
    batch = collated([experiment.example(data, i, np.random.default_rng(i)) for i in range(2)])
    sum(experiment.loss(network, batch).values()).backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None]
    assert not silent
    assert any(float(p.grad.abs().max()) > 0 for p in network.suitability.parameters())
