"""TensorRT for RTX: engines are built on any machine, and finish on the card that runs them."""

import logging
from collections.abc import Callable
from typing import Any

from engines.engine import SideFile
from engines.nvidia import NvidiaBackend
from engines.spec import Precision

_log = logging.getLogger("voltface")


class TensorRtRtxBackend(NvidiaBackend):
    """TensorRT for RTX; what it compiles on a card is kept for the next start."""

    name = "tensorrt-rtx"
    module = "tensorrt_rtx"
    packages = ("tensorrt-rtx", "cuda-python", "onnx")

    def device(self) -> str:
        """See Backend: one engine serves every card that it knows."""
        return "any card of compute capability 8.0 or later"

    def precisions(self) -> tuple[Precision, ...]:
        """See Backend; int8 is only known for the weights of products, not for convolutions."""
        return ("fp16", "bf16", "fp32")

    def context(
        self,
        library: Any,  # noqa: ANN401
        engine: Any,  # noqa: ANN401
        side: SideFile | None,
    ) -> tuple[Any, Callable[[], None]]:
        """See NvidiaBackend: kernels come from the last run's cache, and go into it."""
        config = engine.create_runtime_config()
        kernels = config.create_runtime_cache()
        kept = side.load() if side else None
        if kept is not None and not kernels.deserialize(kept):
            _log.info("the kernels that were kept do not fit this card: they are compiled anew")
            kept = None
        config.set_runtime_cache(kernels)
        config.cuda_graph_strategy = library.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE

        def keep() -> None:
            nonlocal kept
            now = bytes(kernels.serialize())
            if side and now != kept:
                kept = now
                side.save(now)

        return engine.create_execution_context(config), keep

    @property
    def records(self) -> bool:
        """It records CUDA graphs itself."""
        return False
