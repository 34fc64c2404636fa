"""Proves that a backend works, by building and running a network whose answer is known."""

import numpy as np

from engines.backends import BACKENDS
from engines.engine import Backend
from engines.errors import EngineAbsentError, EngineBrokenError
from engines.opening import choose_precision
from engines.tiny import TINY, TINY_ONNX, TOLERANCE, tiny_answer, tiny_input


def prove(name: str) -> str:
    """Build a tiny network with a backend, run it, and compare its answer.

    Args:
        name: of the backend.

    Returns:
        What was proven, in words.

    Raises:
        EngineAbsentError: if a package or a driver is missing; says what installs it, and
            whether engines can be built without it.
        EngineBrokenError: if it is here but computes wrongly.
    """
    backend = BACKENDS[name]
    backend.require_package()
    try:
        backend.require()
    except EngineAbsentError as absent:
        why = _what_still_works(backend, absent)
        raise EngineAbsentError(absent.what, why, absent.remedy) from absent
    precision = choose_precision(TINY, backend)
    built = backend.build(TINY, TINY_ONNX, precision, ())
    with backend.open(TINY, built, precision) as engine:
        picture = tiny_input()
        answer = engine(picture=picture)["out"]
        where = f"{backend.name} {_release(backend)} on {engine.device}, {engine.precision}"
    worst = float(np.abs(answer - tiny_answer(picture)).max())
    if not worst <= TOLERANCE:
        why = f"a convolution came out wrong by {worst:.3g}"
        remedy = f"Install it anew: {backend.install} --force-reinstall"
        raise EngineBrokenError(f"{where}, computes wrongly", why, remedy)
    return f"{where}: ran a convolution"


def _what_still_works(backend: Backend, absent: EngineAbsentError) -> str:
    """Return why it cannot run, and whether it can at least build."""
    try:
        precision = choose_precision(TINY, backend)
        built = backend.build(TINY, TINY_ONNX, precision, ())
    except Exception:  # noqa: BLE001  it cannot, and need not: it cannot run either
        return absent.why
    return (
        f"{absent.why}; {backend.name} {_release(backend)} is installed, and built an engine "
        f"of {len(built) / 1024:.0f} kB in {precision}"
    )


def _release(backend: Backend) -> str:
    return backend.version().partition("-")[0]
