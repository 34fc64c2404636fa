"""The identity network as it ships."""

import numpy as np
import onnxruntime
import pytest

pytest.importorskip("torch", reason="needs the extra train")

import torch

from engines.spec import SPECS
from training.export_identity import Shipped, export_identity
from training.learn.face_identity import Features


def test_the_exported_network_answers_as_the_trained_one(tmp_path):
    torch.manual_seed(0)
    network = Features().eval()
    path = tmp_path / "face_identity.onnx"
    assert export_identity(network, path) < 5e-3
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    skin = SPECS["face_identity"].sample(3, seed=5)["skin"]
    skin[:, 3] = skin[:, 3] > 0.5
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(["features"], {"skin": skin})
    with torch.no_grad():
        wanted = Shipped(network)(torch.from_numpy(skin)).numpy()
    assert np.abs(found - wanted).max() < 5e-3
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-4)
    order = np.concatenate([skin[:, :, ::-1], skin[:, :, :1]], axis=2)[:, :, :640]
    assert np.abs(session.run(["features"], {"skin": order})[0] - found).max() > 0.02
