"""Buffers, streams and graphs of CUDA, through cuda-python or, where that is absent, pycuda."""

import ctypes
import importlib
import importlib.util
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from engines.errors import EngineAbsentError, EngineBrokenError

INSTALL = f"{sys.executable} -m pip install cuda-python"


def nvidia_driver_present() -> bool:
    """Return whether the NVIDIA driver's library can be loaded."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def bindings_present() -> bool:
    """Return whether a package is here that gives Python the functions of CUDA."""
    return any(_found(name) for name in ("cuda.bindings.runtime", "cuda.cudart", "pycuda"))


def open_cuda() -> "Cuda":
    """Return CUDA on the first device.

    Raises:
        EngineAbsentError: if there is no package for it.
        EngineBrokenError: if there is no device, or the driver refuses.
    """
    for name in ("cuda.bindings.runtime", "cuda.cudart"):
        if _found(name):
            return _CudaPython(importlib.import_module(name))
    if _found("pycuda"):
        return _PyCuda()
    why = "neither cuda-python nor pycuda is installed"
    raise EngineAbsentError("CUDA cannot be used", why, f"Install it: {INSTALL}")


class Cuda(ABC):
    """What engines need of CUDA on one device; one stream, in order.

    Attributes:
        device: name of the device.
        capability: its compute capability.
        stream: handle of the stream.
    """

    device: str
    capability: tuple[int, int]
    stream: int

    @abstractmethod
    def allocate(self, size: int) -> int:
        """Return the address of so many bytes on the device."""

    @abstractmethod
    def allocate_host(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """Return an array in memory that the device reads and writes by itself."""

    @abstractmethod
    def upload(self, address: int, array: np.ndarray) -> None:
        """Copy an array to the device, in the stream's order."""

    @abstractmethod
    def download(self, array: np.ndarray, address: int) -> None:
        """Copy from the device into an array, in the stream's order."""

    @abstractmethod
    def wait(self) -> None:
        """Wait until the stream has done all it was told."""

    @abstractmethod
    def recorded(self, work: Callable[[], None]) -> Callable[[], None] | None:
        """Record what some work puts into the stream.

        Returns:
            What puts all of it into the stream at once; None where that cannot be had.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back everything."""


def _found(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # a parent is missing
        return False


class _CudaPython(Cuda):
    """The runtime interface of cuda-python 12 and 13."""

    def __init__(self, runtime: Any) -> None:  # noqa: ANN401 - a module
        self._api = runtime
        self._device_memory: list[int] = []
        self._host_memory: list[int] = []
        self._graphs: list[Any] = []
        if not self._call("cudaGetDeviceCount"):
            raise EngineBrokenError("CUDA cannot be used", "it knows of no device", _UPDATE)
        self._call("cudaSetDevice", 0)
        properties = self._call("cudaGetDeviceProperties", 0)
        name = properties.name
        self.device = (name.decode() if isinstance(name, bytes) else name).rstrip("\0")
        self.capability = (properties.major, properties.minor)
        self._stream = self._call("cudaStreamCreate")
        self.stream = int(self._stream)

    def _call(self, name: str, *arguments: Any) -> Any:  # noqa: ANN401 - whatever it gives
        code, *results = getattr(self._api, name)(*arguments)
        if int(code) != 0:
            why = f"{name} failed with {getattr(code, 'name', code)}"
            raise EngineBrokenError("CUDA does not do its work", why, _UPDATE)
        return results[0] if results else None

    def allocate(self, size: int) -> int:
        address = int(self._call("cudaMalloc", size))
        self._device_memory.append(address)
        return address

    def allocate_host(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address = int(self._call("cudaMallocHost", size))
        self._host_memory.append(address)
        memory = (ctypes.c_byte * size).from_address(address)
        return np.ctypeslib.as_array(memory).view(dtype).reshape(shape)

    def upload(self, address: int, array: np.ndarray) -> None:
        kind = self._api.cudaMemcpyKind.cudaMemcpyHostToDevice
        source = array.ctypes.data
        self._call("cudaMemcpyAsync", address, source, array.nbytes, kind, self._stream)

    def download(self, array: np.ndarray, address: int) -> None:
        kind = self._api.cudaMemcpyKind.cudaMemcpyDeviceToHost
        target = array.ctypes.data
        self._call("cudaMemcpyAsync", target, address, array.nbytes, kind, self._stream)

    def wait(self) -> None:
        self._call("cudaStreamSynchronize", self._stream)

    def recorded(self, work: Callable[[], None]) -> Callable[[], None] | None:
        mode = self._api.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", self._stream, mode)
        try:
            work()
        except Exception:
            self._api.cudaStreamEndCapture(self._stream)  # else the stream stays in capture
            raise
        graph = self._call("cudaStreamEndCapture", self._stream)
        ready = self._call("cudaGraphInstantiate", graph, 0)
        self._call("cudaGraphDestroy", graph)
        self._graphs.append(ready)

        def launch() -> None:
            self._call("cudaGraphLaunch", ready, self._stream)

        return launch

    def close(self) -> None:
        for name, items in (
            ("cudaGraphExecDestroy", self._graphs),
            ("cudaFree", self._device_memory),
            ("cudaFreeHost", self._host_memory),
        ):
            while items:
                self._call(name, items.pop())
        self._call("cudaStreamDestroy", self._stream)


class _PyCuda(Cuda):
    """The driver interface of pycuda, which has no graphs; its context is pushed for each call."""

    def __init__(self) -> None:
        self._driver: Any = importlib.import_module("pycuda.driver")
        self._driver.init()
        device = self._driver.Device(0)
        self.device, self.capability = device.name(), device.compute_capability()
        self._context = device.retain_primary_context()
        self._memory: dict[int, Any] = {}
        self._queue = self._inside(self._driver.Stream)
        self.stream = int(self._queue.handle)

    def _inside(self, function: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401
        self._context.push()
        try:
            return function(*arguments)
        finally:
            self._context.pop()

    def allocate(self, size: int) -> int:
        memory = self._inside(self._driver.mem_alloc, size)
        self._memory[int(memory)] = memory
        return int(memory)

    def allocate_host(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return self._inside(self._driver.pagelocked_empty, shape, np.dtype(dtype))

    def upload(self, address: int, array: np.ndarray) -> None:
        self._inside(self._driver.memcpy_htod_async, address, array, self._queue)

    def download(self, array: np.ndarray, address: int) -> None:
        self._inside(self._driver.memcpy_dtoh_async, array, address, self._queue)

    def wait(self) -> None:
        self._inside(self._queue.synchronize)

    def recorded(self, work: Callable[[], None]) -> Callable[[], None] | None:
        return None

    def close(self) -> None:
        while self._memory:
            self._inside(self._memory.popitem()[1].free)


_UPDATE = "Update the NVIDIA driver, or use --engine auto"
