"""Every backend gives the same answers; those that cannot run here skip and say why."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from engine_models import network

from engines import probe
from engines.backends import BACKENDS, candidates
from engines.engine import check_signature
from engines.errors import EngineAbsentError, SpecMismatchError, UserError
from engines.onnxruntime_backend import OnnxRuntimeBackend
from engines.opening import open_engine
from engines.precision import with_precision
from engines.spec import PRECISIONS, SPECS
from engines.tiny import TINY, TINY_ONNX, TOLERANCE, tiny_answer, tiny_input

# Mean absolute error that a precision may have, in units of outputs that are around 1.
MEAN_ERROR = {"fp32": 1e-5, "fp16": 2e-3, "bf16": 1e-2, "int8": 3e-2}


def ready(name):
    """Return a backend that can run here, or skip with its own reason."""
    try:
        BACKENDS[name].require()
    except EngineAbsentError as absent:
        pytest.skip(str(absent))
    return BACKENDS[name]


@pytest.fixture(scope="module")
def answers(weights):
    """What ONNX Runtime gives in fp32, for a batch of three."""
    found = {}
    for name, spec in SPECS.items():
        data = (weights / spec.file_name).read_bytes()
        with OnnxRuntimeBackend().open_on("CPUExecutionProvider", spec, data, "fp32") as engine:
            found[name] = engine(**spec.sample(3))
    return found


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("network_name", SPECS)
@pytest.mark.parametrize("name", BACKENDS)
def test_all_backends_agree(name, network_name, precision, weights, answers):
    backend, spec = ready(name), SPECS[network_name]
    if precision not in backend.precisions():
        pytest.skip(f"{name} does not compute in {precision} on {backend.device()}")
    with open_engine(spec, name, threads=1, precision=precision, weights=weights) as engine:
        assert (engine.backend, engine.precision) == (name, precision)
        assert engine.description.startswith(f"{network_name}: {name} on {engine.device}, ")
        assert engine.as_stats == {
            "backend": name,
            "device": engine.device,
            "precision": precision,
        }
        given = engine(**spec.sample(3))
        alone = engine(**spec.sample(1))
        again = engine(**spec.sample(3))
    for tensor in spec.outputs:
        array, wanted = given[tensor.name], answers[network_name][tensor.name]
        assert array.shape == tensor.sized(3)
        assert array.dtype == np.float32
        assert np.abs(array - wanted).mean() < MEAN_ERROR[precision] * max(1, np.abs(wanted).max())
        assert alone[tensor.name].shape == tensor.sized(1)
        assert np.array_equal(array, again[tensor.name]), "an earlier answer was overwritten"
        assert not np.shares_memory(array, again[tensor.name])


@pytest.mark.parametrize("name", ["tensorrt", "tensorrt-rtx"])
@pytest.mark.parametrize("network_name", SPECS)
def test_what_needs_no_card_builds_ahead_of_time(name, network_name, weights):
    """TensorRT for RTX builds on any machine that has the package; TensorRT needs its card."""
    backend, spec = BACKENDS[name], SPECS[network_name]
    try:
        backend.require_package()
        if name == "tensorrt":
            backend.require()
    except EngineAbsentError as absent:
        pytest.skip(str(absent))
    data = (weights / spec.file_name).read_bytes()
    for precision in backend.precisions():
        built = backend.build(spec, data, precision, ())
        assert len(built) > 1000


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_an_engine_is_strict_about_its_inputs(name, weights):
    spec = SPECS["refine"]
    ready(name)
    engine = open_engine(spec, name, weights=weights)
    sample = spec.sample()
    with pytest.raises(ValueError, match="takes"):
        engine(picture=sample["picture"])
    with pytest.raises(ValueError, match="masks is"):
        engine(picture=sample["picture"], masks=sample["masks"][:, :3])
    empty = engine(**{key: array[:0] for key, array in sample.items()})
    assert empty["refined"].shape == (0, 3, 256, 256)
    engine.close()
    engine.close()
    with pytest.raises(RuntimeError, match="closed"):
        engine(**sample)


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_threads_may_call_at_the_same_time(name, weights):
    spec = SPECS["face_3dmm"]
    ready(name)
    samples = [spec.sample(seed=seed) for seed in range(8)]
    with open_engine(spec, name, threads=1, weights=weights) as engine:
        wanted = [engine(**sample)["identity"] for sample in samples]
        with ThreadPoolExecutor(4) as pool:
            given = list(pool.map(lambda sample: engine(**sample)["identity"], samples))
    for one, other in zip(given, wanted, strict=True):
        assert np.allclose(one, other, atol=1e-6)


def test_the_number_of_threads_is_taken(weights):
    ready("openvino")
    for threads in (1, 2):
        with open_engine(SPECS["refine"], "openvino", threads, weights=weights) as engine:
            assert engine.threads == threads


def test_openvino_is_used_without_its_telemetry():
    ready("openvino")
    code = (
        "import sys, engines.openvino_backend as backend; backend.OpenVinoBackend().device(); "
        "sys.exit(any(name.startswith('openvino_telemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_openvino_reports_what_really_computes(weights):
    backend = ready("openvino")
    with open_engine(SPECS["refine"], "openvino", weights=weights) as engine:
        assert engine.precision == ("bf16" if "bf16" in backend.precisions() else "fp32")
    with open_engine(SPECS["refine"], "openvino", precision="fp32", weights=weights) as engine:
        assert engine.precision == "fp32"


@pytest.mark.parametrize("name", BACKENDS)
def test_a_package_that_is_absent_is_named_with_the_command_that_installs_it(name, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
    with pytest.raises(EngineAbsentError) as caught:
        BACKENDS[name].require()
    assert f"{sys.executable} -m pip install" in caught.value.remedy
    assert BACKENDS[name].packages[0] in caught.value.remedy


def test_an_unknown_backend_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match="tensorrt, tensorrt-rtx, openvino, onnxruntime"):
        candidates("abacus")


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_a_network_of_other_shapes_is_refused(name):
    backend = ready(name)
    other = network(SPECS["head_segmentation"])
    with pytest.raises(SpecMismatchError, match="inputs are"):
        backend.open(SPECS["refine"], backend.build(SPECS["refine"], other, "fp32", ()), "fp32")


def test_signatures_are_compared_tensor_by_tensor():
    spec = SPECS["refine"]
    inputs = {"picture": ["N", 3, 256, 256], "masks": ["N", 4, 256, 256]}
    check_signature(spec, inputs, {"refined": [-1, 3, 256, 256]})
    for shape in (["N", 3, 128, 256], [1, 3, 256, 256], ["N", 3, 256]):
        with pytest.raises(SpecMismatchError, match="refined has the shape"):
            check_signature(spec, inputs, {"refined": shape})
    with pytest.raises(SpecMismatchError, match="outputs are"):
        check_signature(spec, inputs, {"result": ["N", 3, 256, 256]})


@pytest.mark.parametrize("name", BACKENDS)
def test_a_tiny_network_proves_a_backend(name):
    ready(name)
    assert probe.prove(name).startswith(f"{name} ")


def test_what_builds_but_cannot_run_says_both(monkeypatch):
    backend = BACKENDS["openvino"]
    ready("openvino")

    def refuse():
        raise EngineAbsentError("it cannot run", "there is no driver", "install it")

    monkeypatch.setattr(backend, "require", refuse, raising=False)
    with pytest.raises(EngineAbsentError, match=r"no driver; openvino .* built an engine"):
        probe.prove("openvino")


def test_the_tiny_network_gives_the_known_answer():
    picture = tiny_input()
    data = with_precision(TINY_ONNX, "fp32", TINY, ())
    with OnnxRuntimeBackend().open_on("CPUExecutionProvider", TINY, data, "fp32") as engine:
        given = engine(picture=picture)["out"]
    assert np.allclose(given, tiny_answer(picture), atol=1e-6)
    assert tiny_answer(picture).max() > 10 * TOLERANCE


def test_engines_import_neither_the_live_path_nor_training():
    code = (
        "import sys, engines.opening, engines.compare, engines.precision, engines.probe\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('stream', 'training')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_heavy_is_imported_before_it_is_needed():
    code = (
        "import sys, engines.opening\n"
        "print([name for name in ('onnx', 'onnxruntime', 'openvino') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("extra", "name"), [("tensorrt", "tensorrt"), ("rtx", "tensorrt-rtx")])
def test_an_extra_installs_all_that_its_backend_needs(extra, name):
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    listed = {re.split(r"[<>=;\[ ]", item)[0] for item in project["optional-dependencies"][extra]}
    assert listed >= set(BACKENDS[name].packages)
