"""A network is opened on the first backend that really runs it, and never on a stale engine."""

import logging

import numpy as np
import pytest
from engine_models import network

from engines import backends, manifest, opening
from engines.engine import Backend, Engine
from engines.errors import EngineAbsentError, EngineBrokenError, NotShippedError, UserError
from engines.opening import open_engine, read_network, shipped
from engines.spec import SPECS

SPEC = SPECS["face_3dmm"]


class FakeEngine(Engine):
    """Gives zeros, or what it is told."""

    def __init__(self, spec, backend, precision, value=0.0):
        super().__init__(spec, backend, "desk", precision)
        self.value, self.released = value, 0

    def _run(self, arrays, batch):
        return {
            item.name: np.full(item.sized(batch), self.value, np.float32)
            for item in self.spec.outputs
        }

    def _release(self):
        self.released += 1


class FakeBackend(Backend):
    """Counts what it builds; refuses data that does not start with its own name."""

    module = "fake"
    packages = ("fake",)

    def __init__(self, name, *, absent=False, broken=False, value=0.0):
        self.name, self.absent, self.broken, self.value = name, absent, broken, value
        self.builds, self.release = 0, "1"

    def require(self):
        if self.absent:
            raise EngineAbsentError(f"no {self.name}", f"{self.name} is absent", "install it")

    def version(self):
        return self.release

    def device(self):
        return "desk"

    def precisions(self):
        return ("fp32", "int8")

    def build(self, spec, onnx, precision, frames):
        self.builds += 1
        return self.name.encode() + onnx[:20]

    def open(self, spec, built, precision, threads=None, side=None):
        if self.broken or not built.startswith(self.name.encode()):
            raise EngineBrokenError(f"{self.name} refuses", "it is broken", "mend it")
        return FakeEngine(spec, self.name, precision, self.value)


@pytest.fixture
def use(monkeypatch):
    """Put fake backends in place of the real ones."""

    def put(*fakes):
        monkeypatch.setattr(backends, "BACKENDS", {fake.name: fake for fake in fakes})
        return fakes[0]

    return put


def test_auto_takes_the_first_that_works(use, weights, caplog):
    use(FakeBackend("one", absent=True), FakeBackend("two", broken=True), FakeBackend("three"))
    engine = open_engine(SPEC, weights=weights)
    assert engine.backend == "three"
    assert "two refuses: it is broken" in caplog.text
    assert "one" not in caplog.text, "what is not installed is no fault"


def test_all_failures_are_listed_together(use, weights):
    use(FakeBackend("one", absent=True), FakeBackend("two", broken=True))
    with pytest.raises(UserError) as caught:
        open_engine(SPEC, weights=weights)
    assert "one: one is absent" in caught.value.why
    assert "two: it is broken" in caught.value.why
    assert "face_3dmm" in caught.value.what
    assert caught.value.remedy == "mend it"


def test_a_named_engine_is_not_replaced_by_another(use, weights):
    use(FakeBackend("one", absent=True), FakeBackend("two"))
    with pytest.raises(EngineAbsentError, match="one is absent"):
        open_engine(SPEC, "one", weights=weights)
    with pytest.raises(UserError, match="Known are: auto, one, two"):
        open_engine(SPEC, "three", weights=weights)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_engine_that_gives_no_numbers_is_not_taken(use, weights, value, caplog):
    use(FakeBackend("one", value=value), FakeBackend("two"))
    assert open_engine(SPEC, weights=weights).backend == "two"
    assert "numbers that are none" in caplog.text


def test_an_engine_is_built_once(use, weights, caplog):
    one = use(FakeBackend("one"))
    for _ in range(3):
        open_engine(SPEC, weights=weights)
    assert one.builds == 1
    assert not caplog.records


def test_a_changed_network_is_built_anew_and_said(use, weights, tmp_path, caplog):
    one = use(FakeBackend("one"))
    open_engine(SPEC, weights=weights)
    (tmp_path / SPEC.file_name).write_bytes(network(SPEC, seed=1))
    open_engine(SPEC, weights=tmp_path)
    assert one.builds == 2
    assert "built anew: it was built from other weights" in caplog.text


def test_another_version_of_the_backend_builds_anew(use, weights, caplog):
    one = use(FakeBackend("one"))
    open_engine(SPEC, weights=weights)
    one.release = "2"
    open_engine(SPEC, weights=weights)
    assert one.builds == 2
    assert "it was built by one 1" in caplog.text


