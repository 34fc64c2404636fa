"""What every engine is: an opened network that is called with named arrays."""

import importlib.metadata
import importlib.util
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import Self

import numpy as np

from engines.errors import EngineAbsentError, SpecMismatchError
from engines.spec import NetSpec, Precision, TensorSpec

Frames = Sequence[Mapping[str, np.ndarray]]


class Engine(ABC):
    """A network, opened by one backend on one device.

    Calls from several threads are taken in turn.

    Attributes:
        spec: of the network.
        backend: name of what runs it.
        device: what it really runs on.
        precision: what it really computes in.
        max_batch: how many pictures go at once; longer batches are cut. None for any number.
    """

    max_batch: int | None = None

    def __init__(self, spec: NetSpec, backend: str, device: str, precision: Precision) -> None:
        self.spec, self.backend, self.device, self.precision = spec, backend, device, precision
        self._turn = Lock()
        self._closed = False

    @property
    def description(self) -> str:
        """What runs where, in words."""
        return f"{self.spec.name}: {self.backend} on {self.device}, {self.precision}"

    @property
    def as_stats(self) -> dict[str, str]:
        """What ``--stats`` says of it."""
        return {"backend": self.backend, "device": self.device, "precision": self.precision}

    def __call__(self, **arrays: np.ndarray) -> dict[str, np.ndarray]:
        """Run the network.

        Args:
            **arrays: one for each input, float32, of the spec's shape and one batch size.

        Returns:
            ``{name: array}`` of the outputs; the arrays belong to the caller.

        Raises:
            ValueError: if a name is missing or unknown, or a shape is wrong.
            RuntimeError: if it was closed, or the engine fails.
        """
        ready, batch = self.spec.checked(arrays)
        if batch == 0:
            return {item.name: np.zeros(item.sized(0), item.dtype) for item in self.spec.outputs}
        with self._turn:
            if self._closed:
                raise RuntimeError(f"the engine of {self.spec.name} is closed")
            if self.max_batch is None or batch <= self.max_batch:
                return self._run(ready, batch)
            return self._in_parts(ready, batch, self.max_batch)

    def _in_parts(
        self, arrays: dict[str, np.ndarray], batch: int, size: int
    ) -> dict[str, np.ndarray]:
        parts = []
        for start in range(0, batch, size):
            part = {name: array[start : start + size] for name, array in arrays.items()}
            parts.append(self._run(part, min(size, batch - start)))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def close(self) -> None:
        """Give back what it holds; it cannot be called afterwards."""
        with self._turn:
            if not self._closed:
                self._closed = True
                self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def _run(self, arrays: dict[str, np.ndarray], batch: int) -> dict[str, np.ndarray]:
        """Run it on checked inputs."""

    @abstractmethod
    def _release(self) -> None:
        """Give back what it holds."""


@dataclass(frozen=True, slots=True)
class SideFile:
    """Something that an engine keeps beside itself between runs.

    Attributes:
        load: gives what was kept, or None.
        save: keeps it.
    """

    load: Callable[[], bytes | None]
    save: Callable[[bytes], None]


class Backend(ABC):
    """One way to run networks.

    Attributes:
        name: what ``--engine`` calls it.
        module: what Python imports.
        packages: what pip installs.
    """

    name: str
    module: str
    packages: tuple[str, ...]

    @property
    def install(self) -> str:
        """The command that installs it into this Python."""
        return f"{sys.executable} -m pip install {' '.join(self.packages)}"

    def require_package(self) -> None:
        """Refuse where the package is missing: nothing can be built.

        Raises:
            EngineAbsentError: saying which one, and the command that installs it.
        """
        if importlib.util.find_spec(self.module) is None:
            why = f"the package {self.module} is not installed"
            raise EngineAbsentError(self.refusal, why, f"Install it: {self.install}")

    def require(self) -> None:
        """Refuse where a package or a driver is missing: nothing can run.

        Raises:
            EngineAbsentError: saying which one, and what to do.
        """
        self.require_package()

    @property
    def refusal(self) -> str:
        """The first words of a message that says why it cannot be had."""
        return f"the engine {self.name} cannot run here"

    def version(self) -> str:
        """Return the version of the package."""
        return importlib.metadata.version(self.module)

    def keeps(self, precision: Precision) -> bool:
        """Return whether what it builds differs from the network file, and is worth keeping."""
        return bool(precision)

    @abstractmethod
    def device(self) -> str:
        """Return what it builds for; an engine for another device is stale."""

    @abstractmethod
    def precisions(self) -> tuple[Precision, ...]:
        """Return what the device computes in, the quickest first, and int8 last."""

    @abstractmethod
    def build(self, spec: NetSpec, onnx: bytes, precision: Precision, frames: Frames) -> bytes:
        """Build an engine ahead of time.

        Args:
            spec: of the network.
            onnx: the network file.
            precision: what to compute in.
            frames: named inputs, for the ranges of int8.

        Returns:
            What ``open`` takes.
        """

    @abstractmethod
    def open(
        self,
        spec: NetSpec,
        built: bytes,
        precision: Precision,
        threads: int | None = None,
        side: SideFile | None = None,
    ) -> Engine:
        """Open what was built.

        Args:
            spec: of the network.
            built: what ``build`` gave.
            precision: what it was built for.
            threads: of the CPU; None leaves the number to the backend.
            side: where compiled kernels are kept, for backends that compile when they open.

        Raises:
            SpecMismatchError: if names or shapes are not those of the spec.
        """


def check_signature(
    spec: NetSpec, inputs: Mapping[str, Sequence[object]], outputs: Mapping[str, Sequence[object]]
) -> None:
    """Refuse a network whose tensors are not those of its spec.

    Args:
        spec: of the network.
        inputs: name and shape of each input of the file.
        outputs: the same of its outputs.

    Raises:
        SpecMismatchError: naming the first tensor that differs.
    """
    _check_side(spec, "inputs", spec.inputs, inputs)
    _check_side(spec, "outputs", spec.outputs, outputs)


def _check_side(
    spec: NetSpec, side: str, wanted: Sequence[TensorSpec], there: Mapping[str, Sequence[object]]
) -> None:
    what = f"the network file {spec.file_name} does not fit its spec"
    remedy = "Export it anew, or take the file that came with this version"
    names = {tensor.name for tensor in wanted}
    if names != set(there):
        why = f"its {side} are {sorted(there)}, not {sorted(names)}"
        raise SpecMismatchError(what, why, remedy)
    for tensor in wanted:
        shape = tuple(there[tensor.name])
        free = tensor.shape[0] is None and len(shape) and isinstance(shape[0], int) and shape[0] > 0
        if free or not tensor.fits(shape):
            why = f"{tensor.name} has the shape {list(shape)}, not {list(tensor.shape)}"
            raise SpecMismatchError(what, why, remedy)
