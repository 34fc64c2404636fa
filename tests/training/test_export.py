"""From a checkpoint to the file that ships."""

import numpy as np
import onnx
import pytest

pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("threadpoolctl", reason="needs the extra train")

import torch

from engines.compare import check_network
from engines.spec import SPECS
from training import export
from training.__main__ import NETWORKS, experiment_of


@pytest.fixture
def untrained(monkeypatch):
    def load(experiment, checkpoint):
        torch.manual_seed(0)
        return experiment.build("light").eval(), {"step": 3}

    monkeypatch.setattr(export, "load", load)


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_exported_fits_its_spec(untrained, tmp_path, name):
    path = tmp_path / f"{name}.onnx"
    facts = export.export(experiment_of(name), tmp_path / "checkpoint.pt", path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    check_network(SPECS[name], path.read_bytes())
    model = onnx.load(str(path))
    for tensor, output in zip(SPECS[name].outputs, model.graph.output, strict=True):
        sizes = [dim.dim_value for dim in output.type.tensor_type.shape.dim]
        assert sizes[1:] == list(tensor.shape[1:])
        assert not sizes[0]  # any number of faces
    weights = sum(np.prod(tensor.dims) for tensor in model.graph.initializer)
    assert path.stat().st_size < 2.5 * weights + 100_000  # two bytes each
    assert facts["steps"] == 3 and 0 <= facts["difference"] < 2e-3 and 0 <= facts["half"] < 2e-2


def test_a_network_that_computes_otherwise_is_not_shipped(untrained, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "_difference", lambda *_: 1.0)
    path = tmp_path / "head_segmentation.onnx"
    path.write_bytes(b"the one before")
    with pytest.raises(ValueError, match="differs from torch"):
        export.export(experiment_of("head_segmentation"), tmp_path / "checkpoint.pt", path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"the one before"
