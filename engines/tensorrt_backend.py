"""TensorRT 10 and 11, for data-centre cards: engines for the very card that builds them."""

from engines import cuda
from engines.nvidia import NvidiaBackend
from engines.spec import Precision


class TensorRtBackend(NvidiaBackend):
    """TensorRT; both versions take a strongly typed network, which 11 insists on."""

    name = "tensorrt"
    module = "tensorrt"
    packages = ("tensorrt", "cuda-python", "onnx")

    def device(self) -> str:
        """See Backend: engines run on cards like the one that built them only."""
        opened = cuda.open_cuda()
        try:
            major, minor = opened.capability
            return f"{opened.device}, compute capability {major}.{minor}"
        finally:
            opened.close()

    def precisions(self) -> tuple[Precision, ...]:
        """See Backend."""
        return ("fp16", "bf16", "fp32", "int8")

    @property
    def records(self) -> bool:
        """TensorRT leaves CUDA graphs to whoever calls it."""
        return True