def test_a_damaged_engine_is_built_anew_and_never_opened(use, weights, cache_path, caplog):
    one = use(FakeBackend("one"))
    open_engine(SPEC, weights=weights)
    (file,) = (cache_path / "engines").glob("*.bin")
    file.write_bytes(b"one but evil")
    open_engine(SPEC, weights=weights)
    assert one.builds == 2
    assert "its file is damaged" in caplog.text


def test_a_whole_engine_that_is_refused_is_built_anew_once(use, weights, caplog):
    one = use(FakeBackend("one"))
    open_engine(SPEC, weights=weights)
    folder = manifest.EngineFolder()
    onnx = read_network(SPEC, weights)
    folder.store(opening._key(SPEC, one, onnx, "fp32", ()), b"of another making")
    assert open_engine(SPEC, weights=weights).backend == "one"
    assert one.builds == 2
    assert "refuses an engine that was kept" in caplog.text


def test_a_cache_that_cannot_be_written_costs_time_and_not_the_run(
    use, weights, cache_path, caplog
):
    one = use(FakeBackend("one"))
    cache_path.write_text("a file where the folder should be")
    for _ in range(2):
        assert open_engine(SPEC, weights=weights).backend == "one"
    assert one.builds == 2
    assert "cannot be kept" in caplog.text


def test_int8_is_only_taken_where_it_is_asked_for(use, weights):
    use(FakeBackend("one"))
    assert open_engine(SPEC, weights=weights).precision == "fp32"
    assert open_engine(SPEC, precision="int8", weights=weights).precision == "int8"
    with pytest.raises(UserError, match="computes in fp32, int8"):
        open_engine(SPEC, precision="bf16", weights=weights)


def test_an_engine_that_runs_in_another_precision_says_so(use, weights, caplog, monkeypatch):
    one = use(FakeBackend("one"))
    monkeypatch.setattr(one, "open", lambda spec, *_: FakeEngine(spec, "one", "bf16"))
    assert open_engine(SPEC, weights=weights).precision == "bf16"
    assert "was to run in fp32: face_3dmm: one on desk, bf16" in caplog.text


def test_a_network_that_is_not_shipped_is_named(tmp_path):
    with pytest.raises(NotShippedError, match=r"face_3dmm\.onnx are not shipped yet"):
        open_engine(SPEC, weights=tmp_path)
    assert shipped(tmp_path) == []
    (tmp_path / SPEC.file_name).write_bytes(b"")
    assert shipped(tmp_path) == ["face_3dmm"]


def test_a_damaged_network_file_is_an_error_for_users(tmp_path):
    (tmp_path / SPEC.file_name).write_bytes(b"no network at all")
    with pytest.raises(UserError, match="no engine runs face_3dmm"):
        open_engine(SPEC, weights=tmp_path)


def test_long_batches_are_cut_and_put_together_again():
    class Counting(FakeEngine):
        max_batch = 4

        def _run(self, arrays, batch):
            sizes.append(batch)
            mean = arrays["picture"].mean((1, 2, 3))
            return {
                item.name: np.broadcast_to(mean[:, None], item.sized(batch))
                for item in self.spec.outputs
            }

    sizes: list[int] = []
    sample = SPEC.sample(9)
    answer = Counting(SPEC, "one", "fp32")(**sample)
    assert sizes == [4, 4, 1]
    assert answer["place"].shape == (9, 3)
    assert np.allclose(answer["place"][:, 0], sample["picture"].mean((1, 2, 3)))


def test_an_engine_is_released_once(use, weights):
    use(FakeBackend("one"))
    with open_engine(SPEC, weights=weights) as engine:
        assert engine.released == 0
    engine.close()
    assert engine.released == 1


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_falls_back_is_said_loudly(monkeypatch, caplog):
    onnxruntime = pytest.importorskip("onnxruntime")
    from engines import onnxruntime_backend as module

    there = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: there)
    module.working_provider.cache_clear()
    try:
        if module.working_provider() == "CUDAExecutionProvider":
            pytest.skip("there is a card that works")
        messages = [item for item in caplog.records if item.levelno >= logging.WARNING]
        assert any("fell back: CUDA" in item.getMessage() for item in messages)
        assert module.OnnxRuntimeBackend().device() == "cpu"
    finally:
        module.working_provider.cache_clear()
