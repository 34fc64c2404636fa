"""What can be said of the NVIDIA engines without a card: a stand-in computes in numpy."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from engines import cuda
from engines.engine import SideFile
from engines.errors import EngineAbsentError, EngineBrokenError, SpecMismatchError
from engines.nvidia import MAX_BATCH
from engines.tensorrt_backend import TensorRtBackend
from engines.tensorrt_rtx_backend import TensorRtRtxBackend
from engines.tiny import TINY, tiny_answer


class FakeCuda(cuda.Cuda):
    """Device memory that is host memory, and a stream that runs at once or records."""

    device, capability, stream = "Fake 1", (8, 9), 7

    def __init__(self, graphs=True):
        self.memory, self.graphs, self.recorded_count, self.launches = {}, graphs, 0, 0
        self.recording, self.closed = None, 0

    def do(self, work):
        if self.recording is None:
            work()
        else:
            self.recording.append(work)

    def allocate(self, size):
        address = 1000 + len(self.memory)
        self.memory[address] = np.zeros(size, np.uint8)
        return address

    def allocate_host(self, shape, dtype):
        return np.empty(shape, dtype)

    def upload(self, address, array):
        def work():
            self.memory[address][: array.nbytes] = array.reshape(-1).view(np.uint8)

        self.do(work)

    def download(self, array, address):
        def work():
            array.reshape(-1).view(np.uint8)[:] = self.memory[address][: array.nbytes]

        self.do(work)

    def wait(self):
        pass

    def recorded(self, work):
        if not self.graphs:
            return None
        self.recording = []
        work()
        steps, self.recording = self.recording, None
        self.recorded_count += 1

        def launch():
            self.launches += 1
            for step in steps:
                step()

        return launch

    def close(self):
        self.closed += 1


class FakeContext:
    def __init__(self, device):
        self.device, self.addresses, self.batch, self.runs = device, {}, None, 0

    def set_tensor_address(self, name, address):
        self.addresses[name] = address

    def set_input_shape(self, name, shape):
        assert name == "picture"
        self.batch = shape[0]

    def execute_async_v3(self, stream):
        assert stream == self.device.stream
        self.runs += 1
        batch = self.batch

        def work():
            memory = self.device.memory[self.addresses["picture"]].view(np.float32)
            picture = memory.reshape(MAX_BATCH, 3, 8, 8)[:batch]
            out = self.device.memory[self.addresses["out"]].view(np.float32)
            answer = tiny_answer(picture).astype(np.float32).reshape(-1)
            out[: answer.size] = answer

        self.device.do(work)
        return True


class FakeKernels:
    def __init__(self, fits):
        self.fits, self.content = fits, b""

    def deserialize(self, data):
        self.content = data if self.fits else b""
        return self.fits

    def serialize(self):
        self.content = self.content or b"compiled"
        return self.content


def fake_library(device, *, shapes=None, refuses=False, fits=True):
    """Stand in for the package tensorrt_rtx."""
    shapes = shapes or {"picture": (-1, 3, 8, 8), "out": (-1, 2, 8, 8)}
    kernels = FakeKernels(fits)

    class ILogger:
        Severity = SimpleNamespace(ERROR=1, INTERNAL_ERROR=0)

    def deserialize(data):
        if refuses:
            library.loggers[-1].log(1, "wrong version\n")
            return None
        config = SimpleNamespace(create_runtime_cache=lambda: kernels, set_runtime_cache=id)
        return SimpleNamespace(
            num_io_tensors=len(shapes),
            get_tensor_name=lambda index: list(shapes)[index],
            get_tensor_mode=lambda name: "in" if name == "picture" else "out",
            get_tensor_shape=lambda name: shapes[name],
            create_execution_context=lambda *_: FakeContext(device),
            create_runtime_config=lambda: config,
        )

    def runtime(logger):
        library.loggers.append(logger)
        return SimpleNamespace(deserialize_cuda_engine=deserialize)

    library = SimpleNamespace(
        ILogger=ILogger,
        Runtime=runtime,
        TensorIOMode=SimpleNamespace(INPUT="in"),
        CudaGraphStrategy=SimpleNamespace(WHOLE_GRAPH_CAPTURE=1),
        loggers=[],
    )
    return library


@pytest.fixture
def opened(monkeypatch):
    """Return a function that opens the tiny network on stand-ins."""

    def open_with(backend, device, side=None, **options):
        library = fake_library(device, **options)
        monkeypatch.setattr(cuda, "open_cuda", lambda: device)
        monkeypatch.setattr(type(backend), "library", lambda self: library)
        return backend.open(TINY, b"engine", "fp16", side=side)

    return open_with


@pytest.mark.parametrize("graphs", [True, False])
@pytest.mark.parametrize("backend", [TensorRtBackend(), TensorRtRtxBackend()], ids=lambda b: b.name)
def test_batches_of_every_size_come_out_right_in_any_order(opened, backend, graphs):
    device = FakeCuda(graphs)
    engine = opened(backend, device)
    random = np.random.default_rng(0)
    for batch in (1, 3, 1, 2, MAX_BATCH, MAX_BATCH + 3, 3):
        picture = random.random((batch, 3, 8, 8), dtype=np.float32)
        given = engine(picture=picture)["out"]
        assert np.allclose(given, tiny_answer(picture), atol=1e-5), batch
    assert (engine.device, engine.precision) == ("Fake 1", "fp16")
    records = backend.name == "tensorrt" and graphs
    assert device.recorded_count == (MAX_BATCH if records else 0)
    assert (device.launches > 0) is records
    engine.close()
    assert device.closed == 1


def test_answers_are_the_callers_own(opened):
    engine = opened(TensorRtBackend(), FakeCuda())
    first = engine(picture=np.ones((1, 3, 8, 8), np.float32))["out"]
    kept = first.copy()
    engine(picture=np.zeros((1, 3, 8, 8), np.float32))
    assert np.array_equal(first, kept)


@pytest.mark.parametrize("kept", [None, b"compiled", b"of another card"])
def test_compiled_kernels_are_kept_for_the_next_start(opened, kept):
    saved = []
    side = SideFile(lambda: kept, saved.append)
    fits = kept != b"of another card"
    engine = opened(TensorRtRtxBackend(), FakeCuda(), side, fits=fits)
    engine.close()
    assert saved == ([] if kept == b"compiled" else [b"compiled"])


def test_an_engine_that_is_refused_says_why_and_gives_everything_back(opened):
    device = FakeCuda()
    with pytest.raises(EngineBrokenError, match="wrong version"):
        opened(TensorRtRtxBackend(), device, refuses=True)
    assert device.closed == 1


def test_an_engine_of_other_shapes_is_refused(opened):
    device = FakeCuda()
    shapes = {"picture": (-1, 3, 16, 16), "out": (-1, 2, 8, 8)}
    with pytest.raises(SpecMismatchError, match="picture has the shape"):
        opened(TensorRtBackend(), device, shapes=shapes)
    assert device.closed == 1


class FakeRuntime:
    """Stands in for cuda.bindings.runtime: every function gives a code and what follows."""

    def __init__(self, fail=""):
        self.cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
        self.cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)
        self.fail, self.calls, self.buffers = fail, [], []

    def __getattr__(self, name):
        def call(*arguments):
            self.calls.append(name)
            if name == self.fail:
                return 35, None
            if name in ("cudaMalloc", "cudaMallocHost"):
                self.buffers.append(np.zeros(arguments[0], np.uint8))
                return 0, self.buffers[-1].ctypes.data
            results = {
                "cudaGetDeviceCount": 1,
                "cudaGetDeviceProperties": SimpleNamespace(name=b"Card\0", major=9, minor=0),
                "cudaStreamCreate": 5,
                "cudaStreamEndCapture": 6,
                "cudaGraphInstantiate": 8,
            }
            return (0, results[name]) if name in results else (0,)

        return call


def test_cuda_python_is_spoken(monkeypatch):
    runtime = FakeRuntime()
    device = cuda._CudaPython(runtime)
    assert (device.device, device.capability, device.stream) == ("Card", (9, 0), 5)
    host = device.allocate_host((2, 3), "float32")
    host[...] = 1
    assert host.shape == (2, 3)
    assert runtime.buffers[0].view(np.float32).sum() == 6, "the array is the pinned memory"
    address = device.allocate(host.nbytes)
    launch = device.recorded(lambda: device.upload(address, host))
    launch()
    device.wait()
    device.close()
    wanted = ["cudaStreamBeginCapture", "cudaMemcpyAsync", "cudaStreamEndCapture"]
    assert [name for name in runtime.calls if name in wanted] == wanted
    for freed in ("cudaFree", "cudaFreeHost", "cudaGraphExecDestroy", "cudaStreamDestroy"):
        assert runtime.calls.count(freed) == 1


def test_a_failed_recording_ends_the_capture():
    runtime = FakeRuntime()
    device = cuda._CudaPython(runtime)

    def fail():
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        device.recorded(fail)
    assert runtime.calls[-1] == "cudaStreamEndCapture"


def test_a_driver_that_refuses_is_an_error_for_users():
    with pytest.raises(EngineBrokenError, match="cudaGetDeviceCount failed with 35"):
        cuda._CudaPython(FakeRuntime("cudaGetDeviceCount"))


def test_without_a_package_for_cuda_the_message_says_what_installs_it(monkeypatch):
    monkeypatch.setattr(cuda, "_found", lambda name: False)
    with pytest.raises(EngineAbsentError, match="pip install cuda-python"):
        cuda.open_cuda()
    monkeypatch.setattr(cuda, "nvidia_driver_present", lambda: True)
    backend = TensorRtBackend()
    monkeypatch.setattr(TensorRtBackend, "require_package", lambda self: None)
    with pytest.raises(EngineAbsentError, match="neither cuda-python nor pycuda"):
        backend.require()


def test_without_a_driver_nothing_runs(monkeypatch):
    monkeypatch.setattr(TensorRtBackend, "require_package", lambda self: None)
    monkeypatch.setattr(cuda, "nvidia_driver_present", lambda: False)
    with pytest.raises(EngineAbsentError, match="no NVIDIA driver"):
        TensorRtBackend().require()


def test_pycuda_pushes_its_context_for_every_call(monkeypatch):
    depth = []

    class Context:
        def push(self):
            depth.append(1)

        def pop(self):
            depth.pop()

    def inside(result):
        def call(*_):
            assert depth, "called outside the context"
            return result

        return call

    device = SimpleNamespace(
        name=lambda: "Card",
        compute_capability=lambda: (8, 0),
        retain_primary_context=Context,
    )

    class Memory:
        def __int__(self):
            return 64

        def free(self):
            assert depth

    driver = SimpleNamespace(
        init=lambda: None,
        Device=lambda index: device,
        Stream=inside(SimpleNamespace(handle=3, synchronize=inside(None))),
        mem_alloc=inside(Memory()),
        pagelocked_empty=inside(np.zeros(4, np.float32)),
        memcpy_htod_async=inside(None),
        memcpy_dtoh_async=inside(None),
    )
    monkeypatch.setitem(sys.modules, "pycuda", SimpleNamespace(driver=driver))
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
    opened = cuda._PyCuda()
    assert (opened.device, opened.stream) == ("Card", 3)
    assert opened.allocate(16) == 64
    host = opened.allocate_host((4,), "float32")
    opened.upload(64, host)
    opened.download(host, 64)
    opened.wait()
    assert opened.recorded(lambda: None) is None
    opened.close()
    assert not depth
