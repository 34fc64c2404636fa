import numpy as np
import pytest

torch = pytest.importorskip("torch")

from stream.face_3dmm import SIZE, Crop, crop_ray, pose_in_crop
from stream.geometry import project, rigid_transform, rotation_from_angles, transform_points
from stream.head_model import load_head_model
from stream.pose import ray_rotation
from training.experiments.face_3dmm import OUTPUTS
from training.learn.face_geometry import FaceGeometry
from training.learn.prepared import PreparedSet
from training.multiview.face_set import STORED
from training.multiview.model_net import ModelNetConfig, batch_of, landmarks_of, pair_loss

COUNT = 2


@pytest.fixture(scope="module")
def heads():
    """Pairs of views whose landmarks are those of a known head in a known pose."""
    rng, model = np.random.default_rng(0), load_head_model()
    rows = {name: [] for name in ("points478", "identity", "expression", "camera_from_head")}
    camera = np.array([[600.0, 0, 140], [0, 600, 120], [0, 0, 1]])
    for _ in range(COUNT):
        identity = rng.normal(size=80).astype(np.float32)
        expression = np.zeros(52, np.float32)
        for number in range(2):
            turn = rotation_from_angles(20 - 30 * number, 5, -4)
            pose = rigid_transform(turn, np.array([5.0, -8, 640]))
            points = transform_points(pose, model.points478(identity).astype(np.float64))
            rows["points478"].append(project(points, camera))
            rows["identity"].append(identity)
            rows["expression"].append(expression)
            rows["camera_from_head"].append(pose)
    pairs = {name: np.stack(v).reshape(COUNT, 2, *v[0].shape) for name, v in rows.items()}
    pairs["pixels"] = rng.integers(0, 255, (COUNT, 2, STORED, STORED, 3)).astype(np.uint8)
    pairs["intrinsics"] = np.tile(camera, (COUNT, 2, 1, 1))
    pairs["real"] = np.array([False, True])
    return PreparedSet(0, STORED, {}, {}, pairs)


def truth(heads, batch):
    """What a perfect network would answer."""
    scale = SIZE / STORED
    found = {name: torch.zeros(2 * COUNT, width) for name, width in OUTPUTS.items()}
    for row in range(2 * COUNT):
        intrinsics = np.diag([scale, scale, 1]) @ heads.pairs["intrinsics"][row // 2, row % 2]
        pose = heads.pairs["camera_from_head"][row // 2, row % 2]
        rotation, place = pose_in_crop(pose, Crop(SIZE / 2, SIZE / 2, SIZE), intrinsics)
        found["rotation"][row] = torch.from_numpy(rotation)
        found["place"][row] = torch.from_numpy(place)
    return found | {"identity": batch["identity"], "expression": batch["expression"]}


class Fixed(torch.nn.Module):
    def __init__(self, found):
        super().__init__()
        self.found = found

    def forward(self, picture):
        return tuple(self.found[name] for name in OUTPUTS)


def test_the_true_head_projects_onto_its_landmarks(heads):
    batch = batch_of(heads, np.arange(COUNT), None)
    places = landmarks_of(FaceGeometry(torch.device("cpu")), truth(heads, batch), batch)
    assert float((places - batch["points"][:, :468]).abs().max()) < 1e-3


def test_the_loss_is_the_sum_of_three(heads):
    batch = batch_of(heads, np.arange(COUNT), None)
    geometry, config = FaceGeometry(torch.device("cpu")), ModelNetConfig()
    found = truth(heads, batch)
    terms = pair_loss(Fixed(found), geometry, batch, config)
    assert set(terms) == {"parameters", "pair", "landmarks"}
    assert all(float(value) < 0.02 for value in terms.values())
    other = found | {"identity": found["identity"] + torch.tensor([[0.5], [-0.5]] * COUNT)}
    off = pair_loss(Fixed(other), geometry, batch, config)
    assert float(off["parameters"]) == pytest.approx(0.5, abs=1e-3)
    assert float(off["pair"]) == pytest.approx(config.pair * 1.0, abs=1e-3)
    assert float(off["landmarks"]) > 0.05
    smile = found | {"expression": found["expression"] + 0.2}
    assert float(pair_loss(Fixed(smile), geometry, batch, config)["parameters"]) == pytest.approx(
        0.1, abs=1e-3
    )  # one of the two pairs is real: its expression is not known


def test_a_crop_that_is_shifted_keeps_its_truth(heads):
    batch = batch_of(heads, np.arange(COUNT), np.random.default_rng(4))
    ray = ray_rotation(crop_ray(Crop(0, 0, 1), np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])))
    assert batch["ray"].shape[1:] == ray.shape
    centre, focal = batch["camera"][:, 1:], batch["camera"][:, 0]
    camera = batch_of(heads, np.arange(COUNT), None)["camera"]
    assert float((centre - camera[:, 1:]).abs().max()) > 0.005
    spread = batch["points"].std(dim=1).norm(dim=1) / focal  # zoom goes into the focal length
    plain = batch_of(heads, np.arange(COUNT), None)
    torch.testing.assert_close(
        spread, plain["points"].std(dim=1).norm(dim=1) / plain["camera"][:, 0], rtol=1e-4, atol=0
    )
