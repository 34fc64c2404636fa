"""The words that options and settings choose among."""

from typing import Literal

EngineName = Literal["auto", "tensorrt", "tensorrt-rtx", "openvino", "onnxruntime"]
FacesName = Literal["largest", "all"]
QualityName = Literal["auto", "low", "high"]
