"""The command that builds the engines: what it prints, keeps, refuses and exits with."""

import importlib.util
import json

import numpy as np
import pytest
from engine_models import network
from onnx import load_model_from_string

import build_engines
from engines.backends import BACKENDS
from engines.compare import check_network
from engines.errors import SpecMismatchError, UserError
from engines.spec import SPECS

CPU_ENGINES = [
    name for name in ("openvino", "onnxruntime") if importlib.util.find_spec(name) is not None
]


@pytest.fixture(autouse=True)
def cache_path(tmp_path, monkeypatch):
    monkeypatch.setenv("VOLTFACE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def weights(tmp_path):
    """A folder with two of the four networks."""
    folder = tmp_path / "weights"
    folder.mkdir()
    for name in ("face_3dmm", "refine"):
        (folder / f"{name}.onnx").write_bytes(network(SPECS[name], half=True))
    return folder


def built(weights, tmp_path, *options):
    """Run it and return the exit code and the rows by network and backend."""
    path = tmp_path / "rows.json"
    path.unlink(missing_ok=True)
    code = build_engines.main(["--weights", str(weights), "--json", str(path), *options])
    rows = json.loads(path.read_text()) if path.exists() else []
    return code, {(row["network"], row["backend"]): row for row in rows}


def test_everything_that_is_installed_is_built_and_compared(weights, tmp_path, capsys):
    code, rows = built(weights, tmp_path)
    assert code == 0
    for backend in CPU_ENGINES:
        for name in ("face_3dmm", "refine"):
            row = rows[name, backend]
            assert row["state"] in ("built", "as shipped")
            assert row["bytes"] > 500
            assert row["measured"]["milliseconds"] > 0
            assert row["measured"]["mean_error"] <= row["measured"]["worst_error"] < 0.1
    assert rows["refine", "onnxruntime"]["measured"]["worst_error"] == 0
    text = capsys.readouterr().out
    assert "Not shipped yet: head_segmentation, hair_depth" in text
    assert all(f"{name} on " in text for name in CPU_ENGINES)
    assert "mean error" in text


def test_only_what_changed_is_built_again(weights, tmp_path):
    if "openvino" not in CPU_ENGINES:
        pytest.skip("openvino is not installed")
    options = ("--backend", "openvino")
    built(weights, tmp_path, *options)
    _, rows = built(weights, tmp_path, *options)
    assert {row["state"] for row in rows.values() if row["backend"]} == {"up to date"}
    (weights / "refine.onnx").write_bytes(network(SPECS["refine"], seed=1))
    _, rows = built(weights, tmp_path, *options)
    assert rows["refine", "openvino"]["state"] == "rebuilt: it was built from other weights"
    assert rows["face_3dmm", "openvino"]["state"] == "up to date"
    _, rows = built(weights, tmp_path, "refine", *options, "--anew")
    assert rows["refine", "openvino"]["state"] == "rebuilt: asked for"
    assert ("face_3dmm", "openvino") not in rows


def test_a_damaged_engine_is_built_again(weights, tmp_path, cache_path):
    if "openvino" not in CPU_ENGINES:
        pytest.skip("openvino is not installed")
    options = ("refine", "--backend", "openvino")
    built(weights, tmp_path, *options)
    (file,) = (cache_path / "engines").glob("*.bin")
    file.write_bytes(file.read_bytes()[:-1])
    code, rows = built(weights, tmp_path, *options)
    assert code == 0
    assert rows["refine", "openvino"]["state"] == "rebuilt: its file is damaged"


@pytest.mark.parametrize("backend", CPU_ENGINES)
def test_int8_is_calibrated_on_the_frames_that_are_given(weights, tmp_path, backend):
    path = tmp_path / "frames.npz"
    samples = [SPECS["refine"].sample(seed=seed) for seed in range(4)]
    arrays = {name: np.concatenate([item[name] for item in samples]) for name in samples[0]}
    np.savez(path, **arrays)
    options = ("refine", "--backend", backend, "--precision", "int8", "--frames", str(path))
    code, rows = built(weights, tmp_path, *options)
    if "int8" not in BACKENDS[backend].precisions():
        assert code == 2
        return
    assert code == 0
    assert rows["refine", backend]["measured"]["mean_error"] < 0.03
    np.savez(path, **{name: array[:2] for name, array in arrays.items()})
    _, rows = built(weights, tmp_path, *options)
    assert "other frames" in rows["refine", backend]["state"]


def refused(capsys, *arguments):
    """Return the one message of a request that cannot be met."""
    assert build_engines.main(list(arguments)) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("build_engines.py: ")
    return lines[0]


def test_requests_that_cannot_be_met_end_in_one_message(weights, tmp_path, capsys, monkeypatch):
    at = ("--weights", str(weights))
    assert "Known are: head_segmentation" in refused(capsys, "nonsense")
    assert "not built: hair_depth" in refused(capsys, "hair_depth", *at)
    options = ("refine", "--backend", "onnxruntime", "--precision", "bf16")
    if "bf16" not in BACKENDS["onnxruntime"].precisions():
        assert "for onnxruntime in bf16: on" in refused(capsys, *options, *at)
    gone = str(tmp_path / "gone")
    assert "cannot write" in refused(capsys, "hair_depth", *at, "--json", f"{gone}/rows.json")
    (weights / "refine.onnx").write_bytes(b"nothing")
    assert "refine.onnx is damaged" in refused(capsys, "refine", *at)
    (weights / "refine.onnx").write_bytes(network(SPECS["face_3dmm"]))
    assert "does not fit its spec" in refused(capsys, "refine", *at)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install tensorrt" in refused(capsys, "--backend", "tensorrt", *at)
    assert "no engine is installed" in refused(capsys, *at)


def test_wrong_arguments_are_refused(capsys):
    with pytest.raises(SystemExit) as caught:
        build_engines.main(["--backend", "abacus"])
    assert caught.value.code == 2
    assert "abacus" in capsys.readouterr().err


def test_an_engine_that_fails_does_not_stop_the_others(weights, tmp_path, monkeypatch, capsys):
    def fail(*_):
        raise RuntimeError("out of luck\nand more")

    monkeypatch.setattr(type(BACKENDS["openvino"]), "build", fail)
    if "openvino" not in CPU_ENGINES:
        pytest.skip("openvino is not installed")
    code, rows = built(weights, tmp_path, "refine")
    assert code == 2
    assert rows["refine", "openvino"]["state"] == "failed: out of luck"
    assert rows["refine", "onnxruntime"]["measured"]
    assert "refine was not built for openvino in " in capsys.readouterr().err


def test_real_frames_come_from_pictures(tmp_path):
    from stream.media import write_picture

    spec = SPECS["refine"]
    random = np.random.default_rng(0)
    for name in ("one.png", "two.png"):
        write_picture(tmp_path / name, random.integers(0, 255, (90, 160, 3), dtype=np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    frames = build_engines.input_frames(spec, tmp_path)
    assert len(frames) == 4
    for frame in frames:
        arrays, batch = spec.checked(frame)
        assert batch == 1
        assert 0 <= arrays["picture"].min() < arrays["picture"].max() <= 1
    assert np.array_equal(frames[0]["picture"], frames[2]["picture"][..., ::-1])
    default = build_engines.input_frames(spec, None)
    assert default[0]["picture"].std() > 0.05


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"other": np.zeros(3)}, "no frames for refine"),
        ({"picture": np.zeros((2, 3, 8, 8))}, "do not fit"),
        (None, "cannot read the frames"),
    ],
)
def test_frames_that_do_not_fit_are_refused(tmp_path, content, said):
    path = tmp_path / "frames.npz"
    if content is None:
        path.write_bytes(b"no arrays")
    else:
        np.savez(path, **content)
    with pytest.raises(UserError, match=said):
        build_engines.input_frames(SPECS["refine"], path)


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(UserError, match="it holds no picture"):
        build_engines.input_frames(SPECS["refine"], tmp_path)


def test_networks_are_checked_against_their_spec():
    spec = SPECS["hair_depth"]
    data = network(spec)
    check_network(spec, data)
    model = load_model_from_string(data)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    with pytest.raises(SpecMismatchError, match="picture has the shape"):
        check_network(spec, model.SerializeToString())
    model = load_model_from_string(data)
    model.graph.node[0].op_type = "NoSuchThing"
    with pytest.raises(SpecMismatchError, match="damaged"):
        check_network(spec, model.SerializeToString())


def test_sizes_that_an_exporter_leaves_open_are_worked_out():
    spec = SPECS["hair_depth"]
    model = load_model_from_string(network(spec))
    for index, name in ((2, "height"), (3, "width")):
        model.graph.output[0].type.tensor_type.shape.dim[index].dim_param = name
    check_network(spec, model.SerializeToString())
    other = load_model_from_string(network(SPECS["refine"]))
    other.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "channels"
    del other.graph.node[-1].input[1]
    other.graph.node[-1].input.append("first")  # eight channels come out, not three
    with pytest.raises(SpecMismatchError):
        check_network(SPECS["refine"], other.SerializeToString())
