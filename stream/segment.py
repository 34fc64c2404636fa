"""Coarse person mask of a head crop, by MediaPipe's selfie segmentation."""

import os

import numpy as np

from stream.closing import Closing
from stream.quiet import quiet_stderr

os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
with quiet_stderr():
    import cv2
    from mediapipe.calculators.tensor import (
        image_to_tensor_calculator_pb2,
        inference_calculator_pb2,
        tensors_to_segmentation_calculator_pb2,
    )
    from mediapipe.framework.tool import switch_container_pb2
    from mediapipe.python.solution_base import SolutionBase

SIZE = 256  # side of the mask, and of the square that the network looks at
_GRAPH = "mediapipe/modules/selfie_segmentation/selfie_segmentation_cpu.binarypb"
# The graph's options are read only if the messages that describe them are known.
_MESSAGES = (
    image_to_tensor_calculator_pb2,
    inference_calculator_pb2,
    tensors_to_segmentation_calculator_pb2,
    switch_container_pb2,
)


class PersonSegmenter(Closing):
    """Tells person from background in crops around heads.

    Crops do not share state: one segmenter serves any number of faces. The general network
    (256×256) follows the outline to about a pixel of its mask; the landscape network (144×256)
    takes two thirds of the time, and is coarser at the hair.

    Args:
        landscape: take the smaller network.
    """

    def __init__(self, landscape: bool = False) -> None:
        with quiet_stderr():
            self._network = SolutionBase(
                binary_graph_path=_GRAPH,
                side_inputs={"model_selection": int(landscape)},
                outputs=["segmentation_mask"],
            )
            self.segment(np.zeros((SIZE, SIZE, 3), np.uint8))

    def segment(self, crop_rgb: np.ndarray) -> np.ndarray:
        """Return how likely each pixel of a crop is a person.

        Args:
            crop_rgb: (h, w, 3) uint8, any size; the network sees it squeezed to a square.

        Returns:
            (256, 256) float32, 0…1, over the same rectangle.
        """
        mask = self._network.process({"image": squared(crop_rgb)}).segmentation_mask
        return np.clip(mask, 0, 1, dtype=np.float32)

    def close(self) -> None:
        """Free the network; closing twice does no harm."""
        if self._network is not None:
            self._network.close()
            self._network = None


def squared(crop_rgb: np.ndarray) -> np.ndarray:
    """Squeeze an (h, w, 3) uint8 crop to what the network sees: (256, 256, 3)."""
    if crop_rgb.shape[:2] == (SIZE, SIZE):
        return crop_rgb
    return cv2.resize(_halved(crop_rgb), (SIZE, SIZE))


def _halved(picture: np.ndarray) -> np.ndarray:
    """Average 2×2 pixels until less than half as many would be taken: quicker than by area."""
    while min(picture.shape[:2]) >= 2 * SIZE:
        height, width = picture.shape[0] // 2, picture.shape[1] // 2
        whole = picture[: 2 * height, : 2 * width]
        picture = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
    return picture
