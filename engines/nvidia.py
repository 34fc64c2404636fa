"""What TensorRT and TensorRT for RTX have in common: building, and running with CUDA."""

import importlib
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from engines import cuda
from engines.engine import Backend, Engine, Frames, SideFile, check_signature
from engines.errors import EngineAbsentError, EngineBrokenError
from engines.spec import NetSpec, Precision

# Faces that go through a network at once.
MAX_BATCH = 4


class NvidiaBackend(Backend):
    """A backend whose Python package has the interface of TensorRT 10."""

    def require(self) -> None:
        """See Backend: it needs a driver, and a package that speaks CUDA."""
        self.require_package()
        if not cuda.nvidia_driver_present():
            why = "there is no NVIDIA driver"
            remedy = "Install the driver of the card (nvidia.com/drivers), or use --engine auto"
            raise EngineAbsentError(self.refusal, why, remedy)
        if not cuda.bindings_present():
            why = "neither cuda-python nor pycuda is installed"
            raise EngineAbsentError(self.refusal, why, f"Install it: {cuda.INSTALL}")

    def version(self) -> str:
        """Return the version of the package."""
        return str(self.library().__version__)

    def library(self) -> Any:  # noqa: ANN401 - a module without types
        """Return the package."""
        return importlib.import_module(self.module)

    def build(self, spec: NetSpec, onnx: bytes, precision: Precision, frames: Frames) -> bytes:
        """See Backend; the precision is written into the network, which is strongly typed."""
        from engines.precision import with_precision  # noqa: PLC0415  needs onnx

        library = self.library()
        logger = _logger(library)
        builder = library.Builder(logger)
        flag = getattr(library.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
        network = builder.create_network(0 if flag is None else 1 << int(flag))
        parser = library.OnnxParser(network, logger)
        if not parser.parse(with_precision(onnx, precision, spec, frames, signed=True)):
            why = parser.get_error(0).desc() if parser.num_errors else "it does not say why"
            raise EngineBrokenError(f"{self.name} cannot read {spec.name}", why, self._mend)
        check_signature(spec, *_tensors_of(network))
        config = builder.create_builder_config()
        config.add_optimization_profile(_profile(builder, spec))
        self.configure(config)
        built = builder.build_serialized_network(network, config)
        if built is None:
            why = logger.last or "it does not say why"
            raise EngineBrokenError(f"{self.name} cannot build {spec.name}", why, self._mend)
        return bytes(built)

    @property
    def _mend(self) -> str:
        return f"Update it ({self.install} --upgrade) and the driver, or use --engine auto"

    def configure(self, config: Any) -> None:  # noqa: ANN401 - an IBuilderConfig
        """Set what is particular to the backend."""

    def open(
        self,
        spec: NetSpec,
        built: bytes,
        precision: Precision,
        threads: int | None = None,
        side: SideFile | None = None,
    ) -> Engine:
        """See Backend; threads mean nothing here."""
        library = self.library()
        logger = _logger(library)
        device = cuda.open_cuda()  # before the engine, which needs a context
        try:
            runtime = library.Runtime(logger)
            engine = runtime.deserialize_cuda_engine(built)
            if engine is None:
                why = logger.last or "it does not say why"
                raise EngineBrokenError(f"{self.name} refuses {spec.name}", why, self._mend)
            check_signature(spec, *_tensors_of_engine(library, engine))
            context, finish = self.context(library, engine, side)
            if context is None:
                why = logger.last or "there is too little memory"
                raise EngineBrokenError(f"{self.name} cannot start {spec.name}", why, self._mend)
            parts = (runtime, engine, context)
            return NvidiaEngine(spec, self, precision, device, parts, finish)
        except BaseException:
            device.close()
            raise

    def context(
        self,
        library: Any,  # noqa: ANN401
        engine: Any,  # noqa: ANN401
        side: SideFile | None,
    ) -> tuple[Any, Callable[[], None]]:
        """Return an execution context, and what keeps what it compiled while it ran."""
        return engine.create_execution_context(), lambda: None

    @property
    @abstractmethod
    def records(self) -> bool:
        """Whether the engine's work is recorded here as a CUDA graph."""


class NvidiaEngine(Engine):
    """An engine with its buffers on the device and pinned ones beside them.

    One run is: copy up, compute, copy down. It is recorded as a CUDA graph for each batch size,
    so that a call costs one launch.
    """

    max_batch = MAX_BATCH

    def __init__(
        self,
        spec: NetSpec,
        backend: NvidiaBackend,
        precision: Precision,
        device: cuda.Cuda,
        parts: tuple[Any, Any, Any],
        keep: Callable[[], None],
    ) -> None:
        super().__init__(spec, backend.name, device.device, precision)
        self._keep = keep
        self._cuda, self._parts, self._records = device, parts, backend.records
        self._context = parts[2]
        self._host: dict[str, np.ndarray] = {}
        self._address: dict[str, int] = {}
        self._launch: dict[int, Callable[[], None]] = {}
        self._shaped = 0
        for tensor in (*spec.inputs, *spec.outputs):
            host = device.allocate_host(tensor.sized(MAX_BATCH), tensor.dtype)
            host[...] = 0
            self._host[tensor.name] = host
            self._address[tensor.name] = device.allocate(host.nbytes)
            self._context.set_tensor_address(tensor.name, self._address[tensor.name])
        self._run({item.name: self._host[item.name][:1] for item in spec.inputs}, 1)
        keep()

    def _run(self, arrays: dict[str, np.ndarray], batch: int) -> dict[str, np.ndarray]:
        for name, array in arrays.items():
            np.copyto(self._host[name][:batch], array)
        if batch not in self._launch:
            self._launch[batch] = self._prepared(batch)
        self._launch[batch]()
        self._cuda.wait()
        return {item.name: self._host[item.name][:batch].copy() for item in self.spec.outputs}

    def _prepared(self, batch: int) -> Callable[[], None]:
        """Return what runs one batch size: a recorded graph, or the work itself."""

        def work() -> None:
            self._enqueue(batch)

        work()  # whatever is set up at a first run must not be recorded
        self._cuda.wait()
        return (self._cuda.recorded(work) if self._records else None) or work

    def _enqueue(self, batch: int) -> None:
        if self._shaped != batch:
            for tensor in self.spec.inputs:
                self._context.set_input_shape(tensor.name, tensor.sized(batch))
            self._shaped = batch
        for tensor in self.spec.inputs:
            self._cuda.upload(self._address[tensor.name], self._host[tensor.name][:batch])
        if not self._context.execute_async_v3(self._cuda.stream):
            raise RuntimeError(f"{self.backend} failed to run {self.spec.name}")
        for tensor in self.spec.outputs:
            self._cuda.download(self._host[tensor.name][:batch], self._address[tensor.name])

    def _release(self) -> None:
        self._keep()
        self._keep = lambda: None  # it holds on to what must go first
        self._launch.clear()
        self._host.clear()
        self._context, self._parts = None, (None, None, None)
        self._cuda.close()


def _logger(library: Any) -> Any:  # noqa: ANN401 - a class made of the library's own
    """Return a logger that keeps the last error instead of writing it to the terminal."""

    class Logger(library.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            library.ILogger.__init__(self)
            self.last = ""

        def log(self, severity: Any, message: str) -> None:  # noqa: ANN401
            if severity in (
                library.ILogger.Severity.ERROR,
                library.ILogger.Severity.INTERNAL_ERROR,
            ):
                self.last = message.strip()

    return Logger()


def _profile(builder: Any, spec: NetSpec) -> Any:  # noqa: ANN401
    profile = builder.create_optimization_profile()
    for tensor in spec.inputs:
        profile.set_shape(tensor.name, tensor.sized(1), tensor.sized(1), tensor.sized(MAX_BATCH))
    return profile


def _tensors_of(network: Any) -> tuple[dict[str, tuple], dict[str, tuple]]:  # noqa: ANN401
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    outputs = [network.get_output(index) for index in range(network.num_outputs)]
    return (
        {tensor.name: tuple(tensor.shape) for tensor in inputs},
        {tensor.name: tuple(tensor.shape) for tensor in outputs},
    )


def _tensors_of_engine(
    library: Any,  # noqa: ANN401
    engine: Any,  # noqa: ANN401
) -> tuple[dict[str, tuple], dict[str, tuple]]:
    inputs: dict[str, tuple] = {}
    outputs: dict[str, tuple] = {}
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        taken = engine.get_tensor_mode(name) == library.TensorIOMode.INPUT
        (inputs if taken else outputs)[name] = tuple(engine.get_tensor_shape(name))
    return inputs, outputs
