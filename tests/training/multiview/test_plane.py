import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training.learn.prepared import PreparedSet
from training.multiview.face_set import STORED
from training.multiview.nets import DepthAndSuitability
from training.multiview.plane import Forms, forms_of, quadratic_form, train_plane
from training.synthetic.scene import Label


def tilted(count=20):
    """Faces whose fit lacks a tilt that the picture's brightness tells."""
    labels = np.zeros((count, STORED, STORED), np.uint8)
    labels[:, 50:210, 50:210] = Label.FACE
    side = np.linspace(-1, 1, STORED)
    bright = np.linspace(0, 1, count)
    fit = np.broadcast_to(0.6 - 0.2 * side[:, None] ** 2, (count, STORED, STORED))
    truth = fit + 0.1 * (bright[:, None, None] - 0.5) * side[None, None]
    pixels = np.full((count, STORED, STORED, 3), 40, np.uint8)
    pixels += (bright * 170).astype(np.uint8)[:, None, None, None]
    fields = {"pixels": pixels, "labels": labels, "depth": truth, "model_depth": fit}
    return PreparedSet(count, STORED, {"seed": 0}, fields)


def test_the_form_is_the_squared_error():
    rng = np.random.default_rng(0)
    shape = (64, 64)
    example = {
        "weight": np.ones(shape), "depth": rng.uniform(0, 1, shape),
        "face_depth": np.dstack([rng.uniform(0, 1, shape), np.ones(shape)]),
    }  # fmt: skip
    found = rng.uniform(0, 1, shape)
    square, slope = quadratic_form(example, found)
    forms = Forms(torch.zeros(1, 1), torch.tensor(square)[None], torch.tensor(slope)[None])
    numbers = rng.normal(size=4)
    side = np.linspace(-1, 1, 64)
    plane = numbers[0] + numbers[1] * side[None] + numbers[2] * side[:, None]
    plane = plane + numbers[3] * (example["face_depth"][..., 0] - 0.75)
    missing = example["depth"] - found
    wanted = ((missing - plane) ** 2).mean() - (missing**2).mean()
    assert float(forms.cost(torch.tensor(numbers)[None])) == pytest.approx(wanted)


def test_without_a_face_nothing_counts():
    empty = {
        "weight": np.zeros((8, 8)),
        "depth": np.zeros((8, 8)),
        "face_depth": np.zeros((8, 8, 2)),
    }
    square, slope = quadratic_form(empty, np.zeros((8, 8)))
    assert not square.any()
    assert not slope.any()


def test_a_tilt_that_the_picture_tells_is_learnt():
    torch.manual_seed(1)
    network = DepthAndSuitability("light").eval().depth
    before = {name: value.clone() for name, value in network.body.state_dict().items()}
    data = tilted()
    found = train_plane(network, data, passes=40)
    assert found["at_best"] < 0
    assert found["change"] < 0.4 * found["at_best"]
    after = network.body.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_the_network_adds_plane_and_gain_to_what_the_form_saw():
    torch.manual_seed(2)
    network, data = DepthAndSuitability("light").eval().depth, tilted(4)
    for parameter in network.whole.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    rows = np.arange(4)
    forms = forms_of(network, data, rows, None)
    from training.experiments.face_depth import FaceDepthTraining

    one = FaceDepthTraining("none").example(data, 2, None)
    picture = torch.from_numpy(one["picture"]).permute(2, 0, 1)[None].float() / 255
    face = torch.from_numpy(one["face_depth"]).permute(2, 0, 1)[None]
    with torch.no_grad():
        whole, (bare, _) = network(picture, face)[0, 0], network.bare(picture, face)
        change = forms.cost(network.whole[2:](forms.features))[2]
    judged = one["weight"] > 0.5
    true = one["depth"][judged]
    wanted = ((true - whole.numpy()[judged]) ** 2).mean() - (
        (true - bare[0, 0].numpy()[judged]) ** 2
    ).mean()
    assert float(change) == pytest.approx(float(wanted), abs=1e-5)
