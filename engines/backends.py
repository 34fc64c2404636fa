"""The backends, in the order in which ``auto`` tries them."""

from engines.engine import Backend
from engines.errors import UserError
from engines.onnxruntime_backend import OnnxRuntimeBackend
from engines.openvino_backend import OpenVinoBackend
from engines.tensorrt_backend import TensorRtBackend
from engines.tensorrt_rtx_backend import TensorRtRtxBackend

BACKENDS: dict[str, Backend] = {
    backend.name: backend
    for backend in (
        TensorRtBackend(),
        TensorRtRtxBackend(),
        OpenVinoBackend(),
        OnnxRuntimeBackend(),
    )
}


def candidates(choice: str) -> list[Backend]:
    """Return the backends that a choice allows, best first.

    Args:
        choice: name of a backend, or ``auto``.

    Raises:
        UserError: if there is no such backend.
    """
    if choice == "auto":
        return list(BACKENDS.values())
    if choice not in BACKENDS:
        known = ", ".join(("auto", *BACKENDS))
        raise UserError(f'unknown engine "{choice}"', "there is none", f"Known are: {known}")
    return [BACKENDS[choice]]
