"""What ``--engine`` means today: the named engine must be here; MediaPipe brings its own."""

import ctypes
import importlib.util
import logging
import sys

from stream.choices import EngineName
from stream.errors import UserError

_log = logging.getLogger("voltface")

# engine: (module, what installs it, whether it needs an NVIDIA card)
ENGINES: dict[str, tuple[str, str, bool]] = {
    "tensorrt": ("tensorrt", 'pip install "voltface[tensorrt]"', True),
    "tensorrt-rtx": ("tensorrt_rtx", 'pip install "voltface[rtx]"', True),
    "openvino": ("openvino", "pip install openvino", False),
    "onnxruntime": ("onnxruntime", "pip install onnxruntime", False),
}


def nvidia_driver_present() -> bool:
    """Return whether the NVIDIA driver's library can be loaded."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def check_engine(engine: EngineName) -> None:
    """Refuse an engine that is not here, and say what runs where one was named.

    The networks of this version are those of MediaPipe, which only run in MediaPipe's own
    runtime; the statistics name it.

    Raises:
        UserError: if the engine's package or the driver that it needs is missing.
    """
    if engine == "auto":
        return
    module, install, needs_card = ENGINES[engine]
    what = f"the engine {engine} cannot run here"
    if importlib.util.find_spec(module) is None:
        raise UserError(what, f"the package {module} is not installed", f"Install it: {install}")
    if needs_card and not nvidia_driver_present():
        why = "there is no NVIDIA driver"
        raise UserError(what, why, "Install the driver, or use --engine auto")
    _log.warning(
        "--engine %s is here, but this version has no network of its own for it to run: "
        "MediaPipe's networks run in MediaPipe's runtime on the CPU",
        engine,
    )
