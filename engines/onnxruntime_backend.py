"""ONNX Runtime: runs everywhere, and is what the other engines are compared with."""

import functools
import logging
from typing import Any

import numpy as np

from engines.engine import Backend, Engine, Frames, SideFile, check_signature
from engines.spec import NetSpec, Precision
from engines.tiny import TINY_ONNX

_log = logging.getLogger("voltface")

_CPU = "CPUExecutionProvider"
# provider: what the user calls it; in the order in which they are tried
_PROVIDERS = {
    "CUDAExecutionProvider": "cuda",
    "ROCMExecutionProvider": "rocm",
    "MIGraphXExecutionProvider": "migraphx",
    "DmlExecutionProvider": "directml",
    _CPU: "cpu",
}
_ERRORS_ONLY = 3


class OnnxRuntimeBackend(Backend):
    """ONNX Runtime on the first provider that works."""

    name = "onnxruntime"
    module = "onnxruntime"
    packages = ("onnxruntime",)

    def version(self) -> str:
        """See Backend; the package has other names for other providers."""
        import onnxruntime  # noqa: PLC0415

        return str(onnxruntime.__version__)

    def device(self) -> str:
        """See Backend."""
        return _PROVIDERS[working_provider()]

    def precisions(self) -> tuple[Precision, ...]:
        """See Backend; its CPU kernels know no half precision."""
        return ("fp32", "int8") if working_provider() == _CPU else ("fp16", "fp32", "int8")

    def keeps(self, precision: Precision) -> bool:
        """See Backend; fp32 is the network file itself."""
        return precision != "fp32"

    def build(self, spec: NetSpec, onnx: bytes, precision: Precision, frames: Frames) -> bytes:
        """See Backend: a network file of that precision."""
        if precision == "fp32":
            return onnx
        from engines.precision import with_precision  # noqa: PLC0415  needs onnx

        return with_precision(onnx, precision, spec, frames)

    def open(
        self,
        spec: NetSpec,
        built: bytes,
        precision: Precision,
        threads: int | None = None,
        side: SideFile | None = None,
    ) -> Engine:
        """See Backend."""
        return self.open_on(working_provider(), spec, built, precision, threads)

    def open_on(
        self,
        provider: str,
        spec: NetSpec,
        built: bytes,
        precision: Precision,
        threads: int | None = None,
    ) -> Engine:
        """Open on a provider; ``open`` takes the first that works."""
        session = _session(built, provider, threads)
        check_signature(spec, _shapes(session.get_inputs()), _shapes(session.get_outputs()))
        return _OnnxRuntimeEngine(spec, self.name, precision, session)


class _OnnxRuntimeEngine(Engine):
    def __init__(self, spec: NetSpec, backend: str, precision: Precision, session: Any) -> None:  # noqa: ANN401
        provider = session.get_providers()[0]
        super().__init__(spec, backend, _PROVIDERS.get(provider, provider), precision)
        self._session = session
        self._names = [tensor.name for tensor in spec.outputs]

    def _run(self, arrays: dict[str, np.ndarray], batch: int) -> dict[str, np.ndarray]:
        return dict(zip(self._names, self._session.run(self._names, arrays), strict=True))

    def _release(self) -> None:
        self._session = None


@functools.cache
def working_provider() -> str:
    """Return the first provider that opens a network; one that does not is said loudly."""
    import onnxruntime  # noqa: PLC0415

    there = set(onnxruntime.get_available_providers())
    for provider in _PROVIDERS:
        if provider == _CPU or provider not in there:
            continue
        try:
            taken = _session(TINY_ONNX, provider, None).get_providers()[0]
        except Exception as error:  # noqa: BLE001  whatever fails, the next is tried
            taken, why = _CPU, str(error).splitlines()[0]
        else:
            why = "its driver or its libraries are missing"
        if taken == provider:
            return provider
        _log.warning("ONNX Runtime fell back: %s does not work (%s)", provider, why)
    return _CPU


def _session(network: bytes, provider: str, threads: int | None) -> Any:  # noqa: ANN401
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.inter_op_num_threads = 1
    # Threads that spin while they wait would take the cores from the rest of the path.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if threads:
        options.intra_op_num_threads = threads
    providers = [provider] if provider == _CPU else [provider, _CPU]
    return onnxruntime.InferenceSession(network, options, providers=providers)


def _shapes(ports: Any) -> dict[str, list[int | str]]:  # noqa: ANN401 - a list of NodeArg
    return {port.name: ["N" if size is None else size for size in port.shape] for port in ports}
