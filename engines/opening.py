"""Opens a network on the first backend that really runs it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engines.backends import candidates
from engines.engine import Backend, Engine, Frames, SideFile
from engines.errors import (
    EngineAbsentError,
    EngineBrokenError,
    NotShippedError,
    PrecisionAbsentError,
    SpecMismatchError,
    UserError,
)
from engines.manifest import EngineFolder, EngineKey, digest
from engines.spec import WEIGHTS, NetSpec, Precision

_log = logging.getLogger("voltface")


@dataclass(frozen=True, slots=True)
class Built:
    """An engine that is ready to be opened.

    Attributes:
        data: what the backend opens.
        key: what it was built from.
        state: ``up to date``, ``built``, or ``rebuilt: WHY``.
    """

    data: bytes
    key: EngineKey
    state: str


def shipped(folder: Path = WEIGHTS) -> list[str]:
    """Return the names of the network files in a folder."""
    return sorted(path.stem for path in folder.glob("*.onnx"))


def read_network(spec: NetSpec, folder: Path = WEIGHTS) -> bytes:
    """Return the bytes of a network file.

    Raises:
        NotShippedError: if there is none.
        UserError: if it cannot be read.
    """
    path = folder / spec.file_name
    what = f"the network {spec.name} cannot run"
    try:
        return path.read_bytes()
    except FileNotFoundError:
        why = f"its weights {spec.file_name} are not shipped yet"
        remedy = "Take a version that has them; until then its analytic stage does the work"
        raise NotShippedError(what, why, remedy) from None
    except OSError as error:
        why = f"{path.name} cannot be read ({error.strerror})"
        raise UserError(what, why, "Install voltface anew") from error


def open_engine(
    spec: NetSpec,
    choice: str = "auto",
    threads: int | None = None,
    *,
    precision: Precision | None = None,
    weights: Path = WEIGHTS,
    cache: EngineFolder | None = None,
) -> Engine:
    """Open a network on the first backend that runs it.

    An engine that was built before is taken where it is fresh and whole; else it is built, and
    that it was stale or damaged is said. Before it is returned, it has run once.

    Args:
        spec: of the network.
        choice: name of a backend, or ``auto`` for the first that works.
        threads: of the CPU; None leaves the number to the backend.
        precision: what to compute in; the backend's quickest that the spec admits unless given.
        weights: folder of the network files.
        cache: folder of the built engines; the user's unless given.

    Returns:
        The engine; its ``description`` says what really runs.

    Raises:
        NotShippedError: if the network file is absent.
        UserError: if no backend runs it; the message lists why for each.
    """
    backends = candidates(choice)
    onnx = read_network(spec, weights)
    failures: list[tuple[Backend, Exception]] = []
    for backend in backends:
        try:
            backend.require()
            engine = open_on(backend, spec, onnx, threads, precision, cache or EngineFolder())
        except Exception as error:  # noqa: BLE001  whatever fails, the next is tried
            failures.append((backend, error))
            if choice == "auto" and not isinstance(error, EngineAbsentError):
                _log.warning("%s falls back: %s", spec.name, _reason(error))
        else:
            _log.info("%s", engine.description)
            return engine
    raise _none_runs(spec, failures)


def choose_precision(spec: NetSpec, backend: Backend, wanted: Precision | None = None) -> Precision:
    """Return what a backend shall compute in here.

    Raises:
        PrecisionAbsentError: if the wanted precision cannot be had.
    """
    able = backend.precisions()
    if wanted is None:
        return next((name for name in able if name in spec.precisions), "fp32")
    if wanted not in able:
        why = f"on {backend.device()} it computes in {', '.join(able)}"
        what = f"{backend.name} cannot compute in {wanted}"
        raise PrecisionAbsentError(what, why, f"Use --precision {able[0]}")
    return wanted


def built_engine(
    spec: NetSpec,
    backend: Backend,
    onnx: bytes,
    precision: Precision,
    cache: EngineFolder,
    *,
    frames: Frames = (),
    anew: bool = False,
) -> Built:
    """Take an engine from the folder, or build it and keep it there.

    Args:
        spec: of the network.
        backend: that builds it.
        onnx: the network file.
        precision: what to compute in.
        cache: the folder.
        frames: named inputs, for int8.
        anew: build even where the folder has it.
    """
    key = _key(spec, backend, onnx, precision, frames)
    if not backend.keeps(precision):
        return Built(backend.build(spec, onnx, precision, frames), key, "as shipped")
    found = cache.find(key)
    if found.data is not None and not anew:
        return Built(found.data, key, "up to date")
    if found.fault:
        _log.warning("%s: %s engine is built anew: %s", spec.name, backend.name, found.fault)
    data = backend.build(spec, onnx, precision, frames)
    _keep(cache, key, data)
    state = f"rebuilt: {found.fault}" if found.fault else "built"
    return Built(data, key, "rebuilt: asked for" if anew and not found.fault else state)


def open_built(
    spec: NetSpec, backend: Backend, built: Built, threads: int | None, cache: EngineFolder
) -> Engine:
    """Open a built engine and run it once on a sample.

    Raises:
        EngineBrokenError: if it gives wrong shapes or numbers that are none.
    """
    side = _side_file(cache, replace(built.key, part="kernels"))
    engine = backend.open(spec, built.data, built.key.precision, threads, side)
    try:
        _check_answer(engine)
    except BaseException:
        engine.close()
        raise
    return engine


def open_on(
    backend: Backend,
    spec: NetSpec,
    onnx: bytes,
    threads: int | None,
    wanted: Precision | None,
    cache: EngineFolder,
) -> Engine:
    """Open a network on one backend, with what was kept of it; see `open_engine`.

    Args:
        spec: of the network.
        backend: that builds and opens it.
        onnx: the network file.
        threads: of the CPU; None leaves the number to the backend.
        wanted: precision; None for the backend's quickest that the spec admits.
        cache: folder of the built engines.
    """
    precision = choose_precision(spec, backend, wanted)
    built = built_engine(spec, backend, onnx, precision, cache)
    try:
        engine = open_built(spec, backend, built, threads, cache)
    except SpecMismatchError:
        raise
    except Exception as error:
        if built.state != "up to date":
            raise
        _log.warning(
            "%s: %s refuses an engine that was kept, it is built anew: %s",
            spec.name,
            backend.name,
            _reason(error),
        )
        built = built_engine(spec, backend, onnx, precision, cache, anew=True)
        engine = open_built(spec, backend, built, threads, cache)
    if engine.precision != precision:
        _log.warning("%s was to run in %s: %s", spec.name, precision, engine.description)
    return engine


def _check_answer(engine: Engine) -> None:
    spec = engine.spec
    answer = engine(**spec.sample())
    for tensor in spec.outputs:
        array = answer[tensor.name]
        if array.shape != tensor.sized(1):
            why = f"{tensor.name} came out as {array.shape}, not {tensor.sized(1)}"
        elif not np.isfinite(array).all():
            why = f"{tensor.name} holds numbers that are none"
        else:
            continue
        what = f"{engine.backend} computes {spec.name} wrongly in {engine.precision}"
        raise EngineBrokenError(what, why, "Use another --engine, and report this")


def _key(
    spec: NetSpec, backend: Backend, onnx: bytes, precision: Precision, frames: Frames
) -> EngineKey:
    calibration = _frames_digest(frames) if precision == "int8" and frames else ""
    return EngineKey(
        network=spec.name,
        backend=backend.name,
        version=backend.version(),
        onnx_sha256=digest(onnx),
        device=backend.device(),
        precision=precision,
        calibration=calibration,
    )


def _frames_digest(frames: Frames) -> str:
    return digest(b"".join(frame[name].tobytes() for frame in frames for name in sorted(frame)))


def _keep(cache: EngineFolder, key: EngineKey, data: bytes) -> None:
    try:
        cache.store(key, data)
    except OSError as error:
        _log.warning("the %s of %s cannot be kept: %s", key.part, key.network, error)


def _side_file(cache: EngineFolder, key: EngineKey) -> SideFile:
    return SideFile(lambda: cache.find(key).data, lambda data: _keep(cache, key, data))


def _reason(error: Exception) -> str:
    text = f"{error.what}: {error.why}" if isinstance(error, UserError) else str(error)
    return (text.strip().splitlines() or [type(error).__name__])[0]


def _none_runs(spec: NetSpec, failures: Sequence[tuple[Backend, Exception]]) -> UserError:
    if len(failures) == 1 and isinstance(failures[0][1], UserError):
        return failures[0][1]
    reasons = "; ".join(f"{backend.name}: {_short(error)}" for backend, error in failures)
    remedies = [error.remedy for _, error in failures if isinstance(error, UserError)]
    remedy = remedies[-1] if remedies else "voltface doctor says what mends it"
    return UserError(f"no engine runs {spec.name}", reasons, remedy)


def _short(error: Exception) -> str:
    return error.why if isinstance(error, UserError) else _reason(error)
