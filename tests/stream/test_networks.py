import pytest
from engine_models import network

from engines.errors import NotShippedError
from engines.spec import SPECS
from stream.errors import UserError
from stream.networks import LIVE, Networks, NetworkSettings


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A folder with two of the four networks."""
    monkeypatch.setenv("VOLTFACE_CACHE", str(tmp_path / "cache"))
    for name in ("head_segmentation", "hair_depth"):
        (tmp_path / f"{name}.onnx").write_bytes(network(SPECS[name]))
    return tmp_path


def test_what_is_shipped_is_opened_and_the_rest_left_to_the_analytic_stages(weights):
    networks = Networks(NetworkSettings(), "onnxruntime", weights)
    assert networks.get("hair_depth") is not None
    assert networks.get("refine") is None
    assert set(networks.as_stats) == {"head_segmentation", "hair_depth"}
    networks.close()
    assert networks.get("hair_depth") is None
    networks.close()  # twice does no harm


def test_a_network_that_is_switched_off_is_not_opened(weights):
    settings = NetworkSettings(hair_depth=False)
    with Networks(settings, "onnxruntime", weights) as networks:
        assert networks.get("hair_depth") is None
        assert networks.get("head_segmentation") is not None


def test_an_engine_that_cannot_run_here_is_an_error_with_a_remedy(weights):
    with pytest.raises(UserError) as raised:
        Networks(NetworkSettings(), "no-such-engine", weights)
    assert raised.value.remedy


def test_networks_that_run_beside_the_path_take_one_thread(weights, monkeypatch):
    asked = {}

    def opened(spec, choice, *, threads, weights):
        asked[spec.name] = threads
        raise NotShippedError(spec.name, "this is a test", "none is needed")

    monkeypatch.setattr("stream.networks.open_engine", opened)
    Networks(NetworkSettings(), "auto", weights, needed=(*LIVE, "face_depth"))
    assert asked == dict.fromkeys(LIVE, 1) | {"face_depth": 2}
