"""OpenVINO: the fast way on a CPU, in bfloat16 where the CPU has it."""

import functools
import io
import sys
from collections import Counter
from types import ModuleType
from typing import Any, cast

import numpy as np

from engines.engine import Backend, Engine, Frames, SideFile, check_signature
from engines.spec import NetSpec, Precision

_ELEMENT = {"fp32": "f32", "fp16": "f16", "bf16": "bf16", "int8": "f32"}
_NAMES: dict[str, Precision] = {"f32": "fp32", "f16": "fp16", "bf16": "bf16"}
_INT8 = {"i8", "u8"}
# Python raises ImportError for a module that stands as None.
_TELEMETRY, _NOT_THERE = "openvino_telemetry", cast("ModuleType", None)
# The layers that nearly all of the work is in.
_HEAVY = {"Convolution", "Deconvolution", "FullyConnected", "MatMul"}


class OpenVinoBackend(Backend):
    """OpenVINO on the CPU; its compiled networks are kept."""

    name = "openvino"
    module = "openvino"
    packages = ("openvino",)

    def device(self) -> str:
        """See Backend."""
        return str(core().get_property("CPU", "FULL_DEVICE_NAME")).strip()

    def precisions(self) -> tuple[Precision, ...]:
        """See Backend: what the CPU has instructions for; fp32 is always there.

        A CPU that has both halves multiplies matrices in bf16 (AMX): fp16 takes three times as
        long there, longer than fp32.
        """
        able = set(core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
        quickest_first: tuple[Precision, ...] = ("bf16", "fp16", "fp32", "int8")
        return tuple(name for name in quickest_first if name == "fp32" or name.upper() in able)

    def build(self, spec: NetSpec, onnx: bytes, precision: Precision, frames: Frames) -> bytes:
        """See Backend; precision is the device's choice, but for int8, which is in the network."""
        if precision == "int8":
            from engines.precision import with_precision  # noqa: PLC0415  needs onnx

            onnx = with_precision(onnx, precision, spec, frames)
        model = core().read_model(onnx)
        _check(spec, model)
        # With a free batch size, what joins the convolutions takes longer than they do.
        model.reshape({tensor.name: list(tensor.sized(1)) for tensor in spec.inputs})
        return exported(model, precision)

    def open(
        self,
        spec: NetSpec,
        built: bytes,
        precision: Precision,
        threads: int | None = None,
        side: SideFile | None = None,
    ) -> Engine:
        """See Backend."""
        compiled = core().import_model(built, "CPU", _options(precision, threads))
        _check(spec, compiled, batch=1)
        return _OpenVinoEngine(spec, self, precision, compiled)


class _OpenVinoEngine(Engine):
    max_batch = 1

    def __init__(
        self,
        spec: NetSpec,
        backend: OpenVinoBackend,
        precision: Precision,
        compiled: Any,  # noqa: ANN401 - a CompiledModel
    ) -> None:
        super().__init__(spec, backend.name, backend.device(), precision)
        self._request = compiled.create_infer_request()
        self._compiled = compiled
        self._request.infer(spec.sample())
        self.precision = _computed_in(compiled) or precision
        self.threads = int(compiled.get_property("INFERENCE_NUM_THREADS"))

    def _run(self, arrays: dict[str, np.ndarray], batch: int) -> dict[str, np.ndarray]:
        result = self._request.infer(arrays, share_inputs=True, share_outputs=False)
        return {item.name: result[item.name] for item in self.spec.outputs}

    def _release(self) -> None:
        self._request = self._compiled = None


@functools.cache
def core() -> Any:  # noqa: ANN401 - a Core
    """Return the one Core of this process."""
    return imported().Core()


def exported(model: Any, precision: Precision) -> bytes:  # noqa: ANN401 - a Model
    """Compile a network for this CPU, and return what `OpenVinoBackend.open` takes."""
    stream = io.BytesIO()
    core().compile_model(model, "CPU", _options(precision, None)).export_model(stream)
    return stream.getvalue()


def imported() -> ModuleType:
    """Import OpenVINO without its telemetry.

    Each import would report itself to an analytics service, with an identity kept in the user's
    home; where the module that does it cannot be imported, OpenVINO does nothing of the kind.
    """
    hidden = sys.modules.setdefault(_TELEMETRY, _NOT_THERE) is _NOT_THERE
    try:
        import openvino  # noqa: PLC0415
    finally:
        if hidden:
            del sys.modules[_TELEMETRY]
    return openvino


def _options(precision: Precision, threads: int | None) -> dict[str, object]:
    options: dict[str, object] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": _ELEMENT[precision],
        # Several networks and the rest of the path share the cores.
        "ENABLE_CPU_PINNING": False,
    }
    if threads:
        options["INFERENCE_NUM_THREADS"] = threads
    return options


def _check(
    spec: NetSpec,
    model: Any,  # noqa: ANN401 - a Model or a CompiledModel
    batch: int | None = None,
) -> None:
    """Refuse a network whose tensors are not those of its spec, but for a batch size fixed here."""
    inputs = _shapes(model.inputs, {tensor.name for tensor in spec.inputs})
    outputs = _shapes(model.outputs, {tensor.name for tensor in spec.outputs})
    for shape in (*inputs.values(), *outputs.values()):
        if batch is not None and shape[:1] == [batch]:
            shape[0] = "N"
    check_signature(spec, inputs, outputs)


def _shapes(ports: Any, wanted: set[str]) -> dict[str, list[int | str]]:  # noqa: ANN401 - a list
    """Return name and shape of each port; one may bear names of layers that fell away, too."""
    return {
        min(port.get_names(), key=lambda name: (name not in wanted, name)): [
            "N" if size.is_dynamic else size.get_length() for size in port.get_partial_shape()
        ]
        for port in ports
    }


def _computed_in(compiled: Any) -> Precision | None:  # noqa: ANN401 - a CompiledModel
    """Return what most of the heavy layers really compute in, as the runtime says."""
    found: Counter[Precision] = Counter()
    for layer in compiled.get_runtime_model().get_ops():
        facts = layer.get_rt_info()
        if "layerType" not in facts or facts["layerType"].astype(str) not in _HEAVY:
            continue
        kind = facts["runtimePrecision"].astype(str)
        found["int8" if kind in _INT8 else _NAMES.get(kind, "fp32")] += 1
    return found.most_common(1)[0][0] if found else None
